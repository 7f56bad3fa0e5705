//! `/login` and `/logout`: the password is a bot token, and what a login makes is a token of its
//! own that ends with it.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use quicproquo_client::clock::now_ms;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::body::Body;
use super::error::{forbidden, invalid};
use super::ids::{Caller, Ids};
use crate::auth::{Bot, Grant, Login, Token};
use crate::door::Peer;
use crate::problem::{Kind, Problem};
use crate::random;
use crate::rates::Standing;
use crate::routes::bots::finish;
use crate::state::AppState;

/// Logins of one password that last, the newest ones.
const LOGINS: usize = 100;
const MAX_DEVICE: usize = 255;
const MAX_LABEL: usize = 60;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoginBody {
    #[serde(rename = "type")]
    kind: String,
    identifier: Identifier,
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
    device_id: Option<String>,
    initial_device_display_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Identifier {
    user: Option<String>,
}

impl LoginBody {
    /// The password or token.
    fn secret(&self) -> Result<&str, Problem> {
        let secret = match self.kind.as_str() {
            "m.login.password" => &self.password,
            "m.login.token" => &self.token,
            _ => {
                let problem = invalid("log in by m.login.password or m.login.token");
                return Err(problem.with_code(StatusCode::BAD_REQUEST, "M_UNKNOWN"));
            }
        };
        secret.as_deref().ok_or_else(|| {
            let problem = invalid("no password, or no token");
            problem.with_code(StatusCode::BAD_REQUEST, "M_MISSING_PARAM")
        })
    }

    /// The name of the user, as far as it says.
    fn local(&self) -> Option<&str> {
        let user = self.identifier.user.as_deref().or(self.user.as_deref())?;
        match user.strip_prefix('@') {
            Some(rest) => rest.split_once(':').map(|(local, _)| local),
            None => Some(user),
        }
    }
}

pub(super) async fn flows() -> Json<Value> {
    Json(json!({ "flows": [{ "type": "m.login.password" }, { "type": "m.login.token" }] }))
}

fn refused() -> Problem {
    forbidden("the password (or token) is not a bot token that is valid here")
}

/// A request with a right password counts as one of that token, so nobody can keep its owner out.
/// One with a wrong password counts against its address and the bot that it is for, any other
/// against its address.
pub(super) async fn login(
    State(state): State<AppState>,
    peer: Option<Extension<Peer>>,
    body: Result<Body<LoginBody>, Problem>,
) -> Result<Json<Value>, Problem> {
    let peer = peer.map(|Extension(peer)| peer);
    let count = |standing: Option<Standing>| standing.map_or(Ok(()), |standing| standing.check());
    let read = body.and_then(|Body(body)| Ok((body.secret()?.to_owned(), body)));
    let (secret, body) = match read {
        Ok(read) => read,
        Err(problem) => {
            count(state.rates.address(peer))?;
            return Err(problem);
        }
    };
    let found = Bot::by_token(&state, &secret);
    count(match &found {
        Ok(bot) => state.rates.token(&bot.grant.hash),
        Err(_) => match body.local().and_then(|name| state.bots.called(name)) {
            Some(bot) => state.rates.login(peer, bot.identity),
            None => state.rates.address(peer),
        },
    })?;
    let bot = found.map_err(|problem| match problem.kind() {
        Kind::BotStopped => problem,
        _ => refused(),
    })?;
    let LoginBody { identifier, user, device_id, .. } = &body;
    if bot.grant.login.is_some() {
        return Err(forbidden("log in with the bot token, not with what a login made of it"));
    }
    let ids = Ids::of(&state, &bot)?;
    if let Some(user) = identifier.user.as_deref().or(user.as_deref()) {
        let local = if user.starts_with('@') { ids.local(user)? } else { user };
        if local != ids.own_name() && local != bot.record.identity.to_string() {
            return Err(forbidden(format!("the token is that of {}", ids.me())));
        }
    }
    let device_id = match device_id {
        None => random::id("QPQ"),
        Some(id) if (1..=MAX_DEVICE).contains(&id.len()) && !id.chars().any(char::is_control) => {
            id.clone()
        }
        Some(_) => return Err(invalid(format!("device_id has 1 to {MAX_DEVICE} bytes"))),
    };
    let token = Token::random();
    let login = Login { parent: bot.grant.token_id.clone(), device_id: device_id.clone() };
    let mut label = body.initial_device_display_name.unwrap_or_else(|| device_id.clone());
    label.truncate(label.floor_char_boundary(MAX_LABEL));
    let grant = Grant {
        token_id: random::id("tok_"),
        bot_id: bot.record.bot_id.clone(),
        label: format!("Matrix login: {label}"),
        hash: token.hash(),
        scopes: bot.grant.scopes.clone(),
        groups: bot.grant.groups.clone(),
        created_at_ms: now_ms(),
        expires_at_ms: bot.grant.expires_at_ms,
        login: Some(login),
        revoked: CancellationToken::new(),
    };
    let (tasks, device) = (state.tasks.clone(), device_id.clone());
    let work = async move {
        let instead = |logins| instead_of(logins, &device);
        state.tokens.log_in(&state.store, &bot.grant, grant, &instead).await
    };
    finish(tasks.spawn(work)).await.map_err(|problem| match problem.kind() {
        Kind::TokenInvalid => refused(),
        _ => problem,
    })?;
    Ok(Json(json!({
        "user_id": ids.me(),
        "access_token": token.reveal(),
        "device_id": device_id,
        "home_server": ids.server(),
    })))
}

/// What a new login ends: that of the same device, and the oldest of too many.
fn instead_of(mut logins: Vec<Arc<Grant>>, device_id: &str) -> Vec<Arc<Grant>> {
    let same =
        |grant: &Arc<Grant>| grant.login.as_ref().is_some_and(|login| login.device_id == device_id);
    let (mut over, others): (Vec<_>, Vec<_>) = logins.drain(..).partition(same);
    let too_many = (others.len() + 1).saturating_sub(LOGINS);
    over.extend(others.into_iter().take(too_many));
    over
}

pub(super) async fn logout(
    caller: Caller,
    State(state): State<AppState>,
) -> Result<Json<Value>, Problem> {
    if caller.bot.grant.login.is_none() {
        return Err(forbidden("this is the bot token itself: the admin revokes it"));
    }
    end(state, vec![caller.bot.grant]).await
}

pub(super) async fn logout_all(
    caller: Caller,
    State(state): State<AppState>,
) -> Result<Json<Value>, Problem> {
    let grant = &caller.bot.grant;
    let parent = grant.login.as_ref().map_or(&grant.token_id, |login| &login.parent);
    let grants = state.tokens.made_with(parent);
    end(state, grants).await
}

async fn end(state: AppState, grants: Vec<Arc<Grant>>) -> Result<Json<Value>, Problem> {
    let tasks = state.tasks.clone();
    finish(tasks.spawn(async move { state.tokens.log_out(&state.store, &grants).await })).await?;
    Ok(Json(json!({})))
}
