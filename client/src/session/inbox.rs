//! Which payloads were processed before, and of which the inbox must be asked
//! (`docs/decisions/0091-what-mls-tells-by-itself.md`).

use quicproquo_core::id::GroupId;
use quicproquo_core::message::{ContentKind, MessageInfo};
use quicproquo_core::suite::Suite;

use super::actor::Actor;
use super::slot::Slot;
use super::unit::{Opened, Unit};
use crate::store::{GroupRecord, StoreError};

impl GroupRecord {
    /// Whether the keys of this epoch's messages are here or gone for good: those of a later one are to come,
    /// and where a step of a ratchet was undone, keys that have been used are here again.
    fn reads_once(&self, epoch: u64) -> bool {
        epoch <= self.epoch && self.undone.is_none_or(|undone| epoch > undone)
    }
}

impl Actor {
    /// Whether MLS tells by itself what it has read before: the key of such a message is gone, unless
    /// its step was undone. Of all else the inbox is asked first.
    pub(super) fn can_read(&self, group: &GroupId, info: &MessageInfo, opened: &Opened) -> bool {
        let Some(Slot { record, .. }) = self.groups.get(group) else { return false };
        record.is_member()
            && (opened.sealed || record.suite != Suite::Envelope)
            && info.content == Some(ContentKind::Application)
            && info.epoch.is_some_and(|epoch| record.reads_once(epoch))
    }

    /// Whether a payload was processed before. Asks once.
    pub(super) fn is_repeated(&self, opened: &mut Opened) -> Result<bool, StoreError> {
        let names = std::mem::take(&mut opened.unasked);
        Ok(!names.is_empty() && self.store.knows(self.owner, &names)?)
    }

    /// Keeps a payload until its group can take it, unless it was processed before.
    pub(super) fn buffer_new(
        &mut self,
        group: &GroupId,
        mut opened: Opened,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        if !self.is_repeated(&mut opened)? {
            self.buffer(group.as_bytes(), &opened, unit);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quicproquo_core::suite::Profile;

    use super::*;

    #[test]
    fn of_epochs_in_which_a_step_was_undone_the_inbox_is_asked_first() {
        let mut record = GroupRecord::fresh(Suite::Native, Profile::Standard);
        record.epoch = 7;
        let once = |record: &GroupRecord| (4..=8).map(|epoch| record.reads_once(epoch)).collect();
        let expected: Vec<bool> = once(&record);
        assert_eq!(expected, [true, true, true, true, false]);
        record.undone = Some(5);
        let expected: Vec<bool> = once(&record);
        assert_eq!(expected, [false, false, true, true, false]);
    }
}
