//! Keys that are replaced in time: the hybrid key of the identity, and our keys in each group.

use std::time::Duration;

use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::kem::HybridSecret;

use super::actor::Actor;
use super::input::Input;
use super::load::SWEEP_PAUSE;
use super::unit::Unit;
use crate::model::GroupState;
use crate::rpc::Request;
use crate::store::{GroupRecord, IntentSpec, StoreError};

const DAY_MS: u64 = 24 * 3600 * 1000;
/// A hybrid key is replaced after 7 days, and so are our keys in a group.
const REPLACED_MS: u64 = 7 * DAY_MS;
/// Former hybrid keys are kept for 105 days after they were replaced: key packages that name them
/// may be used for 70 days after they were made, and payloads wait 30 days.
const KEPT_MS: u64 = 105 * DAY_MS;
/// Our keys in a group are replaced after so many own messages, counted from the start of the
/// session.
const MESSAGES: u32 = 1_000;
/// Members who replace their keys at the same time leave so much time between them, on average.
const UPDATES_APART_MS: u64 = 3_000;
/// Who is late waits for its turn so long at most.
const LATE_MS: u64 = 10_000;
/// Past epochs that are kept at most.
const PAST_EPOCHS: u64 = 3;

/// Members whose keys grow old together do not commit together: each waits for a part of a time that
/// grows with the group, so that what others say is not overtaken by one commit after the other.
fn turn_ms(record: &GroupRecord, own: &IdentityKey) -> u64 {
    let others = record.members.len().saturating_sub(2) as u64;
    let [part, ..] = *own.as_bytes();
    others * UPDATES_APART_MS * u64::from(part) / 256
}

impl GroupRecord {
    /// Whether our keys in it are to be replaced.
    fn has_old_keys(&self, now_ms: u64) -> bool {
        let may = matches!(self.state, GroupState::Active | GroupState::Invited);
        let known = self.updated_at_ms > 0;
        may && known && self.lost.is_none() && self.updated_at_ms + REPLACED_MS <= now_ms
    }
}

impl Actor {
    /// Replaces what is due, and forgets former hybrid keys.
    pub(super) async fn rotate(&mut self, unit: &mut Unit) -> Result<(), StoreError> {
        let known = self.store.hybrid_ages(self.owner).await?;
        let due = known.last().is_none_or(|(_, made)| made + REPLACED_MS <= unit.now_ms);
        if due && !self.uplink.state.is_halted() {
            let n = known.last().map_or(1, |(n, _)| n + 1);
            self.replace_hybrid(n, unit);
        }
        // Each was in use until the next one was made.
        let over = known.windows(2).filter(|two| two[1].1 + KEPT_MS <= unit.now_ms);
        if let Some((newest, _)) = over.map(|two| two[0]).next_back() {
            let gone = known.iter().filter(|(n, _)| *n <= newest).count();
            unit.batch.forget_hybrid_keys(self.owner, newest);
            self.hybrid.truncate(self.hybrid.len().saturating_sub(gone));
        }
        self.update_old_keys(unit);
        Ok(())
    }

    fn replace_hybrid(&mut self, n: u64, unit: &mut Unit) {
        match HybridSecret::generate() {
            Ok(secret) => {
                if let Err(error) =
                    unit.batch.hybrid_key(self.owner, &self.identity.key(), n, &secret, unit.now_ms)
                {
                    return tracing::error!(%error, "a hybrid key cannot be kept");
                }
                self.hybrid.insert(0, secret);
                unit.upload_hybrid = true;
            }
            Err(error) => tracing::error!(%error, "a hybrid key cannot be made"),
        }
    }

    /// Tells the node the newest hybrid key, for those who know no leaf of ours.
    pub(super) fn upload_hybrid(&self) {
        let key = self.hybrid.first().map(|secret| secret.public().as_bytes().to_vec());
        if let Some(key) = key.filter(|_| self.uplink.up) {
            let upload = |answer| Request::UploadHybridKey { key, answer };
            self.jobs.push(self.uplink.ask(upload, |_| Input::Nothing));
        }
    }

