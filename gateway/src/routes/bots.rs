//! `/v1/bots`: admin token.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use quicproquo_client::Cursor;

use crate::auth::Admin;
use crate::bots::{self, BotRecord};
use crate::extract::{Mutation, NoBody, Params, Segment};
use crate::idempotency::{Begin, begin};
use crate::model::{
    BotChange, BotCreated, BotDto, ConsumerLag, List, NewBot, PageParams, WebhookHealth,
};
use crate::openapi::{Denied, Idempotent, Refused};
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::state::AppState;
use crate::webhooks::{WebhookState, consumer_name};

/// Create a bot.
///
/// Makes an identity, claims the name at the node, and answers a first token with every scope.
/// The token is shown once.
#[utoipa::path(
    post, path = "/v1/bots", tag = "bots", params(Idempotent), request_body = NewBot,
    responses((status = 201, body = BotCreated, description = "The bot."), Refused),
    security(("admin_token" = []))
)]
pub(crate) async fn create_bot(
    _: Admin,
    State(state): State<AppState>,
    request: Mutation<NewBot>,
) -> Result<Response, Problem> {
    let (name, invite) = request.body.check()?;
    let once = match begin(&state, request.idempotency).await? {
        Begin::Replay(response) => return Ok(*response),
        Begin::Fresh(once) => once,
    };
    let tasks = state.tasks.clone();
    let work = async move { bots::create(&state, &name, invite.as_deref(), &once).await };
    let created = finish(tasks.spawn(work)).await?;
    Ok(Reply::new(StatusCode::CREATED, created).into_response())
}

/// List all bots, the oldest first.
#[utoipa::path(
    get, path = "/v1/bots", tag = "bots", params(PageParams),
    responses((status = 200, body = List<BotDto>, description = "All bots."), Denied),
    security(("admin_token" = []))
)]
pub(crate) async fn list_bots(
    _: Admin,
    State(state): State<AppState>,
    Params(page): Params<PageParams>,
) -> Result<Reply<List<BotDto>>, Problem> {
    let describe = |bot: Arc<BotRecord>| {
        let dto = BotDto::new(&bot, state.client.session(&bot.identity).as_ref());
        (bot.bot_id.clone(), dto)
    };
    page.reply("/v1/bots", state.bots.all().into_iter().map(describe))
}

/// Show a bot and how it does.
#[utoipa::path(
    get, path = "/v1/bots/{bot_id}", tag = "bots",
    params(("bot_id" = String, Path, description = "The bot's id.")),
    responses((status = 200, body = BotDto, description = "The bot."), Denied),
    security(("admin_token" = []))
)]
pub(crate) async fn get_bot(
    _: Admin,
    State(state): State<AppState>,
    Segment(bot_id): Segment<String>,
) -> Result<Reply<BotDto>, Problem> {
    let bot = find(&state, &bot_id)?;
    show(&state, &bot).await
}

/// Change a bot: its name, what happens to its invitations, or whether it runs.
///
/// A bot that another instance has displaced, or that was exported, stands still, also after a
/// restart, until `state` says `running`.
#[utoipa::path(
    patch, path = "/v1/bots/{bot_id}", tag = "bots", request_body = BotChange,
    params(("bot_id" = String, Path, description = "The bot's id."), Idempotent),
    responses((status = 200, body = BotDto, description = "The bot."), Refused),
    security(("admin_token" = []))
)]
pub(crate) async fn change_bot(
    _: Admin,
    State(state): State<AppState>,
    Segment(bot_id): Segment<String>,
    request: Mutation<BotChange>,
) -> Result<Response, Problem> {
    let wanted = request.body.check()?;
    let once = match begin(&state, request.idempotency).await? {
        Begin::Replay(response) => return Ok(*response),
        Begin::Fresh(once) => once,
    };
    let bot = find(&state, &bot_id)?;
    let tasks = state.tasks.clone();
    let work = async move { bots::change(&state, &bot, wanted, &once).await };
    Ok(Reply::ok(finish(tasks.spawn(work)).await?).into_response())
}

/// Delete a bot: its tokens, its identity and everything it knows, here and at the node.
///
/// While the node cannot be reached its part is done later. The name stays taken, so that nobody
/// can pose as the bot, until the node's operator releases it.
#[utoipa::path(
    delete, path = "/v1/bots/{bot_id}", tag = "bots",
    params(("bot_id" = String, Path, description = "The bot's id."), Idempotent),
    responses((status = 204, description = "It is gone."), Refused),
    security(("admin_token" = []))
)]
pub(crate) async fn delete_bot(
    _: Admin,
    State(state): State<AppState>,
    Segment(bot_id): Segment<String>,
    request: Mutation<NoBody>,
) -> Result<Response, Problem> {
    let once = match begin(&state, request.idempotency).await? {
        Begin::Replay(response) => return Ok(*response),
        Begin::Fresh(once) => once,
    };
    let bot = find(&state, &bot_id)?;
    let tasks = state.tasks.clone();
    let work = async move { bots::delete(&state, &bot, &once).await };
    finish(tasks.spawn(work)).await?;
    Ok(Reply::new(StatusCode::NO_CONTENT, ()).into_response())
}

/// The bot with an id.
pub(crate) fn find(state: &AppState, bot_id: &str) -> Result<Arc<BotRecord>, Problem> {
    state.bots.find(bot_id).ok_or(Problem::new(Kind::BotNotFound))
}

async fn show(state: &AppState, bot: &BotRecord) -> Result<Reply<BotDto>, Problem> {
    let Some(session) = state.client.session(&bot.identity) else {
        return Ok(Reply::ok(BotDto::new(bot, None)));
    };
    let policy = session.invite_policy().await?;
    let tail = *session.tail().borrow();
    let (consumers, webhooks) = readers(state, bot, tail).await?;
    let dto = BotDto::new(bot, Some(&session)).with_policy(policy);
    Ok(Reply::ok(dto.with_readers(consumers, webhooks)))
}

/// How far those are who read the events of a bot.
async fn readers(
    state: &AppState,
    bot: &BotRecord,
    tail: Cursor,
) -> Result<(Vec<ConsumerLag>, Vec<WebhookHealth>), Problem> {
    let mut standings = state.consumers.of_bot(&bot.bot_id);
    let mut webhooks = Vec::new();
    for row in state.webhooks.of_bot(&bot.bot_id) {
        let standing = standings.remove(&consumer_name(&row.webhook_id));
        let failure = state.store.last_failure(&row.webhook_id).await?;
        webhooks.push(WebhookHealth {
            enabled: row.settings.state == WebhookState::Enabled,
            lag: standing.map_or(0, |at| tail.since(at.cursor)),
            failed: standing.map_or(0, |at| at.parked),
            last_error: row.settings.reason.or(failure),
            webhook_id: row.webhook_id,
            url: row.settings.url,
        });
    }
    let own = standings.into_iter().filter(|(name, _)| !name.contains(':'));
    let consumers = own
        .map(|(name, at)| ConsumerLag { name, lag: tail.since(at.cursor), parked: at.parked })
        .collect();
    Ok((consumers, webhooks))
}

/// Work of several steps goes on when its caller hangs up.
pub(crate) async fn finish<T>(
    task: tokio::task::JoinHandle<Result<T, Problem>>,
) -> Result<T, Problem> {
    task.await.map_err(|_| Problem::new(Kind::Internal))?
}
