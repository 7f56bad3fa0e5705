//! Forks and missed commits: noticed, told, and mended by being added to the group again.
//!
//! What shows them is not authenticated: whoever knows a group's id can make a payload that looks
//! like one of another branch. So a suspicion holds up what we send only for a while, once per
//! epoch, and everything else goes on: we ask to be added to what was seen, and nobody answers to
//! what is not there. Of two branches the longer one wins, of equally long ones that with the
//! lower hint, so that only one side asks.

use std::sync::Arc;
use std::time::Duration;

use quicproquo_core::group::{ProcessError, RepairRequest, Undecryptable};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::message::{MessageInfo, message_info};

use super::actor::Actor;
use super::input::Input;
use super::recipients::recipients;
use super::removed::Told;
use super::unit::{Opened, Unit};
use crate::event::EventData;
use crate::model::GroupState;
use crate::store::{Lost, OutboxKind, StoreError};

/// How long a suspicion holds up messages and changes.
const HOLD: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 30 });
/// A commit that is this late has been missed.
pub(super) const LATE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// Payloads without a hint that must fail before a fork is suspected.
const FAILURES: u32 = 3;
/// Before the second request; doubled each time.
const ASK_PAUSE_MS: u64 = 2_000;
/// Longest pause between the first requests, and between the later ones.
const LONG_PAUSE_MS: u64 = 60 * 1000;
const LONGEST_PAUSE_MS: u64 = 10 * 60 * 1000;
/// Requests with the shorter pauses.
pub(super) const OFTEN: u32 = if cfg!(test) { 3 } else { 20 };
/// A suspicion that nothing confirms ends after an hour.
const SUSPECTED_MS: u64 = 3600 * 1000;

/// What is in doubt about a group, and the timers for it; not kept over a restart.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Payloads of its epoch that did not decrypt and carried no hint.
    failures: u32,
    /// A later epoch that others are in, with its hint.
    ahead: Option<(u64, Option<[u8; 8]>)>,
    /// A timer runs for the commit to that epoch.
    late: bool,
    /// A timer runs for the next request to be added again.
    asking: bool,
    /// Nothing is sent for a while, since we may have to be added again.
    pub(super) held: bool,
    /// Former members that were told so.
    pub(super) told: Told,
    /// The nonce of our newest request or inquiry.
    pub(super) asked: Option<[u8; 8]>,
    /// Signers of notices that were not believed, and asked.
    pub(super) inquired: Told,
    /// Who has asked where the group is that we are out of, with its nonce.
    pub(super) asked_by: Option<(IdentityKey, [u8; 8])>,
    /// The newest epoch in which somebody else was heard, since the start.
    pub(super) heard_in: Option<u64>,
    /// Suspicions that have ended because nobody confirmed them.
    pub(super) unconfirmed: u32,
}

/// Where a group stands: its epoch, and the hint of its authenticator.
pub(super) type Place = (u64, [u8; 8]);

/// Why we must be added again, in the words of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Forked,
    MissedCommit,
    OldCopy,
    /// So many requests have had no answer that we may be no member any more.
    Unanswered,
}

impl Why {
    fn text(self) -> &'static str {
        match self {
            Self::Forked => "forked",
            Self::MissedCommit => "missed_commit",
            Self::OldCopy => "old_copy",
            Self::Unanswered => "unanswered",
        }
    }
}

