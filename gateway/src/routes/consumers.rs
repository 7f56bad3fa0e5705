//! `/v1/events/consumers` and `/v1/events/parked`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use quicproquo_client::Cursor;

use crate::auth::{Bot, Scope};
use crate::events::read_again;
use crate::extract::{Mutation, NoBody, Params, Segment};
use crate::idempotency::once;
use crate::model::{
    ConsumerDto, ConsumerParams, EventDto, List, PageParams, ParkedDto, ParkedParams, rfc3339,
};
use crate::openapi::{Denied, Idempotent, Refused};
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::state::AppState;

/// List the bot's named consumers.
#[utoipa::path(
    get, path = "/v1/events/consumers", tag = "events", params(PageParams),
    responses((status = 200, body = List<ConsumerDto>, description = "By name."), Denied),
    security(("bot_token" = ["messages:read"]))
)]
pub(crate) async fn list_consumers(
    bot: Bot,
    State(state): State<AppState>,
    Params(page): Params<PageParams>,
) -> Result<Reply<List<ConsumerDto>>, Problem> {
    bot.need(Scope::MessagesRead)?;
    let all = state.consumers.visible(&bot).into_iter();
    let items = all.map(|(name, at)| (name.clone(), ConsumerDto::new(name, &at.standing())));
    page.reply("/v1/events/consumers", items)
}

/// Delete a named consumer: its place is forgotten and its connections end.
#[utoipa::path(
    delete, path = "/v1/events/consumers/{consumer}", tag = "events",
    params(("consumer" = String, Path, description = "The consumer's name."), Idempotent),
    responses((status = 204, description = "It is deleted."), Refused),
    security(("bot_token" = ["messages:read"]))
)]
pub(crate) async fn delete_consumer(
    bot: Bot,
    State(state): State<AppState>,
    Segment(name): Segment<String>,
    request: Mutation<NoBody>,
) -> Result<Response, Problem> {
    bot.need(Scope::MessagesRead)?;
    once(&state, &bot, request.idempotency, StatusCode::NO_CONTENT, async {
        state.consumers.find(&bot, &name)?;
        state.consumers.delete(&bot.record.bot_id, &name).await
    })
    .await
}

/// List events that were delivered to a named consumer ten times in vain, oldest first.
#[utoipa::path(
    get, path = "/v1/events/parked", tag = "events", params(ParkedParams),
    responses((status = 200, body = List<ParkedDto>, description = "What is set aside."), Denied),
    security(("bot_token" = ["messages:read"]))
)]
pub(crate) async fn list_parked(
    bot: Bot,
    State(state): State<AppState>,
    Params(params): Params<ParkedParams>,
) -> Result<Reply<List<ParkedDto>>, Problem> {
    bot.need(Scope::MessagesRead)?;
    let (after, limit) = params.page()?;
    let consumer = state.consumers.find(&bot, &params.consumer)?;
    consumer.forget_parked(bot.session.oldest().await?);
    let parked = consumer.parked();
    let after = |(cursor, _): &(Cursor, _)| after.is_none_or(|after| *cursor > after);
    let mut page: Vec<_> = parked.into_iter().filter(after).take(limit + 1).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|(cursor, _)| *cursor);
    let mut events = read_again(&bot.session, page.iter().map(|(cursor, _)| *cursor)).await?;
    let items = page.into_iter().map(|(cursor, row)| ParkedDto {
        event: events.remove(&cursor).map(|event| EventDto::new(event, row.attempt)),
        delivery_id: row.delivery_id,
        attempts: row.attempt,
        parked_at: rfc3339(row.at_ms),
    });
    let items = items.collect();
    let link = next.map(|next| {
        format!("/v1/events/parked?consumer={}&after={next}&limit={limit}", params.consumer)
    });
    let next = next.map(|next| next.to_string());
    Ok(Reply::ok(List { items, next }).next_page(link))
}

/// Deliver an event that was set aside again.
///
/// It comes to the consumer with `replayed`, and its attempts begin anew. To throw it away instead,
/// acknowledge its `delivery_id`.
#[utoipa::path(
    post, path = "/v1/events/parked/{delivery_id}/replay", tag = "events",
    params(
        ("delivery_id" = String, Path, description = "The delivery's id."),
        ConsumerParams, Idempotent
    ),
    responses((status = 202, description = "It will be delivered again."), Refused),
    security(("bot_token" = ["messages:read"]))
)]
pub(crate) async fn replay_parked(
    bot: Bot,
    State(state): State<AppState>,
    Segment(delivery_id): Segment<String>,
    Params(params): Params<ConsumerParams>,
    request: Mutation<NoBody>,
) -> Result<Response, Problem> {
    bot.need(Scope::MessagesRead)?;
    let work = replay(&state, &bot, &params, &delivery_id);
    let mut response =
        once(&state, &bot, request.idempotency, StatusCode::NO_CONTENT, work).await?;
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

async fn replay(
    state: &AppState,
    bot: &Bot,
    params: &ConsumerParams,
    delivery_id: &str,
) -> Result<(), Problem> {
    let mut consumers = state.consumers.visible(bot);
    consumers.retain(|name, _| params.consumer.as_ref().is_none_or(|wanted| wanted == name));
    for consumer in consumers.into_values() {
        let parked = consumer.parked();
        let found = parked.iter().find(|(_, row)| row.delivery_id == delivery_id);
        if let Some((cursor, _)) = found {
            consumer.replay(*cursor);
            state.consumers.flush(&consumer).await?;
            return Ok(());
        }
    }
    Err(Problem::new(Kind::DeliveryNotFound))
}
