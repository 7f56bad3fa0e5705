//! What must be true at the end of a run, judged by what sessions tell and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use quicproquo_client::{
    ChangeState, EventData, GroupId, GroupInfo, GroupState, Idempotency, IdentityKey, LinkState,
    Options, Role, SessionError,
};

use super::operation::Kind;
use super::story::said;
use super::world::{World, is_refused};

/// A change of the members of a group, as everybody must have seen it.
pub(super) type Changes =
    BTreeMap<u64, (IdentityKey, BTreeSet<IdentityKey>, BTreeSet<IdentityKey>)>;

impl World {
    /// Judges the run.
    pub async fn judge(&mut self) {
        for group in self.groups.clone() {
            self.judge_group(&group).await;
        }
        self.judge_sessions();
        self.judge_outcomes().await;
        self.judge_events();
        let changes = self.judge_changes();
        let sent = self.judge_senders().await;
        self.judge_receivers(&sent, &changes);
        self.judge_disturbed(&sent).await;
    }

    /// Nobody is mute or alone.
    fn judge_sessions(&mut self) {
        for index in 0..self.members.len() {
            let member = &self.members[index];
            let Some((_, session)) = &member.running else {
                let fault = format!("{} does not live", member.name);
                self.fault(fault);
                continue;
            };
            let (name, health) = (member.name, session.health());
            let lost = self.beyond_help.iter().any(|(it, _)| *it == index);
            if health.link != LinkState::Up || (health.outbox > 0 && !lost) {
                self.fault(format!(
                    "{name} ends with link {:?} and {} payloads to send",
                    health.link, health.outbox
                ));
            }
        }
    }

    /// What was accepted must be done, or have failed for a reason, by now.
    async fn judge_outcomes(&mut self) {
        for number in 0..self.operations.len() {
            let operation = &self.operations[number];
            if operation.answer != Some(Ok(()))
                || operation.forgotten
                || !matches!(operation.kind, Kind::Update)
            {
                continue;
            }
            let (member, group) = (operation.member, operation.group.clone());
            let Some((_, session)) = &self.members[member].running else { continue };
            let key = format!("operation {number}");
            let idempotency = Some(Idempotency { key, fingerprint: [0; 32] });
            let options = Options { idempotency, ..Options::default() };
            let Some(group) = group else { continue };
            if self.beyond_help.contains(&(member, group.clone())) {
                continue;
            }
            let answer = session.update_keys(group, options).await;
            if answer.is_ok_and(|outcome| outcome.value.state == ChangeState::Pending) {
                let name = self.members[member].name;
                self.fault(format!("operation {number} of {name} never comes to an end"));
            }
        }
    }

    /// Nobody was told of what must not happen.
    fn judge_events(&mut self) {
        let mut faults = Vec::new();
        for member in &self.members {
            for event in &member.log {
                let bad = match &event.data {
                    EventData::MessageReceived(_)
                    | EventData::MessageSent(_)
                    | EventData::MessageFailed(_)
                    | EventData::GroupJoined { .. }
                    | EventData::GroupMembersChanged { .. }
                    | EventData::GroupRenamed { .. }
                    | EventData::GroupLeft { .. }
                    | EventData::InvitationEnded { .. }
                    | EventData::InvitationReceived(_) => false,
                    EventData::GroupChangeFailed { reason } => !is_a_race(reason),
                    // Judged with the message that is missing.
                    EventData::MessageUndecryptable { reason, .. } => {
                        reason != "mls" && !self.losses && !(self.foul && is_refused(event))
                    }
                    EventData::GapDetected { .. }
                    | EventData::GroupForked { .. }
                    | EventData::GroupNeedsReadd { .. }
                    | EventData::GroupRepaired { .. } => !self.losses,
                    _ => true,
                };
                if bad {
                    faults.push(format!("{} is told: {}", member.name, said(self, event)));
                }
            }
        }
        for fault in faults {
            self.fault(fault);
        }
    }

    /// All have seen the same changes at the same epochs, each once.
    fn judge_changes(&mut self) -> HashMap<GroupId, Changes> {
        let mut faults = Vec::new();
        let mut all: HashMap<GroupId, Changes> = HashMap::new();
        for member in &self.members {
            let mut seen = BTreeSet::new();
            for event in &member.log {
                let Some(group) = &event.group else { continue };
                if self.is_disturbed(group) {
                    continue;
                }
                let EventData::GroupMembersChanged { epoch, by, added, removed, .. } = &event.data
                else {
                    continue;
                };
                if !seen.insert((group.as_bytes().to_vec(), *epoch)) {
                    faults.push(format!("{} is told twice: {}", member.name, said(self, event)));
                }
                let set = |keys: &[IdentityKey]| keys.iter().copied().collect::<BTreeSet<_>>();
                let change = (*by, set(added), set(removed));
                let known = all.entry(group.clone()).or_default().entry(*epoch);
                if *known.or_insert_with(|| change.clone()) != change {
                    faults.push(format!("{} sees a fork: {}", member.name, said(self, event)));
                }
            }
        }
        for fault in faults {
            self.fault(fault);
        }
        all
    }

