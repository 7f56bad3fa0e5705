//! Named consumers: the gateway keeps their place in the log, and acknowledgements move it.
//!
//! Connections of one consumer share its events by group. What is acknowledged above the cursor is
//! kept in memory only: after a restart some of it comes again (at least once).

mod connection;
mod deal;
mod id;
mod lane;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::try_join_all;
use quicproquo_client::clock::now_ms;
use quicproquo_client::{Cursor, GroupId};
use tokio::sync::watch;
use tokio::time::Instant;

use super::filter::Filter;
use super::writer::WriteQueue;
use crate::auth::{Bot, Grant};
use crate::problem::{Kind, Problem};
use crate::store::{ConsumerChange, CursorRow, DeliveryRow, Store, StoredConsumer};

pub(crate) use connection::{Connection, Delivery, read_again};
pub(crate) use deal::{Now, Terms};
pub(crate) use id::DeliveryId;

use deal::Deal;
use id::{UpTo, not_a_delivery, parse_ids, parse_up_to};

const MAX_NAME: usize = 64;
const MAX_CONSUMERS: usize = 100;

type Key = (String, String);

const LIVE: u8 = 0;
/// Deleted, and the database may not know.
const DELETED: u8 = 1;
/// The database knows, and its name may be another one's.
const BURIED: u8 = 2;

/// All consumers of all bots.
#[derive(Debug)]
pub(crate) struct Consumers {
    all: Mutex<HashMap<Key, Arc<Consumer>>>,
    /// One is made or deleted, durably, at a time: one that is made under the name of another must
    /// not be deleted in its place.
    making: tokio::sync::Mutex<()>,
    queue: WriteQueue,
}

/// One consumer.
#[derive(Debug)]
pub(crate) struct Consumer {
    key: Key,
    /// The groups that the token was limited to which made it. Its place and what it set aside are
    /// about these only, and nobody with other limits may move or see them.
    limits: Option<HashSet<GroupId>>,
    deal: Mutex<Deal>,
    /// Changes when another connection may get something.
    changed: watch::Sender<()>,
    /// One connection reads on in the log.
    reading: tokio::sync::Mutex<()>,
    queue: WriteQueue,
    /// Whether the writer knows that there is something to write.
    queued: Mutex<bool>,
    /// `LIVE`, `DELETED` or `BURIED`.
    state: AtomicU8,
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

impl Consumers {
    /// The consumers as they were written.
    pub(crate) fn new(stored: Vec<StoredConsumer>, queue: WriteQueue) -> Self {
        let all = Self { all: Mutex::default(), making: tokio::sync::Mutex::default(), queue };
        all.adopt(stored);
        all
    }

    /// Connects to a consumer; a new one begins at `start`.
    ///
    /// # Errors
    /// `RequestInvalid` for a bad name or too many consumers, `GroupNotAllowed` when it was made
    /// with other limits, `StorageUnavailable`.
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
        self.establish(key, None, start).await.map(drop)
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
        let consumer = match self.live(&key) {
            Some(consumer) => consumer,
            None => self.establish(key, filter.limits().cloned(), start).await?,
        };
        if consumer.limits.as_ref() != filter.limits() {
            return Err(other_limits());
        }
        Ok(Connection::new(consumer, terms, filter))
    }

    /// Makes a consumer that is new.
    async fn establish(
        &self,
        key: Key,
        limits: Option<HashSet<GroupId>>,
        start: Cursor,
    ) -> Result<Arc<Consumer>, Problem> {
        let _making = self.making.lock().await;
        if let Some(consumer) = self.live(&key) {
            return Ok(consumer);
        }
        let own = |(bot, name): &&Key| *bot == key.0 && check_name(name).is_ok();
        let named = check_name(&key.1).is_ok();
        if named && lock(&self.all).keys().filter(own).count() >= MAX_CONSUMERS {
            let detail = format!("a bot has at most {MAX_CONSUMERS} consumers");
            return Err(Problem::field("consumer", detail));
        }
        let former = lock(&self.all).get(&key).cloned();
        if let Some(former) = former {
            self.bury(&former).await?;
        }
        let new = self.make(key.clone(), limits, Deal::at(start));
        lock(&self.all).insert(key, Arc::clone(&new));
        self.queue.flush(&new).await?;
        Ok(new)
    }

    fn live(&self, key: &Key) -> Option<Arc<Consumer>> {
        lock(&self.all).get(key).filter(|consumer| consumer.is_live()).cloned()
    }

    /// Makes a deletion durable. Afterwards nothing is written of the consumer.
    async fn bury(&self, consumer: &Arc<Consumer>) -> Result<(), Problem> {
        self.queue.flush(consumer).await?;
        consumer.state.store(BURIED, Ordering::Release);
        lock(&self.all).remove(&consumer.key);
        Ok(())
    }

    /// Finds a consumer for a caller that gave its name.
    ///
    /// # Errors
    /// `ConsumerNotFound`, `GroupNotAllowed`.
    pub(crate) fn find(&self, bot: &Bot, name: &str) -> Result<Arc<Consumer>, Problem> {
        check_name(name).map_err(|_| Problem::new(Kind::ConsumerNotFound))?;
        let consumer = self.find_any(&bot.record.bot_id, name)?;
        if consumer.permits(&bot.grant) { Ok(consumer) } else { Err(other_limits()) }
    }

    /// Finds a consumer.
    ///
    /// # Errors
    /// `ConsumerNotFound`.
    pub(crate) fn find_any(&self, bot_id: &str, name: &str) -> Result<Arc<Consumer>, Problem> {
        let key = (bot_id.to_owned(), name.to_owned());
        self.live(&key).ok_or_else(|| Problem::new(Kind::ConsumerNotFound))
    }

