//! Where a door gets its events from: the log, or a consumer's part of it.

use axum::extract::ws::Utf8Bytes;
use quicproquo_client::{Cursor, Event, Session, SessionError, SharedEvent};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::consumers::{Connection, Delivery, Terms};
use super::filter::Filter;
use super::frames::Outgoing;
use crate::auth::{Bot, Scope};
use crate::metrics::{Door, ReaderCounts};
use crate::model::{EventDto, Wanted};
use crate::problem::{Kind, Problem};
use crate::state::AppState;

/// An event for a reader.
#[derive(Debug)]
pub(crate) enum Given {
    /// Of the log, where nothing is acknowledged: the same for all readers.
    Shared(SharedEvent),
    /// For a consumer.
    Delivered(Box<Delivery>),
}

impl Given {
    /// The event with what a consumer needs to acknowledge it.
    pub(crate) fn into_event(self) -> EventDto {
        match self {
            Self::Shared(shared) => EventDto::new(shared.into_event(), 1),
            Self::Delivered(delivery) => {
                let Delivery { id, attempt, replayed, event } = *delivery;
                EventDto::new(event, attempt).delivered(id.to_string(), replayed)
            }
        }
    }

    /// The frame of a WebSocket. What is shared is encoded once for all sockets.
    pub(crate) fn frame(self) -> Utf8Bytes {
        match self {
            Self::Shared(shared) => {
                let encoded = shared.encoded(|event| {
                    let cursor = event.cursor.to_string();
                    let event = EventDto::new(event.clone(), 1);
                    Outgoing::event(cursor, false, event).text().into()
                });
                encoded.try_into().unwrap_or_default()
            }
            Self::Delivered(delivery) => {
                let Delivery { id, attempt, replayed, event } = *delivery;
                let event = EventDto::new(event, attempt);
                Outgoing::event(id.to_string(), replayed, event).text().into()
            }
        }
    }
}

/// A reader's place.
#[derive(Debug)]
pub(crate) struct Source {
    session: Session,
    tail: watch::Receiver<Cursor>,
    from: From,
    /// Nothing is there now.
    idle: bool,
    /// What comes next was waited for.
    waited: bool,
    counts: ReaderCounts,
}

#[derive(Debug)]
enum From {
    Log { position: Cursor, filter: Filter },
    Consumer(Connection),
}

impl Source {
    /// Opens a reader's place, for a stream or for one answer of `limit` events.
    ///
    /// # Errors
    /// `ScopeMissing`, `GroupNotAllowed`, `CursorInvalid`, `CursorExpired`, `RequestInvalid`,
    /// `StorageUnavailable`.
    pub(crate) async fn open(
        state: &AppState,
        bot: &Bot,
        door: Door,
        wanted: Wanted<'_>,
        limit: Option<usize>,
    ) -> Result<Self, Problem> {
        bot.need(Scope::MessagesRead)?;
        let filter = Filter::parse(wanted.types, wanted.groups, &bot.grant)?;
        let tail = bot.session.tail();
        let position = wanted.after.unwrap_or(*tail.borrow());
        let from = match wanted.consumer {
            None => {
                // A poll may know of events before the tail tells of them.
                if position > *tail.borrow()
                    && let Err(error) = bot.session.events(position, 1).await
                {
                    return Err(with_ends(error, bot).await);
                }
                From::Log { position, filter }
            }
            Some(name) => {
                let most = limit.unwrap_or(wanted.prefetch);
                let terms = Terms {
                    limit: most,
                    lane_limit: most,
                    lease: Some(wanted.lease),
                    streams: limit.is_none(),
                };
                let bot_id = &bot.record.bot_id;
                let consumers = &state.consumers;
                // A place that is made must be one to go on from.
                if wanted.after.is_some()
                    && !consumers.knows(bot_id, name)
                    && let Err(error) = bot.session.events(position, 1).await
                {
                    return Err(with_ends(error, bot).await);
                }
                let connection = consumers.open(bot_id, name, position, &filter, terms).await?;
                connection.forget_gone(&bot.session).await?;
                From::Consumer(connection)
            }
        };
        Ok(Self {
            session: bot.session.clone(),
            tail,
            from,
            idle: false,
            waited: false,
            counts: state.metrics.reader(door),
        })
    }

