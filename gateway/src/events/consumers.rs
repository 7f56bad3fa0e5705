//! Named consumers: the gateway keeps their place in the log, and acknowledgements move it.
//!
//! Connections of one consumer share its events by group. What is acknowledged above the cursor is
//! kept in memory only: after a restart some of it comes again (at least once).

mod connection;
mod deal;
mod id;
mod lane;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quicproquo_client::Cursor;
use quicproquo_client::clock::now_ms;
use tokio::sync::watch;
use tokio::time::Instant;

use super::filter::Filter;
use super::writer::WriteQueue;
use crate::problem::{Kind, Problem};
use crate::store::{ConsumerChange, CursorRow, DeliveryRow, StoredConsumer};

pub(crate) use connection::{Connection, Delivery, read_again};
pub(crate) use deal::{Now, Terms};
pub(crate) use id::DeliveryId;

use deal::Deal;

const MAX_NAME: usize = 64;
const MAX_CONSUMERS: usize = 100;

type Key = (String, String);

/// All consumers of all bots.
#[derive(Debug)]
pub(crate) struct Consumers {
    all: Mutex<HashMap<Key, Arc<Consumer>>>,
    queue: WriteQueue,
}

/// One consumer.
#[derive(Debug)]
pub(crate) struct Consumer {
    key: Key,
    deal: Mutex<Deal>,
    /// Changes when another connection may get something.
    changed: watch::Sender<()>,
    /// One connection reads on in the log.
    reading: tokio::sync::Mutex<()>,
    queue: WriteQueue,
    /// Whether the writer knows that there is something to write.
    queued: Mutex<bool>,
    /// Whether it is deleted.
    gone: AtomicBool,
}

/// What is told about a consumer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// Everything up to here is acknowledged.
    pub(crate) cursor: Cursor,
    /// Live connections.
    pub(crate) connections: usize,
    /// Read from the log and not acknowledged.
    pub(crate) open: usize,
    /// Set aside.
    pub(crate) parked: usize,
}

/// What an acknowledgement lists.
#[derive(Debug, Clone, Copy)]
pub(crate) enum UpTo {
    /// A delivery and those before it on its connection.
    Delivery(DeliveryId),
    /// A place in the log.
    Cursor(Cursor),
}

impl Consumers {
    /// The consumers as they were written.
    pub(crate) fn new(stored: Vec<StoredConsumer>, queue: WriteQueue) -> Self {
        let all = Self { all: Mutex::default(), queue };
        all.adopt(stored);
        all
    }

    /// Connects to a consumer; a new one begins at `start`.
    ///
    /// # Errors
    /// `RequestInvalid` for a bad name or too many consumers, `StorageUnavailable`.
    pub(crate) async fn open(
        &self,
        bot_id: &str,
        name: &str,
        start: Cursor,
        filter: &Filter,
        terms: Terms,
    ) -> Result<Connection, Problem> {
        check_name(name)?;
        self.open_any(bot_id, name, start, filter, terms).await
    }

