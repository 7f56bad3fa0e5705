//! Messages: one row each, own and received. A received message is its own entry of the event log;
//! events about own ones point at them. Rows stay as they came: what a message has become since is
//! gathered when it is read (`state.rs`).

use quicproquo_core::attachment::SealedFile;
use quicproquo_core::content::RelatesTo;
use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::Suite;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::bound::{Field, NOTHING, bind};
use super::contacts::Names;
use super::damage::intact;
use super::seal::Sealer;
use super::tables::{CONTENT, DELIVERY};
use super::{Owner, Store, StoreError, batch, int, record, uint};
use crate::model::{DeliveryState, Message};

/// A query on whole rows.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, group_id, sender, message_id, epoch, received_at, recipients, state, ",
            "deleted_at, content, seal FROM messages ",
            $rest
        )
    };
}

mod class;
mod history;
mod state;

pub(crate) use class::{Class, DELETE, DELETED, EDIT, FILE, REACTION, TYPING, target};
pub(crate) use state::{can_become, is_reaction};

/// A message row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredMessage {
    /// Its position in the event log.
    pub(crate) seq: u64,
    /// Sent from here.
    pub(crate) own: bool,
    pub(crate) group: GroupId,
    pub(crate) sender: IdentityKey,
    pub(crate) id: MessageId,
    pub(crate) epoch: u64,
    pub(crate) received_at_ms: u64,
    pub(crate) recipients: u32,
    pub(crate) delivery: DeliveryState,
    /// When its sender deleted it, unix milliseconds; then the content is empty.
    pub(crate) deleted_at_ms: Option<u64>,
    pub(crate) content: MessageContent,
}

/// A received message as the event that it is.
pub(super) struct Received {
    /// Its position in the event log.
    pub(super) seq: u64,
    pub(super) at_ms: u64,
    pub(super) group: Vec<u8>,
    /// `None`: its row does not read.
    pub(super) message: Option<StoredMessage>,
}

/// The sealed part of a message row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MessageContent {
    pub(crate) kind: String,
    pub(crate) body: serde_json::Value,
    pub(crate) relates_to: Option<RelatesTo>,
    pub(crate) sent_at_ms: u64,
    pub(crate) suite: Suite,
    /// The row is damaged; this stands for what was in it.
    #[serde(skip)]
    pub(crate) damaged: bool,
}

impl MessageContent {
    /// The file of a message of type `file`, if it can be one.
    pub(crate) fn sealed_file(&self) -> Option<SealedFile> {
        (self.kind == FILE).then(|| SealedFile::read_from(&self.body)).flatten()
    }

    /// What is left of a deleted message.
    fn deleted(suite: Suite, sent_at_ms: u64) -> Self {
        let (kind, body) = (DELETED.to_owned(), serde_json::Value::Null);
        Self { kind, body, relates_to: None, sent_at_ms, suite, damaged: false }
    }

    fn damaged(suite: Suite, sent_at_ms: u64) -> Self {
        let (kind, body) = ("quicproquo.damaged".to_owned(), serde_json::Value::Null);
        Self { kind, body, relates_to: None, sent_at_ms, suite, damaged: true }
    }
}

impl StoredMessage {
    /// What is bound to its content. What does not change of a received message is.
    pub(super) fn associated(&self, owner: Owner) -> Vec<u8> {
        let state = state_text(&self.delivery);
        let fixed = [
            Field::Bytes(self.group.as_bytes()),
            Field::Bytes(self.sender.as_bytes()),
            Field::Bytes(self.id.as_bytes()),
            self.received_at_ms.into(),
        ];
        let more = delivery_fields(&state, self.epoch, self.recipients);
        let more = more.into_iter().filter(|_| !self.own);
        bind(&record::row(owner.0, self.seq), fixed.into_iter().chain(more))
    }

