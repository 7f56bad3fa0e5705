//! Whether the cost of a row depends on how many wait already.

use std::path::Path;

use quicproquo_client::bench::{Crowd, Measured, NodeBench};

use super::Effort;
use super::Host;
use super::cases::{CONNECTIONS, PER_SECOND};
use super::table::{Figure, Table};
use crate::commands::bench::Sample;
use crate::exit::Failure;
use crate::output::progress;

/// Bytes of each row.
const BYTES: usize = 1024;
/// Identities whose queues are measured; two more push to each other.
const MEMBERS: usize = CONNECTIONS;
/// Rows of a queue, as many as a node allows by default.
const QUEUE: usize = 10_000;
/// Queues that hold what the members' do not.
const BALLAST: usize = 512;

/// Fills queues to each depth in turn and measures there; what is added is taken away again.
pub(super) async fn measure(
    dir: &Path,
    depths: &[usize],
    effort: Effort,
) -> Result<Table, Failure> {
    let mut depths = depths.to_vec();
    depths.sort_unstable();
    let host = Host::start(dir).await?;
    let crowd = Crowd::generate(MEMBERS + 2);
    let bench = host.connect(&crowd).await?;
    let mut table = Table::default();
    let (mut each, mut ballast) = (0, 0);
    for depth in depths {
        let more = (depth / MEMBERS).clamp(1, QUEUE).saturating_sub(each);
        progress(format_args!("filling queues up to {depth} rows"));
        bench.fill(MEMBERS, more, BYTES).await.map_err(Failure::other)?;
        each += more;
        let rest = depth.saturating_sub(each * MEMBERS + ballast);
        bench.ballast(BALLAST, rest, BYTES).await.map_err(Failure::other)?;
        ballast += rest;
        for round in 1..=effort.rounds {
            progress(format_args!("{depth} rows, round {round} of {}", effort.rounds));
            for (name, figure) in at_depth(&bench, effort).await? {
                table.add(&format!("{depth} rows: {name}"), figure, None);
            }
        }
    }
    drop(bench);
    host.stop().await?;
    Ok(table)
}

/// One round, which leaves as many rows as it found.
async fn at_depth(
    bench: &NodeBench,
    effort: Effort,
) -> Result<Vec<(&'static str, Figure)>, Failure> {
    let (few, many) = (effort.count * 2, effort.count * 10);
    let one = bench.enqueue(MEMBERS, BYTES, 1, few).await.map_err(Failure::other)?;
    let more = bench.enqueue(MEMBERS, BYTES, 32, many).await.map_err(Failure::other)?;
    let push = bench.push(false, BYTES, PER_SECOND, effort.count).await.map_err(Failure::other)?;
    let acks = bench.ack(MEMBERS, few).await.map_err(Failure::other)?;
    let drained = bench.drain(MEMBERS, many / MEMBERS).await.map_err(Failure::other)?;
    let missing = (drained.nanos.len()).saturating_sub(many) / MEMBERS;
    bench.fill(MEMBERS, missing, BYTES).await.map_err(Failure::other)?;
    let calls = |measured: Measured| {
        let calls = Some(measured.per_second());
        Figure::new(calls, calls, &Sample::from(measured))
    };
    Ok(vec![
        ("enqueue, 1 in flight", calls(one)),
        ("enqueue, 32 in flight", calls(more)),
        ("push after enqueue, 200/s", Figure::new(None, None, &Sample::from(push))),
        ("ack one row", calls(acks)),
        ("push and ack a backlog", Figure::new(None, Some(drained.per_second()), &drained.into())),
    ])
}
