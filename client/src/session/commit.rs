//! Commits: staged, and sent to all members including ourselves. `merge` says what became of them.
//!
//! | state of the group here | what may happen |
//! |---|---|
//! | no pending commit, no proposals | encrypt, stage a commit, apply others' commits |
//! | own commit pending | apply what comes; messages wait; no second commit |
//! | proposals of others stored | commit them; messages wait |
//! | leaving | apply what comes; after an epoch without us being removed say what waits, propose again |
//! | declined | apply what comes, and leave as above |
//! | left, removed | nothing; who still sends payloads is told |

use std::collections::BTreeSet;
use std::sync::Arc;

use quicproquo_core::group::{CommitError, Group, GroupParams, RepairError, RepairRequest, Staged};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::Suite;
use quicproquo_schemas::limits::MAX_PAYLOAD;
use serde_bytes::ByteBuf;
use tracing::Instrument as _;

use super::actor::Actor;
use super::bulk::{at_once, wanted};
use super::refusal::explain;
use super::slot::Slot;
use super::unit::Unit;
use crate::error::SessionError;
use crate::model::{GroupState, NewGroup};
use crate::store::{GroupRecord, IntentRecord, IntentSpec, OutboxKind, PendingCommit, StoreError};

/// Largest Welcome, in bytes; the envelope takes the rest of what the node takes.
const MAX_WELCOME: usize = MAX_PAYLOAD - 64 * 1024;

/// What an intent comes to at this epoch.
pub(super) enum Step {
    /// Nothing is left to do.
    Moot,
    /// Key packages are being claimed.
    Wait,
    /// A commit is staged.
    Commit(Box<Staged>),
    /// A proposal to leave is out.
    Proposed,
}

/// Why somebody whom a commit adds could never join: it must not win.
fn unjoinable(
    staged: &Staged,
    suite: Suite,
    keyless: &BTreeSet<IdentityKey>,
) -> Option<SessionError> {
    if staged.welcome.as_ref().is_some_and(|welcome| welcome.len() > MAX_WELCOME) {
        return Some(SessionError::TooLarge { what: "the Welcome".into(), limit: MAX_WELCOME });
    }
    let mut without = staged.added.iter().filter(|member| member.hybrid.is_none());
    let lost = without.find(|member| keyless.contains(&member.identity));
    let lost = lost.filter(|_| suite == Suite::Envelope)?;
    Some(SessionError::Invalid(format!("{} has no hybrid key", lost.identity)))
}

/// Whether a group in this state takes up an intent.
fn may_step(state: GroupState, spec: &IntentSpec) -> bool {
    let leaving = matches!(state, GroupState::Leaving | GroupState::Declined);
    state.is_active()
        || state == GroupState::Invited
        || leaving
            && matches!(
                spec,
                IntentSpec::Leave | IntentSpec::CommitProposals | IntentSpec::Readd(_)
            )
}

impl Actor {
    /// Lets the first open intent of a group go on, unless a commit is in flight.
    pub(super) async fn advance(
        &mut self,
        group: &GroupId,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        loop {
            let waits = |slot: &Slot| {
                slot.record.pending.is_some() || slot.record.state == GroupState::Isolated
            };
            let slot = self.groups.get(group);
            if slot.is_some_and(waits) {
                return Ok(());
            }
            // What is still to come of the backlog may be what the intent wants, or undo it.
            if self.uplink.draining && slot.is_some_and(|slot| slot.record.epoch > 0) {
                return Ok(());
            }
            // An old copy can still be left, and whoever is lost be added again.
            let blocked = slot.is_some_and(Slot::blocks);
            let mut next = self.next_intent(group, blocked, true);
            if let Some(leave) = next.as_ref().filter(|it| it.spec == IntentSpec::Leave)
                && self.holds_leave(leave, unit)
            {
                next = self.next_intent(group, blocked, false);
            }
            let Some(intent) = next else {
                return Ok(());
            };
            let n = intent.n;
            let by = self.asked_by(n);
            let step = self.step(&intent, unit).instrument(by.clone()).await?;
            let new = self.groups.get(group).is_none_or(|slot| slot.record.epoch == 0);
            if new && matches!(intent.spec, IntentSpec::Create(_)) {
                match &step {
                    Ok(Step::Moot | Step::Commit(_)) => self.tell_joined(group, unit),
                    Ok(Step::Wait | Step::Proposed) => {}
                    Err(_) => self.forget_group(group, unit),
                }
            }
            match step {
                Ok(Step::Moot) => self.settle(n, &Ok(()), unit),
                Ok(Step::Wait | Step::Proposed) => return Ok(()),
                Ok(Step::Commit(staged)) => {
                    match by.in_scope(|| self.propose_commit(&intent, *staged, unit)) {
                        Ok(true) => return Ok(()),
                        Ok(false) => {
                            // We are the only member: nobody can race us.
                            self.commit_won(group, None, unit).await?;
                        }
                        Err(error) => {
                            if let Some(mls) = self.mls(group).await? {
                                let _ = mls.clear_pending();
                            }
                            self.settle(n, &Err(error), unit);
                        }
                    }
                }
                Err(error) => self.settle(n, &Err(error), unit),
            }
        }
    }

