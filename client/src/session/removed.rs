//! No longer a member: what ends with it, and how a former member learns it that has lost the
//! commit.
//!
//! Nobody can read what the group says after it was removed, and nobody sends it anything. Whoever
//! may remove members therefore answers what a former member still says, or asks for, with a notice
//! that it signs. The former member takes it from somebody who could have removed it in the group
//! as it knows it, and whose branch wins over its own: such a one could not be kept from removing
//! it anyway.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quicproquo_core::group::{Removal, RemovalNotice, RepairRequest, Role};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::{Profile, Suite};

use super::actor::Actor;
use super::input::Input;
use super::outbox::RETRY;
use super::receive::INTERNAL;
use super::recipients::{SealFor, recipients};
use super::repair::LATE;
use super::unit::{Opened, Unit};
use crate::event::EventData;
use crate::guard::guarded;
use crate::model::GroupState;
use crate::store::{Added, GroupRecord, OutboxKind, StoreError};

/// Former members of a group that are told, the newest ones; as many that were added.
const REMEMBERED: usize = 32;
/// For so many epochs it is remembered who was added.
const ADDED_FOR: u64 = 32;
/// A former member is told again after this, in milliseconds.
const TOLD_FOR_MS: u64 = 3600 * 1000;
/// Admins of a group that are asked or told something.
const ASKED: usize = 3;
/// How often a key is asked for that a notice needs.
pub(super) const TRIES: u32 = 5;

/// When somebody was told or asked something, unix milliseconds; not kept over a restart.
pub(super) type Told = BTreeMap<IdentityKey, u64>;

impl GroupRecord {
    /// Whether this member may remove others.
    pub(super) fn may_remove(&self, member: &IdentityKey) -> bool {
        match self.profile {
            Profile::Plain => self.role(member).is_some(),
            Profile::Standard => self.role(member) == Some(Role::Admin),
        }
    }

    /// We have left when nobody else was there: nobody else tells who was removed before.
    fn was_the_last(&self) -> bool {
        self.state == GroupState::Left && self.members.len() == 1
    }

    /// Remembers who is out, and forgets of whom that is no longer true.
    pub(super) fn remember_removed(
        &mut self,
        epoch: u64,
        removed: &[IdentityKey],
        added: &[IdentityKey],
    ) {
        self.removed.retain(|(key, _)| !added.contains(key) && !removed.contains(key));
        self.removed.extend(removed.iter().map(|key| (*key, epoch)));
        let over = self.removed.len().saturating_sub(REMEMBERED);
        self.removed.drain(..over);
    }

    /// Remembers who was added.
    pub(super) fn remember_added(&mut self, epoch: u64, added: &[IdentityKey], by_us: bool) {
        self.watched_since.get_or_insert(epoch);
        self.added.retain(|it| !added.contains(&it.member) && it.epoch + ADDED_FOR > epoch);
        self.added.extend(added.iter().map(|key| Added { member: *key, epoch, by_us }));
        let over = self.added.len().saturating_sub(REMEMBERED);
        self.added.drain(..over);
    }

    /// Whether a member is known not to have been added since an epoch.
    pub(super) fn is_in_since(&self, epoch: u64, member: &IdentityKey) -> bool {
        let watched = self.watched_since.is_some_and(|since| since <= epoch);
        let recent = self.epoch.checked_sub(epoch).is_some_and(|ago| ago < ADDED_FOR);
        let whole = self.added.len() < REMEMBERED
            || self.added.first().is_some_and(|first| first.epoch <= epoch);
        let added = self.added.iter().any(|it| it.member == *member && it.epoch > epoch);
        watched && recent && whole && !added
    }

    /// Some of those who may remove members, in turns of an hour.
    pub(super) fn some_admins(&self, but: &IdentityKey, now_ms: u64) -> Vec<IdentityKey> {
        let others = self.members.iter().map(|(key, _)| *key).filter(|key| key != but);
        let mut admins: Vec<IdentityKey> = others.filter(|key| self.may_remove(key)).collect();
        if let Ok(turn) = usize::try_from(now_ms / TOLD_FOR_MS)
            && !admins.is_empty()
        {
            let turn = turn % admins.len();
            admins.rotate_left(turn);
        }
        admins.truncate(ASKED);
        admins
    }
}

