//! What a batch does to rows, for those who count.

use super::Effects;
use crate::store::write::QueueWrite;

/// Rows and their payload bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Rows that came and went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) enqueued: Volume,
    pub(crate) sent: Volume,
    /// Removed because their recipient has them.
    pub(crate) acked: u64,
    /// Gap marks for what found no room.
    pub(crate) gaps: u64,
}

/// Where the effects were before a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    rows: usize,
    removed: usize,
}

impl Mark {
    pub(super) fn of(effects: &Effects) -> Self {
        Self { rows: effects.rows.len(), removed: effects.removed_rows.len() }
    }
}

impl Tally {
    /// Counts what a request has added to the effects.
    pub(super) fn note(&mut self, write: &QueueWrite, effects: &Effects, before: Mark) {
        let rows = effects.rows.get(before.rows..).unwrap_or_default();
        self.acked += (effects.removed_rows.len() - before.removed) as u64;
        let volume = match write {
            QueueWrite::Multicast(_) => &mut self.sent,
            _ => &mut self.enqueued,
        };
        for row in rows {
            if row.meta.gap > 0 {
                self.gaps += 1;
            } else {
                volume.rows += 1;
                volume.bytes += row.meta.size;
            }
        }
    }
}

/// What a sweep has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Whether there may be more to do.
    pub(crate) more: bool,
    /// Rows that expired.
    pub(crate) expired: u64,
    /// Gap marks that stand for them.
    pub(crate) gaps: u64,
}
