//! `/v1/groups/{group_id}/messages`.

use http::StatusCode;
use quicproquo_client::{GroupId, Message, MessageId, Outcome};

use crate::auth::{Bot, Scope};
use crate::extract::{CONTENT_LIMIT, Mutation, NoBody, Params, Segment};
use crate::model::{HistoryParams, List, MessageDto, MessageEdit, NewMessage, SendWait, deletion};
use crate::openapi::{Denied, Expired, Guarded, Refused};
use crate::problem::Problem;
use crate::reply::Reply;

/// Send a message.
///
/// The answer is durable: `delivery.state` says whether it is at the node already (`sent`) or
/// still here (`queued`).
#[utoipa::path(
    post, path = "/v1/groups/{group_id}/messages", tag = "messages",
    request_body(content = NewMessage, examples(
        ("text" = (summary = "A text", value = json!(
            {"type": "text", "content": {"body": "hi"}}
        ))),
        ("reply" = (summary = "An answer to another message", value = json!({
            "type": "text", "content": {"body": "hello"},
            "reply_to": "9b2f6c1d0e3a48576b8c9dae0f102132"
        }))),
        ("file" = (summary = "A file that was uploaded", value = json!({
            "type": "file",
            "content": {"attachment_id": "1c0ffee01c0ffee01c0ffee01c0ffee0", "name": "report.pdf"}
        }))),
        ("own" = (summary = "A type of your own", value = json!(
            {"type": "com.example.move", "content": {"from": "e2", "to": "e4"}}
        ))),
        ("verified" = (summary = "Only if all members are verified", value = json!({
            "type": "text", "content": {"body": "hi"}, "require": {"trust": "verified"}
        })))
    )),
    params(("group_id" = String, Path, description = "The group's id."), SendWait, Guarded),
    responses((status = 201, body = MessageDto, description = "The message."), Refused),
    security(("bot_token" = ["messages:send"]))
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

/// List a group's messages as they are now, newest first.
///
/// Edited messages have their new content, deleted ones none, and reactions are with the message
/// they are about. What changes or marks another message (`reaction`, `edit`, `delete`, `read`) is
/// listed only when `type` asks for it.
#[utoipa::path(
    get, path = "/v1/groups/{group_id}/messages", tag = "messages",
    params(("group_id" = String, Path, description = "The group's id."), HistoryParams),
    responses(
        (status = 200, body = List<MessageDto>, description = "A page of history."),
        Denied, Expired
    ),
    security(("bot_token" = ["messages:read"]))
)]
pub(crate) async fn list_messages(
    bot: Bot,
    Segment(group_id): Segment<GroupId>,
    Params(params): Params<HistoryParams>,
) -> Result<Reply<List<MessageDto>>, Problem> {
    bot.need_in(Scope::MessagesRead, &group_id)?;
    let page = bot.session.history(&group_id, params.parse()?).await?;
    let path = format!("/v1/groups/{group_id}/messages");
    let link = page.next.map(|next| params.next_page(&path, next));
    let items = page.items.into_iter().map(Into::into).collect();
    let next = page.next.map(|next| next.to_string());
    Ok(Reply::ok(List { items, next }).next_page(link))
}

/// Show one message as it is now.
#[utoipa::path(
    get, path = "/v1/groups/{group_id}/messages/{message_id}", tag = "messages",
    params(
        ("group_id" = String, Path, description = "The group's id."),
        ("message_id" = String, Path, description = "The message's id.")
    ),
    responses((status = 200, body = MessageDto, description = "The message."), Denied),
    security(("bot_token" = ["messages:read"]))
)]
pub(crate) async fn get_message(
    bot: Bot,
    Segment((group_id, message_id)): Segment<(GroupId, MessageId)>,
) -> Result<Reply<MessageDto>, Problem> {
    bot.need_in(Scope::MessagesRead, &group_id)?;
    Ok(Reply::ok(bot.session.message(&group_id, &message_id).await?.into()))
}

/// Edit an own message.
///
/// Sends the new content to the group, where it takes the place of the former one. The answer is
/// the message as it is now; its `delivery` is that of the change.
#[utoipa::path(
    patch, path = "/v1/groups/{group_id}/messages/{message_id}", tag = "messages",
    request_body = MessageEdit,
    params(
        ("group_id" = String, Path, description = "The group's id."),
        ("message_id" = String, Path, description = "The message's id."),
        SendWait, Guarded
    ),
    responses((status = 200, body = MessageDto, description = "The message."), Refused),
    security(("bot_token" = ["messages:send"]))
)]
pub(crate) async fn edit_message(
    bot: Bot,
    Segment((group_id, message_id)): Segment<(GroupId, MessageId)>,
    Params(wait): Params<SendWait>,
    request: Mutation<MessageEdit, CONTENT_LIMIT>,
) -> Result<Reply<MessageDto>, Problem> {
    bot.need_in(Scope::MessagesSend, &group_id)?;
    let (edit, mut options) = request.into_parts(wait.duration()?);
    let (message, verified_only) = edit.parse(message_id)?;
    options.verified_only = verified_only;
    let sent = bot.session.send(group_id.clone(), message, options).await?;
    changed(&bot, &group_id, &message_id, sent).await
}

/// Delete an own message.
///
/// Tells the group, where its content goes; that somebody has read or kept it cannot be undone. The
/// answer is what is left of the message; its `delivery` is that of the deletion.
#[utoipa::path(
    delete, path = "/v1/groups/{group_id}/messages/{message_id}", tag = "messages",
    params(
        ("group_id" = String, Path, description = "The group's id."),
        ("message_id" = String, Path, description = "The message's id."),
        SendWait, Guarded
    ),
    responses((status = 200, body = MessageDto, description = "What is left of it."), Refused),
    security(("bot_token" = ["messages:send"]))
)]
pub(crate) async fn delete_message(
    bot: Bot,
    Segment((group_id, message_id)): Segment<(GroupId, MessageId)>,
    Params(wait): Params<SendWait>,
    request: Mutation<NoBody>,
) -> Result<Reply<MessageDto>, Problem> {
    bot.need_in(Scope::MessagesSend, &group_id)?;
    let (_, options) = request.into_parts(wait.duration()?);
    let sent = bot.session.send(group_id.clone(), deletion(message_id), options).await?;
    changed(&bot, &group_id, &message_id, sent).await
}

/// An own message after a change.
async fn changed(
    bot: &Bot,
    group_id: &GroupId,
    message_id: &MessageId,
    change: Outcome<Message>,
) -> Result<Reply<MessageDto>, Problem> {
    let mut message = bot.session.own_message(group_id, message_id).await?;
    message.delivery = change.value.delivery;
    message.recipients = change.value.recipients;
    let mut message = MessageDto::from(message);
    if bot.need(Scope::MessagesRead).is_err() {
        message = message.without_reactions();
    }
    Ok(Reply::ok(message).replayed(change.replayed))
}