    /// Whether an event of this kind, of those that have rows of their own, is about it.
    pub(super) fn fits(&self, kind: &str) -> bool {
        match (kind, &self.delivery) {
            // What is damaged may be anything.
            _ if self.content.damaged => true,
            ("message.sent", DeliveryState::Sent)
            | ("message.failed", DeliveryState::Failed { .. }) => self.own,
            _ => false,
        }
    }

    /// As callers see it: a file by the id of its attachment.
    pub(crate) fn into_message(mut self, own: &IdentityKey, names: &Names) -> Message {
        if self.content.kind == FILE {
            let id = self.content.sealed_file().map(|file| file.id());
            if let Some(body) = self.content.body.as_object_mut() {
                body.remove("key");
                body.remove("blobs");
                // Only what opens is one.
                body.remove("attachment_id");
                if let Some(id) = id {
                    body.insert("attachment_id".to_owned(), id.to_string().into());
                }
            }
        }
        self.into_whole_message(own, names)
    }

    /// With everything that its sender has said, to be kept.
    pub(crate) fn into_whole_message(self, own: &IdentityKey, names: &Names) -> Message {
        Message {
            sender_name: names.name(&self.sender),
            trust: names.trust(own, &self.sender),
            id: self.id,
            group: self.group,
            sender: self.sender,
            kind: self.content.kind,
            body: self.content.body,
            relates_to: self.content.relates_to,
            sent_at_ms: self.content.sent_at_ms,
            received_at_ms: self.received_at_ms,
            epoch: self.epoch,
            suite: self.content.suite,
            delivery: self.delivery,
            recipients: self.recipients,
            edited_at_ms: None,
            deleted_at_ms: self.deleted_at_ms,
            reactions: Vec::new(),
        }
    }
}

impl Store {
    /// One message by its position.
    pub(crate) async fn message_at(
        &self,
        owner: Owner,
        seq: u64,
    ) -> Result<Option<StoredMessage>, StoreError> {
        let row = sqlx::query(select!("WHERE owner = ? AND seq = ?"))
            .bind(owner.0)
            .bind(int(seq))
            .fetch_optional(&self.reads)
            .await?;
        match row {
            Some(row) => self.message_row(owner, &row).await.map(Some),
            None => Ok(None),
        }
    }

    /// Positions of own messages that are not known to be at the node.
    pub(crate) async fn queued_messages(&self, owner: Owner) -> Result<Vec<u64>, StoreError> {
        let query = "SELECT seq FROM messages WHERE owner = ? AND state = ? ORDER BY seq";
        let seqs: Vec<i64> = sqlx::query_scalar(query)
            .bind(owner.0)
            .bind(state_text(&DeliveryState::Queued))
            .fetch_all(&self.reads)
            .await?;
        Ok(seqs.into_iter().map(uint).collect())
    }

    /// Messages with these positions, for a page of events.
    pub(super) async fn messages_between(
        &self,
        owner: Owner,
        first: u64,
        last: u64,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let rows = sqlx::query(select!("WHERE owner = ? AND seq BETWEEN ? AND ?"))
            .bind(owner.0)
            .bind(int(first))
            .bind(int(last))
            .fetch_all(&self.reads)
            .await?;
        self.message_rows(owner, &rows).await
    }

    /// The first received messages after a position.
    pub(super) async fn received_between(
        &self,
        owner: Owner,
        after: u64,
        up_to: u64,
        limit: u32,
    ) -> Result<Vec<Received>, StoreError> {
        let rows = sqlx::query(select!(
            "WHERE owner = ? AND seq > ? AND seq <= ? AND seal IS NULL ORDER BY seq LIMIT ?"
        ))
        .bind(owner.0)
        .bind(int(after))
        .bind(int(up_to))
        .bind(limit)
        .fetch_all(&self.reads)
        .await?;
        let mut received = Vec::with_capacity(rows.len());
        for row in &rows {
            let seq = row.try_get::<i64, _>("seq")?;
            let read = self.message_row(owner, row).await;
            received.push(Received {
                seq: uint(seq),
                at_ms: uint(row.try_get("received_at")?),
                group: row.try_get("group_id")?,
                message: intact("messages", owner, seq, read)?,
            });
        }
        Ok(received)
    }

