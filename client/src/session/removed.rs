//! No longer a member: what ends with it, and how a former member learns it that has lost the
//! commit.
//!
//! Nobody can read what the group says after it was removed, and nobody sends it anything. Whoever
//! may remove members therefore answers what a former member still says, or asks for, with a notice
//! that it signs. The former member takes it from somebody who could have removed it in the group
//! as it knows it, and for a later epoch than its own: such a one could not be kept from removing
//! it anyway.

use std::collections::BTreeMap;
use std::sync::Arc;

use quicproquo_core::group::{RemovalNotice, RepairRequest, Role};
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
use crate::store::{GroupRecord, OutboxKind, StoreError};

/// Former members of a group that are told, the newest ones.
const REMEMBERED: usize = 32;
/// A former member is told again after this, in milliseconds.
const TOLD_FOR_MS: u64 = 3600 * 1000;
/// Admins of a group that are asked after a gap.
const ASKED: usize = 3;
/// How often a key is asked for that a notice needs.
const TRIES: u32 = 5;

/// When former members were told, unix milliseconds; not kept over a restart.
pub(super) type Told = BTreeMap<IdentityKey, u64>;

impl GroupRecord {
    /// Whether this member may remove others.
    fn may_remove(&self, member: &IdentityKey) -> bool {
        match self.profile {
            Profile::Plain => self.role(member).is_some(),
            Profile::Standard => self.role(member) == Some(Role::Admin),
        }
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
}

impl Actor {
    /// We are no longer a member, by the doing of somebody: everything of the group ends.
    pub(super) fn go_out(&mut self, group: &GroupId, by: Option<IdentityKey>, unit: &mut Unit) {
        let own = self.identity.key();
        let Some(slot) = self.groups.get_mut(group) else { return };
        let record = &mut slot.record;
        record.lost = None;
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

    /// Tells a former member that it is none: one who says or asks for something, or was added on a
    /// branch that has lost.
    pub(super) fn tell_removed(
        &mut self,
        group: &GroupId,
        member: IdentityKey,
        tries: u32,
        unit: &mut Unit,
    ) {
        let (own, now) = (self.identity.key(), unit.now_ms);
        let Some(slot) = self.groups.get_mut(group) else { return };
        let record = &slot.record;
        let Some((_, epoch)) = record.removed.iter().find(|(key, _)| *key == member).copied()
        else {
            return;
        };
        let told = slot.doubts.told.get(&member).is_some_and(|at| at + TOLD_FOR_MS > now);
        // Who is somewhere else itself does not know.
        if told || !record.is_member() || record.lost.is_some() || !record.may_remove(&own) {
            return;
        }
        let known = matches!(self.published.get(&member), Some(Some(_)));
        if record.suite == Suite::Envelope && !known {
            self.ask_key(member);
            if tries < TRIES {
                let again = Input::TellRemoved { group: group.clone(), member, tries: tries + 1 };
                self.after(RETRY, again);
            }
            return;
        }
        slot.doubts.told.retain(|_, at| *at + TOLD_FOR_MS > now);
        slot.doubts.told.insert(member, now);
        let notice = RemovalNotice::sign(&self.identity, group, epoch, member);
        let (kind, to) = (OutboxKind::Repair, vec![(member, SealFor::Nobody)]);
        if let Err(error) = self.put_outgoing(group, kind, notice.as_bytes(), to, unit) {
            tracing::warn!(%error, "a former member cannot be told");
        }
    }

    /// Somebody says that we were removed.
    pub(super) fn removal_notice(&mut self, opened: &Opened, unit: &mut Unit) {
        let own = self.identity.key();
        let notice = match guarded("notice", own.as_bytes(), || RemovalNotice::parse(&opened.mls)) {
            Some(Ok(notice)) => notice,
            failed => {
                let reason = if failed.is_some() { "malformed" } else { INTERNAL };
                return self.set_aside(opened.hash, &opened.mls, reason, unit);
            }
        };
        let group = &notice.group_id;
        let Some(slot) = self.groups.get_mut(group) else { return };
        let record = &mut slot.record;
        let by_right = notice.by != own && record.may_remove(&notice.by);
        if notice.member != own || !by_right || !record.is_member() || notice.epoch <= record.epoch
        {
            return;
        }
        if record.suite == Suite::Envelope && !opened.sealed {
            return self.set_aside(opened.hash, &opened.mls, "downgrade", unit);
        }
        tracing::warn!("a member says that this identity was removed, by a commit that is lost");
        record.epoch = notice.epoch;
        self.commit_lost(group, unit);
        self.go_out(group, None, unit);
        self.renew(group, unit);
        self.unbuffer(group.as_bytes(), unit);
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
        if self.uplink.draining || !self.uplink.up {
            self.plan_inquiry();
            return Ok(());
        }
        let identity = Arc::clone(&self.identity);
        let own = identity.key();
        let groups: Vec<GroupId> = self.groups.keys().cloned().collect();
        for group in groups {
            let Some(slot) = self.groups.get(&group) else { continue };
            let record = &slot.record;
            if record.state != GroupState::Active || record.lost.is_some() {
                continue;
            }
            let others = record.members.iter().map(|(key, _)| *key).filter(|key| *key != own);
            let asked = others.filter(|key| record.may_remove(key)).take(ASKED);
            let asked: Vec<IdentityKey> = asked.collect();
            let Some(mls) = self.mls(&group).await?.filter(|_| !asked.is_empty()) else { continue };
            let to = recipients(mls, |key| asked.contains(key));
            let request = RepairRequest::sign(&identity, &group, 0, None);
            let kind = OutboxKind::Repair;
            if let Err(error) = self.put_outgoing(&group, kind, request.as_bytes(), to, unit) {
                tracing::warn!(%error, "where a group is cannot be asked");
            }
        }
        Ok(())
    }
}
