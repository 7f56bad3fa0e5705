//! The WebSocket's door: who may come in, and how the connection is set up.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::request::Parts;

use super::close::End;
use super::frames::Outgoing;
use super::source::Source;
use super::stream::{self, Stream};
use crate::auth::{Bot, WEBSOCKET_PROTOCOL};
use crate::door::ConnectionPermit;
use crate::metrics::Door;
use crate::model::StreamParams;
use crate::problem::{Kind, Problem};
use crate::state::AppState;

/// Read at once: the default of 128 KiB would be allocated for each connection, and all of it is
/// written with zeros whenever there may be something to read. What a bot sends is short as a rule.
const READ: usize = 512;
/// Written at once.
const WRITE: usize = 4096;
/// Incoming messages, in bytes. The limit that is told is smaller: see [`super::stream`].
const MAX_MESSAGE: usize = 2 * 1024 * 1024;
/// The longest sleep; a token that ends later is looked at again by the next connection.
pub(super) const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Who opens a WebSocket. A browser sees no HTTP answer: it is let in and told by a close code.
#[derive(Debug)]
pub(crate) enum Caller {
    /// A bot with a token in a header.
    Bot(Bot),
    /// A browser, with what became of its ticket or subprotocol.
    Browser(Result<Bot, Problem>),
    /// A browser that will send its token as the first frame.
    Unknown,
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        if let Some(ticket) = ticket(parts.uri.query().unwrap_or_default()) {
            let bot = state.tickets.redeem(ticket);
            return Ok(Self::Browser(bot.ok_or_else(|| Problem::new(Kind::TokenInvalid))));
        }
        let bot = Bot::from_request_parts(parts, state).await;
        if !offers_protocol(parts) {
            return bot.map(Self::Bot);
        }
        match bot {
            Err(problem) if problem.kind() == Kind::TokenMissing => Ok(Self::Unknown),
            bot => Ok(Self::Browser(bot)),
        }
    }
}

fn ticket(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("ticket="))
}

fn offers_protocol(parts: &Parts) -> bool {
    let values = parts.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offers = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    offers.any(|protocol| protocol.trim() == WEBSOCKET_PROTOCOL)
}

/// Opens a stream of events.
///
/// # Errors
/// As [`Source::open`], for callers that see HTTP answers.
pub(crate) async fn upgrade(
    state: AppState,
    caller: Caller,
    params: StreamParams,
    permit: Option<ConnectionPermit>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let task = state.tasks.token();
    let ready = match caller {
        Caller::Bot(bot) => Ready::Opened(Box::new(open(&state, bot, &params).await?)),
        Caller::Browser(bot) => Ready::Known(bot.map(Box::new)),
        Caller::Unknown => Ready::Unknown,
    };
    Ok(set_up(upgrade)
        .on_upgrade(async move |socket| {
            let mut socket = Box::new(socket);
            match Box::pin(admit(&state, ready, &params, &mut socket)).await {
                Ok(stream) => stream.run(socket).await,
                Err(end) => Box::pin(stream::close(socket, end)).await,
            }
            drop((permit, task));
        })
        .into_response())
}

/// The limits of a WebSocket here.
pub(super) fn set_up(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .protocols([WEBSOCKET_PROTOCOL])
        .read_buffer_size(READ)
        .write_buffer_size(WRITE)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
}

/// How far a caller is when the socket opens.
enum Ready {
    Opened(Box<Stream>),
    Known(Result<Box<Bot>, Problem>),
    Unknown,
}

async fn admit(
    state: &AppState,
    ready: Ready,
    params: &StreamParams,
    socket: &mut WebSocket,
) -> Result<Box<Stream>, End> {
    let bot = match ready {
        Ready::Opened(stream) => return Ok(stream),
        Ready::Known(bot) => bot.map(|bot| *bot),
        Ready::Unknown => stream::authenticate(state, socket).await?,
    };
    let opened = match bot {
        Ok(bot) => open(state, bot, params).await,
        Err(problem) => Err(problem),
    };
    match opened {
        Ok(stream) => Ok(Box::new(stream)),
        Err(problem) => {
            let end = End::of_refusal(&problem);
            stream::feed(socket, Outgoing::error(problem, None).text()).await?;
            Err(end)
        }
    }
}

async fn open(state: &AppState, bot: Bot, params: &StreamParams) -> Result<Stream, Problem> {
    let wanted = params.wanted()?;
    let source = Source::open(state, &bot, Door::WebSocket, wanted, None).await?;
    Ok(Stream::new(state.clone(), bot, source, wanted.consumer.map(str::to_owned)))
}

#[cfg(test)]
mod tests;
