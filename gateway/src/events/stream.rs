//! A WebSocket stream: pages of the log out, acknowledgements and messages in.

mod send;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, SinkExt, StreamExt};
use quicproquo_client::clock::now_ms;
use tokio::task::unconstrained;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout};

use super::close::End;
use super::consumers::Connection;
use super::frames::{Incoming, Outgoing};
use super::source::{Given, Source};
use super::websocket::LONGEST;
use crate::auth::Bot;
use crate::door;
use crate::extract::{CONTENT_LIMIT, parse_json};
use crate::model::lease_of;
use crate::problem::{Kind, Problem};
use crate::random;
use crate::state::AppState;

/// Events read from the log at once.
const PAGE: usize = 100;
/// Frames written at once; then the peer's frames have their turn.
const BURST: usize = 16;
/// Messages of one connection that are being sent; more are not read from the socket.
const MAX_SENDS: usize = 64;
/// A ping comes this often.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(25);
/// Two heartbeats and some: a peer that answers no ping is gone.
pub(crate) const SILENCE: Duration = Duration::from_mins(1);
/// How long the results of sends are waited for when the gateway stops: with the end of the
/// connection it is less than what the gateway gives its requests.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of a connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The same for a peer that has not read for long, unless it reads nothing again.
const LATE_CLOSE: Duration = Duration::from_secs(20);
/// A browser's first frame must come in this time.
pub(crate) const AUTH_TIMEOUT: Duration = Duration::from_secs(10);

/// One connection.
#[derive(Debug)]
pub(crate) struct Stream {
    state: AppState,
    bot: Bot,
    /// Its id, for logs and traces.
    session: Arc<str>,
    source: Source,
    /// Taken and not written yet.
    queue: VecDeque<Given>,
    consumer: Option<String>,
    sends: FuturesUnordered<BoxFuture<'static, Outgoing>>,
    /// An answer that the socket has not taken yet.
    answer: Option<Utf8Bytes>,
    heartbeat: Interval,
    last_heard: Instant,
}

