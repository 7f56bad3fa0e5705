//! `/v1/groups/{group_id}/messages/{message_id}/reactions/{key}`.

use quicproquo_client::{GroupId, MessageId};

use crate::auth::{Bot, Scope};
use crate::extract::{Mutation, NoBody, Params, Segment};
use crate::model::{MessageDto, NewReaction, SendWait, reaction_taken_back};
use crate::openapi::{Guarded, Refused};
use crate::problem::Problem;
use crate::reply::Reply;

/// React to a message.
///
/// The answer is the message of type `reaction` that carries it. Reacting twice with the same key
/// is reacting once.
#[utoipa::path(
    put, path = "/v1/groups/{group_id}/messages/{message_id}/reactions/{key}", tag = "messages",
    request_body = NewReaction,
    params(
        ("group_id" = String, Path, description = "The group's id."),
        ("message_id" = String, Path, description = "The message's id."),
        ("key" = String, Path, description = "An emoji, or a text of at most 255 bytes.", example = "👍"),
        SendWait, Guarded
    ),
    responses((status = 200, body = MessageDto, description = "The reaction."), Refused),
    security(("bot_token" = ["messages:send"]))
)]
pub(crate) async fn put_reaction(
    bot: Bot,
    Segment((group_id, message_id, key)): Segment<(GroupId, MessageId, String)>,
    Params(wait): Params<SendWait>,
    request: Mutation<NewReaction>,
) -> Result<Reply<MessageDto>, Problem> {
    bot.need_in(Scope::MessagesSend, &group_id)?;
    let (new, mut options) = request.into_parts(wait.duration()?);
    let (message, verified_only) = new.parse(&key, message_id);
    options.verified_only = verified_only;
    let sent = bot.session.send(group_id, message, options).await?;
    Ok(Reply::ok(sent.value.into()).replayed(sent.replayed))
}

/// Take a reaction back.
///
/// The answer is the message that carries that: a `reaction` with `"active": false`.
#[utoipa::path(
    delete, path = "/v1/groups/{group_id}/messages/{message_id}/reactions/{key}",
    tag = "messages",
    params(
        ("group_id" = String, Path, description = "The group's id."),
        ("message_id" = String, Path, description = "The message's id."),
        ("key" = String, Path, description = "The reaction's key.", example = "👍"),
        SendWait, Guarded
    ),
    responses((status = 200, body = MessageDto, description = "What takes it back."), Refused),
    security(("bot_token" = ["messages:send"]))
)]
pub(crate) async fn delete_reaction(
    bot: Bot,
    Segment((group_id, message_id, key)): Segment<(GroupId, MessageId, String)>,
    Params(wait): Params<SendWait>,
    request: Mutation<NoBody>,
) -> Result<Reply<MessageDto>, Problem> {
    bot.need_in(Scope::MessagesSend, &group_id)?;
    let (_, options) = request.into_parts(wait.duration()?);
    let message = reaction_taken_back(&key, message_id);
    let sent = bot.session.send(group_id, message, options).await?;
    Ok(Reply::ok(sent.value.into()).replayed(sent.replayed))
}