impl Actor {
    /// A payload could not be processed: does it show that others are somewhere else?
    pub(super) fn doubt(
        &mut self,
        group: &GroupId,
        info: &MessageInfo,
        at: Place,
        error: &ProcessError,
        unit: &mut Unit,
    ) {
        let (epoch, own) = at;
        let seen = seen(info);
        match error {
            ProcessError::WrongEpoch { message_epoch, group_epoch }
                if message_epoch > group_epoch =>
            {
                self.behind(group, epoch, seen, unit);
            }
            ProcessError::Undecryptable(reason) if info.epoch == Some(epoch) => match info.hint {
                Some(hint) if hint != own => {
                    self.tell_forked(group, epoch, unit);
                    // An old copy is never on the branch that wins.
                    let lost = self.groups.get(group).and_then(|slot| slot.record.lost.as_ref());
                    let stale = lost.is_some_and(|lost| lost.stale);
                    if info.is_commit() || hint < own || stale {
                        self.lose(group, Why::Forked, seen, unit);
                    } else {
                        self.tell_former(group, unit);
                    }
                }
                None if *reason == Undecryptable::Aead => {
                    let Some(slot) = self.groups.get_mut(group) else { return };
                    slot.doubts.failures += 1;
                    if slot.doubts.failures == FAILURES {
                        self.tell_forked(group, epoch, unit);
                        self.lose(group, Why::Forked, seen, unit);
                    }
                }
                _ => {}
            },
            ProcessError::Undecryptable(Undecryptable::Aead | Undecryptable::EpochGone)
                if info.epoch < Some(epoch) =>
            {
                self.tell_former(group, unit);
            }
            _ => {}
        }
    }

    /// Others are in a later epoch. The commit may still be on its way, for a while.
    fn behind(
        &mut self,
        group: &GroupId,
        epoch: u64,
        seen: (u64, Option<[u8; 8]>),
        unit: &mut Unit,
    ) {
        let Some(slot) = self.groups.get_mut(group) else { return };
        slot.doubts.ahead = Some(seen);
        if slot.record.lost.is_some() {
            return self.lose(group, Why::MissedCommit, seen, unit);
        }
        if !std::mem::replace(&mut slot.doubts.late, true) {
            self.after(LATE, Input::CommitLate { group: group.clone(), epoch });
        }
    }

    /// The commit to what we have seen has not come.
    pub(super) fn commit_late(&mut self, group: &GroupId, epoch: u64, unit: &mut Unit) {
        let has_read_backlog = self.uplink.has_read_backlog();
        let Some(slot) = self.groups.get_mut(group) else { return };
        slot.doubts.late = false;
        let Some(seen) = slot.doubts.ahead.filter(|(ahead, _)| *ahead > slot.record.epoch) else {
            return;
        };
        if !has_read_backlog || slot.record.epoch != epoch {
            slot.doubts.late = true;
            let epoch = slot.record.epoch;
            return self.after(LATE, Input::CommitLate { group: group.clone(), epoch });
        }
        self.lose(group, Why::MissedCommit, seen, unit);
    }

    fn tell_forked(&mut self, group: &GroupId, epoch: u64, unit: &mut Unit) {
        let Some(slot) = self.groups.get_mut(group) else { return };
        if slot.record.forked != Some(epoch) {
            slot.record.forked = Some(epoch);
            unit.record_changed(group);
            tracing::warn!("members of a group are at different states of one epoch");
            self.emit(unit, Some(group), EventData::GroupForked { epoch });
        }
    }

    /// From now on we ask to be added again.
    pub(super) fn lose(
        &mut self,
        group: &GroupId,
        why: Why,
        seen: (u64, Option<[u8; 8]>),
        unit: &mut Unit,
    ) {
        let now = unit.now_ms;
        let Some(slot) = self.groups.get_mut(group) else { return };
        let stale = why == Why::OldCopy;
        let record = &mut slot.record;
        if let Some(lost) = &mut record.lost {
            lost.last_ms = now;
            if stale && !lost.stale {
                // The answer to a former request may be known to another copy.
                lost.stale = true;
                lost.asked = 0;
                unit.record_changed(group);
            }
            if lost.seen != seen {
                if seen.0 > lost.seen.0 {
                    lost.asked = lost.asked.min(1);
                }
                lost.seen = seen;
                unit.record_changed(group);
                self.plan_ask(group, now);
            }
            return;
        }
        if !record.is_member() {
            return;
        }
        if record.members.len() == 1 && !stale {
            // Nobody is here who could lead us back.
            return self.tell_former(group, unit);
        }
        tracing::warn!(reason = why.text(), "this group must be joined again");
        record.lost =
            Some(Lost { stale, epoch: record.epoch, last_ms: now, seen, asked: 0, asked_at_ms: 0 });
        if record.state == GroupState::Active {
            record.state = GroupState::NeedsReadd;
        }
        slot.doubts.held = true;
        self.after(HOLD, Input::HeldLongEnough(group.clone()));
        unit.record_changed(group);
        let reason = why.text().to_owned();
        self.emit(unit, Some(group), EventData::GroupNeedsReadd { reason });
        self.plan_ask(group, now);
    }

