//! What messages have become: the edits, deletions and reactions that came after them, gathered when
//! they are read. Of edits and deletions only those by the message's own sender count.

use std::collections::HashMap;

use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::IdentityKey;
use serde_json::Value;
use sqlx::QueryBuilder;
use sqlx::sqlite::Sqlite;

use super::{Class, MessageContent, Owner, Store, StoreError, StoredMessage, target};
use crate::error::SessionError;
use crate::model::{DeliveryState, Message, Reaction};

/// Reactions to the messages of one page that are looked at, the newest of them.
const REACTIONS: i64 = 20_000;
/// Different keys that the reactions to one message have at most; later ones are not shown.
const KEYS: usize = 100;
/// Longest sealed row of a reaction whose key can be one, in bytes.
const REACTION_ROW: i64 = 2_048;

/// What came after some messages.
#[derive(Debug, Default)]
struct Changes {
    edits: HashMap<(MessageId, IdentityKey), StoredMessage>,
    deleted: HashMap<(MessageId, IdentityKey), StoredMessage>,
    reactions: HashMap<MessageId, Vec<Reaction>>,
}

impl Changes {
    /// Takes the next one, in the order of the log.
    fn take(&mut self, change: StoredMessage) {
        // What was given up has changed nothing for anybody.
        if matches!(change.delivery, DeliveryState::Failed { .. }) {
            return;
        }
        let MessageContent { kind, body, relates_to, .. } = &change.content;
        let Some(id) = target(kind, relates_to.as_ref()).copied() else { return };
        match Class::of(kind) {
            Class::Edit => drop(self.edits.insert((id, change.sender), change)),
            Class::Delete => {
                self.deleted.entry((id, change.sender)).or_insert(change);
            }
            Class::Reaction => {
                let key = body.get("key").and_then(Value::as_str);
                if let Some(key) = key.filter(|key| is_reaction_key(key)) {
                    let active = body.get("active") != Some(&Value::Bool(false));
                    self.react(id, key, change.sender, active);
                }
            }
            _ => {}
        }
    }

    fn react(&mut self, id: MessageId, key: &str, by: IdentityKey, active: bool) {
        let all = self.reactions.entry(id).or_default();
        let place = all.iter().position(|reaction| reaction.key == key);
        match (place, active) {
            (Some(place), true) => {
                if !all[place].by.contains(&by) {
                    all[place].by.push(by);
                }
            }
            (None, true) if all.len() < KEYS => {
                all.push(Reaction { key: key.to_owned(), by: vec![by] });
            }
            (Some(place), false) => {
                all[place].by.retain(|identity| *identity != by);
                if all[place].by.is_empty() {
                    all.remove(place);
                }
            }
            (None, _) => {}
        }
    }

    /// Shows a message as it is now.
    fn apply(&self, message: &mut Message) {
        let key = (message.id, message.sender);
        if let Some(deletion) = self.deleted.get(&key) {
            message.deleted_at_ms.get_or_insert(deletion.received_at_ms);
            message.delivery = deletion.delivery.clone();
            message.recipients = deletion.recipients;
        }
        if message.deleted_at_ms.is_some() {
            super::DELETED.clone_into(&mut message.kind);
            message.body = Value::Null;
            message.relates_to = None;
            return;
        }
        // Another member's message may have the same id.
        message.reactions = self.reactions.get(&message.id).cloned().unwrap_or_default();
        let edit =
            self.edits.get(&key).filter(|edit| can_become(&message.kind, &edit.content.body));
        if let Some(edit) = edit {
            message.body = edit.content.body.clone();
            message.edited_at_ms = Some(edit.received_at_ms);
            message.delivery = edit.delivery.clone();
            message.recipients = edit.recipients;
        }
    }
}

/// Whether a message of this type can become one with this content.
pub(crate) fn can_become(kind: &str, body: &Value) -> bool {
    match Class::of(kind) {
        Class::Text => body.get("body").is_some_and(Value::is_string),
        Class::Other => kind.contains('.') && body.is_object(),
        _ => false,
    }
}

/// Whether a reaction can have this key: 1 to 255 bytes, which version 1 of the content can carry,
/// without control characters.
pub(crate) fn is_reaction_key(key: &str) -> bool {
    (1..=255).contains(&key.len()) && !key.chars().any(char::is_control)
}

impl Store {
    /// Whether the sender of a message has deleted it.
    pub(crate) async fn is_deleted(
        &self,
        owner: Owner,
        group: &GroupId,
        id: &MessageId,
        sender: &IdentityKey,
    ) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM messages WHERE owner = ? AND group_id = ? \
             AND target = ? AND sender = ? AND class = 6 \
             AND state NOT LIKE '{\"state\":\"failed\"%')",
        );
        let found = found.bind(owner.0).bind(group.as_bytes()).bind(&id.as_bytes()[..]);
        Ok(found.bind(&sender.as_bytes()[..]).fetch_one(&self.reads).await?)
    }

    /// Messages of a group as they are now.
    pub(super) async fn current(
        &self,
        owner: Owner,
        own: &IdentityKey,
        group: &GroupId,
        stored: Vec<StoredMessage>,
    ) -> Result<Vec<Message>, SessionError> {
        let changes = self.changes_of(owner, group, &stored).await?;
        let senders = stored.iter().map(|message| message.sender).collect();
        let names = self.names_of(owner, senders).await?;
        let mut messages: Vec<Message> =
            stored.into_iter().map(|message| message.into_message(own, &names)).collect();
        for message in &mut messages {
            changes.apply(message);
        }
        Ok(messages)
    }

    async fn changes_of(
        &self,
        owner: Owner,
        group: &GroupId,
        messages: &[StoredMessage],
    ) -> Result<Changes, StoreError> {
        let mut changes = Changes::default();
        if messages.is_empty() {
            return Ok(changes);
        }
        let group = group.as_bytes().to_vec();
        // Of each message the newest edit and the newest deletion by its sender, however much
        // others have said about it.
        let mut query = QueryBuilder::<Sqlite>::new(select!("WHERE owner = "));
        query.push_bind(owner.0).push(" AND seq IN (SELECT MAX(seq) FROM messages WHERE owner = ");
        query.push_bind(owner.0).push(" AND group_id = ").push_bind(group.clone());
        query.push(" AND class IN (5, 6) AND state NOT LIKE '{\"state\":\"failed\"%'");
        query.push(" AND (target, sender) IN (");
        query.push_values(messages, |mut row, message| {
            row.push_bind(message.id.as_bytes().to_vec());
            row.push_bind(message.sender.as_bytes().to_vec());
        });
        query.push(") GROUP BY target, sender, class)");
        let mut rows = query.build().fetch_all(&self.reads).await?;
        let mut query = QueryBuilder::<Sqlite>::new(select!("WHERE owner = "));
        query.push_bind(owner.0).push(" AND group_id = ").push_bind(group);
        query.push(" AND class = 4 AND LENGTH(content) <= ").push_bind(REACTION_ROW);
        query.push(" AND target IN (");
        let mut ids = query.separated(", ");
        for message in messages {
            ids.push_bind(message.id.as_bytes().to_vec());
        }
        query.push(") ORDER BY seq DESC LIMIT ").push_bind(REACTIONS);
        rows.extend(query.build().fetch_all(&self.reads).await?.into_iter().rev());
        for change in self.message_rows(owner, &rows).await? {
            changes.take(change);
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests;
