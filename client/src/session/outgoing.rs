//! A send on its way to the node.

use tracing::Span;

use crate::store::OutboxRecord;

/// A send on its way.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not one state")]
pub(super) struct Outgoing {
    pub(super) record: OutboxRecord,
    /// A request is out, for the send or for its result.
    pub(super) in_flight: bool,
    /// It waits for a timer or the next link before it is tried again.
    pub(super) paused: bool,
    /// The node may have it: ask before sending.
    pub(super) ask: bool,
    /// The node has it (a commit that waits for its echo).
    pub(super) sent: bool,
    /// Its row says what the record says.
    pub(super) written: bool,
    /// On whose behalf.
    pub(super) by: Span,
}

impl Outgoing {
    /// Something new for the node, whose row is written with it.
    pub(super) fn new(record: OutboxRecord) -> Self {
        let (in_flight, paused, ask, sent, written) = (false, false, false, false, true);
        Self { record, in_flight, paused, ask, sent, written, by: Span::current() }
    }

    /// A message that waits: its row is written when it is known whether it can be encrypted now.
    pub(super) fn unwritten(record: OutboxRecord) -> Self {
        Self { written: false, ..Self::new(record) }
    }

    /// The link is another one, or the state was read again: the node may have what has bytes.
    /// What has none never left, so nobody waits for an answer about it.
    pub(super) fn relink(&mut self) {
        self.in_flight = false;
        self.paused = false;
        // Of a commit that waits for its echo too: a node that was restored may have lost it.
        self.sent = false;
        self.ask = self.record.parcel.is_some();
    }
}