impl Stream {
    /// A stream of what a source has.
    pub(crate) fn new(state: AppState, bot: Bot, source: Source, consumer: Option<String>) -> Self {
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            state,
            bot,
            session: random::id("ws_").into(),
            source,
            queue: VecDeque::new(),
            consumer,
            sends: FuturesUnordered::new(),
            answer: None,
            heartbeat,
            last_heard: Instant::now(),
        }
    }

    /// Serves the connection to its end.
    ///
    /// What lives in it for as long as the connection counts for each of 10,000: rare and large
    /// futures are boxed.
    pub(crate) async fn run(mut self: Box<Self>, mut socket: Box<WebSocket>) {
        match self.serve(&mut socket).await {
            Err(End::TOO_SLOW) => {
                self.source.ends_by_us();
                let stopping = self.state.stopping.clone();
                drop(self);
                // Whoever has not read for so long comes to these words late.
                let last_words = timeout(LATE_CLOSE, say(&mut socket, End::TOO_SLOW));
                let _ = Box::pin(stopping.run_until_cancelled(last_words)).await;
            }
            Err(end @ End::Close(..)) => {
                self.source.ends_by_us();
                drop(self);
                Box::pin(close(socket, end)).await;
            }
            Err(End::Gone) | Ok(()) => {
                drop(self);
                Box::pin(finish(socket)).await;
            }
        }
    }

    /// Until something ends it, also in the middle of a write for which the peer takes its time.
    async fn serve(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let left = self.bot.grant.expires_at_ms.map(|end| end.saturating_sub(now_ms()));
        let expiry = sleep(left.map_or(LONGEST, |ms| Duration::from_millis(ms).min(LONGEST)));
        let (revoked, displaced) = (self.bot.grant.revoked.clone(), self.source.displaced());
        tokio::select! {
            biased;
            () = revoked.cancelled() => Err(End::TOKEN),
            () = expiry => Err(End::TOKEN),
            () = displaced.cancelled() => Err(End::DISPLACED),
            end = self.work(socket) => end,
        }
    }

    /// Until the gateway stops: what was taken by then still has its result.
    async fn work(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let stopping = self.state.stopping.clone();
        tokio::select! {
            biased;
            () = stopping.cancelled() => {}
            end = self.exchange(socket) => return end,
        }
        // Who gets no result in time sends again under the same key.
        timeout(DRAIN_TIMEOUT, self.drain(socket)).await.unwrap_or(Ok(()))?;
        Err(End::RESTART)
    }

    /// Writes the results of what is being sent; nothing more is read, and no events are written.
    async fn drain(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        if let Some(text) = self.answer.take() {
            feed(socket, text).await?;
        }
        while let Some(result) = self.sends.next().await {
            self.answer(socket, &result).await?;
        }
        flush(socket).await
    }

    async fn exchange(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let heartbeat_ms = u64::try_from(HEARTBEAT.as_millis()).unwrap_or_default();
        let (cursor, consumer) = (self.source.cursor(), self.consumer.clone());
        let hello = Outgoing::hello(&self.session, heartbeat_ms, cursor, consumer);
        tracing::debug!(session = &*self.session, bot = self.bot.record.bot_id, "a stream begins");
        feed(socket, hello.text()).await?;
        flush(socket).await?;
        loop {
            // In this order: what the peer has handled is known before leases are judged.
            tokio::select! {
                biased;
                _ = self.heartbeat.tick() => self.beat(socket).await?,
                Some(result) = self.sends.next(), if !self.sends.is_empty() => {
                    self.answer(socket, &result).await?;
                }
                frame = socket.recv(), if self.sends.len() < MAX_SENDS => {
                    self.receive(socket, frame).await?;
                }
                ready = self.source.ready(), if self.queue.is_empty() => {
                    ready.map_err(|_| End::RESTART)?;
                    let page = self.source.next(PAGE).await;
                    self.queue.extend(page.map_err(|error| End::of_log(&error))?);
                    self.deliver(socket).await?;
                }
                () = std::future::ready(()), if !self.queue.is_empty() => {
                    self.deliver(socket).await?;
                }
            }
        }
    }

    /// Writes some events, with one flush.
    async fn deliver(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        if self.queue.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        for given in self.queue.drain(..self.queue.len().min(BURST)) {
            feed(socket, given.frame()).await?;
        }
        flush(socket).await?;
        // Whoever took so long has read, and was not asked for a sign of life meanwhile.
        if begun.elapsed() > HEARTBEAT {
            self.last_heard = Instant::now();
        }
        Ok(())
    }

    async fn receive(
        &mut self,
        socket: &mut WebSocket,
        frame: Option<Result<Message, axum::Error>>,
    ) -> Result<(), End> {
        self.last_heard = Instant::now();
        if let Some(consumer) = self.source.consumer() {
            consumer.alive();
        }
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
            Ok(Incoming::Ack { ids, up_to }) => {
                let tail = self.source.tail();
                let acked =
                    self.consumer().and_then(|c| c.acknowledge(up_to.as_deref(), &ids, tail));
                acked.err().map(|problem| self.refuse(problem))
            }
            Ok(Incoming::Extend { ids, lease_ms }) => {
                let lease = lease_of("/lease_ms", lease_ms);
                let gone = lease.and_then(|lease| self.consumer()?.extend(&ids, lease));
                Some(gone.map_or_else(|it| self.refuse(it), |gone| Outgoing::Extended { gone }))
            }
            Ok(Incoming::Auth { .. }) => {
                let problem = Problem::new(Kind::RequestInvalid).detail("the token is known");
                Some(self.refuse(problem))
            }
            Ok(Incoming::Send(send)) => {
                // The first poll hands the message to the engine: doing it here, without the
                // scheduler's budget, keeps the order in which messages came.
                let (bot, may, session) = (self.bot.clone(), self.may_send(), self.session.clone());
                let mut sending = unconstrained(send::send(bot, *send, may, session)).boxed();
                let result = (&mut sending).now_or_never();
                if result.is_none() {
                    self.sends.push(sending);
                }
                result
            }
            Ok(Incoming::Ping { id }) => Some(Outgoing::Pong { id }),
            Err(problem) => Some(self.refuse(problem)),
        };
        match answer {
            Some(frame) => self.answer(socket, &frame).await,
            None => Ok(()),
        }
    }

    fn refuse(&self, problem: Problem) -> Outgoing {
        Outgoing::error(problem, Some(&self.session))
    }

    /// A send counts as the request that it stands for.
    fn may_send(&self) -> Result<(), Problem> {
        let standing = self.state.rates.token(&self.bot.grant.hash);
        standing.map_or(Ok(()), |standing| standing.check())
    }

    fn consumer(&self) -> Result<&Connection, Problem> {
        self.source.consumer().ok_or_else(|| {
            let detail = "only a named consumer acknowledges: connect with ?consumer=";
            Problem::new(Kind::RequestInvalid).detail(detail)
        })
    }

    async fn answer(&mut self, socket: &mut WebSocket, frame: &Outgoing) -> Result<(), End> {
        // The gateway may stop before the socket takes it.
        let text = Utf8Bytes::from(frame.text());
        self.answer = Some(text.clone());
        feed(socket, text).await?;
        self.answer = None;
        flush(socket).await
    }

    async fn beat(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let now = Instant::now();
        // While so much is being sent, nothing is read from the socket.
        if self.sends.len() >= MAX_SENDS {
            self.last_heard = now;
        }
        let end = self.last_heard + SILENCE;
        if end <= now {
            return Err(End::Gone);
        }
        // Who has answered nothing by then is not given a whole beat more.
        self.heartbeat.reset_at(end.min(now + HEARTBEAT));
        write(socket.feed(Message::Ping(Vec::new().into()))).await?;
        flush(socket).await
    }
}