    /// Makes a consumer that is new, under a name that bots cannot give.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub(crate) async fn begin(
        &self,
        bot_id: &str,
        name: &str,
        start: Cursor,
    ) -> Result<(), Problem> {
        let key = (bot_id.to_owned(), name.to_owned());
        let consumer = self.make(key.clone(), Deal::at(start));
        lock(&self.all).insert(key, Arc::clone(&consumer));
        self.queue.flush(&consumer).await
    }

    /// As [`Consumers::open`], for names that bots cannot give.
    pub(crate) async fn open_any(
        &self,
        bot_id: &str,
        name: &str,
        start: Cursor,
        filter: &Filter,
        terms: Terms,
    ) -> Result<Connection, Problem> {
        let key = (bot_id.to_owned(), name.to_owned());
        let known = lock(&self.all).get(&key).cloned();
        let consumer = if let Some(consumer) = known {
            consumer
        } else {
            let own = |(bot, name): &&Key| bot == bot_id && check_name(name).is_ok();
            if lock(&self.all).keys().filter(own).count() >= MAX_CONSUMERS {
                let detail = format!("a bot has at most {MAX_CONSUMERS} consumers");
                return Err(Problem::field("consumer", detail));
            }
            let new = self.make(key.clone(), Deal::at(start));
            let consumer = Arc::clone(lock(&self.all).entry(key).or_insert(new));
            self.queue.flush(&consumer).await?;
            consumer
        };
        Ok(Connection::new(consumer, terms, filter))
    }

    /// Finds a consumer by the name that a bot gave.
    ///
    /// # Errors
    /// `ConsumerNotFound`.
    pub(crate) fn find(&self, bot_id: &str, name: &str) -> Result<Arc<Consumer>, Problem> {
        check_name(name).map_err(|_| Problem::new(Kind::ConsumerNotFound))?;
        self.find_any(bot_id, name)
    }

    /// Finds a consumer.
    ///
    /// # Errors
    /// `ConsumerNotFound`.
    pub(crate) fn find_any(&self, bot_id: &str, name: &str) -> Result<Arc<Consumer>, Problem> {
        let key = (bot_id.to_owned(), name.to_owned());
        lock(&self.all).get(&key).cloned().ok_or_else(|| Problem::new(Kind::ConsumerNotFound))
    }

    /// Waits until what has changed of a consumer is durable.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub(crate) async fn flush(&self, consumer: &Arc<Consumer>) -> Result<(), Problem> {
        self.queue.flush(consumer).await
    }

    /// Where the consumers of a bot are, by name.
    pub(crate) fn of_bot(&self, bot_id: &str) -> BTreeMap<String, Standing> {
        let all = lock(&self.all);
        let own = all.iter().filter(|((bot, name), _)| bot == bot_id && check_name(name).is_ok());
        own.map(|((_, name), consumer)| (name.clone(), consumer.standing())).collect()
    }

    /// Consumers whose rows are written.
    pub(crate) fn adopt(&self, stored: Vec<StoredConsumer>) {
        for stored in stored {
            let key = (stored.row.bot_id.clone(), stored.row.name.clone());
            let consumer = self.make(key.clone(), Deal::new(stored));
            lock(&self.all).insert(key, consumer);
        }
    }

    /// Deletes a consumer; its connections end.
    ///
    /// # Errors
    /// `ConsumerNotFound`, `StorageUnavailable`.
    pub(crate) async fn delete(&self, bot_id: &str, name: &str) -> Result<(), Problem> {
        let key = (bot_id.to_owned(), name.to_owned());
        let consumer = lock(&self.all).remove(&key);
        let consumer = consumer.ok_or_else(|| Problem::new(Kind::ConsumerNotFound))?;
        consumer.gone.store(true, Ordering::Release);
        consumer.change(Deal::displace);
        self.queue.flush(&consumer).await
    }

    /// The named consumer of a bot, or all of them.
    pub(crate) fn named(&self, bot_id: &str, name: Option<&str>) -> Vec<Arc<Consumer>> {
        let all = lock(&self.all);
        let wanted = |(bot, own): &Key| {
            bot == bot_id && check_name(own).is_ok() && name.is_none_or(|name| name == own)
        };
        let found = all.iter().filter(|(key, _)| wanted(key));
        found.map(|(_, consumer)| Arc::clone(consumer)).collect()
    }

    /// Forgets the consumers of a bot that is deleted.
    pub(crate) fn forget_bot(&self, bot_id: &str) {
        lock(&self.all).retain(|(bot, _), _| bot != bot_id);
    }

    fn make(&self, key: Key, deal: Deal) -> Arc<Consumer> {
        Arc::new(Consumer {
            key,
            deal: Mutex::new(deal),
            changed: watch::Sender::new(()),
            reading: tokio::sync::Mutex::default(),
            queue: self.queue.clone(),
            queued: Mutex::new(false),
            gone: AtomicBool::new(false),
        })
    }
}

impl Consumer {
    /// Where it is.
    pub(crate) fn standing(&self) -> Standing {
        let deal = lock(&self.deal);
        Standing {
            cursor: deal.cursor(),
            connections: deal.connections(),
            open: deal.open(),
            parked: deal.parked().len(),
        }
    }

    /// Acknowledges from outside a connection. A cursor moves the consumer as a whole.
    ///
    /// # Errors
    /// `CursorInvalid`.
    pub(crate) fn acknowledge(
        self: &Arc<Self>,
        up_to: Option<&str>,
        ids: &[String],
        tail: Cursor,
    ) -> Result<Cursor, Problem> {
        let up_to = up_to.map(|text| parse_up_to(text, tail)).transpose()?;
        let ids = parse_ids(ids, tail)?;
        Ok(self.change(|deal, now| {
            match up_to {
                Some(UpTo::Delivery(id)) => deal.settle_deliveries(id, now),
                Some(UpTo::Cursor(cursor)) => deal.settle_up_to(cursor, now),
                None => {}
            }
            for cursor in ids {
                deal.settle(cursor, now);
            }
            deal.cursor()
        }))
    }

