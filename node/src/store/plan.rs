//! Decides what a batch of requests does, on loaded rows, without touching a database.
//!
//! The writer runs one batch as: load what the batch needs with a few statements, plan request
//! after request on that working set, apply the collected effects with a few statements. So a
//! refused request never disturbs its neighbours, and every backend decides alike.

mod account;
mod batch;
mod queue;
mod send;
mod sweep;
mod tally;
mod wanted;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use quicproquo_schemas::id::{IdentityKey, Instance, SendId};

use super::Bytes;
use super::Refusal;
use super::write::{Channel, QueueWrite, QueueWritten, Sender, Sent};
pub(crate) use batch::QueueHalf;
#[cfg(test)]
pub(crate) use tally::Volume;
pub(crate) use tally::{Swept, Tally};

/// A map for one batch. It is small, so that keys chosen to collide win nothing against a hash
/// that is fast.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Next unused ids; a value is never given out twice by one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) queue: i64,
    pub(crate) body: i64,
}

impl Ids {
    fn take_queue(&mut self) -> i64 {
        let id = self.queue;
        self.queue += 1;
        id
    }

    fn take_body(&mut self) -> i64 {
        let id = self.body;
        self.body += 1;
        id
    }
}

/// Bounds that the planner enforces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueLimits {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) ttl_secs: u32,
    /// Rows of one sender in one queue.
    pub(crate) pair_rows: u64,
    /// Rows of one sender that wait for recipients who have never been here.
    pub(crate) stranger_rows: u64,
    /// Payload bytes of such rows.
    pub(crate) stranger_bytes: u64,
}

/// What a batch needs to have loaded. Ordered, so that locks are taken in key order.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) identities: BTreeSet<IdentityKey>,
    pub(crate) queues: BTreeSet<IdentityKey>,
    pub(crate) digests: BTreeSet<(IdentityKey, [u8; 32])>,
    pub(crate) sends: BTreeSet<(IdentityKey, SendId)>,
    /// All rows up to a position.
    pub(crate) ranges: BTreeMap<IdentityKey, u64>,
    /// Single rows.
    pub(crate) picks: BTreeMap<IdentityKey, BTreeSet<u64>>,
}

/// The fence and the counters of an identity that has authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdentityRow {
    pub(crate) incarnation: u64,
    pub(crate) instance: Instance,
    pub(crate) attempt: u64,
    pub(crate) session: u64,
    pub(crate) last_send: SendId,
}

/// The counters of one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueRow {
    pub(crate) id: i64,
    pub(crate) next_seq: u64,
    /// No row lies before this position.
    pub(crate) first: u64,
    pub(crate) acked: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Rows that were refused since the last row; they become a gap as soon as there is room.
    pub(crate) lost: u64,
    /// Its owner has never been here, or is gone.
    pub(crate) stranger: bool,
}

/// What is needed of a row in order to remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowMeta {
    pub(crate) sender: Sender,
    pub(crate) size: u64,
    /// Not zero: a gap of so many rows.
    pub(crate) gap: u32,
    pub(crate) channel: Channel,
    /// The shared body.
    pub(crate) body: Option<i64>,
    /// Unix seconds; gaps do not expire.
    pub(crate) expires_at: u64,
    /// It counts on what its sender has waiting for strangers.
    pub(crate) stranger: bool,
}

impl RowMeta {
    /// A gap of so many rows.
    pub(crate) const fn of_gap(lost: u32) -> Self {
        Self {
            sender: Sender::OPERATOR,
            size: 0,
            gap: lost,
            channel: None,
            body: None,
            expires_at: u64::MAX,
            stranger: false,
        }
    }
}

/// A kept send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SendRow {
    pub(crate) request: [u8; 32],
    pub(crate) sent: Sent,
}

/// A row that has expired.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExpiredRow {
    pub(crate) recipient: IdentityKey,
    pub(crate) seq: u64,
    pub(crate) meta: RowMeta,
    /// The row before it.
    pub(crate) before: Option<(u64, RowMeta)>,
}

/// A sender's part of a queue: queue id and sender.
pub(crate) type ShareKey = (i64, Sender);

/// Rows and bytes of a sender in a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) rows: i64,
    pub(crate) bytes: i64,
}

/// Shares by queue and sender.
pub(crate) type Shares = Map<ShareKey, Share>;

/// What senders have waiting for recipients who have never been here.
pub(crate) type Strangers = Map<Sender, Share>;

/// The working set of a batch.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) identities: Map<IdentityKey, IdentityRow>,
    pub(crate) queues: Map<IdentityKey, QueueRow>,
    pub(crate) digests: Map<(IdentityKey, [u8; 32]), u64>,
    pub(crate) sends: Map<(IdentityKey, SendId), SendRow>,
    pub(crate) rows: Map<IdentityKey, BTreeMap<u64, RowMeta>>,
    pub(crate) expired: Vec<ExpiredRow>,
}