    /// What is there now, at most `most`. None means only that [`Source::ready`] says more.
    ///
    /// Its future is part of each open connection, so those that are large are boxed.
    ///
    /// # Errors
    /// `CursorExpired`, `CursorInvalid`, `StorageUnavailable`.
    pub(crate) async fn next(&mut self, most: usize) -> Result<Vec<Given>, SessionError> {
        let tail = *self.tail.borrow_and_update();
        let waited = std::mem::take(&mut self.waited);
        let count = |event: &Event| {
            if waited {
                self.counts.delivered(event.occurred_at_ms);
            }
        };
        match &mut self.from {
            From::Log { position, filter } => {
                let limit = u32::try_from(most).unwrap_or(u32::MAX);
                let page = match self.session.new_events(*position, limit) {
                    Some(page) => page,
                    None => Box::pin(self.session.shared_events(*position, limit)).await?,
                };
                let moved = page.next > *position;
                *position = page.next.max(*position);
                self.idle = !moved || *position >= tail;
                let items = page.items.into_iter().filter(|shared| filter.lets(shared.event()));
                Ok(items.inspect(|shared| count(shared.event())).map(Given::Shared).collect())
            }
            From::Consumer(connection) => {
                let deliveries = Box::pin(connection.take(&self.session, most)).await?;
                self.idle = !connection.has_more();
                let give = |delivery| Given::Delivered(Box::new(delivery));
                Ok(deliveries.into_iter().inspect(|one| count(&one.event)).map(give).collect())
            }
        }
    }

    /// Waits until there may be something.
    ///
    /// # Errors
    /// `Stopped` when the log does not grow any more.
    pub(crate) async fn ready(&mut self) -> Result<(), SessionError> {
        if self.idle {
            let grown = self.tail.changed();
            match &mut self.from {
                From::Log { .. } => grown.await.map_err(|_| SessionError::Stopped)?,
                From::Consumer(connection) => tokio::select! {
                    grown = grown => grown.map_err(|_| SessionError::Stopped)?,
                    () = connection.wait() => {}
                },
            }
            self.idle = false;
            self.waited = true;
        }
        Ok(())
    }

    /// Whether nothing is there now.
    pub(crate) fn is_idle(&self) -> bool {
        self.idle
    }

    /// Events after this cursor follow, or are not acknowledged.
    pub(crate) fn cursor(&self) -> Cursor {
        match &self.from {
            From::Log { position, .. } => *position,
            From::Consumer(connection) => connection.cursor(),
        }
    }

    /// The consumer's connection.
    pub(crate) fn consumer(&self) -> Option<&Connection> {
        match &self.from {
            From::Log { .. } => None,
            From::Consumer(connection) => Some(connection),
        }
    }

    /// Cancelled when another connection takes over.
    pub(crate) fn displaced(&self) -> CancellationToken {
        self.consumer().map(|connection| connection.displaced.clone()).unwrap_or_default()
    }

    /// The gateway ends this, not the reader.
    pub(crate) fn ends_by_us(&mut self) {
        if let From::Consumer(connection) = &mut self.from {
            connection.ends_by_us();
        }
    }

    /// The newest cursor of the log.
    pub(crate) fn tail(&self) -> Cursor {
        *self.tail.borrow()
    }
}

/// A cursor that expired comes with those to go on from.
pub(crate) async fn with_ends(error: SessionError, bot: &Bot) -> Problem {
    let problem = Problem::from(error);
    let newest = *bot.session.tail().borrow();
    match (problem.kind(), bot.session.oldest().await) {
        (Kind::CursorExpired, Ok(oldest)) => problem.log(&oldest, &newest),
        _ => problem,
    }
}
