//! `/v1/bots/{bot_id}/tokens`: admin token.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use quicproquo_client::clock::now_ms;

use super::bots::{find, finish};
use crate::audit::{Act, audit};
use crate::auth::{Admin, Token};
use crate::extract::{Mutation, NoBody, Params, Segment};
use crate::idempotency::{Begin, begin};
use crate::model::{List, NewToken, PageParams, TokenCreated, TokenDto};
use crate::openapi::{Denied, Idempotent, Refused};
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::state::AppState;

/// Issue a token. It is shown once.
#[utoipa::path(
    post, path = "/v1/bots/{bot_id}/tokens", tag = "bots", request_body = NewToken,
    params(("bot_id" = String, Path, description = "The bot's id."), Idempotent),
    responses((status = 201, body = TokenCreated, description = "The token."), Refused),
    security(("admin_token" = []))
)]
pub(crate) async fn issue_token(
    _: Admin,
    State(state): State<AppState>,
    Segment(bot_id): Segment<String>,
    request: Mutation<NewToken>,
) -> Result<Response, Problem> {
    let once = match begin(&state, request.idempotency).await? {
        Begin::Replay(response) => return Ok(*response),
        Begin::Fresh(once) => once,
    };
    let bot = find(&state, &bot_id)?;
    let token = Token::random();
    let grant = request.body.grant(&bot.bot_id, &token, now_ms())?;
    let mut answer = TokenCreated::new(&grant);
    let record = once.record(StatusCode::CREATED, &answer);
    let tasks = state.tasks.clone();
    let work = async move {
        let _once = once;
        let (bot_id, token_id) = (grant.bot_id.clone(), grant.token_id.clone());
        state.tokens.issue(&state.store, grant, record.as_ref()).await?;
        audit(Act::TokenIssued, &bot_id, Some(&token_id));
        Ok(())
    };
    finish(tasks.spawn(work)).await?;
    answer.reveal(&token);
    Ok(Reply::new(StatusCode::CREATED, answer).into_response())
}

/// List a bot's tokens, without their secrets.
#[utoipa::path(
    get, path = "/v1/bots/{bot_id}/tokens", tag = "bots",
    params(("bot_id" = String, Path, description = "The bot's id."), PageParams),
    responses((status = 200, body = List<TokenDto>, description = "Its tokens."), Denied),
    security(("admin_token" = []))
)]
pub(crate) async fn list_tokens(
    _: Admin,
    State(state): State<AppState>,
    Segment(bot_id): Segment<String>,
    Params(page): Params<PageParams>,
) -> Result<Reply<List<TokenDto>>, Problem> {
    let bot = find(&state, &bot_id)?;
    let grants = state.tokens.of_bot(&bot.bot_id);
    let path = format!("/v1/bots/{bot_id}/tokens");
    page.reply(&path, grants.iter().map(|grant| (grant.token_id.clone(), TokenDto::new(grant))))
}

/// Revoke a token: it stops at once and its streams close.
#[utoipa::path(
    delete, path = "/v1/bots/{bot_id}/tokens/{token_id}", tag = "bots",
    params(
        ("bot_id" = String, Path, description = "The bot's id."),
        ("token_id" = String, Path, description = "The token's id."),
        Idempotent
    ),
    responses((status = 204, description = "It is revoked."), Refused),
    security(("admin_token" = []))
)]
pub(crate) async fn revoke_token(
    _: Admin,
    State(state): State<AppState>,
    Segment((bot_id, token_id)): Segment<(String, String)>,
    request: Mutation<NoBody>,
) -> Result<Response, Problem> {
    let once = match begin(&state, request.idempotency).await? {
        Begin::Replay(response) => return Ok(*response),
        Begin::Fresh(once) => once,
    };
    let bot = find(&state, &bot_id)?;
    let grants = state.tokens.of_bot(&bot.bot_id);
    let grant = grants
        .into_iter()
        .find(|grant| grant.token_id == token_id)
        .ok_or(Problem::new(Kind::NotFound).detail("there is no such token"))?;
    let record = once.record(StatusCode::NO_CONTENT, &());
    let tasks = state.tasks.clone();
    let work = async move {
        let _once = once;
        state.tokens.end(&state.store, &grant, record.as_ref()).await?;
        audit(Act::TokenRevoked, &grant.bot_id, Some(&grant.token_id));
        Ok(())
    };
    finish(tasks.spawn(work)).await?;
    Ok(Reply::new(StatusCode::NO_CONTENT, ()).into_response())
}
