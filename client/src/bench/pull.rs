//! Takes rows by calls: fetched, or acknowledged one by one.

use std::cell::Cell;
use std::rc::Rc;

use futures::future::try_join_all;

use super::peer::{Peer, Peers};
use super::slots::{self, Limit};
use super::{BenchError, Measured};
use crate::clock::Stopwatch;

/// Empties queues by `NodeService.fetch`, one call at a time on each connection.
pub(super) async fn drain(
    peers: Rc<Peers>,
    members: usize,
    rows: usize,
) -> Result<Measured, BenchError> {
    let clock = Stopwatch::start();
    let all =
        try_join_all(peers.all.iter().take(members).map(|peer| one(peer, clock, rows))).await?;
    Ok(Measured { nanos: all.concat(), elapsed: clock.elapsed() })
}

async fn one(peer: &Peer, clock: Stopwatch, rows: usize) -> Result<Vec<u64>, BenchError> {
    let mut nanos = Vec::with_capacity(rows);
    loop {
        let started = clock.elapsed();
        let got = peer.fetch().await?;
        if got == 0 {
            break;
        }
        nanos.extend(std::iter::repeat_n(clock.nanos_since(started), got));
    }
    if nanos.len() < rows {
        return Err(BenchError::new(format_args!("{} of {rows} rows were there", nanos.len())));
    }
    Ok(nanos)
}

/// Acknowledges rows one by one, one call at a time.
pub(super) async fn ack(
    peers: Rc<Peers>,
    members: usize,
    total: usize,
) -> Result<Measured, BenchError> {
    let turn = Rc::new(Cell::new(0));
    let call = move |_| {
        let (peers, turn) = (Rc::clone(&peers), Rc::clone(&turn));
        async move {
            let peer = &peers.all[turn.replace(turn.get() + 1) % members];
            peer.ack(peer.acked.get() + 1).await
        }
    };
    slots::run(1, Limit::Count(total), call).await
}
