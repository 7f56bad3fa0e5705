//! `/v1/invitations`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use quicproquo_client::{GroupId, GroupInfo, GroupState, SessionError};

use crate::auth::{Bot, Scope};
use crate::extract::{Mutation, NoBody, Params, Segment};
use crate::idempotency::once;
use crate::model::{GroupDto, InvitationDto, List, PageParams};
use crate::openapi::{Denied, Idempotent, Refused};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::state::AppState;

/// List invitations that are not answered, the oldest first.
#[utoipa::path(
    get, path = "/v1/invitations", tag = "invitations", params(PageParams),
    responses(
        (status = 200, body = List<InvitationDto>, description = "The invitations."), Denied
    ),
    security(("bot_token" = ["invitations:manage"]))
)]
pub(crate) async fn list_invitations(
    bot: Bot,
    Params(page): Params<PageParams>,
) -> Result<Reply<List<InvitationDto>>, Problem> {
    bot.need(Scope::InvitationsManage)?;
    let invitations = bot.session.invitations().await?.into_iter();
    let allowed = invitations.filter(|invitation| bot.grant.allows_group(&invitation.id));
    page.reply("/v1/invitations", allowed.map(|one| (one.id.to_string(), one.into())))
}

/// Accept an invitation: the group appears, and what was said in it since.
#[utoipa::path(
    post, path = "/v1/invitations/{invitation_id}/accept", tag = "invitations",
    params(("invitation_id" = String, Path, description = "The invitation's id."), Idempotent),
    responses((status = 200, body = GroupDto, description = "The group."), Refused),
    security(("bot_token" = ["invitations:manage"]))
)]
pub(crate) async fn accept_invitation(
    bot: Bot,
    State(state): State<AppState>,
    Segment(invitation): Segment<GroupId>,
    request: Mutation<NoBody>,
) -> Result<Response, Problem> {
    bot.need_in(Scope::InvitationsManage, &invitation)?;
    let work = async { accept(&bot, &invitation).await.map(GroupDto::from) };
    once(&state, &bot, request.idempotency, StatusCode::OK, work).await
}

/// Accepts an invitation.
pub(crate) async fn accept(bot: &Bot, invitation: &GroupId) -> Result<GroupInfo, Problem> {
    bot.need_in(Scope::InvitationsManage, invitation)?;
    match bot.session.accept(invitation.clone()).await {
        Ok(group) => Ok(group),
        // Accepting twice is accepting.
        Err(SessionError::InvitationNotFound) => match bot.session.group(invitation).await {
            Ok(group) if group.state.is_active() => Ok(group),
            _ => Err(SessionError::InvitationNotFound.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// Decline an invitation and leave its group.
#[utoipa::path(
    post, path = "/v1/invitations/{invitation_id}/decline", tag = "invitations",
    params(("invitation_id" = String, Path, description = "The invitation's id."), Idempotent),
    responses((status = 204, description = "It is declined."), Refused),
    security(("bot_token" = ["invitations:manage"]))
)]
pub(crate) async fn decline_invitation(
    bot: Bot,
    State(state): State<AppState>,
    Segment(invitation): Segment<GroupId>,
    request: Mutation<NoBody>,
) -> Result<Response, Problem> {
    bot.need_in(Scope::InvitationsManage, &invitation)?;
    let work = decline(&bot, &invitation);
    once(&state, &bot, request.idempotency, StatusCode::NO_CONTENT, work).await
}

/// Declines an invitation.
pub(crate) async fn decline(bot: &Bot, invitation: &GroupId) -> Result<(), Problem> {
    bot.need_in(Scope::InvitationsManage, invitation)?;
    match bot.session.decline(invitation.clone()).await {
        Ok(()) => Ok(()),
        // Declining twice is declining.
        Err(SessionError::InvitationNotFound) => match bot.session.group(invitation).await {
            Ok(group) if group.state == GroupState::Declined => Ok(()),
            _ => Err(SessionError::InvitationNotFound.into()),
        },
        Err(error) => Err(error.into()),
    }
}
