//! `/v1/groups/{group_id}/messages`.

use http::StatusCode;
use quicproquo_client::{GroupId, MessageId};

use crate::auth::{Bot, Scope};
use crate::extract::{CONTENT_LIMIT, Mutation, Params, Segment};
use crate::model::{HistoryParams, List, MessageDto, NewMessage, SendWait};
use crate::openapi::{Denied, Expired, Guarded, Refused};
use crate::problem::Problem;
use crate::reply::Reply;

/// Send a message.
///
/// The answer is durable: `delivery.state` says whether it is at the node already (`sent`) or
/// still here (`queued`).
#[utoipa::path(
    post, path = "/v1/groups/{group_id}/messages", tag = "messages", request_body = NewMessage,
    params(("group_id" = String, Path, description = "The group's id."), SendWait, Guarded),
    responses((status = 201, body = MessageDto, description = "The message."), Refused),
    security(("bot_token" = []))
)]
pub(crate) async fn send_message(
    bot: Bot,
    Segment(group_id): Segment<GroupId>,
    Params(wait): Params<SendWait>,
    request: Mutation<NewMessage, CONTENT_LIMIT>,
) -> Result<Reply<MessageDto>, Problem> {
    bot.need_in(Scope::MessagesSend, &group_id)?;
    let (new, mut options) = request.into_parts(wait.duration()?);
    options.verified_only = new.verified_only();
    let sent = bot.session.send(group_id, new.parse()?, options).await?;
    Ok(Reply::new(StatusCode::CREATED, sent.value.into()).replayed(sent.replayed))
}

/// List a group's messages, newest first.
#[utoipa::path(
    get, path = "/v1/groups/{group_id}/messages", tag = "messages",
    params(("group_id" = String, Path, description = "The group's id."), HistoryParams),
    responses(
        (status = 200, body = List<MessageDto>, description = "A page of history."),
        Denied, Expired
    ),
    security(("bot_token" = []))
)]
pub(crate) async fn list_messages(
    bot: Bot,
    Segment(group_id): Segment<GroupId>,
    Params(params): Params<HistoryParams>,
) -> Result<Reply<List<MessageDto>>, Problem> {
    bot.need_in(Scope::MessagesRead, &group_id)?;
    let query = params.parse()?;
    let limit = query.limit;
    let page = bot.session.history(&group_id, query).await?;
    let link =
        page.next.map(|next| format!("/v1/groups/{group_id}/messages?before={next}&limit={limit}"));
    let items = page.items.into_iter().map(Into::into).collect();
    let next = page.next.map(|next| next.to_string());
    Ok(Reply::ok(List { items, next }).next_page(link))
}

/// Show one message.
#[utoipa::path(
    get, path = "/v1/groups/{group_id}/messages/{message_id}", tag = "messages",
    params(
        ("group_id" = String, Path, description = "The group's id."),
        ("message_id" = String, Path, description = "The message's id.")
    ),
    responses((status = 200, body = MessageDto, description = "The message."), Denied),
    security(("bot_token" = []))
)]
pub(crate) async fn get_message(
    bot: Bot,
    Segment((group_id, message_id)): Segment<(GroupId, MessageId)>,
) -> Result<Reply<MessageDto>, Problem> {
    bot.need_in(Scope::MessagesRead, &group_id)?;
    Ok(Reply::ok(bot.session.message(&group_id, &message_id).await?.into()))
}