impl Actor {
    /// We are no longer a member, by the doing of somebody: everything of the group ends.
    pub(super) fn go_out(&mut self, group: &GroupId, by: Option<IdentityKey>, unit: &mut Unit) {
        let own = self.identity.key();
        let Some(slot) = self.groups.get_mut(group) else { return };
        let record = &mut slot.record;
        record.lost = None;
        // Nobody need be told, unless the group is heard of again.
        record.out_due_ms = 0;
        let left = record.state == GroupState::Leaving;
        if record.is_visible() {
            record.state = if left { GroupState::Left } else { GroupState::Removed };
            let (reason, by) = if left { ("left", Some(own)) } else { ("removed", by) };
            self.emit(unit, Some(group), EventData::GroupLeft { reason: reason.to_owned(), by });
        } else {
            let invited = record.state == GroupState::Invited;
            record.state = GroupState::Declined;
            slot.hidden.clear();
            unit.batch.drop_hidden(self.owner, group);
            self.place_free(unit);
            if invited {
                self.tell_uninvited(group, "withdrawn", by, unit);
            }
        }
        self.end_intents(group, unit);
        self.forget_group_state(group, unit);
        unit.record_changed(group);
    }

    /// A payload came from a branch of the group that loses: who was removed may be there still,
    /// and know nothing of it.
    pub(super) fn tell_former(&mut self, group: &GroupId, unit: &mut Unit) {
        let Some(slot) = self.groups.get(group) else { return };
        for (member, _) in slot.record.removed.clone() {
            if !self.was_told(group, &member, unit.now_ms) {
                let (group, asked, tries) = (group.clone(), None, 0);
                self.after(Duration::ZERO, Input::TellRemoved { group, member, asked, tries });
            }
        }
    }

    fn was_told(&self, group: &GroupId, member: &IdentityKey, now: u64) -> bool {
        let told = self.groups.get(group).and_then(|slot| slot.doubts.told.get(member));
        told.is_some_and(|at| at + TOLD_FOR_MS > now)
    }

    /// Tells somebody that it is no member any more: who says or asks for something (with a
    /// nonce), may be on a branch that loses, or was added on such a one.
    pub(super) async fn tell_removed(
        &mut self,
        group: &GroupId,
        member: IdentityKey,
        asked: Option<[u8; 8]>,
        tries: u32,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let (own, now) = (self.identity.key(), unit.now_ms);
        let Some(slot) = self.groups.get(group) else { return Ok(()) };
        let record = &slot.record;
        let Some((_, since)) = record.removed.iter().find(|(key, _)| *key == member).copied()
        else {
            return Ok(());
        };
        let (is_member, was_the_last) = (record.is_member(), record.was_the_last());
        // Who is somewhere else itself does not know.
        if !(is_member || was_the_last) || record.lost.is_some() || !record.may_remove(&own) {
            return Ok(());
        }
        // Else others may be on a longer branch, with that member.
        let sure = record.members.len() == 1 || slot.doubts.unconfirmed > 0;
        let answers = asked.filter(|_| sure);
        let (epoch, sealed) = (record.epoch, record.suite == Suite::Envelope);
        let told = tries == 0 && self.was_told(group, &member, now);
        // An answer costs who asks as much as us.
        if told && answers.is_none() {
            return Ok(());
        }
        if let Some(slot) = self.groups.get_mut(group) {
            slot.doubts.told.retain(|_, at| *at + TOLD_FOR_MS > now);
            slot.doubts.told.insert(member, now);
        }
        if sealed && !self.knows_key(&member) {
            self.ask_key(member);
            // One that was told is being tried already.
            if tries < TRIES && !told {
                let (group, tries) = (group.clone(), tries + 1);
                self.after(RETRY, Input::TellRemoved { group, member, asked, tries });
            }
            return Ok(());
        }
        let hint = if is_member { self.mls(group).await?.map(|mls| mls.hint()) } else { None };
        let removal = Removal { epoch, hint, since, answers };
        let notice = RemovalNotice::sign(&self.identity, group, member, removal);
        self.put_notice(&notice, (member, SealFor::Nobody), unit);
        Ok(())
    }

