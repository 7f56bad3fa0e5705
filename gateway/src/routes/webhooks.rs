//! `/v1/webhooks`.

use std::collections::HashSet;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use quicproquo_client::clock::now_ms;

use crate::auth::{Bot, Scope};
use crate::events::with_ends;
use crate::extract::{Mutation, NoBody, Params, Segment};
use crate::idempotency::{Begin, begin_own, once};
use crate::model::{
    DeliveryParams, List, NewWebhook, PageParams, Replay, Replayed, WebhookChange, WebhookCreated,
    WebhookDeliveryDto, WebhookDto, check_description, join_groups, join_types,
};
use crate::openapi::{Denied, Expired, Idempotent, Refused};
use crate::problem::{Kind, Problem};
use crate::random;
use crate::reply::Reply;
use crate::state::AppState;
use crate::store::WebhookRow;
use crate::webhooks::{Keys, Settings, WebhookState, consumer_name};

/// Make a webhook.
///
/// The gateway delivers the bot's events to it by the Standard Webhooks specification. The secret is
/// shown in this answer only. The target must be on the gateway's allow-list
/// (`http.webhooks.targets`).
#[utoipa::path(
    post, path = "/v1/webhooks", tag = "webhooks", params(Idempotent), request_body = NewWebhook,
    responses((status = 201, body = WebhookCreated, description = "The webhook."), Refused, Expired),
    security(("bot_token" = ["webhooks:manage", "messages:read"]))
)]
pub(crate) async fn create_webhook(
    bot: Bot,
    State(state): State<AppState>,
    request: Mutation<NewWebhook>,
) -> Result<Response, Problem> {
    bot.need(Scope::WebhooksManage)?;
    bot.need(Scope::MessagesRead)?;
    let once = match begin_own(&state, &bot, request.idempotency).await? {
        Begin::Replay(response) => return Ok(*response),
        Begin::Fresh(once) => once,
    };
    let new = request.body;
    let after = new.after()?.unwrap_or(*bot.session.tail().borrow());
    // A cursor that is not of this log is told here, not by silence later.
    if let Err(error) = bot.session.events(after, 1).await {
        return Err(with_ends(error, &bot).await);
    }
    let may_send = bot.grant.scopes.contains(&Scope::MessagesSend);
    let settings = Settings {
        url: check_url(&state, &new.url)?,
        description: new.description,
        types: new.types.map(join_types).transpose()?.flatten(),
        groups: groups(&bot, new.groups.map(join_groups).transpose()?.flatten()),
        replies: new.replies.unwrap_or(may_send),
        state: WebhookState::Enabled,
        reason: None,
    };
    check(&bot, &settings)?;
    state.webhooks.check_room(&bot.record.bot_id)?;
    let keys = Keys::random();
    let webhook_id = random::id("whk_");
    let secrets = state.client.seal("webhooks", webhook_id.as_bytes(), &keys.to_bytes());
    let bot_id = bot.record.bot_id.clone();
    let row = WebhookRow { webhook_id, bot_id, settings, secrets, created_at_ms: now_ms() };
    let mut answer = WebhookCreated::new(WebhookDto::new(&row, &keys, None));
    let record = once.record(StatusCode::CREATED, &answer);
    // Its place first: a webhook without one would begin at the tail of its first start.
    state.consumers.begin(&row.bot_id, &consumer_name(&row.webhook_id), after).await?;
    state.webhooks.save(&state, row, record.as_ref()).await?;
    answer.reveal(&keys);
    Ok(Reply::new(StatusCode::CREATED, answer).into_response())
}

/// List the bot's webhooks.
///
/// The oldest first; a page of them in the order of their ids.
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "webhooks", params(PageParams),
    responses((status = 200, body = List<WebhookDto>, description = "The webhooks."), Denied),
    security(("bot_token" = ["webhooks:manage"]))
)]
pub(crate) async fn list_webhooks(
    bot: Bot,
    State(state): State<AppState>,
    Params(page): Params<PageParams>,
) -> Result<Reply<List<WebhookDto>>, Problem> {
    bot.need(Scope::WebhooksManage)?;
    let mut rows = state.webhooks.of_bot(&bot.record.bot_id);
    rows.retain(|row| within_limits(&bot, &row.settings).is_ok());
    let named = |row: &WebhookRow| Ok((row.webhook_id.clone(), show(&state, row)?));
    let items: Vec<_> = rows.iter().map(named).collect::<Result<_, Problem>>()?;
    page.reply("/v1/webhooks", items)
}

/// Show a webhook.
#[utoipa::path(
    get, path = "/v1/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook's id.")),
    responses((status = 200, body = WebhookDto, description = "The webhook."), Denied),
    security(("bot_token" = ["webhooks:manage"]))
)]
pub(crate) async fn get_webhook(
    bot: Bot,
    State(state): State<AppState>,
    Segment(webhook_id): Segment<String>,
) -> Result<Reply<WebhookDto>, Problem> {
    bot.need(Scope::WebhooksManage)?;
    Ok(Reply::ok(show(&state, &find(&state, &bot, &webhook_id)?)?))
}

