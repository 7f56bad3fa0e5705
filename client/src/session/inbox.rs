//! Which payloads were processed before, and of which the inbox must be asked
//! (`docs/decisions/0091-what-mls-tells-by-itself.md`).

use quicproquo_core::id::GroupId;
use quicproquo_core::message::{ContentKind, MessageInfo};
use quicproquo_core::suite::Suite;

use super::actor::Actor;
use super::slot::Slot;
use super::unit::{Opened, Unit};
use crate::store::StoreError;

impl Actor {
    /// Whether MLS tells by itself what it has read before: the key of such a message is gone, unless
    /// its step was undone. Of all else the inbox is asked first.
    pub(super) fn can_read(&self, group: &GroupId, info: &MessageInfo, opened: &Opened) -> bool {
        let Some(Slot { record, .. }) = self.groups.get(group) else { return false };
        record.is_member()
            && (opened.sealed || record.suite != Suite::Envelope)
            && info.content == Some(ContentKind::Application)
            && info.epoch <= Some(record.epoch)
            && record.undone.is_none_or(|undone| info.epoch > Some(undone))
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
