//! One connection: one RPC system on one stream, on the thread that owns it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use capnp_rpc::{RpcSystem, rpc_twoparty_capnp};
use futures::FutureExt;
use quicproquo_schemas::close::CloseCode;
use quicproquo_transport::{Eager, Fault, FrameError};
use quinn::{Connection, ConnectionError, VarInt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::addresses::Seat;
use crate::clock::Stopwatch;
use crate::delivery::fetch::connection_ended;
use crate::delivery::leases::ConnectionId;
use crate::metrics::Refused;
use crate::rpc::calls::Calls;
use crate::rpc::gate::{Gate, rules};
use crate::rpc::{Peer, bootstrap};
use crate::server::{HandshakeSlot, Shared};

/// How long a client may take to open its stream.
const FIRST_STREAM: Duration = Duration::from_secs(10);
/// Time for the last answers to arrive before the connection is closed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Bytes of a reason phrase: it must fit into a packet.
const REASON: usize = 256;

/// A connection on its way to the thread that will own it.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) incoming: quinn::Incoming,
    pub(crate) config: Arc<quinn::ServerConfig>,
    pub(crate) handshake: HandshakeSlot,
    /// Taken before the handshake only when the address is validated: others could be anybody's.
    pub(crate) seat: Option<Seat>,
}

/// Serves a connection to its end.
pub(crate) async fn serve(arrival: Handover, shared: Arc<Shared>, id: ConnectionId) {
    let Handover { incoming, config, handshake, seat } = arrival;
    let limit = shared.limits.transport.handshake;
    let counters = &shared.metrics.connections;
    let started = Stopwatch::start();
    let connection = match timeout(limit, async { incoming.accept_with(config)?.await }).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::debug!(%error, "handshake failed");
            counters.refuse(Refused::Handshake);
            return;
        }
        Err(_) => {
            tracing::debug!("handshake took too long");
            counters.refuse(Refused::HandshakeTimeout);
            return;
        }
    };
    drop(handshake);
    counters.handshake_seconds.observe_since(started);
    let _open = counters.open();
    let Some(seat) = seat.or_else(|| shared.addresses.enter(connection.remote_address().ip()))
    else {
        counters.refuse(Refused::Address);
        close(&connection, CloseCode::TooManyConnections, "too many connections from this address");
        return;
    };
    let Ok(Ok(streams)) = timeout(FIRST_STREAM, connection.accept_bi()).await else {
        counters.refuse(Refused::NoStream);
        close(&connection, CloseCode::NoStream, "no stream");
        return;
    };
    let clean = converse(&shared, &connection, seat, streams, id).await;
    connection_ended(&shared, id, clean).await;
}

/// Runs the RPC system to its end and closes the connection. True: the client has ended it on
/// purpose.
async fn converse(
    shared: &Arc<Shared>,
    connection: &Connection,
    seat: Seat,
    (send, receive): (quinn::SendStream, quinn::RecvStream),
    id: ConnectionId,
) -> bool {
    let limits = &shared.limits.transport;
    let rules = rules(limits, &shared.first_calls);
    let side = rpc_twoparty_capnp::Side::Server;
    let (network, link) = quicproquo_transport::open(send, receive, side, rules);
    let gate = Gate::new(seat, link.clone(), connection.clone(), limits);
    let ended = CancellationToken::new();
    let tasks = TaskTracker::new();
    let calls = Calls::new(shared.draining.clone());
    let peer = Peer {
        shared: Arc::clone(shared),
        connection: connection.clone(),
        id,
        calls: calls.clone(),
        gate: gate.clone(),
        ended: ended.clone(),
        tasks: tasks.clone(),
    };
    let system = RpcSystem::new(Box::new(network), Some(bootstrap(peer).client));
    let disconnector = system.get_disconnector();
    let mut system = Eager::new(system);

    // Said before the stream is closed: with it the system ends too.
    let intent = RefCell::new(None);
    let close_stream = async |end: End| {
        intent.replace(Some(end));
        link.close();
        let _ = timeout(LAST_WORDS, link.ended()).await;
    };
    let drained = async {
        shared.draining.cancelled().await;
        let _ = timeout(shared.limits.drain, calls.idle()).await;
        close_stream(End::ShuttingDown).await;
    };
    let dismissed = async {
        let by = gate.dismissed().await;
        close_stream(End::Displaced(format!("displaced by {by}"))).await;
    };
    let result = tokio::select! {
        result = &mut system => result,
        () = drained => Ok(()),
        () = dismissed => Ok(()),
        () = refuse_streams(connection) => Ok(()),
    };
    let end = intent.take().unwrap_or(End::Ended(result));
    ended.cancel();
    // The connection's exports hold a Session, which holds the sink of its subscription, which holds
    // the connection: dropping the system alone lets none of them go.
    let _ = disconnector.now_or_never();
    drop(system);
    tasks.close();
    match end {
        End::ShuttingDown => close(connection, CloseCode::ShuttingDown, "shutting down"),
        End::Displaced(reason) => close(connection, CloseCode::Displaced, &reason),
        End::Ended(result) => {
            let orderly = result.is_ok() && link.fault().is_none();
            let clean = is_clean(connection.close_reason(), orderly);
            match (link.fault(), result) {
                (Some(fault), _) => {
                    tracing::debug!(%fault, "a connection is ended");
                    close(connection, code(&fault), &fault.to_string());
                }
                (None, Err(error)) => {
                    tracing::debug!(%error, "a connection is ended");
                    close(connection, CloseCode::BadFrame, &error.extra);
                }
                (None, Ok(())) => close(connection, CloseCode::Done, ""),
            }
            return clean;
        }
    }
    false
}

enum End {
    Ended(capnp::Result<()>),
    ShuttingDown,
    Displaced(String),
}

/// Only the first stream is served; what comes on others is not kept. Does not end before the
/// connection, whose end the RPC system is to see first.
async fn refuse_streams(connection: &Connection) {
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        let code = VarInt::from_u32(CloseCode::NoStream.number());
        let _ = (send.reset(code), receive.stop(code));
    }
    std::future::pending::<()>().await;
}

fn close(connection: &Connection, code: CloseCode, reason: &str) {
    let reason = &reason.as_bytes()[..reason.len().min(REASON)];
    connection.close(VarInt::from_u32(code.number()), reason);
}

fn code(fault: &Fault) -> CloseCode {
    match fault {
        Fault::Frame(FrameError::NoMemory) => CloseCode::Busy,
        Fault::Frame(_)
        | Fault::Cut
        | Fault::Slow
        | Fault::Malformed(_)
        | Fault::TooManyCapabilities(_) => CloseCode::BadFrame,
        Fault::TooManyCalls => CloseCode::TooManyCalls,
        Fault::Stalled => CloseCode::Stalled,
    }
}

/// Whether the client has ended the stream or closed the connection on purpose.
fn is_clean(reason: Option<ConnectionError>, stream_ended: bool) -> bool {
    match reason {
        None => stream_ended,
        Some(ConnectionError::ApplicationClosed(close)) => {
            close.error_code == VarInt::from_u32(CloseCode::Done.number())
        }
        Some(_) => false,
    }
}
