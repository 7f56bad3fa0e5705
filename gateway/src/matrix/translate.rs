//! Entries of the event log as what Matrix clients get of them.

use std::collections::BTreeMap;

use quicproquo_client::{
    DeliveryState, Event, EventData, GroupId, GroupInfo, GroupState, HistoryQuery, IdentityKey,
    Message, MessageId, RelatesTo, Session, SessionError,
};
use serde_json::{Map, Value, json};

use super::content::{OWN, content, plain, replacement};
use super::ids::Ids;
use super::state::{StateEvent, membership, of_group, power_levels, user};
use crate::problem::Problem;

/// Reactions of a group that are looked through for one that is taken back.
const LOOK_BACK: u32 = 200;

/// What an answer says about one room.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) state: Vec<Value>,
    pub(super) timeline: Vec<Value>,
    /// Who is writing, and who has stopped.
    pub(super) typing: BTreeMap<String, bool>,
    /// How far who has read: event, user, when.
    pub(super) receipts: Vec<(String, String, u64)>,
    /// The bot is a member no more.
    pub(super) left: bool,
    /// The bot became a member.
    pub(super) new: bool,
}

impl Room {
    fn leave(&mut self, event: Value) {
        self.timeline.push(event);
        (self.new, self.left) = (false, true);
    }
}

/// Turns events of one bot's log into what rooms get of them.
#[derive(Debug)]
pub(super) struct Translation<'a> {
    pub(super) ids: &'a Ids,
    pub(super) session: &'a Session,
    pub(super) rooms: BTreeMap<GroupId, Room>,
    /// Somebody has added the bot to a group.
    pub(super) invited: bool,
    groups: BTreeMap<GroupId, Option<GroupInfo>>,
}

impl<'a> Translation<'a> {
    /// Of nothing yet.
    pub(super) fn new(ids: &'a Ids, session: &'a Session) -> Self {
        Self { ids, session, rooms: BTreeMap::new(), invited: false, groups: BTreeMap::new() }
    }

    /// How many events the room has that this event is about.
    pub(super) fn len(&self, event: &Event) -> usize {
        let room = event.group.as_ref().and_then(|group| self.rooms.get(group));
        room.map_or(0, |room| room.timeline.len())
    }

    /// Whether this event begins another answer: a room is in one part of each, and this one
    /// invites again into a room that was left.
    pub(super) fn ends_before(&self, event: &Event) -> bool {
        matches!(event.data, EventData::InvitationReceived(_))
            && event.group.as_ref().is_some_and(|group| self.rooms.contains_key(group))
    }

    /// Takes the next event of the log.
    pub(super) async fn take(&mut self, event: Event) -> Result<(), Problem> {
        let Event { cursor, occurred_at_ms: at_ms, group, data } = event;
        let Some(group) = group else { return Ok(()) };
        if let EventData::InvitationReceived(_) = data {
            self.invited = true;
            return Ok(());
        }
        let origin = cursor.to_string();
        let room_id = self.ids.room(&group);
        let state = |kind: &str, state_key: &str, sender: String, content: Value| {
            StateEvent { kind, state_key, sender, content, at_ms }.event(&room_id, &origin)
        };
        match data {
            EventData::MessageReceived(message) | EventData::MessageSent(message) => {
                self.message(&group, message).await?;
            }
            EventData::MemberTyping { by, name, active, .. } => {
                let name = self.ids.name(self.session, &by, name).await?;
                let user = self.ids.user(&by, name.as_deref());
                self.room(&group).typing.insert(user, active);
            }
            EventData::GroupJoined { name, epoch, members } => {
                let info = self.group(&group).await?.clone();
                let info = match info.map(|info| GroupInfo { name, epoch, members, ..info }) {
                    Some(info) => Some(self.ids.with_names(self.session, info).await?),
                    None => None,
                };
                let others = info.map(|info| of_group(self.ids, &info, at_ms)).unwrap_or_default();
                let me = self.ids.me();
                let room = self.room(&group);
                room.state = others;
                room.state.retain(|event| event["state_key"] != me.as_str());
                room.timeline.push(state(
                    "m.room.member",
                    &me,
                    me.clone(),
                    membership("join", &me),
                ));
                (room.new, room.left) = (true, false);
            }
            EventData::GroupLeft { reason, by } | EventData::InvitationEnded { reason, by } => {
                let (sender, content) = self.departure(&group, reason, by).await?;
                let event = state("m.room.member", &self.ids.me(), sender, content);
                self.room(&group).leave(event);
            }
            EventData::GroupMembersChanged { by, added, removed, left, .. } => {
                let ids = self.ids;
                let info = self.group(&group).await?.clone();
                let sender = self.named(info.as_ref(), &by).await?;
                let changed = added.iter().map(|key| (key, "join"));
                let changed = changed.chain(removed.iter().map(|key| (key, "leave")));
                let mut events = Vec::new();
                for (key, what) in changed {
                    let user = self.named(info.as_ref(), key).await?;
                    // Somebody else commits it, but who leaves does so by itself.
                    let itself = what == "leave" && left.contains(key);
                    let sender = if itself { user.clone() } else { sender.clone() };
                    let content = membership(what, &user);
                    events.push(state("m.room.member", &user, sender, content));
                }
                if events.is_empty()
                    && let Some(info) = &info
                {
                    let levels = power_levels(ids, info);
                    events.push(state("m.room.power_levels", "", sender, levels));
                }
                self.room(&group).timeline.extend(events);
            }
            EventData::GroupRenamed { by, name, topic, .. } => {
                let info = self.group(&group).await?.clone();
                let sender = self.named(info.as_ref(), &by).await?;
                let name = state("m.room.name", "", sender.clone(), json!({ "name": name }));
                let topic = state("m.room.topic", "", sender, json!({ "topic": topic }));
                self.room(&group).timeline.extend([name, topic]);
            }
            // What Matrix has no words for is told under a type of ours.
            other => {
                let kind = format!("{OWN}.{}", other.kind());
                let content = report(other);
                let event_id = Ids::event_of(&[kind.as_bytes(), origin.as_bytes()]);
                let event = json!({
                    "type": kind,
                    "sender": self.ids.me(),
                    "content": content,
                    "origin_server_ts": at_ms,
                    "event_id": event_id,
                    "room_id": room_id,
                    "unsigned": {},
                });
                self.room(&group).timeline.push(event);
            }
        }
        Ok(())
    }

