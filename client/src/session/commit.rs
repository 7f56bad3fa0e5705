//! Commits: staged, sent to all members including ourselves, merged when the queue says so.
//!
//! | state of the group here | what may happen |
//! |---|---|
//! | no pending commit, no proposals | encrypt, stage a commit, apply others' commits |
//! | own commit pending | apply what comes; messages wait; no second commit |
//! | proposals of others stored | commit them; messages wait |
//! | leaving | apply what comes; propose again after an epoch without us being removed |
//! | left, removed, declined | nothing; payloads are dropped |

use std::collections::BTreeSet;
use std::sync::Arc;

use quicproquo_core::group::{
    CommitError, CommitSummary, Group, GroupParams, RepairError, RepairRequest, Staged,
};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::kem::HybridPublic;
use quicproquo_core::suite::Suite;
use quicproquo_schemas::limits::MAX_PAYLOAD;
use serde_bytes::ByteBuf;
use tracing::Instrument as _;

use super::actor::{Actor, Slot};
use super::bulk::{at_once, wanted};
use super::refusal::explain;
use super::repair::Why;
use super::unit::{Opened, Unit};
use crate::error::SessionError;
use crate::event::EventData;
use crate::guard::guarded;
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
            // An old copy can still be left, and whoever is lost be added again.
            let blocked = slot.is_some_and(Slot::blocks);
            let may = |spec: &IntentSpec| {
                !blocked || matches!(spec, IntentSpec::Readd(_) | IntentSpec::Leave)
            };
            let next = self.intents.values().find(|intent| {
                intent.group == *group && may(&intent.spec) && !self.leave_is_out(intent)
            });
            let Some(intent) = next.cloned() else {
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
            if !self.have_packages(intent, &new.members, new.suite.code()) {
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

    /// Our commit came back first (as `echo`, unless we are alone): merge it, then send the
    /// Welcome.
    pub(super) async fn commit_won(
        &mut self,
        group: &GroupId,
        echo: Option<&Opened>,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let Some(mls) = self.mls(group).await? else {
            return Ok(());
        };
        let merged = guarded("merge", group.as_bytes(), || mls.merge_pending());
        let reason = match merged {
            Some(Ok(summary)) => {
                let slot = self.groups.get_mut(group);
                let Some(pending) = slot.and_then(|slot| slot.record.pending.take()) else {
                    return Ok(());
                };
                self.drop_outgoing(pending.counter, unit);
                if let Some(welcome) = &pending.welcome {
                    let by = self.asked_by(pending.intent);
                    by.in_scope(|| self.send_welcome(group, welcome, &pending.added, unit));
                }
                self.apply(group, &summary, unit).await?;
                let intent = self.intents.get(&pending.intent);
                if intent.is_some_and(|intent| intent.spec == IntentSpec::Update) {
                    self.keys_updated(group, unit);
                }
                // A bulk goes on with those who are still missing.
                if !self.is_bulk(pending.intent) {
                    self.settle(pending.intent, &Ok(()), unit);
                }
                return Ok(());
            }
            Some(Err(error)) => {
                tracing::error!(%error, "an own commit does not merge");
                "an own commit does not merge"
            }
            None => "merging an own commit panicked",
        };
        self.isolate(group, reason, unit);
        if let Some(echo) = echo {
            // The commit stays pending: the others have it, so it must merge in the end.
            self.buffer(group.as_bytes(), echo, unit);
            return Ok(());
        }
        self.commit_refused(group, SessionError::Internal(reason.to_owned()), unit).await
    }

    fn send_welcome(
        &mut self,
        group: &GroupId,
        welcome: &[u8],
        added: &[(IdentityKey, Option<ByteBuf>)],
        unit: &mut Unit,
    ) {
        let to = added.iter().map(|(identity, hybrid)| {
            let hybrid = hybrid.as_ref().and_then(|key| HybridPublic::from_slice(key).ok());
            (*identity, hybrid.into())
        });
        let kind = OutboxKind::Welcome;
        if let Err(error) = self.put_outgoing(group, kind, welcome, to.collect(), unit) {
            tracing::error!(%error, "a Welcome cannot be sealed");
        }
    }

    /// Another commit has won the epoch: our own is void, its intent is derived anew.
    pub(super) fn commit_lost(&mut self, group: &GroupId, unit: &mut Unit) {
        let pending = self.groups.get_mut(group).and_then(|slot| slot.record.pending.take());
        if let Some(pending) = pending {
            tracing::debug!(intent = pending.intent, "another commit came first");
            self.drop_outgoing(pending.counter, unit);
        }
    }

    /// The node will never take our commit.
    pub(super) async fn commit_refused(
        &mut self,
        group: &GroupId,
        error: SessionError,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let pending = self.groups.get_mut(group).and_then(|slot| slot.record.pending.take());
        let Some(pending) = pending else {
            return Ok(());
        };
        if let Some(mls) = self.mls(group).await?
            && let Err(error) = mls.clear_pending()
        {
            tracing::error!(%error, "a pending commit cannot be cleared");
        }
        unit.record_changed(group);
        self.settle(pending.intent, &Err(error), unit);
        // Proposals that came meanwhile have waited for this commit.
        self.plan_commits();
        Ok(())
    }

    /// A commit was merged: mirrors the group, tells what changed, lets what waited go on.
    pub(super) async fn apply(
        &mut self,
        group: &GroupId,
        summary: &CommitSummary,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let Some(mls) = self.mls(group).await? else {
            return Ok(());
        };
        let members: Vec<_> =
            mls.members().into_iter().map(|member| (member.identity, member.role)).collect();
        let (name, topic, epoch) = (mls.name(), mls.topic(), summary.epoch);
        let (past_epochs, hint) = (mls.past_epochs(), mls.hint());
        let own = self.identity.key();
        if summary.self_removed && summary.added.iter().any(|member| member.identity == own) {
            // On our request: the Welcome leads back.
            self.lose(group, Why::MissedCommit, (epoch, None), unit);
            return Ok(());
        }
        let Some(slot) = self.groups.get_mut(group) else {
            return Ok(());
        };
        let record = &mut slot.record;
        record.epoch = epoch;
        if !summary.removed.is_empty() {
            record.removed_in = epoch;
        }
        slot.heard_from.clear();
        record.ended.push(unit.now_ms);
        let over = record.ended.len().saturating_sub(past_epochs);
        record.ended.drain(..over);
        if !summary.self_removed {
            record.members = members;
            record.name.clone_from(&name);
            record.topic.clone_from(&topic);
        }
        // Who was added again has neither come nor gone.
        let again = |key: &IdentityKey| {
            summary.removed.contains(key) && summary.added.iter().any(|it| it.identity == *key)
        };
        let added = summary.added.iter().map(|member| member.identity);
        let added: Vec<_> = added.filter(|key| !again(key)).collect();
        let removed = summary.removed.iter().filter(|key| !again(key));
        let removed: Vec<_> = removed.copied().collect();
        record.remember_removed(epoch, &removed, &added);
        if summary.self_removed {
            self.go_out(group, Some(summary.by), unit);
        } else if !added.is_empty() || !removed.is_empty() || summary.admins.is_some() {
            let by = summary.by;
            let left = summary.left.iter().filter(|key| removed.contains(key)).copied().collect();
            let data = EventData::GroupMembersChanged { epoch, by, added, removed, left };
            self.emit(unit, Some(group), data);
        }
        if !summary.self_removed && (summary.renamed.is_some() || summary.topic.is_some()) {
            let data = EventData::GroupRenamed { epoch, by: summary.by, name, topic };
            self.emit(unit, Some(group), data);
        }
        unit.record_changed(group);
        if !summary.self_removed {
            self.caught_up(group, (epoch, hint), unit);
        }
        self.renew(group, unit);
        self.unbuffer(group.as_bytes(), unit);
        self.ask_names();
        Ok(())
    }
}