    /// Lets leases begin again; answers the ids that are not under way any more.
    ///
    /// # Errors
    /// `CursorInvalid`.
    pub(crate) fn extend(
        self: &Arc<Self>,
        ids: &[String],
        lease: std::time::Duration,
    ) -> Result<Vec<String>, Problem> {
        let parse = |text: &String| text.parse::<DeliveryId>().map_err(|_| not_a_delivery("/ids"));
        let parsed: Vec<_> = ids.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(self.change(|deal, now| {
            let gone = parsed.into_iter().filter(|id| !deal.extend(*id, lease, now));
            gone.map(|id| id.to_string()).collect()
        }))
    }

    /// What is set aside, the oldest event first.
    pub(crate) fn parked(&self) -> Vec<(Cursor, DeliveryRow)> {
        lock(&self.deal).parked().iter().map(|(cursor, row)| (*cursor, row.clone())).collect()
    }

    /// Delivers an event again; answers whether it does, and not already.
    pub(crate) fn replay(self: &Arc<Self>, cursor: Cursor) -> bool {
        self.change(|deal, _| deal.replay(cursor))
    }

    /// Changes it, tells the connections, and has it written when there is something to write.
    fn change<T>(self: &Arc<Self>, act: impl FnOnce(&mut Deal, Now) -> T) -> T {
        let (result, dirty) = {
            let mut deal = lock(&self.deal);
            let result = act(&mut deal, now());
            (result, deal.is_dirty())
        };
        self.changed.send_replace(());
        if dirty {
            self.write_soon();
        }
        result
    }

    fn write_soon(self: &Arc<Self>) {
        let mut queued = lock(&self.queued);
        if !std::mem::replace(&mut *queued, true) {
            self.queue.put(self);
        }
    }

    /// For the writer: what is to be written.
    pub(super) fn to_write(&self) -> ConsumerChange {
        *lock(&self.queued) = false;
        let mut deal = lock(&self.deal);
        let (bot_id, name) = self.key.clone();
        let row = CursorRow { bot_id, name, cursor: deal.cursor() };
        let gone = self.gone.load(Ordering::Acquire);
        ConsumerChange { row, deliveries: deal.pending().rows.into_iter().collect(), gone }
    }

    /// For the writer: it could not be written.
    pub(super) fn not_written(self: &Arc<Self>, change: ConsumerChange) {
        lock(&self.deal).restore(change.deliveries);
        self.write_soon();
    }
}

/// Reads deliveries' ids; a cursor stands for its event.
fn parse_ids(ids: &[String], tail: Cursor) -> Result<Vec<Cursor>, Problem> {
    let parse = |text: &String| match parse_place(text, tail) {
        Some(UpTo::Delivery(id)) => Ok(id.cursor),
        Some(UpTo::Cursor(cursor)) => Ok(cursor),
        None => Err(not_a_delivery("/ids")),
    };
    ids.iter().map(parse).collect()
}

fn parse_up_to(text: &str, tail: Cursor) -> Result<UpTo, Problem> {
    parse_place(text, tail).ok_or_else(|| not_a_delivery("/up_to"))
}

fn parse_place(text: &str, tail: Cursor) -> Option<UpTo> {
    let place = match text.parse::<DeliveryId>() {
        Ok(id) => UpTo::Delivery(id),
        Err(_) => UpTo::Cursor(text.parse().ok()?),
    };
    let cursor = match place {
        UpTo::Delivery(id) => id.cursor,
        UpTo::Cursor(cursor) => cursor,
    };
    (cursor <= tail).then_some(place)
}

fn not_a_delivery(pointer: &str) -> Problem {
    Problem::new(Kind::CursorInvalid).at(pointer, "not of this event log")
}

fn check_name(name: &str) -> Result<(), Problem> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    let detail = format!("1 to {MAX_NAME} letters, digits, '.', '_' and '-'");
    Err(Problem::field("consumer", detail))
}

fn now() -> Now {
    Now { at: Instant::now(), ms: now_ms() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
