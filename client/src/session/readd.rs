//! Adding a member again that asks for it, and being led back ourselves.

use std::sync::Arc;

use quicproquo_core::content::{Content, Version};
use quicproquo_core::group::{Group, Joined, RepairRequest, WelcomeInfo};
use quicproquo_core::id::GroupId;
use quicproquo_core::id::MessageId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::{Profile, Suite};

use super::actor::Actor;
use super::input::Input;
use super::receive::INTERNAL;
use super::recipients::recipients;
use super::unit::{Opened, Unit};
use crate::event::EventData;
use crate::guard::guarded;
use crate::store::{GroupRecord, IntentSpec, Lost, OutboxKind, StoreError};

impl Actor {
    /// A member asks to be added again.
    pub(super) async fn repair_request(
        &mut self,
        opened: &Opened,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let own = self.identity.key();
        let request = match guarded("request", own.as_bytes(), || RepairRequest::parse(&opened.mls))
        {
            Some(Ok(request)) => request,
            failed => {
                let reason = if failed.is_some() { "malformed" } else { INTERNAL };
                self.set_aside(opened.hash, &opened.mls, reason, unit);
                return Ok(());
            }
        };
        let group = request.group_id.clone();
        let Some(slot) = self.groups.get(&group) else { return Ok(()) };
        let record = &slot.record;
        let stale = record.lost.as_ref().is_some_and(|lost| lost.stale);
        if record.suite == Suite::Envelope && !opened.sealed {
            self.set_aside(opened.hash, &opened.mls, "downgrade", unit);
            return Ok(());
        }
        let declined = record.inviter.is_some_and(|(inviter, _)| inviter == request.member);
        if record.is_over() && (record.role(&request.member).is_some() || declined) {
            self.answer_out(&request, unit);
            return Ok(());
        }
        if record.role(&request.member).is_none() {
            let (member, nonce) = (request.member, request.nonce);
            return self.tell_removed(&group, member, Some(nonce), 0, unit).await;
        }
        // Who is leaving serves too, after the others: it may need the one that is lost to go.
        if !record.is_member() || stale || request.member == own {
            return Ok(());
        }
        let (lost, heard) = (record.lost.is_some(), slot.heard);
        let Some(mls) = self.mls(&group).await? else { return Ok(()) };
        let (epoch, hint) = (mls.epoch(), mls.hint());
        // Without a hint any branch would do; a suspected one is not offered.
        let here = request.hint.map_or(!lost, |asked| asked == hint);
        let Some(turn) = self.turn(&group, &request.member) else { return Ok(()) };
        let member = request.member;
        if request.epoch == epoch && here {
            self.after(turn, Input::Readd { request: Box::new(request) });
        } else if request.epoch <= epoch && !lost {
            self.after(turn, Input::ShowEpoch { group, member, heard });
        }
        Ok(())
    }

    /// Nobody was faster: add who asked again.
    pub(super) fn readd(&mut self, request: &RepairRequest, unit: &mut Unit) {
        let group = &request.group_id;
        let Some(slot) = self.groups.get(group) else { return };
        let again = |spec: &IntentSpec| {
            let IntentSpec::Readd(bytes) = spec else { return false };
            RepairRequest::parse(bytes).is_ok_and(|known| known.member == request.member)
        };
        let planned =
            self.intents.values().any(|intent| intent.group == *group && again(&intent.spec));
        if slot.record.epoch == request.epoch && slot.record.is_member() && !planned {
            let bytes = serde_bytes::ByteBuf::from(request.as_bytes().to_vec());
            self.intend(group.clone(), IntentSpec::Readd(bytes), None, unit);
        }
    }

    /// Whoever asked is somewhere else and has heard of nothing since: a message without content
    /// shows where we are.
    pub(super) async fn show_epoch(
        &mut self,
        group: &GroupId,
        member: IdentityKey,
        heard: u64,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let silent = self.groups.get(group).is_some_and(|slot| slot.heard == heard);
        if !silent || !self.can_encrypt(group).await? {
            return Ok(());
        }
        let identity = Arc::clone(&self.identity);
        let now = unit.now_ms;
        let Some(mls) = self.mls(group).await? else { return Ok(()) };
        let dummy = Content {
            id: MessageId::at(now),
            kind: "dummy".to_owned(),
            body: serde_json::Value::Object(serde_json::Map::new()),
            relates_to: None,
            sent_at_ms: Some(now),
        };
        let version = match mls.profile() {
            Profile::Standard => Version::V2,
            Profile::Plain => Version::V1,
        };
        let dummy = dummy.encode(version).ok();
        let bytes = dummy.and_then(|dummy| mls.encrypt(&identity, &dummy).ok());
        // The bytes may be kept only when the ratchet that made them will be.
        let Some(bytes) = bytes.filter(|_| mls.flush().is_ok()) else { return Ok(()) };
        let suite = mls.suite();
        let to = recipients(mls, |key| *key == member);
        let to = if suite == Suite::Envelope { self.leaf_or_published(to) } else { to };
        if let Err(error) = self.put_outgoing(group, OutboxKind::Repair, &bytes, to, unit) {
            tracing::warn!(%error, "where the group is cannot be shown");
        }
        Ok(())
    }

