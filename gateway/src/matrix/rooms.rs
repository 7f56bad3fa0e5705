//! Rooms made, joined and left, and who is in them.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use quicproquo_client::{
    GroupId, GroupState, IdentityKey, NewGroup, Options, Outgoing, Profile, SessionError, Suite,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::set;
use super::body::Body;
use super::error::{forbidden, invalid};
use super::ids::{Caller, Ids};
use super::send::about;
use super::translate::is_in;
use crate::auth::Scope;
use crate::extract::Segment;
use crate::problem::Problem;
use crate::routes::invitations::{accept, decline};
use crate::state::AppState;

/// How long a change of a group is waited for; later it comes by itself.
const WAIT: Duration = Duration::from_secs(10);
const MAX_INVITED: usize = 1000;

/// How a change of a group is asked for.
pub(super) fn options() -> Options {
    Options { wait: WAIT, ..Options::default() }
}

fn done() -> Json<Value> {
    Json(json!({}))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NewRoom {
    name: Option<String>,
    topic: Option<String>,
    invite: Vec<String>,
    initial_state: Vec<InitialState>,
}

#[derive(Debug, Deserialize)]
struct InitialState {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    content: Value,
}

pub(super) async fn create(
    caller: Caller,
    Body(new): Body<NewRoom>,
) -> Result<Json<Value>, Problem> {
    let Caller { bot, ids } = &caller;
    bot.need_everywhere(Scope::GroupsManage)?;
    let NewRoom { mut name, mut topic, invite, initial_state } = new;
    if invite.len() > MAX_INVITED {
        return Err(invalid(format!("at most {MAX_INVITED} are invited at once")));
    }
    // Of the rest nothing applies: a group is encrypted, and by invitation, as it is.
    for state in initial_state {
        let text = |field: &str| state.content.get(field)?.as_str().map(str::to_owned);
        match state.kind.as_str() {
            "m.room.name" => name = name.or_else(|| text("name")),
            "m.room.topic" => topic = topic.or_else(|| text("topic")),
            _ => {}
        }
    }
    let mut members = Vec::with_capacity(invite.len());
    for user in &invite {
        let identity = ids.identity(bot, user).await?;
        if !ids.is_own(&identity) && !members.contains(&identity) {
            members.push(identity);
        }
    }
    let new = NewGroup {
        name: name.unwrap_or_default(),
        topic: topic.unwrap_or_default(),
        members,
        suite: Suite::Envelope,
        profile: Profile::Standard,
    };
    let made = bot.session.create_group(new, options()).await?;
    Ok(Json(json!({ "room_id": ids.room(&made.value.group.id) })))
}

/// Joining a room twice is joining it.
pub(super) async fn join(
    caller: Caller,
    Segment(room): Segment<String>,
) -> Result<Json<Value>, Problem> {
    let group = caller.ids.group(&room)?;
    accept(&caller.bot, &group).await?;
    Ok(Json(json!({ "room_id": room })))
}

/// Leaving a room twice is leaving it; leaving one that one is invited to is declining.
pub(super) async fn leave(
    caller: Caller,
    Segment(room): Segment<String>,
) -> Result<Json<Value>, Problem> {
    let Caller { bot, ids } = &caller;
    let id = ids.group(&room)?;
    let invitations = bot.session.invitations().await?;
    if invitations.iter().any(|invitation| invitation.id == id) {
        decline(bot, &id).await?;
        return Ok(done());
    }
    bot.need_in(Scope::GroupsManage, &id)?;
    let group = bot.session.group(&id).await?;
    if is_in(&group) && group.state != GroupState::Leaving {
        bot.session.leave(id, options()).await?;
    }
    Ok(done())
}

/// Rooms that were left are forgotten as far as Matrix goes.
pub(super) async fn forget(
    caller: Caller,
    Segment(room): Segment<String>,
) -> Result<Json<Value>, Problem> {
    let id = caller.ids.group(&room)?;
    caller.bot.need_in(Scope::GroupsManage, &id)?;
    if is_in(&caller.bot.session.group(&id).await?) {
        let problem = invalid("leave the room first");
        return Err(problem.with_code(http::StatusCode::BAD_REQUEST, "M_UNKNOWN"));
    }
    Ok(done())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Whom {
    user_id: String,
}

impl Whom {
    async fn of(&self, caller: &Caller, room: &str) -> Result<(GroupId, IdentityKey), Problem> {
        let id = caller.ids.group(room)?;
        caller.bot.need_in(Scope::GroupsManage, &id)?;
        let whom = caller.ids.identity(&caller.bot, &self.user_id).await?;
        Ok((id, whom))
    }
}

pub(super) async fn invite(
    caller: Caller,
    Segment(room): Segment<String>,
    Body(whom): Body<Whom>,
) -> Result<Json<Value>, Problem> {
    let (id, identity) = whom.of(&caller, &room).await?;
    caller.bot.session.invite(id, vec![identity], options()).await?;
    Ok(done())
}

/// A group has no list of those who may not come back: to ban is to remove.
pub(super) async fn kick(
    caller: Caller,
    Segment(room): Segment<String>,
    Body(whom): Body<Whom>,
) -> Result<Json<Value>, Problem> {
    let (id, identity) = whom.of(&caller, &room).await?;
    if caller.ids.is_own(&identity) {
        return Err(forbidden("a bot that wants to go leaves"));
    }
    caller.bot.session.remove(id, vec![identity], options()).await?;
    Ok(done())
}

pub(super) async fn unban(
    caller: Caller,
    Segment(room): Segment<String>,
    Body(whom): Body<Whom>,
) -> Result<Json<Value>, Problem> {
    whom.of(&caller, &room).await?;
    Ok(done())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typing {
    typing: bool,
}

pub(super) async fn typing(
    caller: Caller,
    Segment((room, user)): Segment<(String, String)>,
    Body(Typing { typing }): Body<Typing>,
) -> Result<Json<Value>, Problem> {
    caller.is(&user)?;
    let id = caller.ids.group(&room)?;
    caller.bot.need_in(Scope::MessagesSend, &id)?;
    let (kind, body) = ("typing".to_owned(), json!({ "active": typing }));
    let message = Outgoing { kind, body, relates_to: None };
    caller.bot.session.send(id, message, Options::default()).await?;
    Ok(done())
}

pub(super) async fn receipt(
    caller: Caller,
    State(state): State<AppState>,
    Segment((room, kind, event)): Segment<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    let id = caller.ids.group(&room)?;
    match kind.as_str() {
        "m.read" => read(&caller, id, &event).await,
        "m.read.private" => Ok(done()),
        "m.fully_read" => fully_read(&state, &caller, &id, &event).await,
        _ => Err(invalid("a receipt is m.read, m.read.private or m.fully_read")),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Markers {
    #[serde(rename = "m.fully_read")]
    fully_read: Option<String>,
    #[serde(rename = "m.read")]
    read: Option<String>,
}

pub(super) async fn markers(
    caller: Caller,
    State(state): State<AppState>,
    Segment(room): Segment<String>,
    Body(markers): Body<Markers>,
) -> Result<Json<Value>, Problem> {
    let id = caller.ids.group(&room)?;
    if let Some(event) = markers.fully_read {
        let _ = fully_read(&state, &caller, &id, &event).await?;
    }
    match markers.read {
        Some(event) => read(&caller, id, &event).await,
        None => Ok(done()),
    }
}

/// Says how far the bot has read; of events that are no messages nobody wants to know.
async fn read(caller: &Caller, id: GroupId, event: &str) -> Result<Json<Value>, Problem> {
    caller.bot.need_in(Scope::MessagesSend, &id)?;
    if let Some(message) = Ids::message(event) {
        match caller
            .bot
            .session
            .send(id, about("read", json!({}), message), Options::default())
            .await
        {
            // A reaction, say, is not to be read.
            Ok(_) | Err(SessionError::MessageNotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done())
}

async fn fully_read(
    state: &AppState,
    caller: &Caller,
    id: &GroupId,
    event: &str,
) -> Result<Json<Value>, Problem> {
    set(state, caller, &id.to_string(), "m.fully_read", &json!({ "event_id": event })).await
}
