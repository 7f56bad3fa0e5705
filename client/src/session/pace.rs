//! Which sends may be out at once, and which wait for one that the node refused for now.

use std::collections::BTreeSet;

use quicproquo_schemas::code::ErrorCode;

/// Sends that are out at once; the node takes 64 calls of a connection.
pub(super) const IN_FLIGHT: usize = 48;

/// What the node of this link has refused for now. Until it was asked about such a send, the node
/// refuses all with a higher counter, whatever their group.
#[derive(Debug)]
pub(super) struct Pace {
    refused: BTreeSet<u64>,
    /// Sends that may be out at once: one after a refusal, twice as many after each success.
    window: usize,
}

impl Pace {
    /// Of a new link.
    pub(super) fn new() -> Self {
        Self { refused: BTreeSet::new(), window: IN_FLIGHT }
    }

    /// Whether a send that was not refused, or was asked about since, may leave while others are
    /// out.
    pub(super) fn lets(&self, counter: u64, out: usize) -> bool {
        out < self.window && self.refused.range(..counter).next().is_none()
    }

    pub(super) fn accepted(&mut self) {
        self.window = (self.window * 2).min(IN_FLIGHT);
    }

    pub(super) fn refused(&mut self, counter: u64) {
        self.refused.insert(counter);
        self.window = 1;
    }

    pub(super) fn is_refused(&self, counter: u64) -> bool {
        self.refused.contains(&counter)
    }

    /// The node was asked about a send, and does not wait for it any more.
    pub(super) fn asked(&mut self, counter: u64) {
        self.refused.remove(&counter);
    }
}

/// Whether a send that was refused like this is tried again.
pub(super) fn is_for_now(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::Displaced
            | ErrorCode::Fenced
            | ErrorCode::Unauthenticated
            | ErrorCode::RateLimited
            | ErrorCode::StorageFull
            | ErrorCode::QueueFull
            | ErrorCode::Internal
            | ErrorCode::ShuttingDown
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_behind_a_refused_send_until_the_node_was_asked() {
        let mut pace = Pace::new();
        assert!(pace.lets(57, IN_FLIGHT - 1) && !pace.lets(58, IN_FLIGHT));
        pace.refused(10);
        pace.refused(11);
        assert!(pace.lets(9, 0) && !pace.lets(12, 0));
        pace.asked(10);
        assert!(pace.lets(10, 0) && !pace.lets(10, 1));
        assert!(!pace.lets(12, 0) && pace.is_refused(11));
        pace.asked(11);
        pace.accepted();
        assert!(pace.lets(12, 1) && !pace.lets(13, 2));
        for _ in 0..100 {
            pace.accepted();
        }
        assert!(pace.lets(57, IN_FLIGHT - 1) && !pace.lets(58, IN_FLIGHT));
    }
}