/// The bot whose token is in the first frame.
pub(super) async fn authenticate(
    state: &AppState,
    socket: &mut WebSocket,
) -> Result<Result<Bot, Problem>, End> {
    let frame = async {
        loop {
            match socket.recv().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_))) => return Err(End::TEXT_ONLY),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
            }
        }
    };
    let text = tokio::select! {
        frame = timeout(AUTH_TIMEOUT, frame) => frame.map_err(|_| End::NO_TOKEN)??,
        () = state.stopping.cancelled() => return Err(End::RESTART),
    };
    Ok(match parse_json(text.as_bytes()) {
        Ok(Incoming::Auth { token }) => Bot::by_token(state, &token),
        _ => Err(Problem::new(Kind::TokenMissing)),
    })
}

pub(super) async fn feed(socket: &mut WebSocket, text: impl Into<Utf8Bytes>) -> Result<(), End> {
    write(socket.feed(Message::Text(text.into()))).await
}

async fn flush(socket: &mut WebSocket) -> Result<(), End> {
    write(socket.flush()).await
}

/// The door ends a write of which nothing is read any more.
async fn write(writing: impl Future<Output = Result<(), axum::Error>>) -> Result<(), End> {
    writing.await.map_err(|error| if door::is_stall(&error) { End::TOO_SLOW } else { End::Gone })
}

/// Answers the peer's close frame (RFC 6455 section 5.5.1), if it sent one.
async fn finish(mut socket: Box<WebSocket>) {
    let rest = async { while let Some(Ok(_)) = socket.recv().await {} };
    let _ = timeout(CLOSE_TIMEOUT, rest).await;
}

/// Says why, and gives the peer a moment to take it.
pub(super) async fn close(mut socket: Box<WebSocket>, end: End) {
    // A peer that does not read loses it.
    let _ = timeout(CLOSE_TIMEOUT, say(&mut socket, end)).await;
}

async fn say(socket: &mut WebSocket, end: End) {
    let End::Close(code, reason) = end else { return };
    let frame = CloseFrame { code, reason: reason.into() };
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = socket.recv().await {}
    }
}