/// Change a webhook.
///
/// One that was disabled goes on where it stopped when its state is set to `enabled`. With another
/// filter it goes on from its place, and what the former filter let pass above it comes again.
#[utoipa::path(
    patch, path = "/v1/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook's id."), Idempotent),
    request_body = WebhookChange,
    responses((status = 200, body = WebhookDto, description = "The webhook as it is now."), Refused),
    security(("bot_token" = ["webhooks:manage", "messages:read"]))
)]
pub(crate) async fn change_webhook(
    bot: Bot,
    State(state): State<AppState>,
    Segment(webhook_id): Segment<String>,
    request: Mutation<WebhookChange>,
) -> Result<Response, Problem> {
    bot.need(Scope::WebhooksManage)?;
    bot.need(Scope::MessagesRead)?;
    let work = change(&state, &bot, &webhook_id, request.body);
    once(&state, &bot, request.idempotency, StatusCode::OK, work).await
}

async fn change(
    state: &AppState,
    bot: &Bot,
    webhook_id: &str,
    change: WebhookChange,
) -> Result<WebhookDto, Problem> {
    let _changing = state.webhooks.changing().await;
    let mut row = find(state, bot, webhook_id)?;
    let settings = &mut row.settings;
    if let Some(url) = change.url {
        settings.url = check_url(state, &url)?;
    }
    if let Some(description) = change.description {
        settings.description = description;
    }
    if let Some(types) = change.types {
        settings.types = join_types(types)?;
    }
    if let Some(wanted) = change.groups {
        settings.groups = groups(bot, join_groups(wanted)?);
    }
    if let Some(replies) = change.replies {
        settings.replies = replies;
    }
    if let Some(wanted) = change.state {
        settings.state = wanted;
        settings.reason = None;
    }
    check(bot, settings)?;
    state.webhooks.save(state, row.clone(), None).await?;
    show(state, &row)
}

/// Delete a webhook.
#[utoipa::path(
    delete, path = "/v1/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook's id."), Idempotent),
    responses((status = 204, description = "It is deleted."), Refused),
    security(("bot_token" = ["webhooks:manage"]))
)]
pub(crate) async fn delete_webhook(
    bot: Bot,
    State(state): State<AppState>,
    Segment(webhook_id): Segment<String>,
    request: Mutation<NoBody>,
) -> Result<Response, Problem> {
    bot.need(Scope::WebhooksManage)?;
    once(&state, &bot, request.idempotency, StatusCode::NO_CONTENT, async {
        let _changing = state.webhooks.changing().await;
        let row = find(&state, &bot, &webhook_id)?;
        state.webhooks.delete(&state, &row).await
    })
    .await
}

/// List a webhook's deliveries, the newest event first.
#[utoipa::path(
    get, path = "/v1/webhooks/{webhook_id}/deliveries", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook's id."), DeliveryParams),
    responses(
        (status = 200, body = List<WebhookDeliveryDto>, description = "The deliveries."), Denied
    ),
    security(("bot_token" = ["webhooks:manage"]))
)]
pub(crate) async fn list_deliveries(
    bot: Bot,
    State(state): State<AppState>,
    Segment(webhook_id): Segment<String>,
    Params(params): Params<DeliveryParams>,
) -> Result<Reply<List<WebhookDeliveryDto>>, Problem> {
    bot.need(Scope::WebhooksManage)?;
    let row = find(&state, &bot, &webhook_id)?;
    let (before, limit) = params.page()?;
    if before.is_none()
        && let Err(error) = give_up(&state, &bot, &row).await
    {
        let error = error.kind().slug();
        tracing::warn!(error, webhook = webhook_id, "deliveries that are over are not marked");
    }
    let found = state.store.reports(&row.webhook_id, params.state, before, limit + 1).await?;
    let more = found.len() > limit;
    let page: Vec<_> = found.into_iter().take(limit).collect();
    let next = page.last().filter(|_| more).map(|(n, ..)| format!("d{n}"));
    let items = page.into_iter().map(|(_, cursor, report)| WebhookDeliveryDto::new(cursor, report));
    let link = next.as_ref().map(|next| {
        let state = params.state.map(|state| format!("&state={}", state.as_str()));
        let query = format!("before={next}&limit={limit}{}", state.unwrap_or_default());
        format!("/v1/webhooks/{webhook_id}/deliveries?{query}")
    });
    Ok(Reply::ok(List { items: items.collect(), next }).next_page(link))
}

/// Deliveries for which no attempt comes any more have failed: their events are not kept any more, or
/// the webhook's types and groups do not let them pass any more.
async fn give_up(state: &AppState, bot: &Bot, row: &WebhookRow) -> Result<(), Problem> {
    let consumer = state.consumers.find_any(&row.bot_id, &consumer_name(&row.webhook_id))?;
    let oldest = bot.session.oldest().await?;
    let is_over = |cursor| cursor <= oldest || !consumer.waits(cursor);
    Ok(state.store.give_up_reports(&row.webhook_id, is_over).await?)
}

