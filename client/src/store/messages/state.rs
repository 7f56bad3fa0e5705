//! What messages have become: the edits, deletions and reactions that came after them, gathered
//! when they are read. Of edits and deletions only those by the message's own sender count.

use std::collections::{HashMap, HashSet};

use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::IdentityKey;
use serde_json::Value;
use sqlx::QueryBuilder;
use sqlx::sqlite::Sqlite;

use super::{Class, MessageContent, Owner, Store, StoreError, StoredMessage, target};
use crate::error::SessionError;
use crate::model::{DeliveryState, Message, Reaction};

/// Reactions of one member to one message that are looked at, the newest of them.
const REACTIONS: i64 = 32;
/// Different reactions that a message shows, the oldest of them.
const KEYS: usize = 100;
/// Longest key of a reaction, in bytes: what version 1 of the content can carry.
const MAX_KEY: usize = 255;

/// Edits, deletions or reactions, by the message they are about.
type Key = (MessageId, IdentityKey);

/// What came after some messages.
#[derive(Debug, Default)]
struct Changes {
    edits: HashMap<Key, StoredMessage>,
    deleted: HashMap<Key, StoredMessage>,
    reactions: HashMap<MessageId, Vec<Reaction>>,
}

impl Changes {
    /// Takes the one edit or deletion of a message by its sender that counts.
    fn change(&mut self, change: StoredMessage) {
        let MessageContent { kind, relates_to, .. } = &change.content;
        let Some(id) = target(kind, relates_to.as_ref()).copied() else { return };
        match Class::of(kind) {
            Class::Edit => drop(self.edits.insert((id, change.sender), change)),
            Class::Delete => drop(self.deleted.insert((id, change.sender), change)),
            _ => {}
        }
    }

    /// Takes reactions in the order of the log: of one member and key the last one counts.
    fn react(&mut self, reactions: &[StoredMessage]) {
        let mut decided = HashSet::new();
        let mut shown = Vec::new();
        for reaction in reactions.iter().rev() {
            let MessageContent { kind, body, relates_to, .. } = &reaction.content;
            let key = body.get("key").and_then(Value::as_str).filter(|key| is_reaction(key));
            let Some((id, key)) = target(kind, relates_to.as_ref()).copied().zip(key) else {
                continue;
            };
            // What was given up has changed nothing for anybody.
            if matches!(reaction.delivery, DeliveryState::Failed { .. }) {
                continue;
            }
            let active = body.get("active") != Some(&Value::Bool(false));
            if decided.insert((id, reaction.sender, key)) && active {
                shown.push((id, reaction.sender, key));
            }
        }
        let mut places: HashMap<(MessageId, &str), usize> = HashMap::new();
        for (id, by, key) in shown.into_iter().rev() {
            let all = self.reactions.entry(id).or_default();
            if let Some(place) = places.get(&(id, key)) {
                all[*place].by.push(by);
            } else if all.len() < KEYS {
                places.insert((id, key), all.len());
                all.push(Reaction { key: key.to_owned(), by: vec![by] });
            }
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

/// Whether this is a key that a reaction may have.
pub(crate) fn is_reaction(key: &str) -> bool {
    (1..=MAX_KEY).contains(&key.len()) && !key.chars().any(char::is_control)
}

/// Whether a message of this type can become one with this content.
pub(crate) fn can_become(kind: &str, body: &Value) -> bool {
    match Class::of(kind) {
        Class::Text => body.get("body").is_some_and(Value::is_string),
        Class::Other => kind.contains('.') && body.is_object(),
        _ => false,
    }
}

impl Store {
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
        // Of each message the newest edit and deletion by its sender: two steps in the index,
        // whatever else was said about it.
        let mut query = QueryBuilder::<Sqlite>::new(select!("WHERE owner = "));
        query.push_bind(owner.0);
        query.push(
            " AND seq IN (SELECT (SELECT seq FROM messages AS change \
             INDEXED BY messages_by_target WHERE change.owner = ",
        );
        query.push_bind(owner.0).push(" AND change.group_id = ");
        query.push_bind(group.as_bytes().to_vec()).push(
            " AND change.target = wanted.column1 AND change.class = wanted.column3 \
             AND change.sender = wanted.column2 \
             AND change.state NOT LIKE '{\"state\":\"failed\"%' \
             ORDER BY change.seq DESC LIMIT 1) FROM (VALUES ",
        );
        let mut tuples = query.separated(", ");
        for message in messages {
            for class in [Class::Edit, Class::Delete] {
                tuples.push("(").push_bind_unseparated(message.id.as_bytes().to_vec());
                tuples.push_unseparated(", ");
                tuples.push_bind_unseparated(message.sender.as_bytes().to_vec());
                tuples.push_unseparated(", ").push_bind_unseparated(class as i64);
                tuples.push_unseparated(")");
            }
        }
        query.push(") AS wanted)");
        let rows = query.build().fetch_all(&self.reads).await?;
        for change in self.message_rows(owner, &rows).await? {
            changes.change(change);
        }
        changes.react(&self.reactions_to(owner, group, messages).await?);
        Ok(changes)
    }

    /// The newest reactions of each member to each message, in the order of the log.
    async fn reactions_to(
        &self,
        owner: Owner,
        group: &GroupId,
        messages: &[StoredMessage],
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(select!("WHERE owner = "));
        query.push_bind(owner.0);
        query.push(
            " AND seq IN (SELECT seq FROM (SELECT seq, ROW_NUMBER() OVER \
             (PARTITION BY target, sender ORDER BY seq DESC) AS n FROM messages WHERE owner = ",
        );
        query.push_bind(owner.0).push(" AND group_id = ").push_bind(group.as_bytes().to_vec());
        query.push(" AND target IN (");
        let mut ids = query.separated(", ");
        for message in messages {
            ids.push_bind(message.id.as_bytes().to_vec());
        }
        query.push(") AND class = ").push_bind(Class::Reaction as i64);
        query.push(") WHERE n <= ").push_bind(REACTIONS).push(") ORDER BY seq");
        let rows = query.build().fetch_all(&self.reads).await?;
        self.message_rows(owner, &rows).await
    }

    /// Whether its sender has deleted a message, or is about to.
    pub(crate) async fn is_deleted(
        &self,
        owner: Owner,
        group: &GroupId,
        id: &MessageId,
        sender: &IdentityKey,
    ) -> Result<bool, StoreError> {
        let found: i64 = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM messages INDEXED BY messages_by_target \
             WHERE owner = ? AND group_id = ? \
             AND target = ? AND class = ? AND sender = ? \
             AND state NOT LIKE '{\"state\":\"failed\"%')",
        )
        .bind(owner.0)
        .bind(group.as_bytes())
        .bind(&id.as_bytes()[..])
        .bind(Class::Delete as i64)
        .bind(&sender.as_bytes()[..])
        .fetch_one(&self.reads)
        .await?;
        Ok(found != 0)
    }
}

#[cfg(test)]
mod tests;