    /// Groups in which our keys are old get new ones, each on a day of its own.
    fn update_old_keys(&mut self, unit: &mut Unit) {
        let (now, own) = (unit.now_ms, self.identity.key());
        let mut due = Vec::new();
        for (group, slot) in &mut self.groups {
            if slot.record.updated_at_ms == 0 {
                if slot.record.state != GroupState::Active || slot.record.lost.is_some() {
                    continue;
                }
                // Joined or made since the last look.
                let spread = u64::from(group.as_bytes().first().copied().unwrap_or_default());
                let made = now - REPLACED_MS / 256 * spread.min(255);
                slot.record.updated_at_ms = made + turn_ms(&slot.record, &own);
                unit.records.insert(group.clone());
            }
            if slot.record.has_old_keys(now + SWEEP_PAUSE.as_secs() * 1000) {
                due.push(group.clone());
            }
        }
        for group in due {
            self.plan_update(&group, unit);
        }
    }

    /// Our keys in a group that we have joined are those of a package that others may hold too.
    pub(super) fn update_soon(&mut self, group: &GroupId, unit: &mut Unit) {
        let Some(slot) = self.groups.get_mut(group) else { return };
        let due = unit.now_ms + turn_ms(&slot.record, &self.identity.key());
        slot.record.updated_at_ms = due.saturating_sub(REPLACED_MS).max(1);
        unit.record_changed(group);
        self.plan_update(group, unit);
    }

    /// Replaces our keys in a group when they are old: at once, or soon if that was a while ago, as
    /// all may have come back together.
    fn plan_update(&mut self, group: &GroupId, unit: &mut Unit) {
        let Some(slot) = self.groups.get(group) else { return };
        let due = slot.record.updated_at_ms + REPLACED_MS;
        let late = turn_ms(&slot.record, &self.identity.key()).min(LATE_MS);
        let pause = due.checked_sub(unit.now_ms).unwrap_or(late);
        if pause == 0 {
            return self.update_if_old(group, unit);
        }
        self.after(Duration::from_millis(pause), Input::UpdateKeys(group.clone()));
    }

    /// Our turn to replace our keys, if they are still the old ones.
    pub(super) fn update_if_old(&mut self, group: &GroupId, unit: &mut Unit) {
        let old = self.groups.get(group).is_some_and(|it| it.record.has_old_keys(unit.now_ms));
        if old && !self.is_updating(group) {
            self.intend(group.clone(), IntentSpec::Update, None, unit);
        }
    }

    fn is_updating(&self, group: &GroupId) -> bool {
        self.intents.values().any(|it| it.group == *group && it.spec == IntentSpec::Update)
    }

    /// Counts an own message, and replaces our keys after many.
    pub(super) fn count_message(&mut self, group: &GroupId, unit: &mut Unit) {
        let Some(slot) = self.groups.get_mut(group) else { return };
        slot.said += 1;
        if slot.said >= MESSAGES && slot.record.state == GroupState::Active {
            slot.said = 0;
            if !self.is_updating(group) {
                self.intend(group.clone(), IntentSpec::Update, None, unit);
            }
        }
    }

    /// A commit with new keys of ours has won.
    pub(super) fn keys_updated(&mut self, group: &GroupId, unit: &mut Unit) {
        if let Some(slot) = self.groups.get_mut(group) {
            slot.record.updated_at_ms = unit.now_ms;
            slot.said = 0;
            unit.record_changed(group);
        }
    }

    /// Forgets the past epochs of a group once every other member was heard in this one: in the
    /// order of the queue nothing of an earlier epoch can follow.
    pub(super) async fn hear(
        &mut self,
        group: &GroupId,
        member: IdentityKey,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let Some(slot) = self.groups.get_mut(group) else { return Ok(()) };
        if slot.record.ended.is_empty() || !slot.heard_from.insert(member) {
            return Ok(());
        }
        // Who was removed may have spoken before it knew, and is not heard any more.
        let removed = slot.record.removed_in;
        if removed > 0 && slot.record.epoch < removed + PAST_EPOCHS {
            return Ok(());
        }
        if slot.heard_from.len() + 1 < slot.record.members.len() {
            return Ok(());
        }
        slot.record.ended.clear();
        unit.record_changed(group);
        if let Some(mls) = self.mls(group).await?
            && let Err(error) = mls.keep_past_epochs(0)
        {
            tracing::warn!(%error, "old epochs stay");
        }
        Ok(())
    }
}