/// Deliver events to a webhook again.
///
/// They come with `replayed`, under the same `webhook-id`, and out of order. Events that are being
/// delivered, or are older than what is kept, are left out.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook_id}/replay", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook's id."), Idempotent),
    request_body = Replay,
    responses((status = 202, body = Replayed, description = "How many come again."), Refused),
    security(("bot_token" = ["webhooks:manage"]))
)]
pub(crate) async fn replay_deliveries(
    bot: Bot,
    State(state): State<AppState>,
    Segment(webhook_id): Segment<String>,
    request: Mutation<Replay>,
) -> Result<Response, Problem> {
    bot.need(Scope::WebhooksManage)?;
    let work = replay(&state, &bot, &webhook_id, request.body);
    once(&state, &bot, request.idempotency, StatusCode::ACCEPTED, work).await
}

async fn replay(
    state: &AppState,
    bot: &Bot,
    webhook_id: &str,
    wanted: Replay,
) -> Result<Replayed, Problem> {
    let row = find(state, bot, webhook_id)?;
    wanted.check()?;
    let Replay { delivery_ids, failed } = wanted;
    let consumer = state.consumers.find_any(&row.bot_id, &consumer_name(&row.webhook_id))?;
    let oldest = bot.session.oldest().await?;
    consumer.forget_parked(oldest);
    let mut cursors = HashSet::new();
    if failed {
        cursors.extend(consumer.parked().into_iter().map(|(cursor, _)| cursor));
    }
    if !delivery_ids.is_empty() {
        let all = state.store.reports(&row.webhook_id, None, None, usize::MAX).await?;
        for (index, id) in delivery_ids.iter().enumerate() {
            let found = all.iter().find(|(_, _, report)| report.delivery_id == *id);
            let (_, cursor, _) = found.ok_or_else(|| {
                Problem::new(Kind::DeliveryNotFound)
                    .at(format!("/delivery_ids/{index}"), "not of this webhook")
            })?;
            cursors.insert(*cursor);
        }
    }
    let kept = cursors.into_iter().filter(|cursor| *cursor > oldest);
    let replayed = kept.filter(|cursor| consumer.replay(*cursor)).count();
    state.consumers.flush(&consumer).await?;
    Ok(Replayed { replayed })
}

fn check_url(state: &AppState, url: &str) -> Result<String, Problem> {
    match state.targets.check(url) {
        Ok(url) => Ok(url.to_string()),
        Err(refusal) => {
            Err(Problem::new(Kind::WebhookTargetRefused).at("/url", refusal.to_string()))
        }
    }
}

/// What a token is limited to limits its webhooks.
fn groups(bot: &Bot, wanted: Option<String>) -> Option<String> {
    match (wanted, &bot.grant.groups) {
        (None, Some(own)) => {
            let mut own: Vec<_> = own.iter().map(ToString::to_string).collect();
            own.sort();
            Some(own.join(","))
        }
        (wanted, _) => wanted,
    }
}

fn check(bot: &Bot, settings: &Settings) -> Result<(), Problem> {
    check_description(&settings.description)?;
    if settings.replies {
        bot.need(Scope::MessagesSend)?;
    }
    within_limits(bot, settings)
}

/// A webhook of the caller's bot; a token with limits reaches those within them.
fn find(state: &AppState, bot: &Bot, webhook_id: &str) -> Result<WebhookRow, Problem> {
    let row = state.webhooks.find(&bot.record.bot_id, webhook_id)?;
    within_limits(bot, &row.settings)?;
    Ok(row)
}

fn within_limits(bot: &Bot, settings: &Settings) -> Result<(), Problem> {
    let groups = settings.groups.iter().flat_map(|groups| groups.split(','));
    for group in groups {
        let group = group.parse().map_err(|_| Problem::field("/groups", "group ids"))?;
        if !bot.grant.allows_group(&group) {
            return Err(Problem::new(Kind::GroupNotAllowed));
        }
    }
    if settings.groups.is_none() && bot.grant.groups.is_some() {
        return Err(Problem::new(Kind::GroupNotAllowed));
    }
    Ok(())
}

fn show(state: &AppState, row: &WebhookRow) -> Result<WebhookDto, Problem> {
    let opened = state.client.open_sealed("webhooks", row.webhook_id.as_bytes(), &row.secrets);
    let keys = opened.and_then(|bytes| Keys::from_bytes(&bytes));
    let keys = keys.ok_or_else(|| {
        tracing::error!(webhook = %row.webhook_id, "the keys of a webhook do not open");
        Problem::new(Kind::Internal)
    })?;
    let at = state.consumers.find_any(&row.bot_id, &consumer_name(&row.webhook_id)).ok();
    Ok(WebhookDto::new(row, &keys, at.map(|consumer| consumer.standing()).as_ref()))
}
