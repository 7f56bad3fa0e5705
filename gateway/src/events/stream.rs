//! A WebSocket stream: pages of the log out, acknowledgements and messages in.

mod send;

use std::future::ready;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, SinkExt, StreamExt};
use quicproquo_client::clock::now_ms;
use quicproquo_client::{Cursor, SessionError};
use tokio::sync::watch;
use tokio::task::unconstrained;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::consumers::{Lease, delivery_id};
use super::filter::Filter;
use super::frames::{Incoming, Outgoing};
use crate::auth::Bot;
use crate::extract::{CONTENT_LIMIT, parse_json};
use crate::model::EventDto;
use crate::problem::{Kind, Problem};
use crate::state::AppState;

/// Events read from the log at once.
const PAGE: u32 = 100;
/// Messages of one connection that are being sent; more are not read from the socket.
const MAX_SENDS: usize = 64;
const HEARTBEAT: Duration = Duration::from_secs(25);
/// A frame must get out in this time.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Two heartbeats and some: a peer that answers no ping is gone.
const SILENCE: Duration = Duration::from_mins(1);
/// The longest sleep; a token that ends later is looked at again by the next connection.
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Why a stream ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The peer is gone.
    Gone,
    /// We close with this code and reason.
    Close(u16, &'static str),
}

impl End {
    const TOKEN: Self = Self::Close(4401, "the token is no longer valid");
    const DISPLACED: Self = Self::Close(4409, "another connection of this consumer took over");
    const EXPIRED: Self = Self::Close(4410, "the cursor is not in the log any more");
    const TOO_LARGE: Self = Self::Close(4413, "the message is too large");
    const TOO_SLOW: Self = Self::Close(4008, "no write progress for 10 s");
    const RESTART: Self = Self::Close(1012, "the gateway stops");
    const TEXT_ONLY: Self = Self::Close(1003, "text frames only");
    const INTERNAL: Self = Self::Close(1011, "internal error");
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Stream {
    state: AppState,
    bot: Bot,
    filter: Filter,
    consumer: Option<String>,
    lease: Option<Lease>,
    displaced: CancellationToken,
    position: Cursor,
    tail: watch::Receiver<Cursor>,
    caught_up: bool,
    sends: FuturesUnordered<BoxFuture<'static, Outgoing>>,
    heartbeat: Interval,
    last_heard: Instant,
}

impl Stream {
    /// A stream of what comes after `start`, or of a consumer.
    pub(crate) fn new(
        state: AppState,
        bot: Bot,
        filter: Filter,
        start: Cursor,
        consumer: Option<(String, Lease)>,
    ) -> Self {
        let (consumer, lease) = consumer.unzip();
        let displaced = lease.as_ref().map(|lease| lease.displaced.clone()).unwrap_or_default();
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            position: lease.as_ref().map_or(start, |lease| lease.start),
            tail: bot.session.tail(),
            caught_up: false,
            sends: FuturesUnordered::new(),
            last_heard: Instant::now(),
            state,
            bot,
            filter,
            consumer,
            lease,
            displaced,
            heartbeat,
        }
    }

    /// Serves the connection to its end.
    pub(crate) async fn run(mut self, mut socket: WebSocket) {
        if let Err(End::Close(code, reason)) = self.serve(&mut socket).await {
            close(socket, code, reason).await;
        }
    }

    async fn serve(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let heartbeat_ms = u64::try_from(HEARTBEAT.as_millis()).unwrap_or_default();
        let hello = Outgoing::hello(heartbeat_ms, self.position, self.consumer.clone());
        feed(socket, hello.text()).await?;
        flush(socket).await?;
        let left = self.bot.grant.expires_at_ms.map(|end| end.saturating_sub(now_ms()));
        let expiry = sleep(left.map_or(LONGEST, |ms| Duration::from_millis(ms).min(LONGEST)));
        tokio::pin!(expiry);
        let (stopping, revoked) = (self.state.stopping.clone(), self.bot.grant.revoked.clone());
        let displaced = self.displaced.clone();
        loop {
            let room = self.lease.as_ref().is_none_or(Lease::has_room);
            tokio::select! {
                () = revoked.cancelled() => return Err(End::TOKEN),
                () = &mut expiry => return Err(End::TOKEN),
                () = displaced.cancelled() => return Err(End::DISPLACED),
                () = stopping.cancelled() => return Err(End::RESTART),
                frame = socket.recv(), if self.sends.len() < MAX_SENDS => {
                    self.receive(socket, frame).await?;
                }
                Some(result) = self.sends.next(), if !self.sends.is_empty() => {
                    self.answer(socket, &result).await?;
                }
                changed = self.tail.changed(), if self.caught_up => {
                    changed.map_err(|_| End::RESTART)?;
                    self.caught_up = false;
                }
                () = ready(()), if !self.caught_up && room => self.deliver(socket).await?,
                () = acknowledged(self.lease.as_ref()), if !self.caught_up && !room => {}
                _ = self.heartbeat.tick() => self.beat(socket).await?,
            }
        }
    }