    /// Puts a notice on its way.
    pub(super) fn put_notice(
        &mut self,
        notice: &RemovalNotice,
        to: (IdentityKey, SealFor),
        unit: &mut Unit,
    ) {
        let (group, kind) = (&notice.group_id, OutboxKind::Notice);
        if let Err(error) = self.put_outgoing(group, kind, notice.as_bytes(), vec![to], unit) {
            tracing::warn!(%error, "a notice of a removal cannot be sent");
        }
    }

    /// Somebody says that we were removed.
    pub(super) async fn removal_notice(
        &mut self,
        opened: &Opened,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let own = self.identity.key();
        let notice = match guarded("notice", own.as_bytes(), || RemovalNotice::parse(&opened.mls)) {
            Some(Ok(notice)) => notice,
            failed => {
                let reason = if failed.is_some() { "malformed" } else { INTERNAL };
                self.set_aside(opened.hash, &opened.mls, reason, unit);
                return Ok(());
            }
        };
        let group = &notice.group_id;
        let Some(slot) = self.groups.get(group) else { return Ok(()) };
        let record = &slot.record;
        if !record.is_member() {
            return Ok(());
        }
        if record.suite == Suite::Envelope && !opened.sealed {
            self.set_aside(opened.hash, &opened.mls, "downgrade", unit);
            return Ok(());
        }
        if notice.by == notice.member {
            return self.departed(&notice, unit).await;
        }
        if notice.member != own || notice.by == own || !record.may_remove(&notice.by) {
            return Ok(());
        }
        let epoch = record.epoch;
        let heard = slot.doubts.heard_in == Some(epoch);
        let Removal { epoch: there, hint, since, answers } = notice.removal;
        // Whoever is heard here is not alone there.
        let answers = answers.is_some() && answers == slot.doubts.asked && !heard;
        let here = self.mls(group).await?.map(|mls| mls.hint());
        let wins = there > epoch || there == epoch && hint.is_some() && hint < here;
        if !wins && !answers {
            // An old one, or the signer is on a shorter branch: it is asked, if it is sure.
            return self.inquire_about(group, notice.by, unit).await;
        }
        tracing::warn!("a member says that this identity was removed, by a commit that is lost");
        self.tell_added(group, since, unit).await?;
        self.commit_lost(group, unit);
        self.go_out(group, None, unit);
        if let Some(slot) = self.groups.get_mut(group)
            && slot.record.state == GroupState::Removed
        {
            // The first epoch without us, as after a commit: Welcomes to those before it are old.
            slot.record.epoch += 1;
        }
        self.renew(group, unit);
        self.unbuffer(group.as_bytes(), unit);
        Ok(())
    }

    /// Asks somebody where the group is whose notice is not believed, once an hour.
    pub(super) async fn inquire_about(
        &mut self,
        group: &GroupId,
        by: IdentityKey,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let now = unit.now_ms;
        let Some(slot) = self.groups.get_mut(group) else { return Ok(()) };
        slot.doubts.inquired.retain(|_, at| *at + TOLD_FOR_MS > now);
        if slot.doubts.inquired.contains_key(&by) {
            return Ok(());
        }
        slot.doubts.inquired.insert(by, now);
        self.inquire_of(group, &[by], unit).await
    }

    /// We have been out since an epoch: whoever we have added since is on a branch that has lost,
    /// and nobody else knows of it.
    async fn tell_added(
        &mut self,
        group: &GroupId,
        since: u64,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let identity = Arc::clone(&self.identity);
        let Some(slot) = self.groups.get(group) else { return Ok(()) };
        let record = &slot.record;
        let added = record.added.iter().filter(|it| it.by_us && it.epoch >= since);
        let added: Vec<IdentityKey> = added.map(|it| it.member).collect();
        let epoch = record.epoch + 1;
        if added.is_empty() || !record.may_remove(&identity.key()) {
            return Ok(());
        }
        let Some(mls) = self.mls(group).await? else { return Ok(()) };
        let removal = Removal { epoch, hint: None, since, answers: None };
        for to in recipients(mls, |key| added.contains(key)) {
            let notice = RemovalNotice::sign(&identity, group, to.0, removal);
            self.put_notice(&notice, to, unit);
        }
        Ok(())
    }

