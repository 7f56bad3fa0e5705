//! The long poll.

use http::StatusCode;
use quicproquo_client::Cursor;
use tokio::time::Instant;

use super::source::{Given, Source, with_ends};
use crate::auth::Bot;
use crate::metrics::Door;
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
    let limit = params.limit()?;
    let deadline = Instant::now() + params.timeout()?;
    let mut source = Source::open(state, bot, Door::Poll, params.wanted()?, Some(limit)).await?;
    let displaced = source.displaced();
    loop {
        let items = match source.next(limit).await {
            Ok(items) => items,
            Err(error) => return Err(with_ends(error, bot).await),
        };
        if !items.is_empty() {
            let items = items.into_iter().map(Given::into_event).collect();
            return Ok(answer(items, source.cursor(), params));
        }
        if !source.is_idle() {
            continue;
        }
        tokio::select! {
            ready = source.ready() => ready.map_err(|_| Problem::new(Kind::BotStopped))?,
            () = bot.grant.ended() => return Err(Problem::new(Kind::TokenInvalid)),
            () = tokio::time::sleep_until(deadline) => break,
            () = state.stopping.cancelled() => break,
            () = displaced.cancelled() => break,
        }
    }
    Ok(answer(Vec::new(), source.cursor(), params))
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
