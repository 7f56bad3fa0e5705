//! Welcomes and invitations.
//!
//! A Welcome is joined at once into a hidden group that processes everything, so that nothing is
//! lost while somebody decides.

use quicproquo_core::group::{Group, JoinError, Joined, WelcomeInfo, welcome_key_package_refs};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::provider::{RowWrite, ScopedRow, group_scope, key_package_scope};
use quicproquo_core::suite::Suite;

use super::Hidden;
use super::actor::Actor;
use super::receive::{INTERNAL, reveal};
use super::repair::Why;
use super::slot::Slot;
use super::unit::{Opened, Unit};
use crate::error::SessionError;
use crate::event::EventData;
use crate::guard::guarded;
use crate::model::{ChangeState, GroupInfo, GroupState, Invitation, InvitePolicy};
use crate::store::{GroupRecord, IntentSpec, StoreError};

/// Unanswered invitations, in all and by one inviter.
const PENDING: usize = 200;
const PENDING_PER_INVITER: usize = 20;
/// Welcomes wait for a free place under this name, which no group has.
pub(super) const NO_PLACE: &[u8] = b"";

impl Actor {
    pub(super) async fn welcome(
        &mut self,
        opened: Opened,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let own = self.identity.key();
        let read = || welcome_key_package_refs(&opened.mls);
        let references = match guarded("welcome", own.as_bytes(), read) {
            Some(Ok(references)) => references,
            failed => {
                let reason = if failed.is_some() { "malformed" } else { INTERNAL };
                self.set_aside(opened.hash, &opened.mls, reason, unit);
                return Ok(());
            }
        };
        let mut rows: Vec<ScopedRow> = Vec::new();
        for reference in &references {
            let scope = key_package_scope(reference);
            let Some(found) = self.mls_rows(&scope).await? else {
                self.set_aside(opened.hash, &opened.mls, "welcome_refused", unit);
                return Ok(());
            };
            rows.extend(found.into_iter().map(|(key, value)| (scope.clone(), key, value)));
        }
        let peek = || Group::peek_welcome(&opened.mls, rows.clone());
        let info = match guarded("peek", own.as_bytes(), peek) {
            Some(Ok(info)) => info,
            failed => {
                self.refuse_welcome(failed.and_then(Result::err).as_ref(), &opened, unit);
                return Ok(());
            }
        };
        if info.suite == Suite::Envelope && !opened.sealed {
            self.set_aside(opened.hash, &opened.mls, "downgrade", unit);
            return Ok(());
        }
        let known = match self.groups.get(&info.group_id).map(|slot| &slot.record) {
            None => false,
            Some(record) if Self::is_answer(record, &info) => {
                let rejoin = || Group::rejoin(&self.identity, &opened.mls, rows);
                match guarded("join", own.as_bytes(), rejoin) {
                    Some(Ok(joined)) => self.rejoined(joined, info, unit).await?,
                    failed => {
                        self.refuse_welcome(failed.and_then(Result::err).as_ref(), &opened, unit);
                    }
                }
                return Ok(());
            }
            Some(record) => {
                let gone = matches!(
                    record.state,
                    GroupState::Left | GroupState::Removed | GroupState::Declined
                );
                // Who was removed may have been added by the same commit.
                let least = record.epoch + u64::from(record.state != GroupState::Removed);
                if !gone || info.epoch < least {
                    tracing::warn!("a Welcome for a group that is known is refused");
                    self.set_aside(opened.hash, &opened.mls, "welcome_refused", unit);
                    return Ok(());
                }
                true
            }
        };
        if !self.has_place(&info.inviter) {
            self.buffer(NO_PLACE, &opened, unit);
            return Ok(());
        }
        // A later copy may have joined with the same Welcome, and what it has encrypted since must
        // not be encrypted once more.
        let doubtful =
            unit.batch.doubts_packages || self.store.are_doubtful(self.owner, &references).await?;
        let join = || Group::join(&self.identity, &opened.mls, rows);
        match guarded("join", own.as_bytes(), join) {
            Some(Ok(joined)) => {
                let (group, seen) = (info.group_id.clone(), (info.epoch, None));
                self.joined(joined, info, known, unit);
                if doubtful {
                    self.lose(&group, Why::OldCopy, seen, unit);
                }
            }
            failed => self.refuse_welcome(failed.and_then(Result::err).as_ref(), &opened, unit),
        }
        Ok(())
    }

