//! What was decrypted is not kept for ever, and what nobody needs any more is deleted at once.

use std::time::Duration;

use quicproquo_core::id::GroupId;
use quicproquo_core::provider::group_scope;

use super::actor::Actor;
use super::input::Input;
use super::load::REQUESTS_KEPT_MS;
use super::unit::Unit;
use crate::event::TYPING_LIVES_MS;
use crate::model::GroupState;
use crate::store::{GroupRecord, StoreError};

/// Bytes of payloads set aside by one identity, 64 MiB.
const SET_ASIDE_BYTES: u64 = if cfg!(test) { 64 * 1024 } else { 64 * 1024 * 1024 };

impl Actor {
    /// Deletes what is older than the retention: events and messages, hidden events, and payloads
    /// set aside.
    pub(super) async fn forget_history(&mut self, unit: &mut Unit) -> Result<(), StoreError> {
        let before = unit.now_ms.saturating_sub(self.store.retention_ms());
        unit.batch.forget_set_aside(self.owner, before, SET_ASIDE_BYTES);
        self.set_aside_bytes = 0;
        unit.batch.forget_attachments(self.owner, before);
        let passed = unit.now_ms.saturating_sub(TYPING_LIVES_MS);
        let asked = unit.now_ms.saturating_sub(REQUESTS_KEPT_MS);
        unit.batch.forget_typing(self.owner, passed, asked);
        unit.batch.empty_deleted(self.owner, unit.now_ms);
        self.expire_hidden(before, unit);
        self.forget_secrets(unit);
        if let Some(old) = self.store.old_events(self.owner, before, unit.now_ms).await? {
            unit.batch.forget_events(self.owner, old.up_to);
            if old.more {
                self.after(Duration::ZERO, Input::Forget);
            }
        }
        unit.batch.scrub();
        Ok(())
    }

    /// Counts what is set aside: strangers fill this.
    pub(super) fn count_set_aside(&mut self, size: usize, unit: &mut Unit) {
        self.set_aside_bytes += size as u64;
        if self.set_aside_bytes > SET_ASIDE_BYTES / 4 {
            self.set_aside_bytes = 0;
            unit.batch.forget_set_aside(self.owner, 0, SET_ASIDE_BYTES);
        }
    }

    /// Groups that this identity is no longer in: of an earlier version, or of a crash.
    fn forget_secrets(&mut self, unit: &mut Unit) {
        let over = |slot: &super::slot::Slot| slot.record.is_over() && !slot.forgotten;
        let groups: Vec<GroupId> =
            self.groups.iter().filter(|(_, slot)| over(slot)).map(|(id, _)| id.clone()).collect();
        for group in groups {
            self.forget_group_state(&group, unit);
        }
    }

    /// The MLS state of a group that this identity is no longer in is deleted, with what this unit
    /// has changed in it.
    pub(super) fn forget_group_state(&mut self, group: &GroupId, unit: &mut Unit) {
        let scope = group_scope(group.as_bytes());
        self.overlay.forget(&scope);
        unit.batch.forget_mls(self.owner, &scope);
        unit.batch.scrub();
        let Some(slot) = self.groups.get_mut(group) else { return };
        slot.mls = None;
        slot.forgotten = true;
        let record = &mut slot.record;
        let mut changed = !record.ended.is_empty() || record.proposed.is_some();
        changed |= record.lost.take().is_some();
        record.ended.clear();
        record.proposed = None;
        if record.state == GroupState::Declined {
            changed |= !record.members.is_empty();
            record.members.clear();
        }
        if changed {
            unit.records.insert(group.clone());
        }
    }
}

impl GroupRecord {
    /// This identity is not in the group any more, and its MLS state is gone.
    pub(super) fn is_over(&self) -> bool {
        match self.state {
            GroupState::Left | GroupState::Removed => true,
            GroupState::Declined => self.members.is_empty(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
