//! Leaving: a member proposes its own removal, another one commits it.

use std::sync::Arc;
use std::time::Duration;

use quicproquo_core::group::{CommitError, Role};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;

use super::actor::Actor;
use super::commit::Step;
use super::input::Input;
use super::outgoing::Outgoing;
use super::recipients::recipients;
use super::repair::OFTEN;
use super::unit::Unit;
use crate::error::SessionError;
use crate::event::EventData;
use crate::model::GroupState;
use crate::store::{GroupRecord, IntentRecord, IntentSpec, OutboxKind, OutboxRecord, StoreError};

/// Each member waits one of these longer than the one before it to commit a proposal.
const COMMIT_TURN: Duration = Duration::from_millis(250);

/// After so many turns nobody seems to be there, and the rest come faster.
const LATE_TURNS: u32 = 20;

/// A turn of those.
const LATE_TURN: Duration = Duration::from_millis(50);

/// Messages that were accepted before it hold a leave up for so long, once the backlog is read, while
/// none of them can be encrypted: what keeps them may be there for good. In milliseconds.
const LAST_WORDS_MS: u64 = 30_000;

/// Whether a leave waits for them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastWords {
    #[default]
    Unheard,
    /// Until the timer of this moment ends (unix milliseconds).
    Until(u64),
    Over,
}

/// An old copy cannot tell anybody that it goes, and nobody answers whoever was removed.
fn is_apart(record: &GroupRecord) -> bool {
    record.lost.as_ref().is_some_and(|lost| lost.stale || lost.asked >= OFTEN)
}

impl Actor {
    pub(super) async fn leave(
        &mut self,
        group: &GroupId,
        record: &GroupRecord,
        unit: &mut Unit,
    ) -> Result<Result<Step, SessionError>, StoreError> {
        if record.leave_proposed == Some(record.epoch) {
            return Ok(Ok(Step::Proposed));
        }
        let identity = Arc::clone(&self.identity);
        let Some(mls) = self.mls(group).await? else {
            self.isolate(group, "its rows do not load", unit);
            return Ok(Ok(Step::Wait));
        };
        let others = recipients(mls, |member| *member != identity.key());
        if others.is_empty() || is_apart(record) {
            if record.is_visible() {
                if let Some(slot) = self.groups.get_mut(group) {
                    slot.record.state = GroupState::Left;
                    slot.record.lost = None;
                }
                let by = Some(self.identity.key());
                self.emit(unit, Some(group), EventData::GroupLeft { reason: "left".into(), by });
            }
            self.forget_group_state(group, unit);
            unit.record_changed(group);
            return Ok(Ok(Step::Moot));
        }
        let proposal = match mls.propose_leave(&identity) {
            Ok(proposal) => proposal,
            Err(CommitError::Unauthorized(_)) => return Ok(Err(SessionError::LastAdmin)),
            Err(error) => return Ok(Err(SessionError::Invalid(error.to_string()))),
        };
        let kind = OutboxKind::Proposal;
        if let Err(error) = self.put_outgoing(group, kind, &proposal, others, unit) {
            self.withdraw(group).await?;
            return Ok(Err(error));
        }
        if let Some(slot) = self.groups.get_mut(group) {
            slot.record.leave_proposed = Some(slot.record.epoch);
            slot.last_words = LastWords::Unheard;
            if slot.record.state == GroupState::Active {
                slot.record.state = GroupState::Leaving;
            }
        }
        unit.record_changed(group);
        self.addressed(group, unit);
        Ok(Ok(Step::Proposed))
    }

    /// Whether the proposal to leave that is asked for must wait. Once it is out nothing can be said in its
    /// epoch: what was accepted before comes first, and what may have to be said again.
    pub(super) fn holds_leave(&mut self, leave: &IntentRecord, unit: &mut Unit) -> bool {
        let group = &leave.group;
        let Some(slot) = self.groups.get(group) else { return false };
        if slot.record.members.len() <= 1 || is_apart(&slot.record) {
            return false;
        }
        let waits = |outgoing: &Outgoing| {
            let OutboxRecord { group: of, parcel, created_at_ms, .. } = &outgoing.record;
            let unsaid = parcel.is_none() && *created_at_ms <= leave.created_at_ms;
            unsaid && of == group && outgoing.message().is_some()
        };
        let unsaid = slot.last_words != LastWords::Over && self.outbox.values().any(waits);
        if !unsaid && !self.has_unjudged(group) {
            return false;
        }
        if unsaid && slot.last_words == LastWords::Unheard && self.uplink.has_read_backlog() {
            let due_ms = unit.now_ms + LAST_WORDS_MS;
            let link = self.uplink.number;
            let over = Input::LastWords { group: group.clone(), due_ms, link };
            self.after(Duration::from_millis(LAST_WORDS_MS), over);
            self.set_last_words(group, LastWords::Until(due_ms));
        }
        if let Some(slot) = self.groups.get_mut(group)
            && slot.record.state == GroupState::Active
        {
            slot.record.state = GroupState::Leaving;
            unit.record_changed(group);
        }
        true
    }