    /// Rows were lost. A commit by which we were removed may be among them, which nobody would
    /// tell us: once the backlog is processed, some are asked.
    pub(super) fn plan_inquiry(&mut self) {
        if !std::mem::replace(&mut self.inquiring, true) {
            self.after(LATE, Input::Inquire);
        }
    }

    /// Asks admins of each group where it is, by a request for an epoch that is over: a member is
    /// shown, a former one is told.
    pub(super) async fn inquire(&mut self, unit: &mut Unit) -> Result<(), StoreError> {
        self.inquiring = false;
        if !self.uplink.has_read_backlog() {
            self.plan_inquiry();
            return Ok(());
        }
        let own = self.identity.key();
        let groups: Vec<GroupId> = self.groups.keys().cloned().collect();
        for group in groups {
            let Some(slot) = self.groups.get(&group) else { continue };
            let record = &slot.record;
            // Of an invitation that is not answered nobody need know.
            let hidden = record.state == GroupState::Invited;
            if !record.is_member() || hidden || record.lost.is_some() {
                continue;
            }
            let asked = record.some_admins(&own, unit.now_ms);
            self.inquire_of(&group, &asked, unit).await?;
        }
        Ok(())
    }

    /// Asks some members where a group is.
    async fn inquire_of(
        &mut self,
        group: &GroupId,
        asked: &[IdentityKey],
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let identity = Arc::clone(&self.identity);
        let Some(mls) = self.mls(group).await?.filter(|_| !asked.is_empty()) else { return Ok(()) };
        let to = recipients(mls, |key| asked.contains(key));
        let request = RepairRequest::sign(&identity, group, 0, None);
        self.asked(group, &request);
        let kind = OutboxKind::Repair;
        if let Err(error) = self.put_outgoing(group, kind, request.as_bytes(), to, unit) {
            tracing::warn!(%error, "where a group is cannot be asked");
        }
        Ok(())
    }

    /// Remembers which request an answer must name.
    pub(super) fn asked(&mut self, group: &GroupId, request: &RepairRequest) {
        if let Some(slot) = self.groups.get_mut(group) {
            slot.doubts.asked = Some(request.nonce);
        }
    }
}

#[cfg(test)]
mod tests {
    use quicproquo_core::identity::Identity;

    use super::*;

    /// A notice that somebody signed before it was added again must not put it out.
    #[test]
    fn it_is_known_who_was_added_since_an_epoch() {
        let [bob, carol] = [(); 2].map(|()| Identity::generate().key());
        let mut record = GroupRecord::fresh(Suite::Native, Profile::Standard);
        assert!(!record.is_in_since(0, &bob), "nothing is known yet");
        for (epoch, added) in [(1, vec![bob]), (5, vec![carol]), (6, vec![])] {
            record.epoch = epoch;
            record.remember_added(epoch, &added, false);
        }
        assert!(!record.is_in_since(0, &bob), "before the group was watched");
        assert!(record.is_in_since(1, &bob) && record.is_in_since(6, &bob));
        assert!(!record.is_in_since(4, &carol), "added since");
        assert!(record.is_in_since(5, &carol));
        assert!(!record.is_in_since(7, &bob), "an epoch that is not yet");

        record.epoch = 4 + ADDED_FOR;
        assert!(record.is_in_since(5, &bob) && !record.is_in_since(4, &bob), "too long ago");

        // Of many that were added together some are not remembered.
        let many: Vec<_> = (0..=REMEMBERED).map(|_| Identity::generate().key()).collect();
        let now = record.epoch + 1;
        record.epoch = now;
        record.remember_added(now, &many, true);
        assert_eq!(record.added.len(), REMEMBERED);
        assert!(!record.is_in_since(now - 1, &many[0]) && record.is_in_since(now, &many[0]));
    }
}
