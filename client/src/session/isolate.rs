//! Isolation: a group whose state is broken keeps its payloads raw and holds up no other group.
//!
//! It is tried again when the session starts and after pauses that grow: rows may have been put
//! back, and another version may process what this one could not.

use std::time::Duration;

use quicproquo_core::id::GroupId;

use super::actor::Actor;
use super::input::Input;
use super::unit::Unit;
use crate::event::EventData;
use crate::model::GroupState;
use crate::store::{Damage, StoreError};

/// Before an isolated group is tried again; doubled each time, up to an hour.
const RETRY_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

impl Actor {
    /// Keeps a broken group from blocking all others, and says so once.
    pub(super) fn isolate(&mut self, group: &GroupId, reason: &str, unit: &mut Unit) {
        let Some(slot) = self.groups.get_mut(group) else {
            return;
        };
        drop(self.store.loaded().take(self.owner, group));
        // What was done before the failure stays done.
        if let Some(mut mls) = slot.mls.take() {
            mls.undo();
            slot.record.undone = Some(slot.record.epoch);
            unit.records.insert(group.clone());
            match mls.take_writes() {
                Ok(writes) => self.overlay.put_all(writes),
                Err(error) => tracing::error!(%error, "the state of a group cannot be written"),
            }
        }
        if slot.record.state == GroupState::Isolated {
            return;
        }
        tracing::error!(reason, "a group is isolated");
        let again = slot.record.isolated_from.is_some();
        slot.record.isolated_from.get_or_insert(slot.record.state);
        slot.record.state = GroupState::Isolated;
        unit.records.insert(group.clone());
        self.plan_retry(group);
        if !again {
            let data = EventData::GroupIsolated { reason: reason.to_owned() };
            self.append(unit, Some(group), unit.now_ms, data);
        }
    }

    fn plan_retry(&self, group: &GroupId) {
        let Some(slot) = self.groups.get(group) else {
            return;
        };
        let pause = RETRY_PAUSE * 2_u32.saturating_pow(slot.retries.min(16));
        let input = Input::RetryIsolated { group: group.clone(), retries: slot.retries };
        self.after(pause.min(LONGEST_PAUSE), input);
    }

    /// After reading the state: isolated groups get their first try soon.
    pub(super) fn plan_retries(&self) {
        for (group, slot) in &self.groups {
            if slot.record.state == GroupState::Isolated {
                let input = Input::RetryIsolated { group: group.clone(), retries: slot.retries };
                self.after(Duration::ZERO, input);
            }
        }
    }

    /// Takes up an isolated group where it stopped, if its rows load and what waits goes through.
    pub(super) async fn retry_isolated(
        &mut self,
        group: &GroupId,
        retries: u32,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let isolated = |slot: &super::slot::Slot| {
            slot.record.state == GroupState::Isolated && slot.retries == retries
        };
        let Some(slot) = self.groups.get_mut(group).filter(|slot| isolated(slot)) else {
            return Ok(());
        };
        // Its record is read again with everything else.
        match slot.record.damage {
            Damage::None => {}
            Damage::Told => return Ok(()),
            Damage::Untold => {
                slot.record.damage = Damage::Told;
                unit.batch.group_damaged(self.owner, group);
                let reason = "its record does not read".to_owned();
                self.append(unit, Some(group), unit.now_ms, EventData::GroupIsolated { reason });
                return Ok(());
            }
        }
        slot.retries += 1;
        let before = slot.record.isolated_from.unwrap_or(GroupState::Active);
        slot.record.isolated_from = Some(before);
        if self.mls(group).await?.is_none() {
            self.plan_retry(group);
            return Ok(());
        }
        if let Some(slot) = self.groups.get_mut(group) {
            slot.record.state = before;
        }
        self.unbuffer(group.as_bytes(), unit);
        self.replay(unit).await?;
        let Some(slot) = self.groups.get_mut(group) else {
            return Ok(());
        };
        if slot.record.state != GroupState::Isolated {
            slot.record.isolated_from = None;
            slot.retries = 0;
            self.judge_again(group);
            unit.record_changed(group);
            let data = EventData::GroupRepaired { reason: "readable".into() };
            self.append(unit, Some(group), unit.now_ms, data);
        }
        Ok(())
    }
}
