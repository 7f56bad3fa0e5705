//! A group as its session holds it in memory.

use std::collections::BTreeSet;

use quicproquo_core::group::Group;
use quicproquo_core::identity::IdentityKey;

use super::Hidden;
use super::leave::LastWords;
use super::repair::Doubts;
use crate::store::GroupRecord;

/// A group: its record, its MLS state while a unit uses it, its events while hidden.
pub(super) struct Slot {
    pub(super) record: GroupRecord,
    /// Apart: of most groups it is not there, and it is large.
    pub(super) mls: Option<Box<Group>>,
    pub(super) hidden: Vec<Hidden>,
    /// Its MLS state is deleted.
    pub(super) forgotten: bool,
    /// Tries to take it up again since it was isolated.
    pub(super) retries: u32,
    pub(super) doubts: Doubts,
    /// Counts what was processed.
    pub(super) heard: u64,
    /// Who was heard in this epoch.
    pub(super) heard_from: BTreeSet<IdentityKey>,
    /// Own messages since our keys were replaced, or the session started.
    pub(super) said: u32,
    pub(super) last_words: LastWords,
}

impl Slot {
    pub(super) fn new(record: GroupRecord) -> Self {
        Self {
            record,
            mls: None,
            hidden: Vec::new(),
            forgotten: false,
            retries: 0,
            doubts: Doubts::default(),
            heard: 0,
            heard_from: BTreeSet::new(),
            said: 0,
            last_words: LastWords::default(),
        }
    }

    /// Nothing may be sent or changed: an old copy, or a suspicion that is young.
    pub(super) fn blocks(&self) -> bool {
        self.doubts.held || self.record.lost.as_ref().is_some_and(|lost| lost.stale)
    }

    /// The group was joined again.
    pub(super) fn restart(&mut self, mls: Group) {
        self.mls = Some(Box::new(mls));
        self.doubts = Doubts::default();
        self.heard_from.clear();
    }
}

#[cfg(test)]
mod size {
    use super::*;

    /// A session has hundreds of groups that are not loaded.
    #[test]
    fn a_group_that_is_not_loaded_takes_little() {
        let (slot, mls) = (size_of::<Slot>(), size_of::<Group>());
        assert!(slot <= 1024, "{slot} bytes, and {mls} when it is loaded");
    }
}
