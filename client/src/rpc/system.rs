//! Cap'n Proto on one stream of a connection.

use std::time::Duration;

use capnp_rpc::{RpcSystem, rpc_twoparty_capnp};
use quicproquo_schemas::limits;
use quicproquo_schemas::session_capnp::node;
use quicproquo_transport::{Eager, FrameLimit, Rules};
use quinn::Connection;
use tokio::task::JoinHandle;

use super::RpcError;

/// Largest frame of a node: 4 MiB of rows, and one row that exceeds them.
const FRAME: usize = 2 * limits::FRAME_AFTER_AUTH;
/// Capabilities in one message; `authenticate` answers one.
const CAPABILITIES: u32 = 16;
/// How long the node may read nothing.
const STALLED: Duration = Duration::from_secs(30);

/// Opens the stream and starts an RPC system on it, on this thread. The task ends with the
/// stream.
pub(crate) async fn start(
    connection: &Connection,
) -> Result<(node::Client, JoinHandle<Result<(), capnp::Error>>), RpcError> {
    let streams = connection.open_bi().await;
    let (send, receive) = streams.map_err(|error| RpcError::Unavailable(error.to_string()))?;
    let side = rpc_twoparty_capnp::Side::Client;
    let (network, _) = quicproquo_transport::open(send, receive, side, rules());
    let mut system = RpcSystem::new(Box::new(network), None);
    let node: node::Client = system.bootstrap(rpc_twoparty_capnp::Side::Server);
    Ok((node, tokio::task::spawn_local(Eager::new(system))))
}

/// What the node may send. However much waits to be written, the node's answers are read: if both
/// ends waited for each other to read, neither would.
fn rules() -> Rules {
    Rules {
        frames: FrameLimit::plain(FRAME),
        calls: None,
        refusal: String::new(),
        capabilities: CAPABILITIES,
        unsent_bytes: usize::MAX,
        stalled: STALLED,
        lent_frame: STALLED,
    }
}