    /// Those of the rows that read.
    async fn message_rows(
        &self,
        owner: Owner,
        rows: &[SqliteRow],
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let mut messages = Vec::with_capacity(rows.len());
        for row in rows {
            let (seq, read) = (row.try_get::<i64, _>("seq")?, self.message_row(owner, row).await);
            messages.extend(intact("messages", owner, seq, read)?);
        }
        Ok(messages)
    }

    /// A message whose content does not read is still a message: who sent it, and where it is.
    async fn message_row(
        &self,
        owner: Owner,
        row: &SqliteRow,
    ) -> Result<StoredMessage, StoreError> {
        let seq = uint(row.try_get("seq")?);
        let sealed: Vec<u8> = row.try_get("content")?;
        let seal: Option<Vec<u8>> = row.try_get("seal")?;
        let bad =
            |error: quicproquo_core::id::IdError| StoreError::Row("messages", error.to_string());
        let state: String = row.try_get("state")?;
        let group = GroupId::from_slice(row.try_get("group_id")?).map_err(bad)?;
        let deleted_at: Option<i64> = row.try_get("deleted_at")?;
        let received_at_ms = uint(row.try_get("received_at")?);
        let (epoch, recipients) = (uint(row.try_get("epoch")?), row.try_get("recipients")?);
        let mut message = StoredMessage {
            seq,
            own: seal.is_some(),
            group,
            sender: batch::identity(row.try_get("sender")?)?,
            id: MessageId::from_slice(row.try_get("message_id")?).map_err(bad)?,
            epoch,
            received_at_ms,
            recipients,
            delivery: serde_json::from_str(&state)
                .map_err(|error| StoreError::Row("messages", error.to_string()))?,
            deleted_at_ms: deleted_at.map(uint),
            content: MessageContent::deleted(Suite::Envelope, received_at_ms),
        };
        let delivery = seal.map_or(Ok(()), |seal| {
            let bound = delivery_row(owner, seq, &state, epoch, recipients);
            self.sealer.open(DELIVERY, &bound, &seal).map(drop)
        });
        let delivery = intact("messages", owner, seq, delivery.map_err(StoreError::from))?;
        let deleted = sealed.is_empty() && deleted_at.is_some();
        if !deleted && delivery.is_some() {
            let read = record::open(&self.sealer, CONTENT, &message.associated(owner), &sealed);
            if let Some(content) = intact("messages", owner, seq, read)? {
                message.content = content;
                return Ok(message);
            }
        }
        let record = self.group_record(owner, &message.group).await?;
        message.content = if deleted && delivery.is_some() {
            let suite = record.map_or(Suite::Envelope, |record| record.suite);
            MessageContent::deleted(suite, received_at_ms)
        } else {
            let record = record.ok_or_else(|| StoreError::Row("messages", "damaged".into()))?;
            MessageContent::damaged(record.suite, received_at_ms)
        };
        Ok(message)
    }
}

fn delivery_fields(state: &str, epoch: u64, recipients: u32) -> [Field<'_>; 3] {
    [Field::Text(state), epoch.into(), Field::Int(recipients.into())]
}

fn delivery_row(owner: Owner, seq: u64, state: &str, epoch: u64, recipients: u32) -> Vec<u8> {
    bind(&record::row(owner.0, seq), delivery_fields(state, epoch, recipients))
}

/// Binds what has become of an own message.
pub(super) fn seal_delivery(
    sealer: &Sealer,
    owner: Owner,
    seq: u64,
    state: &str,
    epoch: u64,
    recipients: u32,
) -> Vec<u8> {
    sealer.seal(DELIVERY, &delivery_row(owner, seq, state, epoch, recipients), NOTHING)
}

pub(super) fn state_text(state: &DeliveryState) -> String {
    serde_json::to_string(state).expect("a delivery state has a JSON form")
}
