//! `/v1/groups/{group_id}/members`.

use quicproquo_client::{ContextChange, GroupId};

use super::groups::changed;
use crate::auth::{Bot, Scope};
use crate::extract::{Mutation, NoBody, Params, Segment};
use crate::model::{
    ChangeDto, List, MemberChange, MemberDto, NewMembers, PageParams, Wait, resolve_new,
    resolve_one,
};
use crate::openapi::{Denied, Guarded, Refused};
use crate::problem::Problem;
use crate::reply::Reply;

/// List a group's members.
#[utoipa::path(
    get, path = "/v1/groups/{group_id}/members", tag = "members",
    params(("group_id" = String, Path, description = "The group's id."), PageParams),
    responses((status = 200, body = List<MemberDto>, description = "The members."), Denied),
    security(("bot_token" = ["groups:read"]))
)]
pub(crate) async fn list_members(
    bot: Bot,
    Segment(group_id): Segment<GroupId>,
    Params(page): Params<PageParams>,
) -> Result<Reply<List<MemberDto>>, Problem> {
    bot.need_in(Scope::GroupsRead, &group_id)?;
    let group = bot.session.group(&group_id).await?;
    let epoch = group.epoch;
    let members = group.members.into_iter();
    let members = members.map(|member| (member.identity.to_string(), member.into()));
    Ok(page.reply(&format!("/v1/groups/{group_id}/members"), members)?.epoch(epoch))
}

/// Add members, all by one commit.
#[utoipa::path(
    post, path = "/v1/groups/{group_id}/members", tag = "members", request_body = NewMembers,
    params(("group_id" = String, Path, description = "The group's id."), Wait, Guarded),
    responses(
        (status = 200, body = ChangeDto, description = "They are members."),
        (status = 202, body = ChangeDto, description = "Durable here, its commit is on its way."),
        Refused
    ),
    security(("bot_token" = ["groups:manage"]))
)]
pub(crate) async fn add_members(
    bot: Bot,
    Segment(group_id): Segment<GroupId>,
    Params(wait): Params<Wait>,
    request: Mutation<NewMembers>,
) -> Result<Reply<ChangeDto>, Problem> {
    bot.need_in(Scope::GroupsManage, &group_id)?;
    let (new, options) = request.into_parts(wait.duration()?);
    new.check()?;
    let members = resolve_new(&bot.session, &options, &new.members).await?;
    Ok(changed(bot.session.invite(group_id, members, options).await?))
}

/// Change a member's role.
#[utoipa::path(
    patch, path = "/v1/groups/{group_id}/members/{identity}", tag = "members",
    request_body = MemberChange,
    params(
        ("group_id" = String, Path, description = "The group's id."),
        ("identity" = String, Path, description = "The member's identity or name."),
        Wait, Guarded
    ),
    responses(
        (status = 200, body = ChangeDto, description = "The role is changed."),
        (status = 202, body = ChangeDto, description = "Durable here, its commit is on its way."),
        Refused
    ),
    security(("bot_token" = ["groups:manage"]))
)]
pub(crate) async fn change_member(
    bot: Bot,
    Segment((group_id, member)): Segment<(GroupId, String)>,
    Params(wait): Params<Wait>,
    request: Mutation<MemberChange>,
) -> Result<Reply<ChangeDto>, Problem> {
    bot.need_in(Scope::GroupsManage, &group_id)?;
    let (change, options) = request.into_parts(wait.duration()?);
    let members = resolve_one(&bot.session, &options, &member).await?;
    let roles = members.into_iter().map(|member| (member, change.role.into())).collect();
    let change = ContextChange { roles, ..ContextChange::default() };
    Ok(changed(bot.session.change_context(group_id, change, options).await?))
}

/// Remove a member.
#[utoipa::path(
    delete, path = "/v1/groups/{group_id}/members/{identity}", tag = "members",
    params(
        ("group_id" = String, Path, description = "The group's id."),
        ("identity" = String, Path, description = "The member's identity or name."),
        Wait, Guarded
    ),
    responses(
        (status = 200, body = ChangeDto, description = "The member is removed."),
        (status = 202, body = ChangeDto, description = "Durable here, its commit is on its way."),
        Refused
    ),
    security(("bot_token" = ["groups:manage"]))
)]
pub(crate) async fn remove_member(
    bot: Bot,
    Segment((group_id, member)): Segment<(GroupId, String)>,
    Params(wait): Params<Wait>,
    request: Mutation<NoBody>,
) -> Result<Reply<ChangeDto>, Problem> {
    bot.need_in(Scope::GroupsManage, &group_id)?;
    let (_, options) = request.into_parts(wait.duration()?);
    let members = resolve_one(&bot.session, &options, &member).await?;
    Ok(changed(bot.session.remove(group_id, members, options).await?))
}
