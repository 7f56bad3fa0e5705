//! The node of the conversation under load through its RPC interface, over real QUIC.

use std::time::Duration;

use quicproquo_client::bench::{Call, Crowd, Load, NodeBench};
use quicproquo_client::{NodeAddress, Trust};

use super::{BYTES, Sample};
use crate::exit::Failure;
use crate::stack::NodeFacts;

/// Requests in flight.
pub(super) const LOADS: [usize; 3] = [1, 32, 256];

/// A node allows 64 calls in flight on a connection.
const CONNECTIONS: usize = 8;

/// Connects to a node that runs here.
pub(super) async fn connect(node: &NodeFacts) -> Result<NodeBench, Failure> {
    let address = NodeAddress {
        addr: node.address,
        server_name: "localhost".to_owned(),
        trust: Trust::Fingerprint(node.fingerprint.0),
    };
    NodeBench::connect(&address, &Crowd::generate(CONNECTIONS)).await.map_err(Failure::other)
}

/// Enqueues rows: their latencies, and rows per second.
pub(super) async fn enqueue(
    bench: &NodeBench,
    in_flight: usize,
    time: Duration,
) -> Result<(Sample, f64), Failure> {
    let call = Call::Enqueue { bytes: BYTES };
    let load = Load { call, connections: CONNECTIONS, in_flight, time };
    let measured = bench.load(load).await.map_err(Failure::other)?;
    let rate = measured.per_second();
    Ok((measured.into(), rate))
}
