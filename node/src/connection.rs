//! One connection: one RPC system on one stream, on the thread that owns it.

use std::sync::Arc;
use std::time::Duration;

use capnp::message::ReaderOptions;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp, twoparty};
use futures::io::{BufReader, BufWriter};
use quicproquo_schemas::limits::FRAME_AFTER_AUTH;
use quinn::{ConnectionError, VarInt};
use tokio::time::{sleep, timeout};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::delivery::fetch::connection_ended;
use crate::delivery::leases::ConnectionId;
use crate::rpc::calls::Calls;
use crate::rpc::{Peer, bootstrap};
use crate::server::{HandshakeSlot, Shared};

const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a client may take to open its stream.
const FIRST_STREAM: Duration = Duration::from_secs(10);
/// Time for the last answers to leave before the connection is closed.
const LAST_WORDS: Duration = Duration::from_millis(50);
const BUFFER: usize = 16 * 1024;

/// Application error codes of a close by the node.
const CLOSE_DONE: VarInt = VarInt::from_u32(0);
const CLOSE_SHUTTING_DOWN: VarInt = VarInt::from_u32(1);
const CLOSE_NO_STREAM: VarInt = VarInt::from_u32(2);

/// Serves a connection to its end.
pub(crate) async fn serve(
    incoming: quinn::Incoming,
    shared: Arc<Shared>,
    id: ConnectionId,
    slot: HandshakeSlot,
) {
    let connection = match timeout(HANDSHAKE, async { incoming.accept()?.await }).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::debug!(%error, "handshake failed");
            return;
        }
        Err(_) => {
            tracing::debug!("handshake took too long");
            return;
        }
    };
    drop(slot);
    let Ok(Ok((send, receive))) = timeout(FIRST_STREAM, connection.accept_bi()).await else {
        connection.close(CLOSE_NO_STREAM, b"no stream");
        return;
    };

    let ended = CancellationToken::new();
    let tasks = TaskTracker::new();
    let calls = Calls::new(shared.limits.calls_in_flight, shared.draining.clone());
    let peer = Peer {
        shared: Arc::clone(&shared),
        connection: connection.clone(),
        id,
        calls: calls.clone(),
        ended: ended.clone(),
        tasks: tasks.clone(),
    };
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(Some(FRAME_AFTER_AUTH / 8)).nesting_limit(16);
    let network = twoparty::VatNetwork::new(
        BufReader::with_capacity(BUFFER, receive.compat()),
        BufWriter::with_capacity(BUFFER, send.compat_write()),
        rpc_twoparty_capnp::Side::Server,
        options,
    );
    let mut system = RpcSystem::new(Box::new(network), Some(bootstrap(peer).client));

    let drain = async {
        shared.draining.cancelled().await;
        let _ = timeout(shared.limits.drain, calls.idle()).await;
        sleep(LAST_WORDS).await;
    };
    let finished = tokio::select! {
        result = &mut system => Some(result),
        () = drain => None,
    };
    ended.cancel();
    drop(system);
    tasks.close();
    let clean = match finished {
        None => {
            connection.close(CLOSE_SHUTTING_DOWN, b"shutting down");
            false
        }
        Some(result) => {
            let clean = is_clean(connection.close_reason(), result.is_ok());
            connection.close(CLOSE_DONE, b"");
            clean
        }
    };
    connection_ended(&shared, id, clean).await;
}

/// Whether the client has ended the stream or closed the connection on purpose.
fn is_clean(reason: Option<ConnectionError>, stream_ended: bool) -> bool {
    match reason {
        None => stream_ended,
        Some(ConnectionError::ApplicationClosed(close)) => close.error_code == CLOSE_DONE,
        Some(_) => false,
    }
}
