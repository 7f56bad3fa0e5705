//! Membership: intents are rows, and live until their commit has won or they are moot.

use std::collections::BTreeSet;

use quicproquo_core::group::{RepairRequest, Role};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::Profile;

use super::Reply;
use super::actor::Actor;
use super::input::Input;
use super::unit::Unit;
use crate::error::SessionError;
use crate::model::{Change, ChangeState, ContextChange, Idempotency, NewGroup, Options, Outcome};
use crate::store::{GroupRecord, IdempotencyTarget, IntentRecord, IntentSpec};

/// Longest name and topic of a group, in bytes.
const MAX_NAME: usize = 256;
const MAX_TOPIC: usize = 1024;
/// Most members one call names; the node takes as many recipients.
const MAX_MEMBERS: usize = 2_000;

impl Actor {
    /// Takes a membership change as an intent.
    pub(super) async fn mutate(
        &mut self,
        group: GroupId,
        spec: IntentSpec,
        options: Options,
        reply: Reply<Outcome<Change>>,
        unit: &mut Unit,
    ) {
        let n = match self.replayed(options.idempotency.as_ref(), unit) {
            Err(error) => return unit.reply(reply, Err(error)),
            Ok(Some(IdempotencyTarget::Message(_) | IdempotencyTarget::Attachment(_))) => {
                return unit.reply(reply, Err(SessionError::IdempotencyMismatch));
            }
            Ok(Some(IdempotencyTarget::Intent(n))) => {
                return self.wait_for(n, reply, true, options.wait, unit).await;
            }
            Ok(None) => {
                let checked = match self.refusal() {
                    Some(error) => Err(error),
                    None => self.check(&group, &spec, options.if_epoch),
                };
                if let Err(error) = checked {
                    return unit.reply(reply, Err(error));
                }
                self.intend(group, spec, options.idempotency, unit)
            }
        };
        self.wait_for(n, reply, false, options.wait, unit).await;
    }

    /// Writes an intent; it goes on at the end of this unit.
    pub(super) fn intend(
        &mut self,
        group: GroupId,
        spec: IntentSpec,
        idempotency: Option<Idempotency>,
        unit: &mut Unit,
    ) -> u64 {
        self.last_intent += 1;
        let n = self.last_intent;
        let created_at_ms = unit.now_ms;
        let packages = Vec::new();
        unit.touched.insert(group.clone());
        let intent = IntentRecord { n, group, spec, packages, outcome: None, created_at_ms };
        unit.batch.intent(self.owner, &intent);
        unit.remember(self.owner, idempotency, IdempotencyTarget::Intent(n));
        self.intents.insert(n, intent);
        n
    }

    async fn wait_for(
        &mut self,
        n: u64,
        reply: Reply<Outcome<Change>>,
        replayed: bool,
        wait: std::time::Duration,
        unit: &mut Unit,
    ) {
        if self.intents.contains_key(&n) {
            self.waits.intents.entry(n).or_default().push((reply, replayed));
            self.after(wait, Input::IntentWaited(n));
            return;
        }
        let result = self.outcome_of(n, unit).await;
        unit.reply(reply, result.map(|value| Outcome { value, replayed }));
    }

    /// The outcome of an intent that is over.
    async fn outcome_of(&mut self, n: u64, unit: &Unit) -> Result<Change, SessionError> {
        if let Some((group, outcome)) = unit.settled.get(&n) {
            return outcome.clone().and_then(|()| self.change(group, ChangeState::Done));
        }
        let intent = self.store.intent(self.owner, n).await?;
        let intent = intent.ok_or_else(|| SessionError::Internal("lost intent".into()))?;
        intent.outcome.unwrap_or(Ok(()))?;
        self.change(&intent.group, ChangeState::Done)
    }

    pub(super) fn intent_waited(&mut self, n: u64, unit: &mut Unit) {
        let Some(intent) = self.intents.get(&n) else {
            return;
        };
        let group = intent.group.clone();
        let creating = match &intent.spec {
            IntentSpec::Create(new) => Some(new.clone()),
            _ => None,
        };
        for (reply, replayed) in self.waits.intents.remove(&n).unwrap_or_default() {
            let change = match (&creating, self.groups.contains_key(&group)) {
                (Some(new), false) => Ok(self.coming(&group, new)),
                _ => self.change(&group, ChangeState::Pending),
            };
            unit.reply(reply, change.map(|value| Outcome { value, replayed }));
        }
    }

