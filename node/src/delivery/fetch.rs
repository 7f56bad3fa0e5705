//! Fetches of base clients: leased rows of one channel.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::FETCH_BYTES;
use tokio::time::{Instant, timeout_at};

use super::leases::{ConnectionId, Key, Previous};
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

impl Fetch {
    fn key(&self) -> Key {
        (self.identity, self.channel)
    }
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

/// Ends the lease of a fetch that is not answered.
struct Unanswered<'a> {
    shared: &'a Shared,
    fetch: Fetch,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.shared.leases.abandon(self.fetch.key(), self.fetch.connection);
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
    let key = fetch.key();
    let acknowledged = match shared.leases.ask(key, fetch.connection) {
        Previous::Unanswered => return Ok(Vec::new()),
        Previous::Acknowledged(seqs) => seqs,
    };
    let _unanswered = Unanswered { shared, fetch };
    if !acknowledged.is_empty() {
        let remove = Remove { recipient: fetch.identity, seqs: acknowledged };
        shared.writer.submit(QueueWrite::Remove(remove)).await?;
        shared.leases.released(key, fetch.connection);
    }

    let until = Instant::now() + wait;
    let mut wakes = waits.then(|| shared.waiters.register(fetch.identity));
    loop {
        let held = shared.leases.held_by_others(&key, fetch.connection);
        let rows = free_rows(shared, fetch, &held.seqs).await?;
        if shared.banned.contains(&fetch.identity) {
            return Err(DeliveryError::Banned);
        }
        let has_payload = rows.iter().any(|row| !is_gap(row));
        let over = !waits || shared.draining.is_cancelled() || Instant::now() >= until;
        // A subscription that began meanwhile is pushed these very rows.
        if shared.live.is_subscribed(&fetch.identity) {
            return Err(DeliveryError::Subscribed);
        }
        if has_payload || over {
            let seqs = rows.iter().map(|row| row.seq).collect();
            if shared.leases.answer(key, fetch.connection, seqs, &held) {
                let counters = &shared.metrics.rows;
                counters.fetched.inc_by(rows.len() as u64);
                counters.fetched_bytes.inc_by(bytes_of(&rows));
                return Ok(rows);
            }
            continue;
        }
        if let Some(wakes) = &mut wakes {
            // Nobody wakes for rows that come back because their lease has run out.
            let look_again = held.back_at.map_or(until, |back_at| back_at.min(until));
            tokio::select! {
                _ = timeout_at(look_again, wakes.woken()) => {}
                () = shared.draining.cancelled() => {}
            }
        }
    }
}

/// Ends the leases of a connection: after a clean end its rows are acknowledged, after any other
/// they are there for whoever waits for them.
pub(crate) async fn connection_ended(shared: &Shared, connection: ConnectionId, clean: bool) {
    let ended = shared.leases.end(connection, clean);
    if ended.is_empty() {
        return;
    }
    let identities: Vec<IdentityKey> = ended.iter().map(|((identity, _), _)| *identity).collect();
    if clean {
        for ((recipient, _), seqs) in ended {
            let remove = QueueWrite::Remove(Remove { recipient, seqs });
            if shared.writer.submit(remove).await.is_err() {
                tracing::debug!("a lease that was acknowledged by a close stays");
            }
        }
        shared.leases.forget(connection);
    }
    shared.waiters.wake(&identities);
}

fn is_gap(row: &QueuedRow) -> bool {
    matches!(row.content, RowContent::Gap(_))
}

/// Rows of the channel that no other connection has. Gaps do not count: a caller that is not told
/// of them would take an answer with nothing else for an empty queue.
async fn free_rows(
    shared: &Shared,
    fetch: Fetch,
    held: &HashSet<u64>,
) -> Result<Vec<QueuedRow>, DeliveryError> {
    let mut page = Page { after: 0, rows: rows_asked(fetch.limit), bytes: FETCH_BYTES };
    let mut free = Vec::new();
    let mut payloads = 0;
    loop {
        let rows = shared.queues.channel_rows(fetch.identity, fetch.channel, page).await?;
        let Some(last) = rows.last() else {
            return Ok(free);
        };
        page.after = last.seq;
        let mut passed_over = false;
        for row in rows {
            if held.contains(&row.seq) {
                passed_over = true;
                continue;
            }
            if is_gap(&row) {
                passed_over = true;
                free.push(row);
                continue;
            }
            let size = row.size();
            if payloads > 0 && (page.rows == 0 || size > page.bytes) {
                return Ok(free);
            }
            payloads += 1;
            page.rows = page.rows.saturating_sub(1);
            page.bytes = page.bytes.saturating_sub(size);
            free.push(row);
        }
        if page.rows == 0 || !passed_over {
            return Ok(free);
        }
    }
}
