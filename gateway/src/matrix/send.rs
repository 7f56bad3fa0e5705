//! Events that are sent, state that is set, events that are redacted.

use std::time::Duration;

use axum::Json;
use quicproquo_client::{ContextChange, GroupId, Idempotency, Message, Options, Role};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::device;
use super::body::Body;
use super::error::{forbidden, invalid, not_found};
use super::ids::{Caller, Ids};
pub(super) use super::outgoing::about;
use super::outgoing::{deletion, outgoing};
use super::rooms::options;
use super::state::StateEvent;
use crate::auth::Scope;
use crate::extract::Segment;
use crate::idempotency::fingerprint;
use crate::problem::Problem;

/// How long a message is waited for until it is at the node, as at the native route.
const WAIT: Duration = Duration::from_secs(2);
/// From here on a member is an admin.
const ADMIN: i64 = 100;

/// The same transaction of the same device does its work once, and answers the same.
fn once(caller: &Caller, parts: &[&str]) -> Options {
    let about = parts.join("\n");
    let key = fingerprint("matrix", device(&caller.bot), about.as_bytes());
    // What the body says does not matter: Matrix goes by the transaction alone.
    let idempotency = Idempotency { key: format!("matrix:{}", hex::encode(key)), fingerprint: key };
    Options { idempotency: Some(idempotency), wait: WAIT, ..Options::default() }
}

fn sent(message: &Message) -> Json<Value> {
    Json(json!({ "event_id": Ids::event(&message.id) }))
}

pub(super) async fn send(
    caller: Caller,
    Segment((room, kind, txn)): Segment<(String, String, String)>,
    Body(content): Body<Value>,
) -> Result<Json<Value>, Problem> {
    let Caller { bot, ids } = &caller;
    let id = ids.group(&room)?;
    bot.need_in(Scope::MessagesSend, &id)?;
    let options = once(&caller, &["send", &room, &kind, &txn]);
    let message = outgoing(ids, &kind, content)?;
    Ok(sent(&bot.session.send(id, message, options).await?.value))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Redaction {
    reason: Option<String>,
}

pub(super) async fn redact(
    caller: Caller,
    Segment((room, event, txn)): Segment<(String, String, String)>,
    Body(Redaction { reason }): Body<Redaction>,
) -> Result<Json<Value>, Problem> {
    let Caller { bot, ids } = &caller;
    let id = ids.group(&room)?;
    bot.need_in(Scope::MessagesSend, &id)?;
    let options = once(&caller, &["redact", &room, &event, &txn]);
    let Some(target) = Ids::message(&event) else {
        return Err(forbidden("what a group is cannot be redacted, messages can"));
    };
    let found = bot.session.message(&id, &target).await?;
    let message = match (found.kind.as_str(), found.relates_to) {
        ("reaction", Some(relation)) => {
            if !ids.is_own(&found.sender) {
                return Err(forbidden("only who has reacted may take a reaction back"));
            }
            let key = found.body.get("key").cloned().unwrap_or_default();
            about("reaction", json!({ "key": key, "active": false }), relation.id)
        }
        _ => deletion(target, reason.as_deref()),
    };
    Ok(sent(&bot.session.send(id, message, options).await?.value))
}

pub(super) async fn put_state(
    caller: Caller,
    Segment((room, kind)): Segment<(String, String)>,
    Body(content): Body<Value>,
) -> Result<Json<Value>, Problem> {
    set_state(&caller, &room, &kind, "", content).await
}

pub(super) async fn put_keyed_state(
    caller: Caller,
    Segment((room, kind, key)): Segment<(String, String, String)>,
    Body(content): Body<Value>,
) -> Result<Json<Value>, Problem> {
    set_state(&caller, &room, &kind, &key, content).await
}

async fn set_state(
    caller: &Caller,
    room: &str,
    kind: &str,
    key: &str,
    content: Value,
) -> Result<Json<Value>, Problem> {
    let Caller { bot, ids } = caller;
    let id = ids.group(room)?;
    bot.need_in(Scope::GroupsManage, &id)?;
    let text = |field: &str| match content.get(field) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(invalid(format!("{field} is a string"))),
    };
    let change = match (kind, key) {
        ("m.room.name", "") => {
            ContextChange { name: Some(text("name")?), ..ContextChange::default() }
        }
        ("m.room.topic", "") => {
            ContextChange { topic: Some(text("topic")?), ..ContextChange::default() }
        }
        ("m.room.power_levels", "") => roles(caller, &id, &content).await?,
        ("m.room.encryption", _) => {
            return Err(forbidden("the room is encrypted already, by MLS, and stays so"));
        }
        _ => {
            return Err(forbidden(
                "of a room's state, m.room.name, m.room.topic and the users of \
                 m.room.power_levels can be set",
            ));
        }
    };
    let empty = ContextChange::default();
    let epoch = if change == empty {
        bot.session.group(&id).await?.epoch
    } else {
        bot.session.change_context(id, change, options()).await?.value.group.epoch
    };
    let (sender, state_key, at_ms) = (ids.me(), key, 0);
    let event = StateEvent { kind, state_key, sender, content, at_ms };
    Ok(Json(json!({ "event_id": event.event(room, &epoch.to_string())["event_id"] })))
}

/// Who becomes an admin, and who is one no more.
async fn roles(caller: &Caller, id: &GroupId, content: &Value) -> Result<ContextChange, Problem> {
    let group = caller.bot.session.group(id).await?;
    let Some(users) = content.get("users").and_then(Value::as_object) else {
        return Err(invalid("users of m.room.power_levels is an object"));
    };
    let default = content.get("users_default").and_then(Value::as_i64).unwrap_or(0);
    let mut levels = Vec::with_capacity(users.len());
    for (user, level) in users {
        let level = level.as_i64().ok_or_else(|| invalid("a power level is a whole number"))?;
        let identity = caller.ids.identity(&caller.bot, user).await?;
        if !group.members.iter().any(|member| member.identity == identity) {
            return Err(not_found(format!("{user} is not a member")));
        }
        levels.push((identity, level));
    }
    let wanted = |identity| {
        let level =
            levels.iter().find(|level| level.0 == identity).map_or(default, |level| level.1);
        if level >= ADMIN { Role::Admin } else { Role::Member }
    };
    let members = group.members.iter();
    let changed = members.filter(|member| wanted(member.identity) != member.role);
    let roles = changed.map(|member| (member.identity, wanted(member.identity))).collect();
    Ok(ContextChange { roles, ..ContextChange::default() })
}