    /// A group that is not there yet, as it will be.
    fn coming(&self, group: &GroupId, new: &NewGroup) -> Change {
        let record = GroupRecord::new(new, self.identity.key());
        let group = record.info(group, &self.identity.key(), &self.names);
        Change { group, state: ChangeState::Pending }
    }

    pub(super) fn change(
        &self,
        group: &GroupId,
        state: ChangeState,
    ) -> Result<Change, SessionError> {
        let slot = self.groups.get(group).ok_or(SessionError::GroupNotFound)?;
        let group = slot.record.info(group, &self.identity.key(), &self.names);
        Ok(Change { group, state })
    }

    /// Ends an intent and answers who waits for it.
    pub(super) fn settle(&mut self, n: u64, outcome: &Result<(), SessionError>, unit: &mut Unit) {
        let Some(mut intent) = self.intents.remove(&n) else {
            return;
        };
        if intent.spec == IntentSpec::Leave && outcome.is_err() {
            self.stay(&intent.group, unit);
        }
        intent.packages.clear();
        intent.outcome = Some(outcome.clone());
        unit.batch.intent(self.owner, &intent);
        unit.settled.insert(n, (intent.group.clone(), outcome.clone()));
        let waiting = self.waits.intents.remove(&n).unwrap_or_default();
        if waiting.is_empty()
            && let Err(error) = outcome
        {
            let reason = match &intent.spec {
                IntentSpec::Readd(request) => failed_readd(request, error),
                _ => error.to_string(),
            };
            let group = Some(&intent.group).filter(|group| self.groups.contains_key(*group));
            let data = crate::event::EventData::GroupChangeFailed { reason };
            self.emit(unit, group.cloned().as_ref(), data);
        }
        for (reply, replayed) in waiting {
            let change =
                outcome.clone().and_then(|()| self.change(&intent.group, ChangeState::Done));
            unit.reply(reply, change.map(|value| Outcome { value, replayed }));
        }
        unit.touched.insert(intent.group);
    }

    /// What can be refused before anything is written.
    fn check(
        &self,
        group: &GroupId,
        spec: &IntentSpec,
        if_epoch: Option<u64>,
    ) -> Result<(), SessionError> {
        if let IntentSpec::Create(new) = spec {
            return check_new(new, &self.identity.key());
        }
        let record = &self.usable(group)?.record;
        if if_epoch.is_some_and(|epoch| epoch != record.epoch) {
            return Err(SessionError::EpochMismatch { current: record.epoch });
        }
        let own = self.identity.key();
        let is_member = |key: &IdentityKey| record.role(key).is_some();
        let admin = record.role(&own) == Some(Role::Admin);
        match spec {
            IntentSpec::Create(_)
            | IntentSpec::Update
            | IntentSpec::CommitProposals
            | IntentSpec::Readd(_) => Ok(()),
            IntentSpec::Leave => {
                if record.members.len() > 1 && !record.admin_besides(&own) {
                    return Err(SessionError::LastAdmin);
                }
                Ok(())
            }
            _ if !admin => Err(SessionError::NotAdmin),
            IntentSpec::Add(members) => {
                count(members)?;
                match members.iter().find(|member| is_member(member)) {
                    Some(member) if members.iter().all(is_member) => {
                        Err(SessionError::AlreadyMember(*member))
                    }
                    _ => Ok(()),
                }
            }
            IntentSpec::Remove(members) => {
                count(members)?;
                if members.contains(&own) {
                    return Err(SessionError::Invalid("to go yourself, leave the group".into()));
                }
                match members.iter().find(|member| !is_member(member)) {
                    Some(stranger) => Err(SessionError::NotAMember(*stranger)),
                    None => Ok(()),
                }
            }
            IntentSpec::Context(change) => check_context(record, change),
        }
    }

    /// Why a change cannot be made any more that could be when it was asked for.
    pub(super) fn overtaken(
        &self,
        spec: &IntentSpec,
        record: &GroupRecord,
    ) -> Option<SessionError> {
        let governs =
            matches!(spec, IntentSpec::Add(_) | IntentSpec::Remove(_) | IntentSpec::Context(_));
        if governs && record.role(&self.identity.key()) != Some(Role::Admin) {
            return Some(SessionError::NotAdmin);
        }
        match spec {
            IntentSpec::Context(change) => check_context(record, change).err(),
            _ => None,
        }
    }