    fn set_last_words(&mut self, group: &GroupId, to: LastWords) {
        if let Some(slot) = self.groups.get_mut(group) {
            slot.last_words = to;
        }
    }

    /// Some of it could be encrypted.
    pub(super) fn last_words_go_on(&mut self, group: &GroupId) {
        self.set_last_words(group, LastWords::Unheard);
    }

    /// What was accepted before a leave has had its time, if the link was there all along.
    pub(super) fn last_words_over(
        &mut self,
        group: GroupId,
        due_ms: u64,
        link: u64,
        unit: &mut Unit,
    ) {
        let over = self.uplink.has_read_backlog() && self.uplink.number == link;
        if self.groups.get(&group).is_some_and(|it| it.last_words == LastWords::Until(due_ms)) {
            self.set_last_words(&group, if over { LastWords::Over } else { LastWords::Unheard });
            unit.touched.insert(group);
        }
    }

    /// A proposal to leave that nobody has must not block what is sent.
    pub(super) async fn withdraw(&mut self, group: &GroupId) -> Result<(), StoreError> {
        if let Some(mls) = self.mls(group).await?
            && let Err(error) = mls.withdraw_leave()
        {
            tracing::error!(%error, "a proposal to leave cannot be taken back");
        }
        Ok(())
    }

    /// Leaving has failed: the group can be used again.
    pub(super) fn stay(&mut self, group: &GroupId, unit: &mut Unit) {
        let Some(slot) = self.groups.get_mut(group) else { return };
        if slot.record.state == GroupState::Leaving {
            slot.record.state = GroupState::Active;
        }
        slot.last_words = LastWords::Unheard;
        slot.record.leave_proposed = None;
        slot.record.out_due_ms = 0;
        unit.record_changed(group);
        for counter in self.notices(group) {
            self.drop_outgoing(counter, unit);
        }
    }

    /// We are no longer a member: leaving is done, everything else failed.
    pub(super) fn end_intents(&mut self, group: &GroupId, unit: &mut Unit) {
        let open: Vec<_> = self
            .intents
            .values()
            .filter(|intent| intent.group == *group)
            .map(|intent| (intent.n, intent.spec == IntentSpec::Leave))
            .collect();
        for (n, leave) in open {
            let outcome = if leave { Ok(()) } else { Err(SessionError::GroupInactive) };
            self.settle(n, &outcome, unit);
        }
    }

    /// A proposal of somebody else is still there: commit it.
    pub(super) async fn commit_proposals(
        &mut self,
        group: &GroupId,
        epoch: u64,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let Some(slot) = self.groups.get(group) else {
            return Ok(());
        };
        let planned = self
            .intents
            .values()
            .any(|intent| intent.group == *group && intent.spec == IntentSpec::CommitProposals);
        if planned || slot.record.epoch != epoch || slot.record.pending.is_some() {
            return Ok(());
        }
        if self.mls(group).await?.is_some_and(|mls| mls.has_proposals()) {
            self.intend(group.clone(), IntentSpec::CommitProposals, None, unit);
        }
        Ok(())
    }

    /// Commits a proposal to leave when our turn comes and nobody was faster.
    pub(super) fn plan_commit(&self, group: &GroupId, leaver: &IdentityKey) {
        if let (Some(slot), Some(pause)) = (self.groups.get(group), self.turn(group, leaver)) {
            let epoch = slot.record.epoch;
            self.after(pause, Input::CommitProposals { group: group.clone(), epoch });
        }
    }

    /// How long we leave it to others to do something about a member.
    pub(super) fn turn(&self, group: &GroupId, about: &IdentityKey) -> Option<Duration> {
        let slot = self.groups.get(group)?;
        let own = self.identity.key();
        let members = || slot.record.members.iter().filter(|(key, _)| key != about);
        // Admins first: their commit does not need the others to have the proposal.
        let admins = members().filter(|(_, role)| *role == Role::Admin);
        let rest = members().filter(|(_, role)| *role == Role::Member);
        let turn = admins.chain(rest).take_while(|(key, _)| *key != own).count();
        let turn = u32::try_from(turn).unwrap_or(u32::MAX);
        let mut pause = COMMIT_TURN * turn.min(LATE_TURNS);
        pause += LATE_TURN * turn.saturating_sub(LATE_TURNS);
        // Who leaves as well commits only when nobody stays.
        if matches!(slot.record.state, GroupState::Leaving | GroupState::Declined) {
            pause += COMMIT_TURN * LATE_TURNS;
        }
        Some(pause)
    }

    /// Proposals that wait outlive us: their timers start again.
    pub(super) fn plan_commits(&self) {
        for (group, slot) in &self.groups {
            if let Some((epoch, leaver)) = &slot.record.proposed
                && *epoch == slot.record.epoch
            {
                self.plan_commit(group, leaver);
            }
        }
    }
}
