//! A node under load through its RPC interface, over real QUIC.

use quicproquo_client::bench::NodeBench;
use quicproquo_client::{NodeAddress, Trust};

use super::{BYTES, Sample};
use crate::exit::Failure;
use crate::stack::NodeFacts;

/// Requests in flight, and how many of them make a round, as a multiple of the messages.
pub(crate) const LOADS: [(usize, usize); 3] = [(1, 1), (32, 8), (256, 16)];

/// A node allows 64 calls in flight on a connection.
const CONNECTIONS: usize = 8;

/// Connects to a node that runs here.
pub(crate) async fn connect(node: &NodeFacts) -> Result<NodeBench, Failure> {
    let address = NodeAddress {
        addr: node.address,
        server_name: "localhost".to_owned(),
        trust: Trust::Fingerprint(node.fingerprint.0),
    };
    NodeBench::connect(&address, CONNECTIONS).await.map_err(Failure::other)
}

/// Enqueues rows: their latencies, and rows per second.
pub(crate) async fn enqueue(
    bench: &NodeBench,
    in_flight: usize,
    total: usize,
) -> Result<(Sample, f64), Failure> {
    let measured = bench.enqueue(in_flight, BYTES, total).await.map_err(Failure::other)?;
    let nanos = |time: &std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let latencies: Vec<u64> = measured.latencies.iter().map(nanos).collect();
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let rate = latencies.len() as f64 / measured.elapsed.as_secs_f64();
    Ok((latencies.into(), rate))
}
