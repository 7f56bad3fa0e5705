//! What a batch needs to have loaded.

use std::collections::BTreeSet;

use quicproquo_schemas::id::IdentityKey;

use super::{Loaded, Map, QueueLimits, ShareKey, Wanted};
use crate::store::write::{QueueWrite, Sender};

impl Wanted {
    /// Collects the needs of all requests.
    pub(crate) fn of(batch: &[QueueWrite]) -> Self {
        let mut wanted = Self::default();
        for write in batch {
            wanted.add(write);
        }
        wanted
    }

    fn add(&mut self, write: &QueueWrite) {
        match write {
            QueueWrite::Authenticate(request) => {
                self.identities.insert(request.identity);
                self.queues.insert(request.identity);
            }
            QueueWrite::Enqueue(request) => {
                self.queues.insert(request.recipient);
                self.digests.insert((request.recipient, request.digest));
            }
            QueueWrite::Multicast(request) => {
                self.identities.insert(request.sender);
                self.sends.insert((request.sender, request.id));
                self.queues.insert(request.sender);
                self.queues.extend(request.deliveries.iter().map(|to| to.recipient));
            }
            QueueWrite::Ack(request) => {
                self.identities.insert(request.identity);
                self.queues.insert(request.identity);
                let up_to = self.ranges.entry(request.identity).or_default();
                *up_to = request.up_to.max(*up_to);
            }
            QueueWrite::Remove(request) => {
                self.queues.insert(request.recipient);
                self.picks.entry(request.recipient).or_default().extend(&request.seqs);
            }
            QueueWrite::Probe => {}
            QueueWrite::Delete(request) => {
                self.identities.insert(request.identity);
                self.queues.insert(request.identity);
                self.ranges.insert(request.identity, u64::MAX);
            }
        }
    }
}

/// Senders that write to recipients who have never been here.
pub(crate) fn strangers_wanted(batch: &[QueueWrite], loaded: &Loaded) -> Vec<Sender> {
    let mut senders = BTreeSet::new();
    each_row(batch, |recipient, sender, _| {
        if loaded.queues.get(&recipient).is_none_or(|queue| queue.stranger) {
            senders.insert(sender);
        }
    });
    senders.into_iter().collect()
}

/// Senders whose share decides: those of queues that this batch may bring above half full, or
/// above what one sender may have.
pub(crate) fn shares_wanted(
    batch: &[QueueWrite],
    loaded: &Loaded,
    limits: QueueLimits,
) -> Vec<ShareKey> {
    let mut coming: Map<IdentityKey, (u64, u64)> = Map::default();
    each_row(batch, |recipient, _, size| {
        let (rows, bytes) = coming.entry(recipient).or_default();
        *rows += 1;
        *bytes += size;
    });
    coming.retain(|recipient, (rows, bytes)| {
        loaded.queues.get(recipient).is_some_and(|queue| {
            let (rows, bytes) = (queue.rows + *rows, queue.bytes + *bytes);
            rows * 2 > limits.rows || bytes * 2 > limits.bytes || rows > limits.pair_rows
        })
    });
    if coming.is_empty() {
        return Vec::new();
    }
    let mut wanted = BTreeSet::new();
    each_row(batch, |recipient, sender, _| {
        if coming.contains_key(&recipient)
            && let Some(queue) = loaded.queues.get(&recipient)
        {
            wanted.insert((queue.id, sender));
        }
    });
    wanted.into_iter().collect()
}

fn each_row(batch: &[QueueWrite], mut visit: impl FnMut(IdentityKey, Sender, u64)) {
    for write in batch {
        match write {
            QueueWrite::Enqueue(request) => {
                visit(request.recipient, request.sender, request.payload.len() as u64);
            }
            QueueWrite::Multicast(request) => {
                let sender = Sender::from(&request.sender);
                for to in &request.deliveries {
                    visit(to.recipient, sender, to.size(&request.body));
                }
            }
            _ => {}
        }
    }
}
