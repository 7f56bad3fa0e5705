//! `/v1/identities`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::auth::{Bot, Scope};
use crate::extract::{Mutation, Segment};
use crate::idempotency::once;
use crate::model::{KnownIdentityDto, Verification, resolve};
use crate::openapi::{Denied, Idempotent, Refused};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::state::AppState;

/// Find an identity by its key or its name.
///
/// A name is asked for at the node, verified, and pinned on first use.
#[utoipa::path(
    get, path = "/v1/identities/{identity}", tag = "identities",
    params(("identity" = String, Path, description = "An identity or a name.")),
    responses((status = 200, body = KnownIdentityDto, description = "The identity."), Denied),
    security(("bot_token" = []))
)]
pub(crate) async fn get_identity(
    bot: Bot,
    Segment(text): Segment<String>,
) -> Result<Reply<KnownIdentityDto>, Problem> {
    let identity = resolve(&bot.session, &text).await?;
    let known = bot.session.known(&identity).await?;
    Ok(Reply::ok(KnownIdentityDto::new(&bot.session, known)))
}

/// Verify an identity, or take that back.
///
/// A person has compared the safety number by another way, or a program that another way vouches
/// for. From then on its messages and its place in groups say `verified`, until one of its names
/// turns out to have been another's.
#[utoipa::path(
    put, path = "/v1/identities/{identity}/verification", tag = "identities",
    params(("identity" = String, Path, description = "An identity or a name."), Idempotent),
    request_body = Verification,
    responses((status = 200, body = KnownIdentityDto, description = "The identity."), Refused),
    security(("bot_token" = ["identity:manage"]))
)]
pub(crate) async fn verify_identity(
    bot: Bot,
    State(state): State<AppState>,
    Segment(text): Segment<String>,
    request: Mutation<Verification>,
) -> Result<Response, Problem> {
    bot.need_everywhere(Scope::IdentityManage)?;
    let Verification { verified, safety_number } = request.body;
    if !verified && safety_number.is_some() {
        return Err(Problem::field("/safety_number", "only where verified is true"));
    }
    once(&state, &bot, request.idempotency, StatusCode::OK, async {
        let identity = resolve(&bot.session, &text).await?;
        let known = if verified {
            bot.session.verify(identity, safety_number).await?
        } else {
            bot.session.unverify(identity).await?
        };
        Ok(KnownIdentityDto::new(&bot.session, known))
    })
    .await
}