/// A row to insert.
#[derive(Debug)]
pub(crate) struct NewRow {
    pub(crate) queue: i64,
    pub(crate) seq: u64,
    pub(crate) meta: RowMeta,
    /// The recipient's own part of the payload.
    pub(crate) head: Bytes,
}

/// A row that goes, or becomes a gap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OldRow {
    pub(crate) queue: i64,
    pub(crate) seq: u64,
    pub(crate) meta: RowMeta,
}

/// A body to insert.
#[derive(Debug)]
pub(crate) struct NewBody {
    pub(crate) id: i64,
    pub(crate) refs: u64,
    pub(crate) data: Bytes,
}

/// A deduplication record to insert.
#[derive(Debug)]
pub(crate) struct NewDigest {
    pub(crate) queue: i64,
    pub(crate) digest: [u8; 32],
    pub(crate) seq: u64,
    pub(crate) expires_at: u64,
}

/// A send to keep.
#[derive(Debug)]
pub(crate) struct NewSend {
    pub(crate) sender: IdentityKey,
    pub(crate) id: SendId,
    pub(crate) row: SendRow,
    pub(crate) expires_at: u64,
}

/// What a batch changes.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// New values, whole rows.
    pub(crate) identities: BTreeMap<IdentityKey, IdentityRow>,
    /// New values, whole rows.
    pub(crate) queues: BTreeMap<IdentityKey, QueueRow>,
    /// Queues that did not exist before.
    pub(crate) new_queues: Vec<(i64, IdentityKey)>,
    /// Next ids, when some were taken.
    pub(crate) ids: Option<Ids>,
    pub(crate) rows: Vec<NewRow>,
    pub(crate) bodies: Vec<NewBody>,
    pub(crate) digests: Vec<NewDigest>,
    pub(crate) sends: Vec<NewSend>,
    /// Rows that go.
    pub(crate) removed_rows: Vec<OldRow>,
    /// Rows that become gaps, and the number of rows lost.
    pub(crate) gaps: Vec<(OldRow, u32)>,
    /// Shared bodies, and how many rows let go of them.
    pub(crate) released_bodies: BTreeMap<i64, u64>,
    /// Changes of shares.
    pub(crate) shares: BTreeMap<ShareKey, Share>,
    /// Changes of what senders have waiting for strangers.
    pub(crate) strangers: BTreeMap<Sender, Share>,
    /// Fences that go, before any is put.
    pub(crate) removed_identities: BTreeSet<IdentityKey>,
    /// Whose queue has new rows.
    pub(crate) woken: BTreeSet<IdentityKey>,
}

impl Effects {
    /// Whether nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.identities.is_empty()
            && self.queues.is_empty()
            && self.sends.is_empty()
            && self.removed_identities.is_empty()
    }
}

/// Plans one batch.
#[derive(Debug)]
pub(crate) struct Planner<'a> {
    loaded: Loaded,
    shares: Shares,
    strangers: Strangers,
    effects: Effects,
    /// Highest position that was committed before this batch, by recipient.
    committed: Map<IdentityKey, u64>,
    ids: &'a mut Ids,
    ids_before: Ids,
    limits: QueueLimits,
    now: u64,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(
        loaded: Loaded,
        shares: Shares,
        strangers: Strangers,
        ids: &'a mut Ids,
        limits: QueueLimits,
        now: u64,
    ) -> Self {
        let committed = loaded.queues.iter().map(|(key, row)| (*key, row.next_seq - 1)).collect();
        let ids_before = *ids;
        let effects = Effects::default();
        Self { loaded, shares, strangers, effects, committed, ids, ids_before, limits, now }
    }

    /// Plans one request.
    pub(crate) fn run(&mut self, write: &QueueWrite) -> Result<QueueWritten, Refusal> {
        match write {
            QueueWrite::Authenticate(request) => self.authenticate(request),
            QueueWrite::Enqueue(request) => self.enqueue(request),
            QueueWrite::Multicast(request) => self.multicast(request),
            QueueWrite::Ack(request) => self.ack(request),
            QueueWrite::Remove(request) => {
                self.remove(request);
                Ok(QueueWritten::Done)
            }
            // The backend writes it.
            QueueWrite::Probe => Ok(QueueWritten::Done),
            QueueWrite::Delete(request) => self.delete(request),
        }
    }

    pub(crate) fn finish(self) -> Effects {
        let mut effects = self.effects;
        let known = self.committed;
        let new = effects.queues.iter().filter(|(key, _)| !known.contains_key(key));
        effects.new_queues = new.map(|(key, row)| (row.id, *key)).collect();
        effects.ids = (*self.ids != self.ids_before).then_some(*self.ids);
        effects
    }

    fn ttl(&self, asked: u32) -> u64 {
        let longest = self.limits.ttl_secs;
        u64::from(if asked == 0 { longest } else { asked.min(longest) })
    }
}
