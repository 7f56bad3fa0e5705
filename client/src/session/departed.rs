//! Out of a group that goes on with us.
//!
//! A branch of the group has let us go and lost to another one, where we are a member still; or our
//! proposal to leave was lost. The group goes on sending us what we do not want, and nobody there
//! knows it. A notice that we sign ourselves says it to those who may remove us. What it says of
//! epochs is our own: the headers of payloads are nobody's word.

use std::sync::Arc;
use std::time::Duration;

use quicproquo_core::group::{Removal, RemovalNotice, RepairRequest};
use quicproquo_core::id::GroupId;
use quicproquo_core::suite::Suite;

use super::actor::Actor;
use super::input::Input;
use super::outbox::RETRY;
use super::outgoing::Outgoing;
use super::recipients::{Recipients, SealFor, recipients};
use super::removed::TRIES;
use super::unit::Unit;
use crate::model::GroupState;
use crate::store::{GroupRecord, IntentSpec, OutboxKind, StoreError};

/// How long a Welcome may take that brings us back, or a commit that lets us go, in milliseconds.
const PATIENCE_MS: u64 = 3600 * 1000;

impl GroupRecord {
    /// We are a member until the others know that we want to be none.
    fn is_leaving(&self) -> bool {
        matches!(self.state, GroupState::Leaving | GroupState::Declined) && !self.is_over()
    }
}

impl Actor {
    /// A group that we are out of, or want to be, has us as a member.
    pub(super) fn addressed(&mut self, group: &GroupId, unit: &mut Unit) {
        let Some(slot) = self.groups.get_mut(group) else { return };
        if slot.record.out_due_ms == 0 {
            slot.record.out_due_ms = unit.now_ms + PATIENCE_MS;
            unit.records.insert(group.clone());
            self.plan_still_out(group, PATIENCE_MS);
        }
    }

    fn plan_still_out(&self, group: &GroupId, pause_ms: u64) {
        let Some(slot) = self.groups.get(group) else { return };
        let due_ms = slot.record.out_due_ms;
        let timer = Input::StillOut { group: group.clone(), due_ms, tries: 0 };
        self.after(Duration::from_millis(pause_ms), timer);
    }

    /// After reading the state: timers begin again.
    pub(super) fn plan_departures(&self) {
        let now = self.clock.now_ms();
        for (group, slot) in &self.groups {
            if slot.record.out_due_ms > 0 {
                self.plan_still_out(group, slot.record.out_due_ms.saturating_sub(now));
            }
        }
    }

    /// A member asks where the group is that we are out of: it is told at once.
    pub(super) fn answer_out(&mut self, request: &RepairRequest, unit: &mut Unit) {
        let group = &request.group_id;
        let Some(slot) = self.groups.get_mut(group) else { return };
        slot.doubts.asked_by = Some((request.member, request.nonce));
        slot.record.out_due_ms = unit.now_ms;
        unit.records.insert(group.clone());
        self.plan_still_out(group, 0);
    }

    /// Nothing has come: some are told that we are out, again and again while we are leaving.
    pub(super) async fn still_out(
        &mut self,
        group: &GroupId,
        due_ms: u64,
        tries: u32,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let now = unit.now_ms;
        let Some(slot) = self.groups.get_mut(group) else { return Ok(()) };
        let record = &slot.record;
        // Another timer may have come since.
        if record.out_due_ms == 0 || record.out_due_ms != due_ms {
            return Ok(());
        }
        let (leaving, over) = (record.is_leaving(), record.is_over());
        let (lost, epoch) = (record.lost.is_some(), record.epoch);
        let isolated = record.state == GroupState::Isolated;
        let own_notice = |outgoing: &Outgoing| {
            outgoing.record.group == *group && outgoing.record.kind == OutboxKind::Notice
        };
        // What was said before may not have left yet.
        let waits = !self.uplink.up || self.outbox.values().any(own_notice);
        let mut to = Some(Vec::new());
        if leaving && !lost && !waits {
            to = Some(self.who_lets_us_go(group, now).await?);
        } else if over && !waits {
            to = self.who_has_let_us_go(group, tries, now);
        }
        let Some(to) = to else {
            let (group, tries) = (group.clone(), tries + 1);
            self.after(RETRY, Input::StillOut { group, due_ms, tries });
            return Ok(());
        };
        let again = leaving || isolated || over && to.is_empty();
        let mut answers = None;
        if let Some(slot) = self.groups.get_mut(group) {
            slot.record.out_due_ms = if again { now + PATIENCE_MS } else { 0 };
            unit.records.insert(group.clone());
            answers = slot.doubts.asked_by.take_if(|_| !to.is_empty()).map(|(_, nonce)| nonce);
        }
        if again {
            self.plan_still_out(group, PATIENCE_MS);
        }
        let removal = Removal { epoch, answers, ..Removal::default() };
        let identity = Arc::clone(&self.identity);
        let notice = RemovalNotice::sign(&identity, group, identity.key(), removal);
        for to in to {
            self.put_notice(&notice, to, unit);
        }
        Ok(())
    }

    async fn who_lets_us_go(
        &mut self,
        group: &GroupId,
        now: u64,
    ) -> Result<Recipients, StoreError> {
        let Some(slot) = self.groups.get(group) else { return Ok(Vec::new()) };
        let admins = slot.record.some_admins(&self.identity.key(), now);
        let mls = self.mls(group).await?;
        Ok(mls.map_or(Vec::new(), |mls| recipients(mls, |key| admins.contains(key))))
    }

    /// `None`: it is tried again when keys are known.
    fn who_has_let_us_go(&mut self, group: &GroupId, tries: u32, now: u64) -> Option<Recipients> {
        let slot = self.groups.get(group)?;
        let (record, own) = (&slot.record, self.identity.key());
        let asker = slot.doubts.asked_by.map(|(asker, _)| asker);
        let mut told = asker.map_or_else(|| record.some_admins(&own, now), |asker| vec![asker]);
        if told.is_empty() {
            // Of what was declined nothing else is known.
            told.extend(record.inviter.map(|(inviter, _)| inviter));
        }
        let sealed = record.suite == Suite::Envelope;
        let (known, unknown): (Vec<_>, Vec<_>) = told
            .into_iter()
            .partition(|key| !sealed || matches!(self.published.get(key), Some(Some(_))));
        if !unknown.is_empty() && tries < TRIES {
            for member in unknown {
                self.ask_key(member);
            }
            return None;
        }
        Some(known.into_iter().map(|key| (key, SealFor::Nobody)).collect())
    }

    /// A member says that it is out, or wants to be: it is removed, if it may be and nobody was
    /// faster. A notice may be from before it was added again: who cannot tell asks the member.
    pub(super) async fn departed(
        &mut self,
        notice: &RemovalNotice,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let (group, member, own) = (&notice.group_id, notice.member, self.identity.key());
        let Some(slot) = self.groups.get(group) else { return Ok(()) };
        let record = &slot.record;
        let may = record.state.is_active() && record.lost.is_none() && record.may_remove(&own);
        if !may || member == own || record.role(&member).is_none() {
            return Ok(());
        }
        let answers = notice.removal.answers;
        let fresh = answers.is_some() && answers == slot.doubts.asked;
        if !fresh && !record.is_in_since(notice.removal.epoch, &member) {
            return self.inquire_about(group, member, unit).await;
        }
        let spec = IntentSpec::Remove(vec![member]);
        if !self.intents.values().any(|it| it.group == *group && it.spec == spec) {
            tracing::warn!("a member says that it is out of the group: it is removed");
            self.intend(group.clone(), spec, None, unit);
        }
        Ok(())
    }
}