    /// Without an error it made the protocol stack panic.
    fn refuse_welcome(&mut self, error: Option<&JoinError>, opened: &Opened, unit: &mut Unit) {
        let reason = if let Some(error) = error {
            tracing::warn!(%error, "a Welcome is refused");
            if *error == JoinError::NoKeyPackage {
                self.doubt_packages(unit);
            }
            "welcome_refused"
        } else {
            INTERNAL
        };
        self.set_aside(opened.hash, &opened.mls, reason, unit);
    }

    fn joined(&mut self, joined: Joined, info: WelcomeInfo, known_group: bool, unit: &mut Unit) {
        let group = info.group_id.clone();
        self.replace_rows(&group, joined.writes, unit);
        let record = GroupRecord {
            state: GroupState::Invited,
            epoch: info.epoch,
            name: info.name,
            topic: joined.group.topic(),
            members: info.members.iter().map(|member| (member.identity, member.role)).collect(),
            inviter: Some((info.inviter, unit.now_ms)),
            known_group,
            watched_since: Some(info.epoch),
            joined_in: info.epoch,
            ..GroupRecord::fresh(info.suite, info.profile)
        };
        let slot = Slot { mls: Some(Box::new(joined.group)), ..Slot::new(record) };
        self.groups.insert(group.clone(), slot);
        unit.record_changed(&group);
        self.used_packages(&group, info.suite, joined.used_refs, joined.last_resort, unit);
        match &self.policy {
            InvitePolicy::All => drop(self.accept(&group, unit)),
            InvitePolicy::Allow(list) if list.contains(&info.inviter) => {
                drop(self.accept(&group, unit));
            }
            InvitePolicy::None => drop(self.decline(&group, unit)),
            InvitePolicy::Ask | InvitePolicy::Allow(_) => self.tell_invited(&group, unit),
        }
        self.unbuffer(group.as_bytes(), unit);
        self.ask_names();
    }

    /// Puts the rows of a group that was joined in the place of those that may be there.
    pub(super) fn replace_rows(&mut self, group: &GroupId, writes: Vec<RowWrite>, unit: &mut Unit) {
        if self.groups.contains_key(group) {
            let scope = group_scope(group.as_bytes());
            self.overlay.forget(&scope);
            unit.batch.forget_mls(self.owner, &scope);
        }
        for write in writes {
            self.overlay.put(write.scope, write.key, write.value);
        }
    }

    /// The private half of a one-time package is gone with its use.
    pub(super) fn used_packages(
        &mut self,
        group: &GroupId,
        suite: Suite,
        references: Vec<Vec<u8>>,
        last_resort: bool,
        unit: &mut Unit,
    ) {
        if last_resort {
            // Others may hold the same package: replace it, and our keys in this group.
            self.update_soon(group, unit);
            self.rotate_last_resort(suite);
        }
        for reference in references {
            if last_resort {
                unit.batch.last_resort_used(self.owner, reference);
            } else {
                unit.batch.forget_key_package(self.owner, reference);
            }
        }
    }

    /// The invitation is visible though its group is not.
    fn tell_invited(&mut self, group: &GroupId, unit: &mut Unit) {
        let Some(slot) = self.groups.get(group) else {
            return;
        };
        let Some((inviter, received_at_ms)) = slot.record.inviter else {
            return;
        };
        let invitation = Invitation {
            id: group.clone(),
            inviter,
            inviter_name: self.names.name(&inviter),
            group_name: slot.record.name.clone(),
            member_count: u32::try_from(slot.record.members.len()).unwrap_or(u32::MAX),
            received_at_ms,
            known_group: slot.record.known_group,
        };
        self.append(unit, Some(group), unit.now_ms, EventData::InvitationReceived(invitation));
    }

