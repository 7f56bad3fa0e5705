//! Server-sent events (WHATWG HTML, section 9.2): the same log for browsers and `curl`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue};
use quicproquo_client::Cursor;
use quicproquo_client::clock::now_ms;
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::source::{Given, Source, with_ends};
use super::websocket::LONGEST;
use crate::auth::Bot;
use crate::door::ConnectionPermit;
use crate::metrics::Door;
use crate::model::Wanted;
use crate::occasion;
use crate::problem::{Kind, Problem};
use crate::state::AppState;

/// The place that a reader comes back from.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Between signs of life.
const BEAT: Duration = Duration::from_secs(15);
/// How long a reader waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);
/// Events read from the log at once. A reader that does not keep up holds them in memory.
const PAGE: usize = 32;

/// Whether a caller of `GET /v1/events` asks for a stream.
pub(crate) fn wants_sse(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = values.flat_map(|value| value.split(','));
    types.any(|media| {
        let name = media.split(';').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("text/event-stream")
    })
}

/// Streams events until the token ends, the gateway stops or the reader goes.
///
/// # Errors
/// As [`Source::open`], and `CursorExpired`.
pub(crate) async fn sse(
    state: AppState,
    bot: Bot,
    mut wanted: Wanted<'_>,
    last_event_id: Option<&HeaderValue>,
    permit: Option<ConnectionPermit>,
) -> Result<Response, Problem> {
    if let Some(value) = last_event_id {
        let invalid = || Problem::new(Kind::CursorInvalid).at("Last-Event-ID", "not a cursor");
        let text = value.to_str().map_err(|_| invalid())?;
        if !text.is_empty() {
            wanted.after = Some(text.parse().map_err(|_| invalid())?);
        }
    }
    let source = Source::open(&state, &bot, Door::Sse, wanted, None).await?;
    if let Err(error) = bot.session.events(source.cursor(), 1).await {
        return Err(with_ends(error, &bot).await);
    }
    let tap = Tap::new(&state, &bot, source, permit);
    let mut response = Sse::new(stream::unfold(tap, next)).into_response();
    // Proxies must not gather the events.
    let name = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(name, HeaderValue::from_static("no"));
    Ok(response)
}

/// A reader.
#[derive(Debug)]
struct Tap {
    source: Source,
    queue: VecDeque<Given>,
    begun: bool,
    over: bool,
    told: Cursor,
    beat: Interval,
    expiry: Pin<Box<Sleep>>,
    revoked: CancellationToken,
    displaced: CancellationToken,
    stopping: CancellationToken,
    _task: TaskTrackerToken,
    _permit: Option<ConnectionPermit>,
}

impl Tap {
    fn new(state: &AppState, bot: &Bot, source: Source, permit: Option<ConnectionPermit>) -> Self {
        let mut beat = interval_at(Instant::now() + BEAT, BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let left = bot.grant.expires_at_ms.map(|end| end.saturating_sub(now_ms()));
        let left = left.map_or(LONGEST, |ms| Duration::from_millis(ms).min(LONGEST));
        Self {
            queue: VecDeque::new(),
            begun: false,
            over: false,
            told: source.cursor(),
            beat,
            expiry: Box::pin(sleep(left)),
            revoked: bot.grant.revoked.clone(),
            displaced: source.displaced(),
            stopping: state.stopping.clone(),
            source,
            _task: state.tasks.token(),
            _permit: permit,
        }
    }

    async fn event(&mut self) -> Option<Event> {
        if !std::mem::replace(&mut self.begun, true) {
            return Some(Event::default().comment("quicproquo events").retry(RETRY));
        }
        loop {
            if self.over || self.revoked.is_cancelled() || self.stopping.is_cancelled() {
                break;
            }
            if self.displaced.is_cancelled() {
                self.over = true;
                let problem = occasion::told(Problem::new(Kind::ConsumerDisplaced), None);
                return Event::default().event("problem").json_data(problem).ok();
            }
            if let Some(given) = self.queue.pop_front() {
                let event = given.into_event();
                let id = event.cursor().to_owned();
                return Event::default().id(id).json_data(event).ok();
            }
            tokio::select! {
                () = self.revoked.cancelled() => break,
                () = self.displaced.cancelled() => {}
                () = self.stopping.cancelled() => break,
                () = &mut self.expiry => break,
                _ = self.beat.tick() => return Some(self.sign()),
                ready = self.source.ready() => {
                    if ready.is_err() {
                        break;
                    }
                    match self.source.next(PAGE).await {
                        Ok(page) => self.queue.extend(page),
                        // The reader comes back and is told why.
                        Err(_) => break,
                    }
                }
            }
        }
        self.source.ends_by_us();
        None
    }

    /// A comment; with the reader's new place when it moved over what is not for it.
    fn sign(&mut self) -> Event {
        let event = Event::default().comment("");
        let cursor = self.source.cursor();
        if self.source.consumer().is_some() || cursor == self.told || !self.source.is_idle() {
            return event;
        }
        self.told = cursor;
        event.id(cursor.to_string())
    }
}

async fn next(mut tap: Tap) -> Option<(Result<Event, Infallible>, Tap)> {
    let event = tap.event().await?;
    Some((Ok(event), tap))
}
