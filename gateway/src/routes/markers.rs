//! `/v1/groups/{group_id}/typing` and `/v1/groups/{group_id}/read`.

use http::StatusCode;
use quicproquo_client::GroupId;

use crate::auth::{Bot, Scope};
use crate::extract::{Mutation, Params, Segment};
use crate::model::{MessageDto, ReadMarker, SendWait, Typing};
use crate::openapi::{Guarded, Refused};
use crate::problem::Problem;
use crate::reply::Reply;

/// Say that the bot is writing, or has stopped.
///
/// Others get the event `member.typing`, which passes: no log keeps it for longer than 30 seconds,
/// and it does not go out when it cannot go out by then.
#[utoipa::path(
    put, path = "/v1/groups/{group_id}/typing", tag = "messages", request_body = Typing,
    params(("group_id" = String, Path, description = "The group's id."), SendWait, Guarded),
    responses((status = 204, description = "It is on its way."), Refused),
    security(("bot_token" = ["messages:send"]))
)]
pub(crate) async fn put_typing(
    bot: Bot,
    Segment(group_id): Segment<GroupId>,
    Params(wait): Params<SendWait>,
    request: Mutation<Typing>,
) -> Result<Reply<()>, Problem> {
    bot.need_in(Scope::MessagesSend, &group_id)?;
    let (typing, mut options) = request.into_parts(wait.duration()?);
    let (message, verified_only) = typing.parse();
    options.verified_only = verified_only;
    let sent = bot.session.send(group_id, message, options).await?;
    Ok(Reply::new(StatusCode::NO_CONTENT, ()).replayed(sent.replayed))
}

/// Tell the group how far the bot has read.
///
/// The answer is the message of type `read` that carries it.
#[utoipa::path(
    put, path = "/v1/groups/{group_id}/read", tag = "messages", request_body = ReadMarker,
    params(("group_id" = String, Path, description = "The group's id."), SendWait, Guarded),
    responses((status = 200, body = MessageDto, description = "The read marker."), Refused),
    security(("bot_token" = ["messages:send"]))
)]
pub(crate) async fn put_read(
    bot: Bot,
    Segment(group_id): Segment<GroupId>,
    Params(wait): Params<SendWait>,
    request: Mutation<ReadMarker>,
) -> Result<Reply<MessageDto>, Problem> {
    bot.need_in(Scope::MessagesSend, &group_id)?;
    let (marker, mut options) = request.into_parts(wait.duration()?);
    let (message, verified_only) = marker.parse()?;
    options.verified_only = verified_only;
    let sent = bot.session.send(group_id, message, options).await?;
    Ok(Reply::ok(sent.value.into()).replayed(sent.replayed))
}