    /// What waits goes out as it is: the suspicion may be a false one.
    pub(super) fn held_long_enough(&mut self, group: &GroupId, unit: &mut Unit) {
        if let Some(slot) = self.groups.get_mut(group) {
            slot.doubts.held = false;
            unit.touched.insert(group.clone());
        }
    }

    /// Once the backlog is processed: ask for what is still lost.
    pub(super) fn plan_asks(&mut self, now: u64) {
        let lost = self.groups.iter().filter(|(_, slot)| slot.record.lost.is_some());
        for group in lost.map(|(group, _)| group.clone()).collect::<Vec<_>>() {
            self.plan_ask(&group, now);
        }
    }

    /// After reading the state: a suspicion holds up its group once more.
    pub(super) fn hold_lost(&mut self) {
        let lost = self.groups.iter_mut().filter(|(_, slot)| slot.record.lost.is_some());
        let mut held = Vec::new();
        for (group, slot) in lost {
            slot.doubts.held = true;
            held.push(group.clone());
        }
        for group in held {
            self.after(HOLD, Input::HeldLongEnough(group));
        }
    }

    fn plan_ask(&mut self, group: &GroupId, now: u64) {
        if !self.uplink.has_read_backlog() {
            return;
        }
        let Some(slot) = self.groups.get_mut(group) else { return };
        let Some(lost) = &slot.record.lost else { return };
        if std::mem::replace(&mut slot.doubts.asking, true) {
            return;
        }
        let pause = pause_ms(lost.asked);
        let pause = (lost.asked_at_ms + pause).saturating_sub(now).min(pause);
        self.after(Duration::from_millis(pause), Input::AskReadd(group.clone()));
    }

    /// Sends a signed request to be added again to all members we know.
    pub(super) async fn ask_readd(
        &mut self,
        group: &GroupId,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let (up, now) = (self.uplink.has_read_backlog(), unit.now_ms);
        let identity = Arc::clone(&self.identity);
        let Some(slot) = self.groups.get_mut(group) else { return Ok(()) };
        slot.doubts.asking = false;
        let Some(lost) = slot.record.lost.as_mut().filter(|_| up) else { return Ok(()) };
        lost.asked += 1;
        lost.asked_at_ms = now;
        let (mut epoch, mut hint) = lost.seen;
        let unanswered = lost.asked == OFTEN;
        // The others may have missed what an old copy has seen, and be where it is itself.
        let here = lost.stale && lost.asked > OFTEN && lost.asked.is_multiple_of(2);
        unit.record_changed(group);
        if unanswered {
            tracing::warn!("nobody adds us to a group again; we may have been removed from it");
            let reason = Why::Unanswered.text().to_owned();
            self.emit(unit, Some(group), EventData::GroupNeedsReadd { reason });
        }
        let Some(mls) = self.mls(group).await? else { return Ok(()) };
        if here {
            (epoch, hint) = (mls.epoch(), Some(mls.hint()));
        }
        let others = recipients(mls, |member| *member != identity.key());
        if others.is_empty() {
            // Nobody is there to be at another state, nor to add us again.
            self.recover(group, "alone", unit);
            return Ok(());
        }
        let request = RepairRequest::sign(&identity, group, epoch, hint);
        self.asked(group, &request);
        tracing::info!(epoch, "asking to be added to a group again");
        let kind = OutboxKind::Repair;
        if let Err(error) = self.put_outgoing(group, kind, request.as_bytes(), others, unit) {
            tracing::warn!(%error, "a repair request cannot be sent");
        }
        self.plan_ask(group, now);
        Ok(())
    }

