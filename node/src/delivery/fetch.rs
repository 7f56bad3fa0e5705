//! Fetches of base clients: leased rows of one channel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::FETCH_BYTES;
use tokio::time::{Instant, timeout_at};

use super::leases::{ConnectionId, Previous};
use super::{DeliveryError, bytes_of, rows_asked};
use crate::server::Shared;
use crate::store::write::{Channel, QueueWrite, Remove};
use crate::store::{Page, QueuedRow, RowContent};

/// One fetch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fetch {
    pub(crate) identity: IdentityKey,
    pub(crate) channel: Channel,
    /// Rows; 0: as many as fit.
    pub(crate) limit: u32,
    pub(crate) connection: ConnectionId,
}

/// Waiting fetches by identity.
#[derive(Debug, Default, Clone)]
pub(crate) struct WaitSlots(Arc<Mutex<HashMap<IdentityKey, usize>>>);

/// One waiting fetch.
#[derive(Debug)]
struct WaitSlot {
    slots: WaitSlots,
    identity: IdentityKey,
}

impl WaitSlots {
    fn take(&self, identity: IdentityKey, limit: usize) -> Option<WaitSlot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = slots.entry(identity).or_default();
        if *taken >= limit {
            return None;
        }
        *taken += 1;
        Some(WaitSlot { slots: self.clone(), identity })
    }
}

impl Drop for WaitSlot {
    fn drop(&mut self) {
        let mut slots = self.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = slots.get_mut(&self.identity) {
            *taken -= 1;
            if *taken == 0 {
                slots.remove(&self.identity);
            }
        }
    }
}

/// Brings the rows back unless the fetch was answered.
struct Unanswered<'a> {
    shared: &'a Shared,
    fetch: Fetch,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let key = (self.fetch.identity, self.fetch.channel);
        self.shared.leases.abandon(&key, self.fetch.connection);
    }
}

/// Acknowledges what this connection was answered before and leases the next rows of the channel,
/// waiting up to `wait` for the first. Rows may include gaps, which base clients are not told of
/// and which are acknowledged with the rows around them.
pub(crate) async fn fetch(
    shared: &Shared,
    fetch: Fetch,
    wait: Duration,
) -> Result<Vec<QueuedRow>, DeliveryError> {
    if shared.live.is_subscribed(&fetch.identity) {
        return Err(DeliveryError::Subscribed);
    }
    let waits = !wait.is_zero();
    let _slot = if waits {
        let slot = shared.wait_slots.take(fetch.identity, shared.limits.waiting_fetches);
        Some(slot.ok_or(DeliveryError::TooManyWaits)?)
    } else {
        None
    };
    let key = (fetch.identity, fetch.channel);
    let acknowledged = match shared.leases.ask(key, fetch.connection) {
        Previous::Unanswered => return Ok(Vec::new()),
        Previous::Acknowledged(seqs) => seqs,
    };
    let unanswered = Unanswered { shared, fetch };
    if !acknowledged.is_empty() {
        let remove = Remove { recipient: fetch.identity, seqs: acknowledged };
        shared.writer.submit(QueueWrite::Remove(remove)).await?;
    }

    let until = Instant::now() + wait;
    let mut wakes = waits.then(|| shared.waiters.register(fetch.identity));
    loop {
        let rows = free_rows(shared, fetch).await?;
        if shared.banned.contains(&fetch.identity) {
            return Err(DeliveryError::Banned);
        }
        let has_payload = rows.iter().any(|row| matches!(row.content, RowContent::Payload { .. }));
        let over = !waits || shared.draining.is_cancelled() || Instant::now() >= until;
        if has_payload || over {
            let seqs = rows.iter().map(|row| row.seq).collect();
            if shared.leases.answer(key, fetch.connection, seqs) {
                drop(unanswered);
                let counters = &shared.metrics.rows;
                counters.fetched.inc_by(rows.len() as u64);
                counters.fetched_bytes.inc_by(bytes_of(&rows));
                return Ok(rows);
            }
            continue;
        }
        if let Some(wakes) = &mut wakes {
            tokio::select! {
                _ = timeout_at(until, wakes.woken()) => {}
                () = shared.draining.cancelled() => {}
            }
        }
    }
}

/// Rows of the channel that no other connection has.
async fn free_rows(shared: &Shared, fetch: Fetch) -> Result<Vec<QueuedRow>, DeliveryError> {
    let key = (fetch.identity, fetch.channel);
    let held = shared.leases.held_by_others(&key, fetch.connection);
    let mut page = Page { after: 0, rows: rows_asked(fetch.limit), bytes: FETCH_BYTES };
    let mut free = Vec::new();
    loop {
        let rows = shared.queues.channel_rows(fetch.identity, fetch.channel, page).await?;
        let Some(last) = rows.last() else {
            return Ok(free);
        };
        page.after = last.seq;
        for row in rows {
            if held.contains(&row.seq) {
                continue;
            }
            let size = row.size();
            if !free.is_empty() && (page.rows == 0 || size > page.bytes) {
                return Ok(free);
            }
            page.rows = page.rows.saturating_sub(1);
            page.bytes = page.bytes.saturating_sub(size);
            free.push(row);
        }
        if page.rows == 0 || held.is_empty() {
            return Ok(free);
        }
    }
}