    /// Reveals the group and what happened in it, in order.
    pub(super) fn accept(
        &mut self,
        invitation: &GroupId,
        unit: &mut Unit,
    ) -> Result<GroupInfo, SessionError> {
        let slot = self.groups.get_mut(invitation).ok_or(SessionError::InvitationNotFound)?;
        match slot.record.state {
            GroupState::Invited => {}
            // Accepting twice is accepting.
            GroupState::Active | GroupState::NeedsReadd if slot.record.inviter.is_some() => {
                return Ok(self.change(invitation, ChangeState::Done)?.group);
            }
            _ => return Err(SessionError::InvitationNotFound),
        }
        // The hidden group may have been lost before anybody answered.
        let lost = slot.record.lost.is_some();
        slot.record.state = if lost { GroupState::NeedsReadd } else { GroupState::Active };
        let hidden = std::mem::take(&mut slot.hidden);
        self.tell_joined(invitation, unit);
        unit.batch.drop_hidden(self.owner, invitation);
        for Hidden { at_ms: at, data, .. } in hidden {
            match data {
                EventData::MessageReceived(message) => self.received(reveal(message), unit),
                data => self.append(unit, Some(invitation), at, data),
            }
        }
        unit.record_changed(invitation);
        self.place_free(unit);
        Ok(self.change(invitation, ChangeState::Done)?.group)
    }

    /// Leaves the hidden group; nothing of it is ever shown.
    pub(super) fn decline(
        &mut self,
        invitation: &GroupId,
        unit: &mut Unit,
    ) -> Result<(), SessionError> {
        let slot = self.groups.get_mut(invitation).ok_or(SessionError::InvitationNotFound)?;
        match slot.record.state {
            GroupState::Invited => {}
            GroupState::Declined => return Ok(()),
            _ => return Err(SessionError::InvitationNotFound),
        }
        slot.record.state = GroupState::Declined;
        // An old copy must not encrypt, not even that it goes.
        slot.record.lost.take_if(|lost| !lost.stale);
        slot.hidden.clear();
        unit.batch.drop_hidden(self.owner, invitation);
        unit.record_changed(invitation);
        self.tell_uninvited(invitation, "declined", Some(self.identity.key()), unit);
        self.intend(invitation.clone(), IntentSpec::Leave, None, unit);
        self.place_free(unit);
        Ok(())
    }

    /// The end of an invitation is visible as the invitation was.
    pub(super) fn tell_uninvited(
        &mut self,
        group: &GroupId,
        reason: &str,
        by: Option<IdentityKey>,
        unit: &mut Unit,
    ) {
        let data = EventData::InvitationEnded { reason: reason.to_owned(), by };
        self.append(unit, Some(group), unit.now_ms, data);
    }

    pub(super) fn tell_joined(&mut self, group: &GroupId, unit: &mut Unit) {
        let Ok(change) = self.change(group, ChangeState::Done) else {
            return;
        };
        let GroupInfo { name, epoch, members, .. } = change.group;
        self.emit(unit, Some(group), EventData::GroupJoined { name, epoch, members });
    }

    fn has_place(&self, inviter: &IdentityKey) -> bool {
        let pending = self.groups.values().filter(|slot| slot.record.state == GroupState::Invited);
        let inviters: Vec<_> = pending.filter_map(|slot| slot.record.inviter).collect();
        let same = inviters.iter().filter(|(by, _)| by == inviter).count();
        inviters.len() < PENDING && same < PENDING_PER_INVITER
    }

    /// Welcomes that found no place are tried again in this unit.
    pub(super) fn place_free(&mut self, unit: &mut Unit) {
        self.unbuffer(NO_PLACE, unit);
    }
}
