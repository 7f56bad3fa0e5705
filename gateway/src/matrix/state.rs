//! State events: what a group is, as Matrix clients know it. They are made when they are asked for.

use quicproquo_client::{GroupInfo, MemberInfo, Profile, Role};
use serde_json::{Value, json};

use super::content::OWN;
use super::ids::Ids;
use crate::model::{ciphersuite, post_quantum};

/// An event that is no message.
#[derive(Debug)]
pub(super) struct StateEvent<'a> {
    pub(super) kind: &'a str,
    pub(super) state_key: &'a str,
    pub(super) sender: String,
    pub(super) content: Value,
    pub(super) at_ms: u64,
}

impl StateEvent<'_> {
    /// The event; `origin` makes its id different from that of others like it.
    pub(super) fn event(self, room: &str, origin: &str) -> Value {
        let Self { kind, state_key, sender, content, at_ms } = self;
        let text = content.to_string();
        let parts = [room, kind, state_key, origin, &text].map(str::as_bytes);
        json!({
            "type": kind,
            "state_key": state_key,
            "sender": sender,
            "content": content,
            "origin_server_ts": at_ms,
            "event_id": Ids::event_of(&parts),
            "room_id": room,
            "unsigned": {},
        })
    }
}

/// The state of a room.
pub(super) fn of_group(ids: &Ids, group: &GroupInfo, at_ms: u64) -> Vec<Value> {
    let room = ids.room(&group.id);
    let creator = creator(ids, group);
    let event = |kind: &str, state_key: &str, sender: &str, content: Value| {
        let sender = sender.to_owned();
        StateEvent { kind, state_key, sender, content, at_ms }.event(&room, "state")
    };
    let by_creator = |kind: &str, content: Value| event(kind, "", &creator, content);
    let mut events = vec![
        by_creator("m.room.create", json!({ "creator": creator, "room_version": "10" })),
        by_creator("m.room.power_levels", power_levels(ids, group)),
        by_creator("m.room.join_rules", json!({ "join_rule": "invite" })),
        by_creator("m.room.history_visibility", json!({ "history_visibility": "joined" })),
        by_creator(&format!("{OWN}.security"), security(group)),
    ];
    if !group.name.is_empty() {
        events.push(by_creator("m.room.name", json!({ "name": group.name })));
    }
    if !group.topic.is_empty() {
        events.push(by_creator("m.room.topic", json!({ "topic": group.topic })));
    }
    for member in &group.members {
        let user = user(ids, member);
        events.push(event("m.room.member", &user, &user, membership("join", &user)));
    }
    events
}

/// A member's id.
pub(super) fn user(ids: &Ids, member: &MemberInfo) -> String {
    ids.user(&member.identity, member.name.as_deref())
}

/// The content of somebody's membership.
pub(super) fn membership(membership: &str, user: &str) -> Value {
    json!({ "membership": membership, "displayname": display_name(user) })
}

/// What to call a user: the name, or the beginning of the identity.
pub(super) fn display_name(user: &str) -> &str {
    let local = user.strip_prefix('@').and_then(|rest| rest.split_once(':'));
    let local = local.map_or(user, |(local, _)| local);
    if local.len() == 64 { &local[..local.floor_char_boundary(12)] } else { local }
}

/// Who may do what.
pub(super) fn power_levels(ids: &Ids, group: &GroupInfo) -> Value {
    let admins = group.members.iter().filter(|member| member.role == Role::Admin);
    let users: serde_json::Map<_, _> =
        admins.map(|member| (user(ids, member), 100.into())).collect();
    // Without our extensions there are no roles, and nothing that only some may do.
    let change = if group.profile == Profile::Plain { 0 } else { 100 };
    json!({
        "users": users,
        "users_default": 0,
        "events": {},
        "events_default": 0,
        "state_default": change,
        "invite": change,
        "kick": change,
        "ban": change,
        // Nobody deletes what others have said.
        "redact": 101,
        "notifications": { "room": 0 },
    })
}

/// What protects a room in truth.
fn security(group: &GroupInfo) -> Value {
    json!({
        "protocol": "mls-1.0",
        "epoch": group.epoch,
        "ciphersuite": ciphersuite(group.suite),
        "post_quantum": post_quantum(group.suite),
    })
}

/// Groups do not tell who made them: an admin stands for it.
fn creator(ids: &Ids, group: &GroupInfo) -> String {
    let admin = group.members.iter().find(|member| member.role == Role::Admin);
    admin.map_or_else(|| ids.nobody(), |member| user(ids, member))
}
