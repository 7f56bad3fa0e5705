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

/// Changes to the messages of one page that are looked at, the newest of them.
const CHANGES: i64 = 20_000;

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
                if let Some(key) = body.get("key").and_then(Value::as_str) {
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
            (None, true) => all.push(Reaction { key: key.to_owned(), by: vec![by] }),
            (Some(place), false) => {
                all[place].by.retain(|identity| *identity != by);
                if all[place].by.is_empty() {
                    all.remove(place);
                }
            }
            (None, false) => {}
        }
    }

    /// Shows a message as it is now.
    fn apply(&mut self, message: &mut Message) {
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
        message.reactions = self.reactions.remove(&message.id).unwrap_or_default();
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

impl Store {
    /// Messages of a group as they are now.
    pub(super) async fn current(
        &self,
        owner: Owner,
        own: &IdentityKey,
        group: &GroupId,
        stored: Vec<StoredMessage>,
    ) -> Result<Vec<Message>, SessionError> {
        let mut changes = self.changes_of(owner, group, &stored).await?;
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
        let mut query = QueryBuilder::<Sqlite>::new(select!("WHERE owner = "));
        query.push_bind(owner.0).push(" AND group_id = ").push_bind(group.as_bytes().to_vec());
        query.push(" AND target IN (");
        let mut ids = query.separated(", ");
        for message in messages {
            ids.push_bind(message.id.as_bytes().to_vec());
        }
        query.push(") AND class IN (4, 5, 6) ORDER BY seq DESC LIMIT ").push_bind(CHANGES);
        let rows = query.build().fetch_all(&self.reads).await?;
        for change in self.message_rows(owner, &rows).await?.into_iter().rev() {
            changes.take(change);
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests;
