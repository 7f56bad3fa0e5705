//! Who the caller is, and what it keeps for itself: filters and account data.

use axum::Json;
use axum::extract::State;
use quicproquo_client::clock::now_ms;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::body::Body;
use super::error::{forbidden, invalid, not_found};
use super::filter::Filter;
use super::ids::Caller;
use crate::auth::Bot;
use crate::extract::{CONTROL_LIMIT, Segment};
use crate::problem::{Kind, Problem};
use crate::state::AppState;

const MAX_TYPE: usize = 255;

/// What the client calls its device; a bot token is one of its own.
pub(super) fn device(bot: &Bot) -> &str {
    bot.grant.login.as_ref().map_or(&bot.grant.token_id, |login| &login.device_id)
}

pub(super) async fn whoami(caller: Caller) -> Json<Value> {
    Json(json!({
        "user_id": caller.ids.me(),
        "device_id": device(&caller.bot),
        "is_guest": false,
    }))
}

pub(super) async fn put_filter(
    caller: Caller,
    State(state): State<AppState>,
    Segment(user): Segment<String>,
    Body(filter): Body<Value>,
) -> Result<Json<Value>, Problem> {
    caller.is(&user)?;
    small(&filter)?;
    Filter::check(&filter)?;
    let hash = hex::encode(Sha256::digest(filter.to_string().as_bytes()));
    // The same filter has the same id: a bot that starts often leaves one.
    let id = &hash[..16];
    state.store.put_filter(&caller.bot.record.bot_id, id, &filter, now_ms()).await?;
    Ok(Json(json!({ "filter_id": id })))
}

pub(super) async fn get_filter(
    caller: Caller,
    State(state): State<AppState>,
    Segment((user, id)): Segment<(String, String)>,
) -> Result<Json<Value>, Problem> {
    caller.is(&user)?;
    let found = state.store.filter(&caller.bot.record.bot_id, &id).await?;
    found.map(Json).ok_or_else(|| not_found("there is no such filter"))
}

pub(super) async fn put_own(
    caller: Caller,
    State(state): State<AppState>,
    Segment((user, kind)): Segment<(String, String)>,
    Body(content): Body<Value>,
) -> Result<Json<Value>, Problem> {
    caller.is(&user)?;
    set(&state, &caller, "", &kind, &content).await
}

pub(super) async fn get_own(
    caller: Caller,
    State(state): State<AppState>,
    Segment((user, kind)): Segment<(String, String)>,
) -> Result<Json<Value>, Problem> {
    caller.is(&user)?;
    get(&state, &caller, "", &kind).await
}

pub(super) async fn put_in_room(
    caller: Caller,
    State(state): State<AppState>,
    Segment((user, room, kind)): Segment<(String, String, String)>,
    Body(content): Body<Value>,
) -> Result<Json<Value>, Problem> {
    caller.is(&user)?;
    let group = caller.ids.group(&room)?.to_string();
    set(&state, &caller, &group, &kind, &content).await
}

pub(super) async fn get_in_room(
    caller: Caller,
    State(state): State<AppState>,
    Segment((user, room, kind)): Segment<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    caller.is(&user)?;
    let group = caller.ids.group(&room)?.to_string();
    get(&state, &caller, &group, &kind).await
}

/// Sets an entry of the bot's account data.
pub(super) async fn set(
    state: &AppState,
    caller: &Caller,
    group: &str,
    kind: &str,
    content: &Value,
) -> Result<Json<Value>, Problem> {
    small(content)?;
    if kind.is_empty() || kind.len() > MAX_TYPE {
        return Err(invalid(format!("the type has 1 to {MAX_TYPE} bytes")));
    }
    let bot = &caller.bot.record.bot_id;
    if state.store.put_account_data(bot, group, kind, content).await? {
        return Ok(Json(json!({})));
    }
    Err(forbidden("the bot keeps too many entries of account data"))
}

async fn get(
    state: &AppState,
    caller: &Caller,
    group: &str,
    kind: &str,
) -> Result<Json<Value>, Problem> {
    let entry = entry(state, caller, group, kind).await?;
    entry.map(Json).ok_or_else(|| not_found("there is no such account data"))
}

/// An entry of the bot's account data.
pub(super) async fn entry(
    state: &AppState,
    caller: &Caller,
    group: &str,
    kind: &str,
) -> Result<Option<Value>, Problem> {
    let entries = state.store.account_data(&caller.bot.record.bot_id).await?;
    let mut entries = entries.into_iter();
    Ok(entries.find(|entry| entry.0 == group && entry.1 == kind).map(|entry| entry.2))
}

fn small(content: &Value) -> Result<(), Problem> {
    if content.to_string().len() > CONTROL_LIMIT {
        return Err(Problem::new(Kind::TooLarge));
    }
    Ok(())
}
