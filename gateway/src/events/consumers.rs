//! Named consumers: cursors that the gateway keeps and acknowledgements move.
//!
//! A consumer has one live connection; a new one displaces it. What was delivered and not
//! acknowledged is delivered again to the next connection, with `attempt` one higher. Which
//! deliveries above the cursor are acknowledged is kept in memory: after a restart of the gateway
//! some of them come again (at least once).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quicproquo_client::Cursor;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::writer::CursorQueue;
use crate::problem::{Kind, Problem};
use crate::store::CursorRow;

/// How many deliveries of a connection may be unacknowledged.
const WINDOW: usize = 1000;
const MAX_NAME: usize = 64;
const MAX_CONSUMERS: usize = 100;

type Key = (String, String);

/// All consumers of all bots.
#[derive(Debug)]
pub(crate) struct Consumers {
    all: Mutex<HashMap<Key, Arc<Consumer>>>,
    queue: CursorQueue,
}

#[derive(Debug)]
struct Consumer {
    key: Key,
    position: Mutex<Position>,
    acknowledged: Notify,
}

/// Where a consumer is.
#[derive(Debug, Default)]
struct Position {
    /// Everything up to here is acknowledged.
    cursor: Cursor,
    /// Delivered by any connection, not acknowledged: how often.
    attempts: BTreeMap<Cursor, u32>,
    /// Of these, what the live connection delivered.
    in_flight: BTreeSet<Cursor>,
    /// Acknowledged above the cursor.
    acked: BTreeSet<Cursor>,
    /// Ends the live connection.
    live: CancellationToken,
}

impl Consumers {
    /// The consumers as they were written.
    pub(crate) fn new(rows: Vec<CursorRow>, queue: CursorQueue) -> Self {
        let consumer = |row: CursorRow| {
            let key = (row.bot_id, row.name);
            (key.clone(), Consumer::at(key, row.cursor))
        };
        Self { all: Mutex::new(rows.into_iter().map(consumer).collect()), queue }
    }

    /// Connects to a consumer, displacing its connection; a new one begins at `start`.
    ///
    /// # Errors
    /// `RequestInvalid` for a bad name or too many consumers, `StorageUnavailable`.
    pub(crate) async fn open(
        &self,
        bot_id: &str,
        name: &str,
        start: Cursor,
    ) -> Result<Lease, Problem> {
        check_name(name)?;
        let key = (bot_id.to_owned(), name.to_owned());
        let known = lock(&self.all).get(&key).cloned();
        let consumer = if let Some(consumer) = known {
            consumer
        } else {
            if lock(&self.all).keys().filter(|(bot, _)| bot == bot_id).count() >= MAX_CONSUMERS {
                let detail = format!("a bot has at most {MAX_CONSUMERS} consumers");
                return Err(Problem::field("consumer", detail));
            }
            self.queue.put_durably(row(&key, start)).await?;
            let new = Consumer::at(key.clone(), start);
            Arc::clone(lock(&self.all).entry(key).or_insert(new))
        };
        let mut position = lock(&consumer.position);
        position.live.cancel();
        position.live = CancellationToken::new();
        position.in_flight.clear();
        let (start, displaced) = (position.cursor, position.live.clone());
        drop(position);
        Ok(Lease { consumer, start, displaced, queue: self.queue.clone() })
    }

    /// Acknowledges from outside a connection; answers the durable cursor.
    ///
    /// # Errors
    /// `ConsumerNotFound`, `CursorInvalid`, `StorageUnavailable`.
    pub(crate) async fn acknowledge(
        &self,
        bot_id: &str,
        name: &str,
        up_to: Option<&str>,
        ids: &[String],
        tail: Cursor,
    ) -> Result<Cursor, Problem> {
        let key = (bot_id.to_owned(), name.to_owned());
        let known = lock(&self.all).get(&key).cloned();
        let consumer = known.ok_or(Problem::new(Kind::ConsumerNotFound))?;
        let cursor = consumer.acknowledge(up_to, ids, tail)?;
        self.queue.put_durably(row(&key, cursor)).await?;
        Ok(cursor)
    }

    /// Where the consumers of a bot are, by name.
    pub(crate) fn of_bot(&self, bot_id: &str) -> BTreeMap<String, Cursor> {
        let all = lock(&self.all);
        let own = all.iter().filter(|((bot, _), _)| bot == bot_id);
        own.map(|((_, name), consumer)| (name.clone(), lock(&consumer.position).cursor)).collect()
    }

    /// Consumers that came with a bot; their rows are written.
    pub(crate) fn adopt(&self, rows: Vec<CursorRow>) {
        let mut all = lock(&self.all);
        for row in rows {
            let key = (row.bot_id, row.name);
            all.insert(key.clone(), Consumer::at(key, row.cursor));
        }
    }

    /// Forgets the consumers of a bot that is deleted.
    pub(crate) fn forget_bot(&self, bot_id: &str) {
        lock(&self.all).retain(|(bot, _), _| bot != bot_id);
    }
}