    /// Whether there is a consumer of this name.
    pub(crate) fn knows(&self, bot_id: &str, name: &str) -> bool {
        self.find_any(bot_id, name).is_ok()
    }

    /// Waits until what has changed of a consumer is durable.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub(crate) async fn flush(&self, consumer: &Arc<Consumer>) -> Result<(), Problem> {
        self.queue.flush(consumer).await
    }

    /// The consumers of a bot as they are written now.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub(crate) async fn written(
        &self,
        bot_id: &str,
        store: &Store,
    ) -> Result<Vec<StoredConsumer>, Problem> {
        let own: Vec<_> = {
            let all = lock(&self.all);
            let own = all.iter().filter(|((bot, _), consumer)| bot == bot_id && consumer.is_live());
            own.map(|(_, consumer)| Arc::clone(consumer)).collect()
        };
        try_join_all(own.iter().map(|consumer| self.queue.flush(consumer))).await?;
        let mut stored = store.consumers().await?;
        stored.retain(|one| one.row.bot_id == bot_id && check_name(&one.row.name).is_ok());
        Ok(stored)
    }

    /// Consumers whose rows are written.
    pub(crate) fn adopt(&self, stored: Vec<StoredConsumer>) {
        for stored in stored {
            let key = (stored.row.bot_id.clone(), stored.row.name.clone());
            let consumer = self.make(key.clone(), stored.row.groups.clone(), Deal::new(stored));
            lock(&self.all).insert(key, consumer);
        }
    }

    /// Deletes a consumer; its connections end.
    ///
    /// # Errors
    /// `ConsumerNotFound`, `StorageUnavailable`.
    pub(crate) async fn delete(&self, bot_id: &str, name: &str) -> Result<(), Problem> {
        let key = (bot_id.to_owned(), name.to_owned());
        let _making = self.making.lock().await;
        let consumer = self.live(&key).ok_or_else(|| Problem::new(Kind::ConsumerNotFound))?;
        consumer.state.store(DELETED, Ordering::Release);
        consumer.change(Deal::displace);
        self.bury(&consumer).await
    }

    /// All consumers of a bot, whoever made them, and how they stand.
    pub(crate) fn of_bot(&self, bot_id: &str) -> BTreeMap<String, Standing> {
        let all = lock(&self.all);
        let own = all.iter().filter(|((bot, _), consumer)| bot == bot_id && consumer.is_live());
        own.map(|((_, name), consumer)| (name.clone(), consumer.standing())).collect()
    }

    /// All consumers of a bot that a caller may see, by name.
    pub(crate) fn visible(&self, bot: &Bot) -> BTreeMap<String, Arc<Consumer>> {
        let all = lock(&self.all);
        let own = all.iter().filter(|((bot_id, name), consumer)| {
            *bot_id == bot.record.bot_id
                && check_name(name).is_ok()
                && consumer.is_live()
                && consumer.permits(&bot.grant)
        });
        own.map(|((_, name), consumer)| (name.clone(), Arc::clone(consumer))).collect()
    }

    /// Forgets the consumers of a bot that is deleted.
    pub(crate) fn forget_bot(&self, bot_id: &str) {
        lock(&self.all).retain(|(bot, _), _| bot != bot_id);
    }

    fn make(&self, key: Key, limits: Option<HashSet<GroupId>>, deal: Deal) -> Arc<Consumer> {
        Arc::new(Consumer {
            key,
            limits,
            deal: Mutex::new(deal),
            changed: watch::Sender::new(()),
            reading: tokio::sync::Mutex::default(),
            queue: self.queue.clone(),
            queued: Mutex::new(false),
            state: AtomicU8::new(LIVE),
        })
    }
}

impl Consumer {
    fn is_live(&self) -> bool {
        self.state.load(Ordering::Acquire) == LIVE
    }

    /// Whether a caller may move it and see what it set aside.
    fn permits(&self, grant: &Grant) -> bool {
        grant.groups.is_none() || grant.groups == self.limits
    }

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

    /// Forgets what was set aside and is not in the log any more, which begins after a cursor.
    pub(crate) fn forget_parked(self: &Arc<Self>, oldest: Cursor) {
        if lock(&self.deal).parked().first_key_value().is_some_and(|(first, _)| *first <= oldest) {
            self.change(|deal, _| deal.forget_parked(oldest));
        }
    }

    /// Whether an event is delivered (again) some time, or was not looked at yet.
    pub(crate) fn waits(&self, cursor: Cursor) -> bool {
        lock(&self.deal).waits(cursor)
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

    /// For the writer: what is to be written, if anything.
    pub(super) fn to_write(&self) -> Option<ConsumerChange> {
        *lock(&self.queued) = false;
        let state = self.state.load(Ordering::Acquire);
        if state == BURIED {
            return None;
        }
        let mut deal = lock(&self.deal);
        let (bot_id, name) = self.key.clone();
        let row = CursorRow { bot_id, name, groups: self.limits.clone(), cursor: deal.cursor() };
        let gone = state == DELETED;
        Some(ConsumerChange { row, deliveries: deal.pending().rows.into_iter().collect(), gone })
    }

    /// For the writer: it could not be written.
    pub(super) fn not_written(self: &Arc<Self>, change: ConsumerChange) {
        lock(&self.deal).restore(change.deliveries);
        self.write_soon();
    }
}

fn other_limits() -> Problem {
    let detail = "the consumer was made with a token that is limited to other groups, or to none";
    Problem::new(Kind::GroupNotAllowed).detail(detail)
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
