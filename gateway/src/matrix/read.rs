//! Rooms as they are, and what was said in them.

use axum::Json;
use quicproquo_client::{
    Cursor, GroupId, GroupInfo, HistoryQuery, Message, MessageId, SessionError,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::{invalid, not_found};
use super::ids::{Caller, Ids, Place};
use super::state::{display_name, of_group, user};
use super::translate::{is_in, message_event};
use crate::auth::Scope;
use crate::extract::{Params, Segment};
use crate::problem::Problem;

/// Events of a page, and most of them.
const PAGE: u32 = 10;
const MOST: u32 = 200;

/// A group that the caller may read.
async fn group(caller: &Caller, room: &str) -> Result<GroupInfo, Problem> {
    let id = caller.ids.group(room)?;
    caller.bot.need_in(Scope::GroupsRead, &id)?;
    let session = &caller.bot.session;
    caller.ids.with_names(session, session.group(&id).await?).await
}

fn state_of(caller: &Caller, group: &GroupInfo) -> Vec<Value> {
    of_group(&caller.ids, group, caller.bot.record.created_at_ms)
}

pub(super) async fn joined_rooms(caller: Caller) -> Result<Json<Value>, Problem> {
    let Caller { bot, ids } = &caller;
    bot.need(Scope::GroupsRead)?;
    let groups = bot.session.groups().await?.into_iter();
    let joined = groups.filter(|group| bot.grant.allows_group(&group.id) && is_in(group));
    let rooms: Vec<_> = joined.map(|group| ids.room(&group.id)).collect();
    Ok(Json(json!({ "joined_rooms": rooms })))
}

pub(super) async fn joined_members(
    caller: Caller,
    Segment(room): Segment<String>,
) -> Result<Json<Value>, Problem> {
    let group = group(&caller, &room).await?;
    let about = |user: &str| json!({ "display_name": display_name(user), "avatar_url": null });
    let members = group.members.iter().map(|member| user(&caller.ids, member));
    let joined: Map<_, _> = members.map(|user| (user.clone(), about(&user))).collect();
    Ok(Json(json!({ "joined": joined })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MembersParams {
    membership: Option<String>,
    not_membership: Option<String>,
}

pub(super) async fn members(
    caller: Caller,
    Segment(room): Segment<String>,
    Params(params): Params<MembersParams>,
) -> Result<Json<Value>, Problem> {
    let group = group(&caller, &room).await?;
    let mut chunk = state_of(&caller, &group);
    let none = params.membership.is_some_and(|wanted| wanted != "join")
        || params.not_membership.as_deref() == Some("join");
    chunk.retain(|event| event["type"] == "m.room.member" && !none);
    Ok(Json(json!({ "chunk": chunk })))
}

pub(super) async fn state(
    caller: Caller,
    Segment(room): Segment<String>,
) -> Result<Json<Value>, Problem> {
    let group = group(&caller, &room).await?;
    Ok(Json(state_of(&caller, &group).into()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StateParams {
    format: Option<String>,
}

pub(super) async fn state_event(
    caller: Caller,
    Segment((room, kind)): Segment<(String, String)>,
    Params(params): Params<StateParams>,
) -> Result<Json<Value>, Problem> {
    one(&caller, &room, &kind, "", params).await
}

pub(super) async fn keyed_state_event(
    caller: Caller,
    Segment((room, kind, key)): Segment<(String, String, String)>,
    Params(params): Params<StateParams>,
) -> Result<Json<Value>, Problem> {
    one(&caller, &room, &kind, &key, params).await
}

async fn one(
    caller: &Caller,
    room: &str,
    kind: &str,
    key: &str,
    params: StateParams,
) -> Result<Json<Value>, Problem> {
    let group = group(caller, room).await?;
    let mut state = state_of(caller, &group).into_iter();
    let found = state.find(|event| event["type"] == kind && event["state_key"] == key);
    let mut event = found.ok_or_else(|| not_found("the room has no such state"))?;
    let whole = params.format.as_deref() == Some("event");
    Ok(Json(if whole { event } else { event["content"].take() }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MessagesParams {
    from: Option<String>,
    to: Option<String>,
    dir: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn messages(
    caller: Caller,
    Segment(room): Segment<String>,
    Params(params): Params<MessagesParams>,
) -> Result<Json<Value>, Problem> {
    let id = caller.ids.group(&room)?;
    caller.bot.need_in(Scope::MessagesRead, &id)?;
    let limit = params.limit.unwrap_or(PAGE).clamp(1, MOST);
    let place = |text: &Option<String>| {
        text.as_deref().filter(|text| !text.is_empty()).map(Place::parse).transpose()
    };
    let (from, to) = (place(&params.from)?, place(&params.to)?);
    let cursor = |place: Option<Place>| place.map(|place| place.cursor);
    let tail = *caller.bot.session.tail().borrow();
    let (start, found, end) = match params.dir.as_deref() {
        Some("f") => {
            let after = cursor(from).unwrap_or_default();
            let until = cursor(to).unwrap_or(tail).min(tail);
            let (items, end) = forward(&caller, &id, after, until, limit).await?;
            (after, items, end)
        }
        None | Some("b") => {
            let start = cursor(from).unwrap_or(tail);
            let before = Some(start.plus(1));
            let query = HistoryQuery { before, after: cursor(to), limit, ..Default::default() };
            let page = caller.bot.session.history(&id, query).await?;
            (start, page.items, page.next.map(Cursor::before))
        }
        Some(_) => return Err(invalid("dir is b or f")),
    };
    let mut answer = json!({
        "start": Place::at(start).token(),
        "chunk": events(&caller, found).await?,
        "state": [],
    });
    if let Some(end) = end {
        answer["end"] = Place::at(end).token().into();
    }
    Ok(Json(answer))
}

/// Messages from the oldest on, and where to go on. History is read from its end: of a window of
/// positions that has no more messages than are wanted, that does not matter.
async fn forward(
    caller: &Caller,
    id: &GroupId,
    after: Cursor,
    until: Cursor,
    limit: u32,
) -> Result<(Vec<Message>, Option<Cursor>), Problem> {
    let least = u64::from(limit);
    let (mut from, mut width) = (after, least);
    while from < until {
        let end = from.plus(width).min(until);
        let (after, before) = (Some(from), Some(end.plus(1)));
        let query = HistoryQuery { after, before, limit, ..HistoryQuery::default() };
        let page = caller.bot.session.history(id, query).await?;
        if page.next.is_some() && width > least {
            width = (width / 2).max(least);
            continue;
        }
        if !page.items.is_empty() {
            let items = page.items.into_iter().rev().collect();
            return Ok((items, (end < until).then_some(end)));
        }
        (from, width) = (end, width.saturating_mul(2));
    }
    Ok((Vec::new(), None))
}

async fn events(caller: &Caller, messages: Vec<Message>) -> Result<Vec<Value>, Problem> {
    let mut events = Vec::with_capacity(messages.len());
    for message in messages {
        events.extend(message_event(&caller.ids, &caller.bot.session, message).await?);
    }
    Ok(events)
}

pub(super) async fn event(
    caller: Caller,
    Segment((room, event)): Segment<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let id = caller.ids.group(&room)?;
    caller.bot.need_in(Scope::MessagesRead, &id)?;
    let Some(message) = Ids::message(&event) else {
        let group = group(&caller, &room).await?;
        let mut state = state_of(&caller, &group).into_iter();
        let found = state.find(|state| state["event_id"] == event.as_str());
        return found.map(Json).ok_or_else(|| not_found("there is no such event"));
    };
    let (_, event) = look_up(&caller, &id, &message).await?;
    Ok(Json(event))
}

async fn look_up(
    caller: &Caller,
    id: &GroupId,
    message: &MessageId,
) -> Result<(Message, Value), Problem> {
    let missing = || not_found("there is no such event");
    let found = match caller.bot.session.message(id, message).await {
        Err(SessionError::MessageNotFound) => return Err(missing()),
        found => found?,
    };
    let event = message_event(&caller.ids, &caller.bot.session, found.clone()).await?;
    Ok((found, event.ok_or_else(missing)?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContextParams {
    limit: Option<u32>,
}

/// An event with some before and after it.
pub(super) async fn context(
    caller: Caller,
    Segment((room, event)): Segment<(String, String)>,
    Params(params): Params<ContextParams>,
) -> Result<Json<Value>, Problem> {
    let group = group(&caller, &room).await?;
    let id = &group.id;
    caller.bot.need_in(Scope::MessagesRead, id)?;
    let message = Ids::message(&event).ok_or_else(|| not_found("the event is no message"))?;
    let (found, event) = look_up(&caller, id, &message).await?;
    let half = (params.limit.unwrap_or(PAGE) / 2).clamp(1, MOST / 2);
    let session = &caller.bot.session;
    // The message and what came before it, with what came in the same millisecond.
    let until_ms = Some(found.received_at_ms.saturating_add(1));
    let query = |limit| HistoryQuery { until_ms, limit, ..HistoryQuery::default() };
    let page = session.history(id, query(MOST)).await?;
    let same = page.items.iter().take_while(|item| item.id != message).count();
    let page = session
        .history(id, query(u32::try_from(same).unwrap_or(MOST).saturating_add(1 + half).min(MOST)))
        .await?;
    let start = page.next.map(Cursor::before);
    let mut after: Vec<_> = page.items.iter().take(same).rev().cloned().collect();
    let before: Vec<_> = page.items.into_iter().skip(same + 1).collect();
    // A page of one leads to the place where it is.
    let place = session.history(id, query(1)).await?.next.unwrap_or_default();
    let tail = *session.tail().borrow();
    let (later, end) = forward(&caller, id, place, tail, half).await?;
    after.extend(later.into_iter().filter(|item| item.id != message));
    after.truncate(half as usize);
    let mut answer = json!({
        "event": event,
        "events_before": events(&caller, before).await?,
        "events_after": events(&caller, after).await?,
        "state": state_of(&caller, &group),
        "end": Place::at(end.unwrap_or(tail)).token(),
    });
    if let Some(start) = start {
        answer["start"] = Place::at(start).token().into();
    }
    Ok(Json(answer))
}
