//! A send on its way to the node.

use tracing::Span;

use crate::store::{OutboxKind, OutboxRecord};

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
    /// The node has it: a commit that waits for its echo, or a message for rows that came before it.
    pub(super) sent: bool,
    /// The node has it, and nobody can read it any more.
    pub(super) late: bool,
    /// The node has it, but not for so many, whose queues were full.
    pub(super) full: u32,
    /// Its row says what the record says.
    pub(super) written: bool,
    /// On whose behalf.
    pub(super) by: Span,
}

impl Outgoing {
    /// Something new for the node, whose row is written with it.
    pub(super) fn new(record: OutboxRecord) -> Self {
        Self {
            record,
            in_flight: false,
            paused: false,
            ask: false,
            sent: false,
            late: false,
            full: 0,
            written: true,
            by: Span::current(),
        }
    }

    /// A message that waits: its row is written when it is known whether it can be encrypted now.
    pub(super) fn unwritten(record: OutboxRecord) -> Self {
        Self { written: false, ..Self::new(record) }
    }

    /// The position of the message that it is.
    pub(super) fn message(&self) -> Option<u64> {
        match self.record.kind {
            OutboxKind::Message(seq) => Some(seq),
            _ => None,
        }
    }

    /// What became of it is not known yet; a commit is over once the node has it.
    pub(super) fn is_open(&self) -> bool {
        !self.sent || self.message().is_some()
    }

    /// The link is another one, or the state was read again: the node may have what has bytes.
    /// What has none never left, so nobody waits for an answer about it.
    pub(super) fn relink(&mut self) {
        self.in_flight = false;
        self.paused = false;
        // Of a commit that waits for its echo too: a node that was restored may have lost it.
        self.sent = false;
        self.late = false;
        self.ask = self.record.parcel.is_some();
    }
}
