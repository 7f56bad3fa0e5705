//! `/v1/events/consumers` and `/v1/events/parked`.

use axum::extract::State;
use http::StatusCode;
use quicproquo_client::Cursor;

use crate::auth::{Bot, Scope};
use crate::events::read_again;
use crate::extract::{Mutation, NoBody, Params, Segment};
use crate::model::{ConsumerDto, ConsumerParams, EventDto, List, ParkedDto, ParkedParams, rfc3339};
use crate::openapi::{Denied, Idempotent, Refused};
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::state::AppState;

/// List the bot's named consumers.
#[utoipa::path(
    get, path = "/v1/events/consumers", tag = "events",
    responses((status = 200, body = List<ConsumerDto>, description = "By name."), Denied),
    security(("bot_token" = []))
)]
pub(crate) async fn list_consumers(
    bot: Bot,
    State(state): State<AppState>,
) -> Result<Reply<List<ConsumerDto>>, Problem> {
    bot.need(Scope::MessagesRead)?;
    let all = state.consumers.of_bot(&bot.record.bot_id);
    Ok(Reply::ok(List::whole(all.into_iter().map(|(name, at)| ConsumerDto::new(name, &at)))))
}

/// Delete a named consumer: its place is forgotten and its connections end.
#[utoipa::path(
    delete, path = "/v1/events/consumers/{consumer}", tag = "events",
    params(("consumer" = String, Path, description = "The consumer's name."), Idempotent),
    responses((status = 204, description = "It is deleted."), Refused),
    security(("bot_token" = []))
)]
pub(crate) async fn delete_consumer(
    bot: Bot,
    State(state): State<AppState>,
    Segment(name): Segment<String>,
    _: Mutation<NoBody>,
) -> Result<Reply<()>, Problem> {
    bot.need_everywhere(Scope::MessagesRead)?;
    let bot_id = &bot.record.bot_id;
    if state.consumers.named(bot_id, Some(&name)).is_empty() {
        return Err(Problem::new(Kind::ConsumerNotFound));
    }
    state.consumers.delete(bot_id, &name).await?;
    Ok(Reply::new(StatusCode::NO_CONTENT, ()))
}

/// List events that were delivered to a named consumer ten times in vain, oldest first.
#[utoipa::path(
    get, path = "/v1/events/parked", tag = "events", params(ParkedParams),
    responses((status = 200, body = List<ParkedDto>, description = "What is set aside."), Denied),
    security(("bot_token" = []))
)]
pub(crate) async fn list_parked(
    bot: Bot,
    State(state): State<AppState>,
    Params(params): Params<ParkedParams>,
) -> Result<Reply<List<ParkedDto>>, Problem> {
    bot.need_everywhere(Scope::MessagesRead)?;
    let (after, limit) = params.page()?;
    let parked = state.consumers.find(&bot.record.bot_id, &params.consumer)?.parked();
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
    security(("bot_token" = []))
)]
pub(crate) async fn replay_parked(
    bot: Bot,
    State(state): State<AppState>,
    Segment(delivery_id): Segment<String>,
    Params(params): Params<ConsumerParams>,
    _: Mutation<NoBody>,
) -> Result<StatusCode, Problem> {
    bot.need_everywhere(Scope::MessagesRead)?;
    let consumers = state.consumers.named(&bot.record.bot_id, params.consumer.as_deref());
    for consumer in consumers {
        let parked = consumer.parked();
        let found = parked.iter().find(|(_, row)| row.delivery_id == delivery_id);
        if let Some((cursor, _)) = found {
            consumer.replay(*cursor);
            state.consumers.flush(&consumer).await?;
            return Ok(StatusCode::ACCEPTED);
        }
    }
    Err(Problem::new(Kind::DeliveryNotFound))
}
