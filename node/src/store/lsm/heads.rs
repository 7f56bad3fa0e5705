//! Counters of queues that were used lately, so that the next batch need not look them up.
//!
//! They follow a batch before it is committed: when one fails, all are forgotten.

use std::collections::HashMap;

use quicproquo_schemas::id::IdentityKey;

use crate::store::plan::{Effects, QueueRow};

/// Queues whose counters are kept, some 100 bytes each; above it the cache starts anew.
const QUEUES: usize = 4_096;

/// The counters, by recipient. Only the writer changes them.
#[derive(Debug, Default)]
pub(super) struct Heads(HashMap<IdentityKey, QueueRow>);

impl Heads {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, recipient: &IdentityKey) -> Option<QueueRow> {
        self.0.get(recipient).copied()
    }

    /// Keeps what was looked up.
    pub(super) fn keep(&mut self, recipient: IdentityKey, queue: QueueRow) {
        if self.0.len() >= QUEUES {
            self.clear();
        }
        self.0.insert(recipient, queue);
    }

    /// Follows a batch that is about to be committed.
    pub(super) fn apply(&mut self, effects: &Effects) {
        if self.0.len() + effects.queues.len() > QUEUES {
            self.clear();
        }
        if effects.queues.len() <= QUEUES {
            self.0.extend(&effects.queues);
        }
    }
}
