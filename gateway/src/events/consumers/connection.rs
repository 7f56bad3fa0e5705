//! A connection of a consumer, whatever its door is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quicproquo_client::{Cursor, Event, Session, SessionError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::deal::{Dealt, Terms};
use super::id::{Conn, DeliveryId};
use super::{Consumer, UpTo, lock, now, parse_ids, parse_up_to};
use crate::events::filter::Filter;
use crate::problem::Problem;
use crate::random;

/// Events read from the log at once.
const PAGE: u32 = 100;

/// An event on its way to a consumer.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Names it.
    pub(crate) id: DeliveryId,
    /// Of how many so far.
    pub(crate) attempt: u32,
    /// Whether it was asked for again.
    pub(crate) replayed: bool,
    /// The event.
    pub(crate) event: Event,
}

/// A live connection. What it has not acknowledged when it is dropped returns, unless it does not
/// stream: then it returns after its lease.
#[derive(Debug)]
pub(crate) struct Connection {
    consumer: Arc<Consumer>,
    conn: Conn,
    changed: watch::Receiver<()>,
    looked: Instant,
    /// Cancelled when a connection with another filter takes over.
    pub(crate) displaced: CancellationToken,
    /// Whether its end says something about what it had: not when it is our doing.
    counts: bool,
}

impl Connection {
    pub(super) fn new(consumer: Arc<Consumer>, terms: Terms, filter: &Filter) -> Self {
        let conn = u32::from_le_bytes(random::bytes());
        let changed = consumer.changed.subscribe();
        let displaced = consumer.change(|deal, now| deal.join(conn, terms, filter, now));
        Self { consumer, conn, changed, looked: now().at, displaced, counts: true }
    }

    /// Everything up to here is acknowledged.
    pub(crate) fn cursor(&self) -> Cursor {
        lock(&self.consumer.deal).cursor()
    }

    /// At most `most` events that are for this connection now; none means to [`Connection::wait`]
    /// or for the log to grow.
    ///
    /// # Errors
    /// `CursorExpired`, `StorageUnavailable`.
    pub(crate) async fn take(
        &mut self,
        session: &Session,
        most: usize,
    ) -> Result<Vec<Delivery>, SessionError> {
        self.changed.borrow_and_update();
        let page = usize::try_from(PAGE).unwrap_or(usize::MAX);
        loop {
            let now = now();
            self.looked = now.at;
            let (dealt, from, room, dirty) = {
                let mut deal = lock(&self.consumer.deal);
                let dealt = deal.take(self.conn, most.min(page), now);
                let room = deal.has_room(self.conn);
                (dealt, deal.read_from(), room, deal.is_dirty())
            };
            if dirty {
                self.consumer.write_soon();
            }
            if !dealt.is_empty() {
                return self.load(session, dealt).await;
            }
            let (Some(from), true) = (from, room) else { return Ok(Vec::new()) };
            if self.displaced.is_cancelled() || !self.read(session, from).await? {
                return Ok(Vec::new());
            }
        }
    }

    /// Reads on in the log; answers whether something new came of it.
    async fn read(&self, session: &Session, from: Cursor) -> Result<bool, SessionError> {
        // Whoever reads already tells the others.
        let Ok(_reading) = self.consumer.reading.try_lock() else { return Ok(false) };
        let page = session.events(from, PAGE).await?;
        if page.next <= from {
            return Ok(false);
        }
        self.consumer.change(|deal, now| deal.add(from, page, now));
        Ok(true)
    }

    async fn load(
        &self,
        session: &Session,
        dealt: Vec<Dealt>,
    ) -> Result<Vec<Delivery>, SessionError> {
        let missing = dealt.iter().filter(|dealt| dealt.event.is_none());
        let mut found = read_again(session, missing.map(|dealt| dealt.id.cursor)).await?;
        let mut deliveries = Vec::with_capacity(dealt.len());
        for Dealt { id, attempt, replayed, event } in dealt {
            let event = event.map(|event| *event).or_else(|| found.remove(&id.cursor));
            let Some(event) = event else {
                // Gone by retention: nobody can deliver it any more.
                self.consumer.change(|deal, now| deal.settle(id.cursor, now));
                continue;
            };
            deliveries.push(Delivery { id, attempt, replayed, event });
        }
        Ok(deliveries)
    }

    /// Waits until there may be something to take, other than by new events.
    pub(crate) async fn wait(&mut self) {
        let alarm = lock(&self.consumer.deal).alarm(self.looked);
        let rest = async {
            match alarm {
                Some(alarm) => sleep_until(alarm).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.changed.changed() => {
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            () = rest => {}
        }
    }

    /// Acknowledges deliveries, these or up to one of this connection; the cursor becomes durable
    /// soon.
    ///
    /// # Errors
    /// `CursorInvalid`.
    pub(crate) fn acknowledge(
        &self,
        up_to: Option<&str>,
        ids: &[String],
        tail: Cursor,
    ) -> Result<(), Problem> {
        let up_to = up_to.map(|text| parse_up_to(text, tail)).transpose()?;
        let ids = parse_ids(ids, tail)?;
        self.consumer.change(|deal, now| {
            match up_to {
                Some(UpTo::Delivery(id)) if id.conn == self.conn => deal.settle_deliveries(id, now),
                // Of a former connection: that event only.
                Some(UpTo::Delivery(id)) => deal.settle(id.cursor, now),
                Some(UpTo::Cursor(cursor)) => deal.settle_own_up_to(self.conn, cursor, now),
                None => {}
            }
            for cursor in ids {
                deal.settle(cursor, now);
            }
        });
        Ok(())
    }

    /// See [`Consumer::extend`].
    ///
    /// # Errors
    /// `CursorInvalid`.
    pub(crate) fn extend(&self, ids: &[String], lease: Duration) -> Result<Vec<String>, Problem> {
        self.consumer.extend(ids, lease)
    }

    /// Takes one event as handled.
    pub(crate) fn settle(&self, cursor: Cursor) {
        self.consumer.change(|deal, now| deal.settle(cursor, now));
    }

    /// One event could not be delivered; it is tried again after a pause, or with none set aside.
    pub(crate) fn fail(&self, cursor: Cursor, pause: Option<Duration>) {
        self.consumer.change(|deal, now| deal.fail(cursor, pause, now));
    }

    /// The peer shows that it is there.
    pub(crate) fn alive(&self) {
        lock(&self.consumer.deal).alive(self.conn);
    }

    /// The connection ends because the gateway wants so.
    pub(crate) fn ends_by_us(&mut self) {
        self.counts = false;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.consumer.change(|deal, now| deal.leave(self.conn, self.counts, now));
    }
}

/// Events of the log by their cursors, which come in order; those that are gone are left out.
pub(crate) async fn read_again(
    session: &Session,
    cursors: impl Iterator<Item = Cursor>,
) -> Result<HashMap<Cursor, Event>, SessionError> {
    let (mut found, mut read) = (HashMap::new(), Cursor::default());
    for cursor in cursors {
        // The page of the one before may have reached it.
        if cursor <= read && !found.is_empty() {
            continue;
        }
        let page = match session.events(cursor.before(), PAGE).await {
            Err(SessionError::CursorExpired) => continue,
            page => page?,
        };
        read = page.items.last().map_or(cursor, |event| event.cursor);
        found.extend(page.items.into_iter().map(|event| (event.cursor, event)));
    }
    Ok(found)
}