    /// All members of a group have the same group, and are all there.
    async fn judge_group(&mut self, group: &GroupId) {
        let room = self.room(group);
        let mut active: Vec<(&'static str, IdentityKey, GroupInfo)> = Vec::new();
        let mut faults = Vec::new();
        let mut lost = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            let Some((_, session)) = &member.running else { continue };
            let Ok(info) = session.group(group).await else { continue };
            match info.state {
                GroupState::Active => active.push((member.name, member.key, info)),
                GroupState::Left | GroupState::Removed => {}
                GroupState::NeedsReadd | GroupState::Leaving if self.losses => lost.push(index),
                other => faults.push(format!("{} ends {other:?} in {room}", member.name)),
            }
        }
        // Who has lost the commit by which it was removed knows of the loss, and of no more.
        let rosters: Vec<_> = active.iter().map(|(_, key, info)| (*key, info.clone())).collect();
        let newest = rosters.iter().map(|(_, info)| info).max_by_key(|info| info.epoch);
        let has =
            |info: &GroupInfo, key: &IdentityKey| info.members.iter().any(|it| it.identity == *key);
        let is_out = |key: &IdentityKey| newest.is_some_and(|info| !has(info, key));
        let is_unknown =
            |key: &IdentityKey| rosters.iter().all(|(it, info)| it == key || !has(info, key));
        active.retain(|(_, key, info)| {
            let index = self.members.iter().position(|it| it.key == *key).unwrap_or_default();
            // An old copy that knows of nobody else cannot ask anybody.
            let alone = info.members.len() == 1 && self.members[index].restored;
            let out = (is_out(key) || alone) && self.is_disturbed_for(index)
                || is_unknown(key) && self.was_added_by_an_old_copy(key, group);
            if out {
                lost.push(index);
            }
            !out
        });
        for index in lost {
            // Whoever was removed, or has nobody left who knows the group, asks in vain.
            let key = self.members[index].key;
            let in_it = |info: &GroupInfo| info.members.iter().any(|it| it.identity == key);
            let own = self.group_of(index, group).await;
            let knows = |it: &IdentityKey| own.iter().any(|own| has(own, it));
            // Nor can it be added where it has been before.
            let restored = self.members[index].restored;
            let behind =
                |info: &GroupInfo| restored && own.iter().any(|own| info.epoch < own.epoch);
            let serves = |(_, it, info): &(_, IdentityKey, GroupInfo)| {
                in_it(info) && knows(it) && !behind(info)
            };
            if active.iter().any(serves) {
                faults.push(format!("{} is never added to {room} again", self.members[index].name));
            }
            self.beyond_help.push((index, group.clone()));
        }
        if let Some((first, _, model)) = active.first() {
            let roster: BTreeSet<_> =
                model.members.iter().map(|member| (member.identity, member.role as u8)).collect();
            for (name, key, info) in &active {
                let own: BTreeSet<_> = info
                    .members
                    .iter()
                    .map(|member| (member.identity, member.role as u8))
                    .collect();
                if (info.epoch, &info.name, &own) != (model.epoch, &model.name, &roster) {
                    faults.push(format!(
                        "{name} and {first} do not agree on {room}: epochs {} and {}",
                        info.epoch, model.epoch
                    ));
                }
                if roster.iter().all(|(member, _)| member != key) {
                    faults.push(format!("{name} thinks it is in {room}, the others do not"));
                }
            }
            for (key, _) in &roster {
                // An old copy cannot know of a group that it was added to since.
                let unknown = self.losses && !self.knows(key, group);
                let lost = self
                    .beyond_help
                    .iter()
                    .any(|(it, lost)| lost == group && self.members[*it].key == *key);
                let stays = self.is_admin_against_its_will(key, group, model);
                if !unknown && !lost && !stays && active.iter().all(|(_, member, _)| member != key)
                {
                    faults.push(format!("{} is in {room} and not there", self.name(key)));
                }
            }
        }
        for fault in faults {
            self.fault(fault);
        }
    }

    /// A group as one of the members sees it.
    async fn group_of(&self, index: usize, group: &GroupId) -> Option<GroupInfo> {
        let (_, session) = self.members[index].running.as_ref()?;
        session.group(group).await.ok()
    }

    /// Whether somebody has added a member who does not know any more that it has: the old copy
    /// cannot tell it that it is alone.
    fn was_added_by_an_old_copy(&self, member: &IdentityKey, group: &GroupId) -> bool {
        self.operations.iter().any(|it| {
            let adds = match &it.kind {
                Kind::Create(keys, _) | Kind::Invite(keys) => keys.contains(member),
                _ => false,
            };
            adds && it.forgotten && it.group.as_ref() == Some(group)
        })
    }

    /// Whether a member has declined and cannot go, because it was made the only admin meanwhile.
    fn is_admin_against_its_will(
        &self,
        member: &IdentityKey,
        group: &GroupId,
        info: &GroupInfo,
    ) -> bool {
        let mut admins = info.members.iter().filter(|it| it.role == Role::Admin);
        let alone =
            admins.next().is_some_and(|it| it.identity == *member) && admins.next().is_none();
        let index = self.members.iter().position(|it| it.key == *member);
        alone && index.is_some_and(|index| self.declined(index, group))
    }

    fn knows(&self, member: &IdentityKey, group: &GroupId) -> bool {
        let member = self.members.iter().find(|it| it.key == *member);
        member.is_some_and(|it| it.log.iter().any(|event| event.group.as_ref() == Some(group)))
    }
}

/// Whether a change may fail for this reason because another one came first.
fn is_a_race(reason: &str) -> bool {
    let races = [
        SessionError::GroupInactive.to_string(),
        SessionError::NotAdmin.to_string(),
        SessionError::LastAdmin.to_string(),
        "is not a member of the group".to_owned(),
        "is a member of the group already".to_owned(),
        "there is no key package to be had for".to_owned(),
    ];
    races.iter().any(|race| reason.contains(race))
}
