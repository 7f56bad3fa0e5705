//! Reading the state of a session out of its database.

use std::time::Duration;

use quicproquo_core::group::Group;
use quicproquo_core::id::GroupId;
use quicproquo_schemas::limits::{DEDUP_GRACE_SECS, DEFAULT_TTL_SECS};

use super::actor::{Actor, Outgoing, Slot, Waits};
use super::input::Input;
use super::unit::Unit;
use crate::clock;
use crate::event::Cursor;
use crate::store::{Overlay, StoreError};

/// Between two tries to read the database again.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);
/// Between two sweeps.
const SWEEP_PAUSE: Duration = Duration::from_hours(1);
/// Secrets of a past epoch are kept for 24 h at most.
const EPOCH_KEPT_SECS: u64 = 24 * 3600;
/// A payload cannot come again after this, in milliseconds.
const INBOX_KEPT_MS: u64 = (DEFAULT_TTL_SECS as u64 + DEDUP_GRACE_SECS as u64) * 1000;
/// Idempotency keys and settled intents are kept for 48 h, in milliseconds.
const REQUESTS_KEPT_MS: u64 = 2 * 24 * 3600 * 1000;

impl Actor {
    /// Reads everything from the database, except MLS state, which is read when needed.
    pub(super) async fn load(&mut self) -> Result<(), StoreError> {
        self.names = self.store.names(self.owner).await?;
        self.groups.clear();
        for (id, record) in self.store.group_records(self.owner).await? {
            let hidden = if record.is_visible() {
                Vec::new()
            } else {
                self.store.hidden_events(self.owner, &id).await?
            };
            self.groups.insert(id, Slot { record, mls: None, hidden });
        }
        self.outbox.clear();
        for (counter, record) in self.store.outbox(self.owner).await? {
            let outgoing = Outgoing { record, in_flight: false, ask: true, sent: false };
            self.outbox.insert(counter, outgoing);
        }
        let intents = self.store.open_intents(self.owner).await?;
        self.intents = intents.into_iter().map(|intent| (intent.n, intent)).collect();
        self.last_intent = self.store.last_intent(self.owner).await?;
        self.last_hidden = self.store.last_hidden(self.owner).await?;
        self.buffered.clear();
        self.last_buffered = 0;
        for (group, n, payload) in self.store.buffered(self.owner).await? {
            self.last_buffered = self.last_buffered.max(n);
            self.buffered.entry(group).or_default().push((n, payload));
        }
        self.tail.send_replace(Cursor(self.positions.tail));
        self.report();
        Ok(())
    }

    /// Throws the memory away. Rows that were pushed and not committed come again on a new link.
    pub(super) async fn reload(&mut self) {
        self.uplink.close();
        self.overlay = Overlay::default();
        self.claiming.clear();
        self.waits = Waits::default();
        loop {
            let positions = self.store.positions(self.owner).await;
            let loaded = match positions {
                Ok(positions) => {
                    self.positions = positions;
                    self.load().await
                }
                Err(error) => Err(error),
            };
            match loaded {
                Ok(()) => break,
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "the client database cannot be read");
                    tokio::time::sleep(RELOAD_PAUSE).await;
                }
            }
        }
        self.uplink.open();
    }

    /// The MLS state of a group, loaded when it is not.
    pub(super) async fn mls(&mut self, id: &GroupId) -> Result<Option<&mut Group>, StoreError> {
        let Some(slot) = self.groups.get_mut(id) else {
            return Ok(None);
        };
        if slot.mls.is_none() {
            let scope = quicproquo_core::provider::group_scope(id.as_bytes());
            let rows = self.store.mls_scope(self.owner, &scope, &self.overlay).await?;
            match Group::load(id, rows) {
                Ok(mut mls) => {
                    let before = clock::now_secs().saturating_sub(EPOCH_KEPT_SECS);
                    if let Err(error) = mls.forget_epochs_before(before) {
                        tracing::warn!(%error, "old epochs stay");
                    }
                    slot.mls = Some(mls);
                }
                Err(error) => {
                    tracing::error!(%error, "a group's rows do not load");
                    return Ok(None);
                }
            }
        }
        Ok(slot.mls.as_mut())
    }

    /// Forgets old payload hashes and requests.
    pub(super) fn sweep(&mut self, unit: &mut Unit) {
        let inbox_before = unit.now_ms.saturating_sub(INBOX_KEPT_MS);
        let requests_before = unit.now_ms.saturating_sub(REQUESTS_KEPT_MS);
        unit.batch.sweep(self.owner, inbox_before, requests_before);
        let before = (unit.now_ms / 1000).saturating_sub(EPOCH_KEPT_SECS);
        for mls in self.groups.values_mut().filter_map(|slot| slot.mls.as_mut()) {
            if let Err(error) = mls.forget_epochs_before(before) {
                tracing::warn!(%error, "old epochs stay");
            }
        }
        self.after(SWEEP_PAUSE, Input::Sweep);
    }
}
