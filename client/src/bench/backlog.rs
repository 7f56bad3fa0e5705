//! Fills queues, as fast as the node takes rows.

use std::cell::Cell;
use std::rc::Rc;

use quicproquo_core::identity::IdentityKey;
use sha2::{Digest as _, Sha256};

use super::peer::Peers;
use super::slots::{self, Limit};
use super::{BenchError, Measured};

/// Payload bytes and recipients of one call.
const CALL_BYTES: usize = 256 * 1024;
const CALL_ROWS: usize = 256;
/// Rows under way, in at most so many calls.
const ROWS_IN_FLIGHT: usize = 2048;
const IN_FLIGHT: usize = 64;

/// Fills the queues of the first members.
pub(super) async fn fill(
    peers: Rc<Peers>,
    members: usize,
    rows: usize,
    bytes: usize,
) -> Result<(), BenchError> {
    let queues = peers.all.iter().take(members).map(|peer| peer.identity.key()).collect();
    spread(peers, queues, rows * members, bytes).await
}

/// Fills queues whose keys nobody has.
pub(super) async fn ballast(
    peers: Rc<Peers>,
    queues: usize,
    rows: usize,
    bytes: usize,
) -> Result<(), BenchError> {
    let key = |number: usize| IdentityKey::from_slice(&Sha256::digest(number.to_be_bytes()));
    let queues = (0..queues).map(key).collect::<Result<_, _>>().map_err(BenchError::new)?;
    spread(peers, queues, rows, bytes).await
}

/// Enqueues rows, one in each call, in the queues of the first members in turn.
pub(super) async fn enqueue(
    peers: Rc<Peers>,
    members: usize,
    bytes: usize,
    in_flight: usize,
    total: usize,
) -> Result<Measured, BenchError> {
    let turn = Rc::new(Cell::new(0));
    let call = move |slot: usize| {
        let (peers, turn) = (Rc::clone(&peers), Rc::clone(&turn));
        async move {
            let (_, stamp) = peers.stamp();
            let to = peers.all[turn.replace(turn.get() + 1) % members].identity.key();
            peers.all[slot % peers.all.len()].enqueue(&to, bytes, &stamp).await
        }
    };
    slots::run(in_flight, Limit::Count(total), call).await
}

/// Sends rows to the queues in turn, the senders taking turns too.
async fn spread(
    peers: Rc<Peers>,
    queues: Vec<IdentityKey>,
    rows: usize,
    bytes: usize,
) -> Result<(), BenchError> {
    let in_call = (CALL_BYTES / bytes.max(1)).clamp(1, CALL_ROWS).min(queues.len());
    let next = Rc::new(Cell::new(0));
    let queues = Rc::new(queues);
    let calls = rows.div_ceil(in_call);
    let call = move |slot: usize| {
        let (peers, queues, next) = (Rc::clone(&peers), Rc::clone(&queues), Rc::clone(&next));
        async move {
            let first = next.get();
            let count = in_call.min(rows - first);
            next.set(first + count);
            let at = first % queues.len();
            let to: Vec<_> = queues.iter().cycle().skip(at).take(count).copied().collect();
            let (_, stamp) = peers.stamp();
            peers.all[slot % peers.all.len()].send(&to, bytes, 0, &stamp).await
        }
    };
    let in_flight = (ROWS_IN_FLIGHT / in_call).clamp(1, IN_FLIGHT);
    slots::run(in_flight, Limit::Count(calls), call).await?;
    Ok(())
}
