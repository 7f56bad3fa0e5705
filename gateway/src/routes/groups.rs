//! `/v1/groups`.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use quicproquo_client::{Change, ChangeState, GroupId, Outcome};

use crate::auth::{Bot, Scope};
use crate::extract::{Mutation, NoBody, Params, Segment};
use crate::model::{
    ChangeDto, GroupChange, GroupDto, GroupHealthDto, List, NewGroupDto, PageParams, Wait,
    resolve_new,
};
use crate::openapi::{Denied, Guarded, Idempotent, Refused};
use crate::problem::Problem;
use crate::reply::Reply;

/// Create a group and invite its first members.
#[utoipa::path(
    post, path = "/v1/groups", tag = "groups", params(Wait, Idempotent),
    request_body = NewGroupDto,
    responses(
        (status = 201, body = GroupDto, description = "The group."),
        (status = 202, body = ChangeDto, description = "Durable here, not yet at the node."),
        Refused
    ),
    security(("bot_token" = ["groups:manage"]))
)]
pub(crate) async fn create_group(
    bot: Bot,
    Params(wait): Params<Wait>,
    request: Mutation<NewGroupDto>,
) -> Result<Response, Problem> {
    bot.need_everywhere(Scope::GroupsManage)?;
    let (new, options) = request.into_parts(wait.duration()?);
    new.check()?;
    let members = resolve_new(&bot.session, &options, &new.members).await?;
    let Outcome { value, replayed } =
        bot.session.create_group(new.with_members(members), options).await?;
    if value.state == ChangeState::Pending {
        return Ok(changed(Outcome { value, replayed }).into_response());
    }
    let epoch = value.group.epoch;
    let reply = Reply::new(StatusCode::CREATED, GroupDto::from(value.group));
    Ok(reply.epoch(epoch).replayed(replayed).into_response())
}

/// List the groups the bot is or was in, the most recently changed first.
#[utoipa::path(
    get, path = "/v1/groups", tag = "groups", params(PageParams),
    responses((status = 200, body = List<GroupDto>, description = "The groups."), Denied),
    security(("bot_token" = ["groups:read"]))
)]
pub(crate) async fn list_groups(
    bot: Bot,
    Params(page): Params<PageParams>,
) -> Result<Reply<List<GroupDto>>, Problem> {
    bot.need(Scope::GroupsRead)?;
    let groups = bot.session.groups().await?.into_iter();
    let allowed = groups.filter(|group| bot.grant.allows_group(&group.id));
    page.reply("/v1/groups", allowed.map(|group| (group.id.to_string(), group.into())))
}

/// Show a group and its members.
#[utoipa::path(
    get, path = "/v1/groups/{group_id}", tag = "groups",
    params(("group_id" = String, Path, description = "The group's id.")),
    responses((status = 200, body = GroupDto, description = "The group."), Denied),
    security(("bot_token" = ["groups:read"]))
)]
pub(crate) async fn get_group(
    bot: Bot,
    Segment(group_id): Segment<GroupId>,
) -> Result<Reply<GroupDto>, Problem> {
    bot.need_in(Scope::GroupsRead, &group_id)?;
    let group = bot.session.group(&group_id).await?;
    let epoch = group.epoch;
    Ok(Reply::ok(group.into()).epoch(epoch))
}

/// Show how a group does.
#[utoipa::path(
    get, path = "/v1/groups/{group_id}/health", tag = "groups",
    params(("group_id" = String, Path, description = "The group's id.")),
    responses((status = 200, body = GroupHealthDto, description = "How it does."), Denied),
    security(("bot_token" = ["groups:read"]))
)]
pub(crate) async fn get_group_health(
    bot: Bot,
    Segment(group_id): Segment<GroupId>,
) -> Result<Reply<GroupHealthDto>, Problem> {
    bot.need_in(Scope::GroupsRead, &group_id)?;
    let health = bot.session.group_health(&group_id).await?;
    let link = bot.session.health().link;
    Ok(Reply::ok(GroupHealthDto::new(group_id.to_string(), &health, &link)))
}

/// Change a group's name or topic.
#[utoipa::path(
    patch, path = "/v1/groups/{group_id}", tag = "groups", request_body = GroupChange,
    params(("group_id" = String, Path, description = "The group's id."), Wait, Guarded),
    responses(
        (status = 200, body = ChangeDto, description = "It is changed."),
        (status = 202, body = ChangeDto, description = "Durable here, its commit is on its way."),
        Refused
    ),
    security(("bot_token" = ["groups:manage"]))
)]
pub(crate) async fn change_group(
    bot: Bot,
    Segment(group_id): Segment<GroupId>,
    Params(wait): Params<Wait>,
    request: Mutation<GroupChange>,
) -> Result<Reply<ChangeDto>, Problem> {
    bot.need_in(Scope::GroupsManage, &group_id)?;
    let (change, options) = request.into_parts(wait.duration()?);
    Ok(changed(bot.session.change_context(group_id, change.parse()?, options).await?))
}

/// Leave a group. Another member commits it; until then the state is `leaving`.
///
/// Messages that were accepted before are sent first; those that cannot be before the others have removed
/// the bot fail, with `message.failed`.
#[utoipa::path(
    post, path = "/v1/groups/{group_id}/leave", tag = "groups",
    params(("group_id" = String, Path, description = "The group's id."), Wait, Guarded),
    responses(
        (status = 200, body = ChangeDto, description = "The bot has left."),
        (status = 202, body = ChangeDto, description = "Asked for; another member commits it."),
        Refused
    ),
    security(("bot_token" = ["groups:manage"]))
)]
pub(crate) async fn leave_group(
    bot: Bot,
    Segment(group_id): Segment<GroupId>,
    Params(wait): Params<Wait>,
    request: Mutation<NoBody>,
) -> Result<Reply<ChangeDto>, Problem> {
    bot.need_in(Scope::GroupsManage, &group_id)?;
    let (_, options) = request.into_parts(wait.duration()?);
    Ok(changed(bot.session.leave(group_id, options).await?))
}

/// Replace the bot's key material in a group, so that a stolen copy becomes useless.
#[utoipa::path(
    post, path = "/v1/groups/{group_id}/update-keys", tag = "groups",
    params(("group_id" = String, Path, description = "The group's id."), Wait, Guarded),
    responses(
        (status = 200, body = ChangeDto, description = "The keys are replaced."),
        (status = 202, body = ChangeDto, description = "Durable here, its commit is on its way."),
        Refused
    ),
    security(("bot_token" = ["groups:manage"]))
)]
pub(crate) async fn update_keys(
    bot: Bot,
    Segment(group_id): Segment<GroupId>,
    Params(wait): Params<Wait>,
    request: Mutation<NoBody>,
) -> Result<Reply<ChangeDto>, Problem> {
    bot.need_in(Scope::GroupsManage, &group_id)?;
    let (_, options) = request.into_parts(wait.duration()?);
    Ok(changed(bot.session.update_keys(group_id, options).await?))
}

/// 200 when the change is done, 202 while its commit is on its way.
pub(crate) fn changed(outcome: Outcome<Change>) -> Reply<ChangeDto> {
    let status = match outcome.value.state {
        ChangeState::Done => StatusCode::OK,
        ChangeState::Pending => StatusCode::ACCEPTED,
    };
    let epoch = outcome.value.group.epoch;
    Reply::new(status, outcome.value.into()).epoch(epoch).replayed(outcome.replayed)
}
