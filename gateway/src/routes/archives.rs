//! `/v1/bots/{bot_id}/export` and `/v1/bots/import`: admin token.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use quicproquo_client::{Idempotency, LinkState};

use super::bots::{find, finish};
use crate::audit::{Act, audit};
use crate::auth::Admin;
use crate::bots::{self, BotRecord};
use crate::extract::{ARCHIVE_LIMIT, Mutation, Segment};
use crate::idempotency::{Begin, begin, fingerprint};
use crate::model::{BotCreated, BotExport, NewExport, NewImport};
use crate::openapi::{Denied, Idempotent, Refused};
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::state::AppState;

/// Export a bot into a sealed archive.
///
/// The archive has everything of the bot: its identity, groups, history and what is on its way. The
/// bot stands still from now on (`exported`), also after a restart, so that of the two copies only
/// one speaks. When the archive is lost, export again, or resume the bot with
/// `PATCH /v1/bots/{bot_id}`. Tokens stay behind.
#[utoipa::path(
    post, path = "/v1/bots/{bot_id}/export", tag = "bots", request_body = NewExport,
    params(("bot_id" = String, Path, description = "The bot's id."), Idempotent),
    responses((status = 200, body = BotExport, description = "The archive."), Refused),
    security(("admin_token" = []))
)]
pub(crate) async fn export_bot(
    _: Admin,
    State(state): State<AppState>,
    Segment(bot_id): Segment<String>,
    request: Mutation<NewExport>,
) -> Result<Reply<BotExport>, Problem> {
    let key = request.body.key()?;
    // Of the passphrase nothing is kept that would be of use for guessing it.
    let target = format!("/v1/bots/{bot_id}/export");
    let about = request.idempotency.map(|Idempotency { key, .. }| Idempotency {
        key,
        fingerprint: fingerprint("POST", &target, b""),
    });
    let begun = begin(&state, about).await?;
    let bot = find(&state, &bot_id)?;
    let once = match begun {
        Begin::Fresh(once) => Some(once),
        // An archive is not kept. While the bot stands still, another one has the same in it.
        Begin::Replay(_) if is_exported(&state, &bot) => None,
        Begin::Replay(_) => {
            let detail = "the bot goes on since: to export it again, use a new key";
            return Err(Problem::new(Kind::IdempotencyMismatch).detail(detail));
        }
    };
    let (replayed, tasks) = (once.is_none(), state.tasks.clone());
    let work = async move {
        let archive = bots::export(&state, &bot, key).await?;
        if archive.len() > ARCHIVE_LIMIT / 4 * 3 - 1024 {
            if let Some(session) = state.client.session(&bot.identity) {
                session.resume().await?;
            }
            let detail = "the archive is larger than what can be imported; the bot goes on here";
            return Err(Problem::new(Kind::TooLarge).detail(detail));
        }
        tracing::warn!("a bot was exported");
        audit(Act::BotExported, &bot.bot_id, None);
        if let Some(record) = once.and_then(|once| once.record(StatusCode::OK, &())) {
            state.store.put_request(&record).await?;
        }
        Ok(BotExport::new(&bot, &archive))
    };
    Ok(Reply::ok(finish(tasks.spawn(work)).await?).replayed(replayed))
}

fn is_exported(state: &AppState, bot: &BotRecord) -> bool {
    let session = state.client.session(&bot.identity);
    session.is_some_and(|session| session.health().link == LinkState::Exported)
}

/// Import a bot from a sealed archive.
///
/// It goes on where it was, under the name it has, with a new first token. When it has spoken since
/// it was exported, the archive is an old copy, from which nothing is encrypted.
#[utoipa::path(
    post, path = "/v1/bots/import", tag = "bots", request_body = NewImport, params(Idempotent),
    responses((status = 201, body = BotCreated, description = "The bot."), Refused, Denied),
    security(("admin_token" = []))
)]
pub(crate) async fn import_bot(
    _: Admin,
    State(state): State<AppState>,
    request: Mutation<NewImport, ARCHIVE_LIMIT>,
) -> Result<Response, Problem> {
    let (bytes, key) = request.body.parse()?;
    // What is kept of the request must be of no use for guessing the passphrase.
    let idempotency = request.idempotency.map(|Idempotency { key, .. }| Idempotency {
        key,
        fingerprint: fingerprint("POST", "/v1/bots/import", &bytes),
    });
    let once = match begin(&state, idempotency).await? {
        Begin::Replay(response) => return Ok(*response),
        Begin::Fresh(once) => once,
    };
    let tasks = state.tasks.clone();
    let work = async move {
        let archive = state.client.open_archive(bytes, key).await?;
        bots::import(&state, archive, &once).await
    };
    let created = finish(tasks.spawn(work)).await?;
    Ok(Reply::new(StatusCode::CREATED, created).into_response())
}
