//! Out of a group that goes on with us.
//!
//! A branch of the group has let us go and lost to another one, where we are a member still; or our
//! proposal to leave was lost. The group goes on sending us what we do not want, and nobody there
//! knows it. A notice that we sign ourselves says it to those who may remove us. What it says of
//! epochs is our own: the headers of payloads are nobody's word.

use std::time::Duration;

use quicproquo_core::group::{Removal, RemovalNotice, RepairRequest};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::Suite;

use super::actor::Actor;
use super::input::Input;
use super::outbox::RETRY;
use super::recipients::{SealFor, recipients};
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
        let Some(slot) = self.groups.get(group) else { return Ok(()) };
        let record = &slot.record;
        // Another timer may have come since.
        if record.out_due_ms == 0 || record.out_due_ms != due_ms {
            return Ok(());
        }
        let (leaving, over) = (record.is_leaving(), record.is_over());
        let (lost, epoch) = (record.lost.is_some(), record.epoch);
        let isolated = record.state == GroupState::Isolated;
        let told = self.who_lets_us_go(group, now);
        // What was said before may not have left yet.
        let waits = !self.uplink.up || !self.notices(group).is_empty();
        let mut to = Vec::new();
        if leaving && !lost && !waits {
            let mls = self.mls(group).await?;
            to = mls.map_or(to, |mls| recipients(mls, |key| told.contains(key)));
        } else if over && !waits {
            let unknown = self.without_keys(group, &told);
            if !unknown.is_empty() && tries < TRIES {
                for member in unknown {
                    self.ask_key(member);
                }
                let (group, tries) = (group.clone(), tries + 1);
                self.after(RETRY, Input::StillOut { group, due_ms, tries });
                return Ok(());
            }
            let known = told.iter().filter(|key| !unknown.contains(key));
            to = known.map(|key| (*key, SealFor::Nobody)).collect();
        }
        let again = !told.is_empty() && (leaving || isolated || over && to.is_empty());
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
        let notice = RemovalNotice::sign(&self.identity, group, self.identity.key(), removal);
        for to in to {
            self.put_notice(&notice, to, unit);
        }
        Ok(())
    }

    /// Who has asked, or some of those who may remove us.
    fn who_lets_us_go(&self, group: &GroupId, now: u64) -> Vec<IdentityKey> {
        let Some(slot) = self.groups.get(group) else { return Vec::new() };
        if let Some((asker, _)) = slot.doubts.asked_by {
            return vec![asker];
        }
        let mut told = slot.record.some_admins(&self.identity.key(), now);
        if told.is_empty() {
            // Of what was declined nothing else is known.
            told.extend(slot.record.inviter.map(|(inviter, _)| inviter));
        }
        told
    }

    /// To whom nothing can be sealed in a group that we have no state of.
    fn without_keys(&self, group: &GroupId, told: &[IdentityKey]) -> Vec<IdentityKey> {
        let sealed = self.groups.get(group).is_some_and(|it| it.record.suite == Suite::Envelope);
        told.iter().filter(|key| sealed && !self.knows_key(key)).copied().collect()
    }

    /// Notices about members of a group that have not left yet.
    pub(super) fn notices(&self, group: &GroupId) -> Vec<u64> {
        let notices = self.outbox.iter().filter(|(_, outgoing)| {
            outgoing.record.group == *group && outgoing.record.kind == OutboxKind::Notice
        });
        notices.map(|(counter, _)| *counter).collect()
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
