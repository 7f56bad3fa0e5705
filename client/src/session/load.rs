//! Reading the state of a session out of its database.

use std::collections::HashSet;
use std::time::Duration;

use quicproquo_core::id::GroupId;
use quicproquo_schemas::limits::{DEDUP_GRACE_SECS, DEFAULT_TTL_SECS};
use tokio::sync::mpsc;

use super::actor::{Actor, Waits};
use super::command::{Asked, Command};
use super::input::Input;
use super::outgoing::Outgoing;
use super::slot::Slot;
use super::unit::Unit;
use crate::clock::Clock;
use crate::error::SessionError;
use crate::event::Cursor;
use crate::store::{Overlay, StoreError};

/// Between two tries to read the database again.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);
/// Reloads closer together than this are slowed down, in milliseconds.
const RELOADS_APART_MS: u64 = 10_000;
/// Between two sweeps.
pub(super) const SWEEP_PAUSE: Duration = Duration::from_hours(1);
/// Secrets of an epoch are kept for 24 h after its end at most, in milliseconds.
const EPOCH_KEPT_MS: u64 = 24 * 3600 * 1000;
/// A payload cannot come again after this, in milliseconds.
const INBOX_KEPT_MS: u64 = (DEFAULT_TTL_SECS as u64 + DEDUP_GRACE_SECS as u64) * 1000;
/// Idempotency keys and settled intents are kept for 48 h, in milliseconds.
pub(super) const REQUESTS_KEPT_MS: u64 = 2 * 24 * 3600 * 1000;

/// Payloads wait 7 days for their group, in milliseconds.
const BUFFER_KEPT_MS: u64 = 7 * 24 * 3600 * 1000;

/// Keys and values of one scope.
type MlsRows = Vec<(Vec<u8>, Vec<u8>)>;

impl Actor {
    /// Reads everything from the database, except MLS state, which is read when needed.
    pub(super) async fn load(&mut self) -> Result<(), StoreError> {
        let mut damaged = Vec::new();
        self.load_halted().await?;
        self.names = self.store.names(self.owner).await?;
        self.policy = self.store.invite_policy(self.owner).await?;
        let key = self.identity.key();
        self.hybrid = self.store.hybrid_keys(self.owner, key.as_bytes()).await?;
        self.groups.clear();
        for (id, record) in self.store.group_records(self.owner).await? {
            let mut slot = Slot::new(record);
            if !slot.record.is_visible() {
                slot.hidden = self.store.hidden_events(self.owner, &id, &mut damaged).await?;
            }
            self.groups.insert(id, slot);
        }
        self.last_resorts = self.store.last_resorts(self.owner).await?;
        self.outbox.clear();
        self.reach.clear();
        self.said.clear();
        for (counter, record) in self.store.outbox(self.owner, &mut damaged).await? {
            let mut outgoing = Outgoing::new(record);
            outgoing.relink();
            self.outbox.insert(counter, outgoing);
        }
        let intents = self.store.open_intents(self.owner, &mut damaged).await?;
        self.intents = intents.into_iter().map(|intent| (intent.n, intent)).collect();
        // Answers to requests for intents that were rolled back may still come.
        self.last_intent = self.last_intent.max(self.store.last_intent(self.owner).await?);
        self.last_hidden = self.store.last_hidden(self.owner).await?;
        self.buffered.clear();
        self.last_buffered = 0;
        for (group, n, at, payload) in self.store.buffered(self.owner, &mut damaged).await? {
            self.last_buffered = self.last_buffered.max(n);
            self.buffered.entry(group).or_default().push((at, payload));
        }
        self.damaged = damaged;
        self.plan_damaged();
        self.plan_commits();
        self.plan_departures();
        self.plan_retries();
        self.hold_lost();
        self.recent.reset(self.positions.tail);
        self.tail.send_replace(Cursor(self.positions.tail));
        self.report();
        Ok(())
    }

    /// Throws the memory away. Rows that were pushed and not committed come again on a new link.
    /// `false`: the store is closed, or the session is to stop.
    pub(super) async fn reload(&mut self, commands: &mut mpsc::Receiver<Asked>) -> bool {
        self.uplink.close();
        self.overlay = Overlay::default();
        self.store.loaded().forget(self.owner);
        self.claiming.clear();
        // What fails again and again must not keep the processor busy.
        let now = self.clock.now_ms();
        let last = self.reloaded_ms.replace(now);
        let soon = last.is_some_and(|last| now.saturating_sub(last) < RELOADS_APART_MS);
        if soon && !refuse_for_a_while(&self.clock, commands).await {
            return false;
        }
        loop {
            let positions = self.store.positions(self.owner).await;
            let loaded = match positions {
                Ok(positions) => {
                    self.positions = positions;
                    self.positions.link_gone();
                    self.load().await
                }
                Err(error) => Err(error),
            };
            match loaded {
                Ok(()) => break,
                Err(StoreError::Closed) => return false,
                Err(error) => {
                    tracing::error!(%error, "the client database cannot be read");
                    if !refuse_for_a_while(&self.clock, commands).await {
                        return false;
                    }
                }
            }
        }
        self.keep_waits();
        self.uplink.open();
        true
    }

