//! The long poll.

use std::time::Duration;

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

/// How long at least a poll looks through what is there for something that passes its filter.
const SEARCH: Duration = Duration::from_secs(5);

/// Answers events as soon as there are any, or none when the time is over.
pub(crate) async fn poll(
    state: &AppState,
    bot: &Bot,
    params: &PollParams,
) -> Result<Reply<List<EventDto>>, Problem> {
    let limit = params.limit()?;
    let begun = Instant::now();
    let timeout = params.timeout()?;
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
        let patience = if source.is_idle() { timeout } else { timeout.max(SEARCH) };
        tokio::select! {
            biased;
            () = bot.grant.ended() => return Err(Problem::new(Kind::TokenInvalid)),
            () = displaced.cancelled() => return Err(Problem::new(Kind::ConsumerDisplaced)),
            () = state.stopping.cancelled() => break,
            () = tokio::time::sleep_until(begun + patience) => break,
            ready = source.ready() => ready.map_err(|_| Problem::new(Kind::BotStopped))?,
        }
    }
    Ok(answer(Vec::new(), source.cursor(), params))
}

/// `next` is always there: a poller goes on from it even when nothing came.
fn answer(items: Vec<EventDto>, next: Cursor, params: &PollParams) -> Reply<List<EventDto>> {
    let link = params.next_page(next);
    let reply = Reply::new(StatusCode::OK, List { items, next: Some(next.to_string()) });
    // A consumer's next page is where its acknowledgements are, not behind a cursor.
    reply.next_page(params.consumer.is_none().then_some(link))
}
