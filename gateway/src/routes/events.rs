//! `/v1/events`.

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::{IntoResponse, Response};
use http::header::UPGRADE;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::auth::{Bot, Scope};
use crate::door::ConnectionPermit;
use crate::events::{Caller, LAST_EVENT_ID, poll, sse, upgrade, wants_sse};
use crate::extract::{Mutation, NoBody, Params};
use crate::idempotency::once;
use crate::model::{
    Ack, ConsumerPosition, EventDto, Extend, Extended, List, PollParams, StreamParams, TicketDto,
    lease_of,
};
use crate::openapi::{Denied, Expired, Idempotent, LastEventId, Refused, Upgrade};
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::state::AppState;

/// Get events, waiting for them if there are none, or stream them.
///
/// Without `after` the log's tail is where it starts: with `timeout=0` that answers no items and
/// the tail's cursor in `next`. Go on with `after=` the `next` of the answer before.
///
/// With `Accept: text/event-stream` the answer is a stream of server-sent events that does not end:
/// each has the event as `data` and its cursor as `id`, and a reader that comes back with
/// `Last-Event-ID` misses nothing.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", params(PollParams, LastEventId),
    responses(
        (status = 200, description = "Events, oldest first.", content(
            (List<EventDto> = "application/json"),
            (String = "text/event-stream", example = "id: c1_1f\ndata: {\"cursor\":\"c1_1f\",\"type\":\"message.received\"}\n\n")
        )),
        Denied, Expired
    ),
    security(("bot_token" = ["messages:read"]))
)]
pub(crate) async fn list_events(
    bot: Bot,
    State(state): State<AppState>,
    Params(params): Params<PollParams>,
    permit: Option<Extension<ConnectionPermit>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if wants_sse(&headers) {
        let permit = permit.map(|Extension(permit)| permit);
        return sse(state, bot, params.wanted()?, headers.get(LAST_EVENT_ID), permit).await;
    }
    poll(&state, &bot, &params).await.map(IntoResponse::into_response)
}

/// Stream events over a WebSocket.
///
/// Frames are JSON texts; `/asyncapi.json` describes them. First comes
/// `hello {session, heartbeat_ms, cursor}`, then `event {delivery_id, event}`. The bot may send
/// `ack {ids}` or `ack {up_to}` and `extend {ids, lease_ms}` (named consumers),
/// `send {id, group_id, message, idempotency_key}` answered by `result {id, status, ...}`, and
/// `ping` answered by `pong`. A browser gives a `ticket`, or offers the subprotocols `qpq.v1` and
/// `qpq.token.<token>`, or offers `qpq.v1` and sends `auth {token}` first. Close codes: 1012
/// restart, 4008 too slow, 4401 token, 4403 scope, 4408 no token in time, 4409 displaced, 4410
/// cursor expired, 4413 too large.
#[utoipa::path(
    get, path = "/v1/events/ws", tag = "events", params(StreamParams),
    responses((status = 101, description = "The stream begins."), Denied, Expired, Upgrade),
    security(("bot_token" = ["messages:read"]))
)]
pub(crate) async fn stream_events(
    caller: Caller,
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
    upgrade(state, caller, params, permit.map(|Extension(permit)| permit), socket).await
}

/// Get a ticket for a browser's WebSocket.
///
/// It stands for the caller's token, once, within 30 s: `GET /v1/events/ws?ticket=...`.
#[utoipa::path(
    post, path = "/v1/events/ticket", tag = "events",
    responses((status = 201, body = TicketDto, description = "The ticket."), Refused),
    security(("bot_token" = ["messages:read"]))
)]
pub(crate) async fn issue_ticket(
    bot: Bot,
    State(state): State<AppState>,
    _: Mutation<NoBody>,
) -> Result<Reply<TicketDto>, Problem> {
    bot.need(Scope::MessagesRead)?;
    Ok(Reply::new(StatusCode::CREATED, state.tickets.issue(bot)?))
}

/// Acknowledge events for a named consumer.
#[utoipa::path(
    post, path = "/v1/events/ack", tag = "events", params(Idempotent), request_body = Ack,
    responses((status = 200, body = ConsumerPosition, description = "Where it is now."), Refused),
    security(("bot_token" = ["messages:read"]))
)]
pub(crate) async fn acknowledge_events(
    bot: Bot,
    State(state): State<AppState>,
    request: Mutation<Ack>,
) -> Result<Response, Problem> {
    bot.need(Scope::MessagesRead)?;
    let Ack { consumer, up_to, ids } = request.body;
    if up_to.is_none() && ids.is_empty() {
        return Err(Problem::field("", "up_to or ids, or both"));
    }
    let tail = *bot.session.tail().borrow();
    once(&state, &bot, request.idempotency, StatusCode::OK, async {
        let found = state.consumers.find(&bot, &consumer)?;
        let cursor = found.acknowledge(up_to.as_deref(), &ids, tail)?;
        state.consumers.flush(&found).await?;
        Ok(ConsumerPosition { consumer, cursor: cursor.to_string() })
    })
    .await
}

/// Give deliveries of a named consumer more time.
///
/// The lease of each delivery's group begins again. `gone` lists those whose lease was over.
#[utoipa::path(
    post, path = "/v1/events/extend", tag = "events", params(Idempotent), request_body = Extend,
    responses((status = 200, body = Extended, description = "Which were too late."), Refused),
    security(("bot_token" = ["messages:read"]))
)]
pub(crate) async fn extend_leases(
    bot: Bot,
    State(state): State<AppState>,
    request: Mutation<Extend>,
) -> Result<Response, Problem> {
    bot.need(Scope::MessagesRead)?;
    let Extend { consumer, ids, lease_ms } = request.body;
    let lease = lease_of("/lease_ms", lease_ms)?;
    let work = async {
        let found = state.consumers.find(&bot, &consumer)?;
        Ok(Extended { gone: found.extend(&ids, lease)? })
    };
    once(&state, &bot, request.idempotency, StatusCode::OK, work).await
}