    /// What an idempotency key stands for, if it was used before.
    pub(super) fn replayed(
        &mut self,
        idempotency: Option<&Idempotency>,
        unit: &Unit,
    ) -> Result<Option<IdempotencyTarget>, SessionError> {
        let Some(Idempotency { key, fingerprint }) = idempotency else {
            return Ok(None);
        };
        if key.is_empty() || key.len() > 255 {
            return Err(SessionError::Invalid("an idempotency key has 1 to 255 bytes".into()));
        }
        let mut known = unit.key(key);
        if known.is_none() {
            let record = self.store.idempotency(self.owner, key)?;
            known = record.map(|record| (record.fingerprint, record.target));
        }
        match known {
            Some((first, _)) if first != *fingerprint => Err(SessionError::IdempotencyMismatch),
            known => Ok(known.map(|(_, target)| target)),
        }
    }
}

impl GroupRecord {
    /// The record of a group before it exists.
    pub(super) fn new(new: &NewGroup, own: IdentityKey) -> Self {
        Self {
            name: new.name.clone(),
            topic: new.topic.clone(),
            members: vec![(own, Role::Admin)],
            ..Self::fresh(new.suite, new.profile)
        }
    }

    /// The role of a member.
    pub(super) fn role(&self, identity: &IdentityKey) -> Option<Role> {
        self.members.iter().find(|(key, _)| key == identity).map(|(_, role)| *role)
    }

    /// Whether somebody else is an admin.
    pub(super) fn admin_besides(&self, own: &IdentityKey) -> bool {
        self.members.iter().any(|(key, role)| key != own && *role == Role::Admin)
    }

    /// The admins once a change is made.
    pub(super) fn admins_after(&self, change: &ContextChange) -> BTreeSet<IdentityKey> {
        let mut admins: BTreeSet<_> = self
            .members
            .iter()
            .filter(|(_, role)| *role == Role::Admin)
            .map(|(key, _)| *key)
            .collect();
        for (identity, role) in &change.roles {
            match role {
                Role::Admin => admins.insert(*identity),
                Role::Member => admins.remove(identity),
            };
        }
        admins
    }
}

/// Nobody here has asked for this, and whoever did does not see why it fails.
fn failed_readd(request: &[u8], error: &SessionError) -> String {
    let member = RepairRequest::parse(request).map(|request| request.member.to_string());
    let member = member.unwrap_or_default();
    tracing::warn!(%member, %error, "a member that asks to be added again cannot be");
    format!("{member} asks to be added again, and cannot be: {error}")
}

fn count(members: &[IdentityKey]) -> Result<(), SessionError> {
    if members.is_empty() || members.len() > MAX_MEMBERS {
        return Err(SessionError::Invalid(format!("name 1 to {MAX_MEMBERS} members")));
    }
    Ok(())
}

fn check_texts(name: Option<&str>, topic: Option<&str>) -> Result<(), SessionError> {
    if name.is_some_and(|name| name.len() > MAX_NAME) {
        return Err(SessionError::TooLarge { what: "the name".into(), limit: MAX_NAME });
    }
    if topic.is_some_and(|topic| topic.len() > MAX_TOPIC) {
        return Err(SessionError::TooLarge { what: "the topic".into(), limit: MAX_TOPIC });
    }
    Ok(())
}

fn check_new(new: &NewGroup, own: &IdentityKey) -> Result<(), SessionError> {
    check_texts(Some(&new.name), Some(&new.topic))?;
    if new.profile == Profile::Plain && !(new.name.is_empty() && new.topic.is_empty()) {
        return Err(SessionError::Invalid("a plain group has neither name nor topic".into()));
    }
    let distinct: BTreeSet<_> = new.members.iter().collect();
    if distinct.len() != new.members.len() || distinct.contains(own) {
        return Err(SessionError::Invalid(
            "the members of a new group are others, each named once".into(),
        ));
    }
    if new.members.is_empty() { Ok(()) } else { count(&new.members) }
}

fn check_context(record: &GroupRecord, change: &ContextChange) -> Result<(), SessionError> {
    check_texts(change.name.as_deref(), change.topic.as_deref())?;
    if record.profile == Profile::Plain {
        return Err(SessionError::Invalid("a plain group has no name, topic or roles".into()));
    }
    let stranger = change.roles.iter().find(|(key, _)| record.role(key).is_none());
    if let Some((stranger, _)) = stranger {
        return Err(SessionError::NotAMember(*stranger));
    }
    if record.admins_after(change).is_empty() {
        return Err(SessionError::LastAdmin);
    }
    Ok(())
}