    /// Writes a page of the log, with one flush.
    async fn deliver(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let tail = *self.tail.borrow_and_update();
        let page = self.bot.session.events(self.position, PAGE).await.map_err(end_of)?;
        self.caught_up = page.items.is_empty();
        for event in page.items {
            if self.lease.as_ref().is_some_and(|lease| !lease.has_room()) {
                return flush(socket).await;
            }
            let cursor = event.cursor;
            self.position = cursor;
            if !self.filter.lets(&event) {
                continue;
            }
            let attempt = match &self.lease {
                Some(lease) => lease.deliver(cursor),
                None => Some(1),
            };
            if let Some(attempt) = attempt {
                let event = Box::new(EventDto::new(event, attempt));
                let frame = Outgoing::Event { delivery_id: delivery_id(cursor, attempt), event };
                feed(socket, frame.text()).await?;
            }
        }
        self.position = self.position.max(page.next);
        if let Some(lease) = &self.lease {
            lease.skip_to(self.position).await;
        }
        self.caught_up |= self.position >= tail;
        flush(socket).await
    }

    async fn receive(
        &mut self,
        socket: &mut WebSocket,
        frame: Option<Result<Message, axum::Error>>,
    ) -> Result<(), End> {
        self.last_heard = Instant::now();
        let text = match frame {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => return Err(End::TEXT_ONLY),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            // The driver tells a broken limit apart by its words only.
            Some(Err(error)) if error.to_string().contains("too long") => {
                return Err(End::TOO_LARGE);
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        };
        if text.len() > CONTENT_LIMIT {
            return Err(End::TOO_LARGE);
        }
        let answer = match parse_json(text.as_bytes()) {
            Ok(Incoming::Ack { ids, up_to }) => self.acknowledge(up_to, ids).await.err(),
            Ok(Incoming::Send(send)) => {
                // The first poll hands the message to the engine: doing it here, without the
                // scheduler's budget, keeps the order in which messages came.
                let mut sending = unconstrained(send::send(self.bot.clone(), *send)).boxed();
                let result = (&mut sending).now_or_never();
                if result.is_none() {
                    self.sends.push(sending);
                }
                result
            }
            Ok(Incoming::Ping { id }) => Some(Outgoing::Pong { id }),
            Err(problem) => Some(Outgoing::error(problem)),
        };
        match answer {
            Some(frame) => self.answer(socket, &frame).await,
            None => Ok(()),
        }
    }

    async fn acknowledge(
        &mut self,
        up_to: Option<String>,
        ids: Vec<String>,
    ) -> Result<(), Outgoing> {
        let Some(lease) = &self.lease else {
            let detail = "only a named consumer acknowledges: connect with ?consumer=";
            let problem = Problem::new(Kind::RequestInvalid).detail(detail);
            return Err(Outgoing::error(problem));
        };
        let tail = *self.tail.borrow();
        lease.acknowledge(up_to.as_deref(), &ids, tail).await.map_err(Outgoing::error)
    }

    async fn answer(&mut self, socket: &mut WebSocket, frame: &Outgoing) -> Result<(), End> {
        feed(socket, frame.text()).await?;
        flush(socket).await
    }

    async fn beat(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        if self.last_heard.elapsed() > SILENCE {
            return Err(End::Gone);
        }
        write(socket.feed(Message::Ping(Vec::new().into()))).await?;
        flush(socket).await
    }
}

async fn acknowledged(lease: Option<&Lease>) {
    if let Some(lease) = lease {
        lease.acknowledged().await;
    }
}

async fn feed(socket: &mut WebSocket, text: String) -> Result<(), End> {
    write(socket.feed(Message::Text(text.into()))).await
}

async fn flush(socket: &mut WebSocket) -> Result<(), End> {
    write(socket.flush()).await
}

async fn write(writing: impl Future<Output = Result<(), axum::Error>>) -> Result<(), End> {
    match timeout(WRITE_TIMEOUT, writing).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::TOO_SLOW),
    }
}

/// Says why, and gives the peer a moment to take it.
async fn close(mut socket: WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame { code, reason: reason.into() };
    let last_words = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    // A peer that does not read loses them.
    let _ = timeout(Duration::from_secs(2), last_words).await;
}

fn end_of(error: SessionError) -> End {
    match error {
        SessionError::CursorExpired | SessionError::CursorInvalid => End::EXPIRED,
        SessionError::Stopped | SessionError::Displaced(_) => End::RESTART,
        error => {
            tracing::error!(%error, "cannot read the event log");
            End::INTERNAL
        }
    }
}
