//! `/v1/events`.

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::UPGRADE;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Bot, Scope};
use crate::door::ConnectionPermit;
use crate::events::{poll, upgrade};
use crate::extract::{Mutation, Params};
use crate::model::{Ack, EventDto, List, PollParams, StreamParams};
use crate::openapi::{Denied, Expired, Idempotent, Refused};
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::state::AppState;

/// Get events, waiting for them if there are none.
///
/// Without `after` the log's tail is where it starts: with `timeout=0` that answers no items and
/// the tail's cursor in `next`. Go on with `after=` the `next` of the answer before.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", params(PollParams),
    responses(
        (status = 200, body = List<EventDto>, description = "Events, oldest first."),
        Denied, Expired
    ),
    security(("bot_token" = []))
)]
pub(crate) async fn list_events(
    bot: Bot,
    State(state): State<AppState>,
    Params(params): Params<PollParams>,
) -> Result<Reply<List<EventDto>>, Problem> {
    poll(&state, &bot, &params).await
}

/// Stream events over a WebSocket.
///
/// Frames are JSON texts. First comes `hello {session, heartbeat_ms, cursor}`, then
/// `event {delivery_id, event}`. The bot may send `ack {ids}` or `ack {up_to}` (named consumers),
/// `send {id, group_id, message, idempotency_key}` answered by `result {id, status, ...}`, and
/// `ping` answered by `pong`. A browser offers the subprotocols `qpq.v1` and
/// `qpq.token.<token>` instead of the header. Close codes: 1012 restart, 4008 too slow, 4401
/// token, 4409 displaced, 4410 cursor expired, 4413 too large.
#[utoipa::path(
    get, path = "/v1/events/ws", tag = "events", params(StreamParams),
    responses((status = 101, description = "The stream begins."), Denied),
    security(("bot_token" = []))
)]
pub(crate) async fn stream_events(
    bot: Bot,
    State(state): State<AppState>,
    Params(params): Params<StreamParams>,
    permit: Option<Extension<ConnectionPermit>>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let Ok(socket) = socket else {
        let mut response = Problem::new(Kind::UpgradeRequired).into_response();
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        return Ok(response);
    };
    upgrade(state, bot, params, permit.map(|Extension(permit)| permit), socket).await
}

/// Where a consumer is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ConsumerPosition {
    /// The consumer.
    #[schema(example = "main")]
    consumer: String,
    /// Everything up to here is acknowledged, durably.
    #[schema(example = "c1_1f")]
    cursor: String,
}

/// Acknowledge events for a named consumer.
#[utoipa::path(
    post, path = "/v1/events/ack", tag = "events", params(Idempotent), request_body = Ack,
    responses((status = 200, body = ConsumerPosition, description = "Where it is now."), Refused),
    security(("bot_token" = []))
)]
pub(crate) async fn acknowledge_events(
    bot: Bot,
    State(state): State<AppState>,
    request: Mutation<Ack>,
) -> Result<Reply<ConsumerPosition>, Problem> {
    bot.need(Scope::MessagesRead)?;
    let Ack { consumer, up_to, ids } = request.body;
    if up_to.is_none() && ids.is_empty() {
        return Err(Problem::field("", "up_to or ids, or both"));
    }
    let (bot_id, tail) = (&bot.record.bot_id, *bot.session.tail().borrow());
    let cursor =
        state.consumers.acknowledge(bot_id, &consumer, up_to.as_deref(), &ids, tail).await?;
    Ok(Reply::ok(ConsumerPosition { consumer, cursor: cursor.to_string() }))
}
