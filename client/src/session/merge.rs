//! What became of a commit: merged when the queue says so, lost to another one, or refused.

use quicproquo_core::group::CommitSummary;
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::kem::HybridPublic;
use serde_bytes::ByteBuf;

use super::actor::Actor;
use super::repair::Why;
use super::unit::{Opened, Unit};
use crate::error::SessionError;
use crate::event::EventData;
use crate::guard::guarded;
use crate::store::{IntentSpec, OutboxKind, StoreError};

impl Actor {
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
            let slot = self.groups.get_mut(group);
            if let Some(lost) = slot.and_then(|slot| slot.record.lost.as_mut()) {
                // Also when we have caught up since we asked: this answers it.
                lost.asked = lost.asked.max(1);
            }
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
        // Others process the commit as a group of the former size.
        let kept = past_epochs.min(quicproquo_core::group::past_epochs(record.members.len()));
        record.begin_epoch(unit.row, kept);
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
        record.remember_added(epoch, &added, summary.by == own);
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