    /// Whose doing it was that the bot has gone, and how it is told.
    async fn departure(
        &mut self,
        group: &GroupId,
        reason: String,
        by: Option<IdentityKey>,
    ) -> Result<(String, Value), Problem> {
        let info = self.group(group).await?.clone();
        let me = self.ids.me();
        let by = match by {
            Some(by) => self.named(info.as_ref(), &by).await?,
            // Entries of an older log do not say.
            None if reason == "left" => me.clone(),
            None => self.ids.nobody(),
        };
        let mut content = membership("leave", &me);
        content["reason"] = reason.into();
        Ok((by, content))
    }

    /// The room of a group.
    pub(super) fn room(&mut self, group: &GroupId) -> &mut Room {
        self.rooms.entry(group.clone()).or_default()
    }

    /// A group as it is now, looked up once.
    pub(super) async fn group(&mut self, id: &GroupId) -> Result<&Option<GroupInfo>, Problem> {
        if !self.groups.contains_key(id) {
            let found = match self.session.group(id).await {
                Ok(group) => Some(self.ids.with_names(self.session, group).await?),
                Err(SessionError::GroupNotFound) => None,
                Err(error) => return Err(error.into()),
            };
            self.groups.insert(id.clone(), found);
        }
        Ok(self.groups.get(id).unwrap_or(&None))
    }

    async fn named(
        &self,
        group: Option<&GroupInfo>,
        identity: &IdentityKey,
    ) -> Result<String, Problem> {
        let members = group.map(|group| group.members.as_slice()).unwrap_or_default();
        if let Some(member) = members.iter().find(|member| member.identity == *identity) {
            return Ok(user(self.ids, member));
        }
        // Who has gone is not among the members.
        let name = self.ids.name(self.session, identity, None).await?;
        Ok(self.ids.user(identity, name.as_deref()))
    }

    async fn message(&mut self, group: &GroupId, message: Message) -> Result<(), Problem> {
        if message.kind == "read" {
            if let Some(RelatesTo { id, .. }) = &message.relates_to {
                let known = message.sender_name;
                let name = self.ids.name(self.session, &message.sender, known).await?;
                let user = self.ids.user(&message.sender, name.as_deref());
                let at = message.sent_at_ms.min(message.received_at_ms);
                self.room(group).receipts.push((Ids::event(id), user, at));
            }
            return Ok(());
        }
        if let Some(event) = message_event(self.ids, self.session, message).await? {
            self.room(group).timeline.push(event);
        }
        Ok(())
    }
}