    /// Who waits for what is durable goes on waiting; what was rolled back has failed.
    fn keep_waits(&mut self) {
        let Waits { intents, sends, mut asked_by } = std::mem::take(&mut self.waits);
        asked_by.retain(|n, _| self.intents.contains_key(n));
        self.waits.asked_by = asked_by;
        for (n, waiting) in intents {
            if self.intents.contains_key(&n) {
                self.waits.intents.insert(n, waiting);
                continue;
            }
            for (reply, _) in waiting {
                let _ = reply.send(Err(SessionError::StorageUnavailable));
            }
        }
        let messages: HashSet<u64> = self.outbox.values().filter_map(Outgoing::message).collect();
        for (seq, waiting) in sends {
            if messages.contains(&seq) {
                self.waits.sends.insert(seq, waiting);
                continue;
            }
            for (reply, _) in waiting {
                let _ = reply.send(Err(SessionError::StorageUnavailable));
            }
        }
    }

    /// Before the session stops: whoever waits learns how far it has come.
    pub(super) async fn answer_waiting(&mut self, unit: &mut Unit) {
        let intents: Vec<u64> = self.waits.intents.keys().copied().collect();
        for n in intents {
            self.intent_waited(n, unit);
        }
        let sends: Vec<u64> = self.waits.sends.keys().copied().collect();
        for seq in sends {
            if let Err(error) = self.send_waited(seq, unit).await {
                tracing::warn!(%error, "a send that waits cannot be read");
            }
        }
    }

    /// Rows of MLS state. `None`: they are damaged, which concerns only what they belong to.
    pub(super) async fn mls_rows(&mut self, scope: &[u8]) -> Result<Option<MlsRows>, StoreError> {
        match self.store.mls_scope(self.owner, scope, &self.overlay).await {
            Ok(rows) => Ok(Some(rows)),
            Err(error @ (StoreError::Seal(_) | StoreError::Row(..))) => {
                tracing::error!(%error, "rows of MLS state do not read");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Forgets the secrets of epochs that ended too long ago.
    async fn forget_epochs(&mut self, unit: &mut Unit) -> Result<(), StoreError> {
        let before = unit.now_ms.saturating_sub(EPOCH_KEPT_MS);
        let over = self
            .groups
            .iter()
            .filter(|(_, slot)| slot.record.ended.first().is_some_and(|ended| *ended < before));
        let over: Vec<GroupId> = over.map(|(id, _)| id.clone()).collect();
        for id in over {
            let Some(slot) = self.groups.get_mut(&id) else { continue };
            slot.record.ended.retain(|ended| *ended >= before);
            let kept = slot.record.ended.len();
            unit.record_changed(&id);
            if let Some(mls) = self.mls(&id).await?
                && let Err(error) = mls.keep_past_epochs(kept)
            {
                tracing::warn!(%error, "old epochs stay");
            }
        }
        Ok(())
    }

    /// Forgets old payload hashes, requests and payloads that wait, and looks after the stock.
    pub(super) async fn sweep(&mut self, unit: &mut Unit) -> Result<(), StoreError> {
        let inbox_before = unit.now_ms.saturating_sub(INBOX_KEPT_MS);
        let requests_before = unit.now_ms.saturating_sub(REQUESTS_KEPT_MS);
        unit.batch.sweep(self.owner, inbox_before, requests_before);
        self.expire_suspicions(unit);
        self.expire_buffered(unit.now_ms.saturating_sub(BUFFER_KEPT_MS), unit);
        self.forget_history(unit).await?;
        self.expire_outbox(unit).await?;
        self.forget_key_packages(unit).await?;
        self.forget_epochs(unit).await?;
        self.rotate(unit).await?;
        // They may be replaced there.
        self.published.clear();
        if self.uplink.up {
            self.restock();
        }
        self.after(SWEEP_PAUSE, Input::Sweep);
        Ok(())
    }
}

/// Refuses commands for [`RELOAD_PAUSE`]. `false`: one of them says to stop.
async fn refuse_for_a_while(clock: &Clock, commands: &mut mpsc::Receiver<Asked>) -> bool {
    let refusing = async {
        while let Some(Asked { command, .. }) = commands.recv().await {
            if matches!(command, Command::Stop) {
                break;
            }
            command.refuse(SessionError::StorageUnavailable);
        }
    };
    tokio::select! {
        biased;
        () = refusing => false,
        () = clock.pause(RELOAD_PAUSE) => true,
    }
}