    /// The first open intent of a group that may go on.
    fn next_intent(&self, group: &GroupId, blocked: bool, leave: bool) -> Option<IntentRecord> {
        let may = |intent: &IntentRecord| match intent.spec {
            IntentSpec::Leave => leave && !self.leave_is_out(intent),
            IntentSpec::Readd(_) => true,
            _ => !blocked,
        };
        self.intents.values().find(|intent| intent.group == *group && may(intent)).cloned()
    }

    /// A proposal to leave waits for somebody else's commit.
    fn leave_is_out(&self, intent: &IntentRecord) -> bool {
        let record = self.groups.get(&intent.group).map(|slot| &slot.record);
        intent.spec == IntentSpec::Leave
            && record.is_some_and(|record| record.leave_proposed == Some(record.epoch))
    }

    /// Derives what to do for an intent from the group as it is now.
    async fn step(
        &mut self,
        intent: &IntentRecord,
        unit: &mut Unit,
    ) -> Result<Result<Step, SessionError>, StoreError> {
        let group = &intent.group;
        if let IntentSpec::Create(new) = &intent.spec
            && !self.groups.contains_key(group)
        {
            if !self.have_packages(intent, &new.members, new.suite.code())
                || self.lacks_keys_for(new)
            {
                return Ok(Ok(Step::Wait));
            }
            if let Err(error) = self.create(group, new, unit) {
                return Ok(Err(error));
            }
        }
        let Some(slot) = self.groups.get(group) else {
            return Ok(Err(SessionError::GroupNotFound));
        };
        let record = slot.record.clone();
        if !may_step(record.state, &intent.spec) {
            return Ok(Err(SessionError::GroupInactive));
        }
        let mut wanted = wanted(&intent.spec, &record);
        if matches!(intent.spec, IntentSpec::Readd(_)) && wanted.is_empty() {
            return Ok(Ok(Step::Moot));
        }
        if matches!(intent.spec, IntentSpec::Add(_) | IntentSpec::Readd(_))
            && !self.have_packages(intent, &wanted, record.suite.code())
        {
            return Ok(Ok(Step::Wait));
        }
        if matches!(intent.spec, IntentSpec::Create(_) | IntentSpec::Add(_)) {
            wanted.truncate(at_once(record.suite));
        }
        if intent.spec == IntentSpec::Leave {
            return self.leave(group, &record, unit).await;
        }
        let adds_or_removes = matches!(intent.spec, IntentSpec::Add(_) | IntentSpec::Remove(_));
        if adds_or_removes && wanted.is_empty() {
            return Ok(Ok(Step::Moot));
        }
        if let Some(error) = self.overtaken(&intent.spec, &record) {
            return Ok(Err(error));
        }
        let identity = Arc::clone(&self.identity);
        let newest = self.hybrid.first().map(|secret| secret.public().clone());
        let now = unit.now_ms / 1000;
        let package = |key| intent.packages.iter().find(|(owner, _)| owner == key);
        let packages: Vec<Vec<u8>> =
            wanted.iter().filter_map(package).map(|(_, package)| package.to_vec()).collect();
        let adds = matches!(intent.spec, IntentSpec::Create(_) | IntentSpec::Add(_));
        if self.lacks_keys(group, if adds { &wanted } else { &[] }).await? {
            return Ok(Ok(Step::Wait));
        }
        let unknown = |key: &IdentityKey| self.published.get(key).is_none_or(Option::is_none);
        let keyless: BTreeSet<IdentityKey> =
            wanted.iter().filter(|key| unknown(key)).copied().collect();
        let Some(mls) = self.mls(group).await? else {
            self.isolate(group, "its rows do not load", unit);
            return Ok(Ok(Step::Wait));
        };
        let staged = match &intent.spec {
            IntentSpec::Create(_) if wanted.is_empty() => return Ok(Ok(Step::Moot)),
            IntentSpec::Create(_) | IntentSpec::Add(_) => mls.add(&identity, &packages, now),
            IntentSpec::Remove(_) => mls.remove(&identity, &wanted),
            IntentSpec::Context(change) => {
                let admins = (!change.roles.is_empty()).then(|| record.admins_after(change));
                let (name, topic) = (change.name.as_deref(), change.topic.as_deref());
                mls.set_context(&identity, name, topic, admins.as_ref())
            }
            IntentSpec::Update => {
                let own = mls.members().into_iter().find(|it| it.identity == identity.key());
                let known = own.and_then(|own| own.hybrid);
                // A leaf that has one gets the newest.
                let newest = newest.filter(|newest| known.is_some_and(|it| it != *newest));
                mls.update_keys(&identity, newest.as_ref())
            }
            IntentSpec::CommitProposals => mls.commit_proposals(&identity),
            IntentSpec::Readd(bytes) => {
                let request = RepairRequest::parse(bytes).map_err(|_| RepairError::OtherRequest);
                let package = packages.first().map_or(&[][..], Vec::as_slice);
                let staged = request.and_then(|it| mls.readd(&identity, &it, package, now));
                match staged {
                    Ok(staged) => Ok(staged),
                    // The group has moved on: whoever is lost asks again.
                    Err(RepairError::OtherRequest) => return Ok(Ok(Step::Moot)),
                    Err(RepairError::Commit(error)) => Err(error),
                }
            }
            IntentSpec::Leave => return Ok(Ok(Step::Moot)),
        };
        Ok(match staged {
            Ok(staged) => match unjoinable(&staged, mls.suite(), &keyless) {
                Some(error) => {
                    let _ = mls.clear_pending();
                    Err(error)
                }
                None => Ok(Step::Commit(Box::new(staged))),
            },
            Err(CommitError::Nothing) => Ok(Step::Moot),
            Err(error) => Err(explain(error, &wanted)),
        })
    }