/// A live connection's hold on its consumer.
#[derive(Debug)]
pub(crate) struct Lease {
    consumer: Arc<Consumer>,
    /// Where to begin.
    pub(crate) start: Cursor,
    /// Cancelled when another connection takes over.
    pub(crate) displaced: CancellationToken,
    queue: CursorQueue,
}

impl Lease {
    /// Whether another event may be delivered before an acknowledgement.
    pub(crate) fn has_room(&self) -> bool {
        lock(&self.consumer.position).in_flight.len() < WINDOW
    }

    /// Waits for an acknowledgement.
    pub(crate) async fn acknowledged(&self) {
        self.consumer.acknowledged.notified().await;
    }

    /// Counts a delivery: its attempt, or `None` when the event is acknowledged already.
    pub(crate) fn deliver(&self, cursor: Cursor) -> Option<u32> {
        lock(&self.consumer.position).deliver(cursor)
    }

    /// Moves over events that were not for this consumer, when nothing before them is open.
    pub(crate) async fn skip_to(&self, cursor: Cursor) {
        let moved = {
            let mut position = lock(&self.consumer.position);
            let free = position.attempts.is_empty() && cursor > position.cursor;
            if free {
                position.up_to(cursor);
            }
            free
        };
        if moved {
            self.queue.put(row(&self.consumer.key, cursor)).await;
        }
    }

    /// Acknowledges deliveries; the cursor becomes durable soon.
    ///
    /// # Errors
    /// `CursorInvalid`.
    pub(crate) async fn acknowledge(
        &self,
        up_to: Option<&str>,
        ids: &[String],
        tail: Cursor,
    ) -> Result<(), Problem> {
        let cursor = self.consumer.acknowledge(up_to, ids, tail)?;
        self.queue.put(row(&self.consumer.key, cursor)).await;
        Ok(())
    }
}

impl Consumer {
    fn at(key: Key, cursor: Cursor) -> Arc<Self> {
        let position = Mutex::new(Position { cursor, ..Position::default() });
        Arc::new(Self { key, position, acknowledged: Notify::new() })
    }

    fn acknowledge(
        &self,
        up_to: Option<&str>,
        ids: &[String],
        tail: Cursor,
    ) -> Result<Cursor, Problem> {
        let up_to = up_to.map(|text| parse("/up_to", text, tail)).transpose()?;
        let ids: Vec<_> =
            ids.iter().map(|text| parse("/ids", text, tail)).collect::<Result<_, _>>()?;
        let mut position = lock(&self.position);
        if let Some(cursor) = up_to {
            position.up_to(cursor);
        }
        for id in ids {
            position.acknowledge(id);
        }
        self.acknowledged.notify_waiters();
        Ok(position.cursor)
    }
}

impl Position {
    fn deliver(&mut self, cursor: Cursor) -> Option<u32> {
        if cursor <= self.cursor || self.acked.contains(&cursor) {
            return None;
        }
        self.in_flight.insert(cursor);
        let attempt = self.attempts.entry(cursor).or_default();
        *attempt += 1;
        Some(*attempt)
    }

    fn acknowledge(&mut self, cursor: Cursor) {
        if self.attempts.remove(&cursor).is_none() {
            return;
        }
        self.in_flight.remove(&cursor);
        self.acked.insert(cursor);
        let open = self.attempts.keys().next().copied();
        while let Some(lowest) = self.acked.first().copied() {
            if open.is_some_and(|open| open < lowest) {
                break;
            }
            self.acked.pop_first();
            self.cursor = self.cursor.max(lowest);
        }
    }

    fn up_to(&mut self, cursor: Cursor) {
        self.cursor = self.cursor.max(cursor);
        self.attempts.retain(|open, _| *open > cursor);
        self.in_flight.retain(|open| *open > cursor);
        self.acked.retain(|acked| *acked > cursor);
    }
}

/// Names one delivery of an event; it holds the event's cursor.
pub(crate) fn delivery_id(cursor: Cursor, attempt: u32) -> String {
    format!("{cursor}.{attempt}")
}

/// Reads a cursor or a delivery's id.
fn parse(pointer: &str, text: &str, tail: Cursor) -> Result<Cursor, Problem> {
    let (cursor, attempt) = text.split_once('.').unwrap_or((text, "1"));
    match (cursor.parse(), attempt.parse::<u32>()) {
        (Ok(cursor), Ok(_)) if cursor <= tail => Ok(cursor),
        _ => Err(Problem::new(Kind::CursorInvalid).at(pointer, "not of this event log")),
    }
}

fn check_name(name: &str) -> Result<(), Problem> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    let detail = format!("1 to {MAX_NAME} letters, digits, '.', '_' and '-'");
    Err(Problem::field("consumer", detail))
}

fn row((bot_id, name): &Key, cursor: Cursor) -> CursorRow {
    CursorRow { bot_id: bot_id.clone(), name: name.clone(), cursor }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