    /// Whether a Welcome is the answer to our request. Whoever has one of our key packages can
    /// make a group with this id: only a member that we know may lead us back.
    pub(super) fn is_answer(record: &GroupRecord, info: &WelcomeInfo) -> bool {
        // An old Welcome leads to an epoch that we have left behind.
        let asked = |lost: &Lost| lost.asked > 0 && info.epoch > lost.epoch;
        record.lost.as_ref().is_some_and(asked)
            && record.role(&info.inviter).is_some()
            && record.suite == info.suite
            && record.profile == info.profile
    }

    /// We are in the group again, with what was missed told as far as it shows.
    pub(super) async fn rejoined(
        &mut self,
        joined: Joined,
        info: WelcomeInfo,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let group = info.group_id.clone();
        self.replace_rows(&group, joined.writes, unit);
        self.orphan(&group, unit);
        let Some(slot) = self.groups.get_mut(&group) else { return Ok(()) };
        slot.restart(joined.group);
        let members: Vec<_> =
            info.members.iter().map(|member| (member.identity, member.role)).collect();
        let record = &mut slot.record;
        let before = std::mem::replace(&mut record.members, members);
        let pending = record.pending.take();
        record.epoch = info.epoch;
        let renamed = record.name != info.name;
        record.name.clone_from(&info.name);
        record.topic = slot.mls.as_deref().map(Group::topic).unwrap_or_default();
        let topic = record.topic.clone();
        record.leave_proposed = None;
        record.proposed = None;
        record.ended.clear();
        record.commits.clear();
        record.joined_in = info.epoch;
        record.recover();
        if let Some(pending) = pending {
            self.drop_outgoing(pending.counter, unit);
        }
        self.used_packages(&group, info.suite, joined.used_refs, joined.last_resort, unit);
        self.emit(unit, Some(&group), EventData::GroupRepaired { reason: "rejoined".into() });
        let (epoch, by) = (info.epoch, info.inviter);
        let now: Vec<_> = info.members.iter().map(|member| member.identity).collect();
        let before: Vec<_> = before.into_iter().map(|(key, _)| key).collect();
        let added: Vec<_> = now.iter().filter(|key| !before.contains(key)).copied().collect();
        let removed: Vec<_> = before.iter().filter(|key| !now.contains(key)).copied().collect();
        if let Some(slot) = self.groups.get_mut(&group) {
            slot.record.remember_removed(epoch, &removed, &now);
            slot.record.added.clear();
            slot.record.watched_since = Some(epoch);
        }
        // Whoever was added on the branch that we have left gets nothing of this one, and nobody here
        // can read what it says.
        for former in &removed {
            self.tell_removed(&group, *former, None, 0, unit).await?;
        }
        if !added.is_empty() || !removed.is_empty() {
            let left = Vec::new();
            let data = EventData::GroupMembersChanged { epoch, by, added, removed, left };
            self.emit(unit, Some(&group), data);
        }
        if renamed {
            let data = EventData::GroupRenamed { epoch, by, name: info.name, topic };
            self.emit(unit, Some(&group), data);
        }
        unit.record_changed(&group);
        self.renew(&group, unit);
        self.unbuffer(group.as_bytes(), unit);
        self.ask_names();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quicproquo_core::group::{Member, Role};
    use quicproquo_core::identity::Identity;

    use super::*;
    use crate::model::NewGroup;

    /// Whoever has one of our key packages can make a group with this id.
    #[test]
    fn only_a_member_that_we_know_leads_us_back_and_only_forward() {
        let keys = [(); 3].map(|()| Identity::generate().key());
        let [own, member, stranger] = keys;
        let new = NewGroup {
            name: String::new(),
            topic: String::new(),
            members: Vec::new(),
            suite: Suite::Native,
            profile: Profile::Standard,
        };
        let mut record = GroupRecord::new(&new, own);
        record.members.push((member, Role::Member));
        record.epoch = 7;
        let info = |inviter, epoch| WelcomeInfo {
            group_id: GroupId::random(),
            epoch,
            suite: Suite::Native,
            profile: Profile::Standard,
            name: String::new(),
            inviter,
            members: vec![Member { identity: own, role: Role::Admin, hybrid: None, leaf: 0 }],
        };
        assert!(!Actor::is_answer(&record, &info(member, 9)), "nobody was asked");
        let lost =
            Lost { stale: false, epoch: 7, last_ms: 0, seen: (8, None), asked: 0, asked_at_ms: 0 };
        record.lost = Some(lost.clone());
        assert!(!Actor::is_answer(&record, &info(member, 9)), "nobody was asked yet");
        record.lost = Some(Lost { asked: 1, ..lost });
        assert!(Actor::is_answer(&record, &info(member, 9)));
        assert!(!Actor::is_answer(&record, &info(stranger, 9)), "a hijack");
        assert!(!Actor::is_answer(&record, &info(member, 7)), "a replay");
        let weaker = WelcomeInfo { suite: Suite::Envelope, ..info(member, 9) };
        assert!(!Actor::is_answer(&record, &weaker), "a downgrade");
    }
}
