//! The long poll.

use http::StatusCode;
use quicproquo_client::{Cursor, SessionError};
use tokio::time::Instant;

use super::filter::Filter;
use crate::auth::{Bot, Scope};
use crate::model::{EventDto, List, PollParams};
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::state::AppState;

/// Answers events as soon as there are any, or none when the time is over.
pub(crate) async fn poll(
    state: &AppState,
    bot: &Bot,
    params: &PollParams,
) -> Result<Reply<List<EventDto>>, Problem> {
    bot.need(Scope::MessagesRead)?;
    let filter = Filter::parse(params.types.as_deref(), params.groups.as_deref(), &bot.grant)?;
    let (after, limit) = (params.after()?, params.limit()?);
    let deadline = Instant::now() + params.timeout()?;
    let mut tail = bot.session.tail();
    let mut position = after.unwrap_or(*tail.borrow());
    let lease = match &params.consumer {
        Some(name) => {
            let lease = state.consumers.open(&bot.record.bot_id, name, position).await?;
            position = lease.start;
            Some(lease)
        }
        None => None,
    };
    let displaced = lease.as_ref().map(|lease| lease.displaced.clone()).unwrap_or_default();
    loop {
        let seen = *tail.borrow_and_update();
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let page = match bot.session.events(position, limit).await {
            Ok(page) => page,
            Err(error) => return Err(with_ends(error, bot, seen).await),
        };
        let items: Vec<_> = page
            .items
            .into_iter()
            .filter(|event| filter.lets(event))
            .filter_map(|event| match &lease {
                Some(lease) => lease.deliver(event.cursor).map(|n| EventDto::new(event, n)),
                None => Some(EventDto::new(event, 1)),
            })
            .collect();
        let moved = page.next > position;
        position = position.max(page.next);
        if let (Some(lease), true) = (&lease, items.is_empty()) {
            lease.skip_to(position).await;
        }
        if !items.is_empty() {
            return Ok(answer(items, position, params));
        }
        if moved && position < seen {
            continue;
        }
        tokio::select! {
            changed = tail.changed() => {
                changed.map_err(|_| Problem::new(Kind::BotStopped))?;
            }
            () = bot.grant.revoked.cancelled() => return Err(Problem::new(Kind::TokenInvalid)),
            () = tokio::time::sleep_until(deadline) => break,
            () = state.stopping.cancelled() => break,
            () = displaced.cancelled() => break,
        }
    }
    Ok(answer(Vec::new(), position, params))
}

/// `next` is always there: a poller goes on from it even when nothing came.
fn answer(items: Vec<EventDto>, next: Cursor, params: &PollParams) -> Reply<List<EventDto>> {
    let mut link = format!("/v1/events?after={next}");
    for (name, value) in [("types", &params.types), ("groups", &params.groups)] {
        if let Some(value) = value {
            link.push('&');
            link.push_str(name);
            link.push('=');
            link.push_str(value);
        }
    }
    let reply = Reply::new(StatusCode::OK, List { items, next: Some(next.to_string()) });
    // A consumer's next page is where its acknowledgements are, not behind a cursor.
    reply.next_page(params.consumer.is_none().then_some(link))
}

/// A cursor that expired comes with those to go on from.
async fn with_ends(error: SessionError, bot: &Bot, newest: Cursor) -> Problem {
    let problem = Problem::from(error);
    match (problem.kind(), bot.session.oldest().await) {
        (Kind::CursorExpired, Ok(oldest)) => problem.log(&oldest, &newest),
        _ => problem,
    }
}