    /// A commit was applied: what was only late is no longer missing.
    pub(super) fn caught_up(&mut self, group: &GroupId, at: Place, unit: &mut Unit) {
        let Some(slot) = self.groups.get_mut(group) else { return };
        slot.doubts.failures = 0;
        slot.doubts.unconfirmed = 0;
        let (epoch, hint) = at;
        let reached = |seen: (u64, Option<[u8; 8]>)| {
            epoch > seen.0 || (epoch == seen.0 && seen.1.is_none_or(|seen| seen == hint))
        };
        if slot.record.lost.as_ref().is_some_and(|lost| !lost.stale && reached(lost.seen)) {
            return self.recover(group, "caught_up", unit);
        }
        let stale = slot.record.lost.as_mut().filter(|lost| lost.stale && epoch > lost.seen.0);
        if let Some(lost) = stale {
            // An old copy can often follow the group, and asks to be added where it is now.
            lost.seen = (epoch, Some(hint));
            lost.asked = lost.asked.min(1);
            unit.record_changed(group);
            self.plan_ask(group, unit.now_ms);
        }
    }

    /// We need not be added again.
    fn recover(&mut self, group: &GroupId, why: &str, unit: &mut Unit) {
        let Some(slot) = self.groups.get_mut(group) else { return };
        slot.doubts.held = false;
        slot.record.recover();
        unit.record_changed(group);
        unit.touched.insert(group.clone());
        let reason = why.to_owned();
        self.emit(unit, Some(group), EventData::GroupRepaired { reason });
    }

    /// What waits may show that we have missed a commit, also before the last restart.
    pub(super) fn doubt_buffered(&mut self, unit: &mut Unit) {
        let mut ahead = Vec::new();
        for (group, kept) in &self.buffered {
            let Ok(group) = GroupId::from_slice(group) else { continue };
            let Some(slot) = self.groups.get(&group).filter(|slot| slot.record.is_member()) else {
                continue;
            };
            let last = kept.last().and_then(|(_, kept)| Opened::from_kept(kept));
            let info = last.and_then(|opened| message_info(&opened.mls).ok());
            if let Some((info, epoch)) = info.and_then(|info| Some((info.clone(), info.epoch?)))
                && epoch > slot.record.epoch
            {
                ahead.push((group, slot.record.epoch, seen(&info)));
            }
        }
        for (group, epoch, seen) in ahead {
            self.behind(&group, epoch, seen, unit);
        }
    }

    /// Gives up suspicions that nothing has confirmed for an hour.
    pub(super) fn expire_suspicions(&mut self, unit: &mut Unit) {
        let now = unit.now_ms;
        let over = |slot: &super::slot::Slot| {
            let lost = slot.record.lost.as_ref();
            lost.is_some_and(|lost| !lost.stale && lost.last_ms + SUSPECTED_MS < now)
        };
        let over: Vec<GroupId> = self
            .groups
            .iter()
            .filter(|(_, slot)| over(slot))
            .map(|(group, _)| group.clone())
            .collect();
        for group in over {
            self.recover(&group, "unconfirmed", unit);
            if let Some(slot) = self.groups.get_mut(&group) {
                slot.doubts.unconfirmed += 1;
            }
            self.tell_former(&group, unit);
        }
    }
}

/// How long after so many requests the next one is made, in milliseconds.
fn pause_ms(asked: u32) -> u64 {
    let longest = if asked > OFTEN { LONGEST_PAUSE_MS } else { LONG_PAUSE_MS };
    match asked {
        0 => 0,
        asked => (ASK_PAUSE_MS << (asked - 1).min(16)).min(longest),
    }
}

/// Where the sender of a message is: who commits is in the next epoch, whose hint is not known.
pub(super) fn seen(info: &MessageInfo) -> (u64, Option<[u8; 8]>) {
    let epoch = info.epoch.unwrap_or_default();
    if info.is_commit() { (epoch.saturating_add(1), None) } else { (epoch, info.hint) }
}