/// A message as an event of a timeline. `None`: it is nothing to tell.
pub(super) async fn message_event(
    ids: &Ids,
    session: &Session,
    mut message: Message,
) -> Result<Option<Value>, Problem> {
    let known = message.sender_name.take();
    message.sender_name = ids.name(session, &message.sender, known).await?;
    let target = message.relates_to.as_ref().map(|relation| relation.id);
    Ok(match (message.kind.as_str(), target) {
        ("typing" | "read" | "dummy", _) => None,
        ("deleted", _) => Some(deleted(ids, &message)),
        ("delete", Some(target)) => {
            let reason = message.body.get("reason").cloned();
            Some(redaction(ids, &message, &Ids::event(&target), reason))
        }
        ("reaction", Some(target)) => {
            let key = message.body.get("key").and_then(Value::as_str).unwrap_or_default();
            if message.body.get("active") == Some(&Value::Bool(false)) {
                let taken_back = reaction_of(session, &message, &target, key).await?;
                taken_back.map(|id| redaction(ids, &message, &Ids::event(&id), None))
            } else {
                let relation = json!({
                    "rel_type": "m.annotation", "event_id": Ids::event(&target), "key": key,
                });
                Some(event(ids, &message, "m.reaction", &json!({ "m.relates_to": relation })))
            }
        }
        ("edit", Some(target)) => {
            let kind = match session.message(&message.group, &target).await {
                Ok(found) if found.kind.contains('.') => found.kind,
                Ok(_) | Err(SessionError::MessageNotFound) => "text".to_owned(),
                Err(error) => return Err(error.into()),
            };
            let (kind, new) = plain(ids, &kind, &message.body);
            let content = replacement(&kind, &new, &Ids::event(&target));
            Some(event(ids, &message, &kind, &content))
        }
        _ => {
            let (kind, content) = content(ids, &message);
            Some(event(ids, &message, &kind, &content))
        }
    })
}

fn event(ids: &Ids, message: &Message, kind: &str, content: &Value) -> Value {
    json!({
        "type": kind,
        "sender": ids.user(&message.sender, message.sender_name.as_deref()),
        "content": content,
        // A clock that is ahead makes nobody late.
        "origin_server_ts": message.sent_at_ms.min(message.received_at_ms),
        "event_id": Ids::event(&message.id),
        "room_id": ids.room(&message.group),
        "unsigned": {},
    })
}

fn redaction(ids: &Ids, message: &Message, redacts: &str, reason: Option<Value>) -> Value {
    let mut content = Map::new();
    content.insert("redacts".to_owned(), redacts.into());
    if let Some(reason) = reason.filter(Value::is_string) {
        content.insert("reason".to_owned(), reason);
    }
    let mut event = event(ids, message, "m.room.redaction", &content.into());
    event["redacts"] = redacts.into();
    event
}

/// What is left of a message that its sender has deleted.
fn deleted(ids: &Ids, message: &Message) -> Value {
    let mut event = event(ids, message, "m.room.message", &json!({}));
    let because = json!({
        "type": "m.room.redaction",
        "sender": event["sender"],
        "content": { "redacts": event["event_id"] },
        "redacts": event["event_id"],
        "origin_server_ts": message.deleted_at_ms.unwrap_or(message.received_at_ms),
        "event_id": Ids::event_of(&[b"deleted", message.id.as_bytes()]),
        "room_id": event["room_id"],
    });
    event["unsigned"] = json!({ "redacted_because": because });
    event
}

/// The newest reaction of the same member with this key to the same message.
async fn reaction_of(
    session: &Session,
    taken_back: &Message,
    target: &MessageId,
    key: &str,
) -> Result<Option<MessageId>, Problem> {
    let kinds = vec!["reaction".to_owned()];
    let until_ms = Some(taken_back.received_at_ms.saturating_add(1));
    let query = HistoryQuery { kinds, until_ms, limit: LOOK_BACK, ..HistoryQuery::default() };
    let page = session.history(&taken_back.group, query).await?;
    let same = |found: &&Message| {
        found.sender == taken_back.sender
            && found.relates_to.as_ref().is_some_and(|relation| relation.id == *target)
            && found.body.get("key").and_then(Value::as_str) == Some(key)
            && found.body.get("active") != Some(&Value::Bool(false))
    };
    Ok(page.items.iter().find(same).map(|found| found.id))
}

fn report(data: EventData) -> Value {
    match data {
        EventData::MessageFailed(message) => {
            let reason = match &message.delivery {
                DeliveryState::Failed { reason } => reason.as_str(),
                _ => "given up",
            };
            json!({ "event_id": Ids::event(&message.id), "reason": reason })
        }
        other => {
            let whole = serde_json::to_value(other).unwrap_or_default();
            whole.get("data").filter(|data| data.is_object()).cloned().unwrap_or_else(|| json!({}))
        }
    }
}

/// Whether the bot is in a group, as Matrix has it.
pub(super) fn is_in(group: &GroupInfo) -> bool {
    group.state.is_active() || matches!(group.state, GroupState::Leaving | GroupState::Isolated)
}