    /// Makes the group with ourselves in it; its first commit adds the others.
    fn create(
        &mut self,
        group: &GroupId,
        new: &NewGroup,
        unit: &mut Unit,
    ) -> Result<(), SessionError> {
        let hybrid = self.hybrid.first().ok_or(SessionError::Stopped)?.public().clone();
        let params = GroupParams {
            group_id: group.clone(),
            suite: new.suite,
            profile: new.profile,
            name: &new.name,
            topic: &new.topic,
            hybrid: &hybrid,
            now: unit.now_ms / 1000,
        };
        let mls = Group::create(&self.identity, params)
            .map_err(|error| SessionError::Invalid(error.to_string()))?;
        let record = GroupRecord::new(new, self.identity.key());
        self.groups.insert(group.clone(), Slot { mls: Some(Box::new(mls)), ..Slot::new(record) });
        unit.record_changed(group);
        Ok(())
    }

    /// A group that could not be made leaves nothing behind.
    fn forget_group(&mut self, group: &GroupId, unit: &mut Unit) {
        self.groups.remove(group);
        unit.records.remove(group);
    }

    /// Puts a staged commit on its way. `false`: there is nobody to send it to.
    fn propose_commit(
        &mut self,
        intent: &IntentRecord,
        staged: Staged,
        unit: &mut Unit,
    ) -> Result<bool, SessionError> {
        let group = &intent.group;
        let alone = staged.recipients.len() == 1;
        let to = staged.recipients.into_iter();
        let to = to.map(|member| (member.identity, member.hybrid.into()));
        #[cfg(test)]
        let to = super::tests::forks::fan_out(group, self.identity.key(), to);
        let counter = if alone {
            0
        } else {
            self.put_outgoing(group, OutboxKind::Commit, &staged.commit, to.collect(), unit)?
        };
        let added = staged.added.into_iter().map(|member| {
            let hybrid = member.hybrid.map(|key| ByteBuf::from(key.as_bytes().to_vec()));
            (member.identity, hybrid)
        });
        let pending = PendingCommit {
            hash: staged.commit_hash,
            intent: intent.n,
            counter,
            welcome: staged.welcome,
            added: added.collect(),
        };
        if let Some(slot) = self.groups.get_mut(group) {
            slot.record.pending = Some(pending);
        }
        unit.record_changed(group);
        Ok(!alone)
    }
}
