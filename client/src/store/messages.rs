//! Messages: one row each, own and received; events point at them.

use quicproquo_core::content::RelatesTo;
use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::Suite;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::contacts::Names;
use super::damage::intact;
use super::{Owner, Store, StoreError, batch, int, record, uint};
use crate::error::SessionError;
use crate::event::Cursor;
use crate::model::{DeliveryState, History, HistoryQuery, Message};

/// A message row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredMessage {
    /// Its position in the event log.
    pub(crate) seq: u64,
    pub(crate) group: GroupId,
    pub(crate) sender: IdentityKey,
    pub(crate) id: MessageId,
    pub(crate) epoch: u64,
    pub(crate) received_at_ms: u64,
    pub(crate) recipients: u32,
    pub(crate) delivery: DeliveryState,
    pub(crate) content: MessageContent,
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
    fn damaged(suite: Suite, sent_at_ms: u64) -> Self {
        let (kind, body) = ("quicproquo.damaged".to_owned(), serde_json::Value::Null);
        Self { kind, body, relates_to: None, sent_at_ms, suite, damaged: true }
    }
}

impl StoredMessage {
    /// As callers see it.
    pub(crate) fn into_message(self, own: &IdentityKey, names: &Names) -> Message {
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
        }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, group_id, sender, message_id, epoch, received_at, recipients, state, ",
            "content FROM messages ",
            $rest
        )
    };
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

    /// Of several senders' messages with this id, the oldest.
    pub(crate) async fn message(
        &self,
        owner: Owner,
        own: &IdentityKey,
        group: &GroupId,
        id: &MessageId,
    ) -> Result<Option<Message>, SessionError> {
        let row = sqlx::query(select!(
            "WHERE owner = ? AND group_id = ? AND message_id = ? ORDER BY seq LIMIT 1"
        ))
        .bind(owner.0)
        .bind(group.as_bytes())
        .bind(&id.as_bytes()[..])
        .fetch_optional(&self.reads)
        .await
        .map_err(StoreError::from)?;
        let Some(row) = row else { return Ok(None) };
        let message = self.message_row(owner, &row).await?;
        let names = self.names_of(owner, [message.sender].into()).await?;
        Ok(Some(message.into_message(own, &names)))
    }

    /// A page of a group's history, newest first.
    pub(crate) async fn history(
        &self,
        owner: Owner,
        own: &IdentityKey,
        group: &GroupId,
        query: HistoryQuery,
    ) -> Result<History, SessionError> {
        let limit = query.limit.clamp(1, 200);
        let before = query.before.map_or(i64::MAX, |cursor| int(cursor.0));
        let after = query.after.map_or(0, |cursor| int(cursor.0));
        let mut rows = sqlx::query(select!(
            "WHERE owner = ? AND group_id = ? AND seq < ? AND seq > ? ORDER BY seq DESC LIMIT ?"
        ))
        .bind(owner.0)
        .bind(group.as_bytes())
        .bind(before)
        .bind(after)
        .bind(limit + 1)
        .fetch_all(&self.reads)
        .await
        .map_err(StoreError::from)?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let stored = self.message_rows(owner, &rows).await?;
        let last = rows.last().filter(|_| more);
        let last = last.map(|row| row.try_get("seq")).transpose().map_err(StoreError::from)?;
        let next = last.map(|seq| Cursor(uint(seq)));
        let senders = stored.iter().map(|message| message.sender).collect();
        let names = self.names_of(owner, senders).await?;
        let items = stored.into_iter().map(|message| message.into_message(own, &names)).collect();
        Ok(History { items, next })
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
        let read = record::open(&self.sealer, "messages", &record::row(owner.0, seq), &sealed);
        let bad =
            |error: quicproquo_core::id::IdError| StoreError::Row("messages", error.to_string());
        let state: String = row.try_get("state")?;
        let group = GroupId::from_slice(row.try_get("group_id")?).map_err(bad)?;
        let content = if let Some(content) = intact("messages", owner, seq, read)? {
            content
        } else {
            let record = self.group_record(owner, &group).await?;
            let record = record.ok_or_else(|| StoreError::Row("messages", "damaged".into()))?;
            MessageContent::damaged(record.suite, uint(row.try_get("received_at")?))
        };
        Ok(StoredMessage {
            seq,
            group,
            sender: batch::identity(row.try_get("sender")?)?,
            id: MessageId::from_slice(row.try_get("message_id")?).map_err(bad)?,
            epoch: uint(row.try_get("epoch")?),
            received_at_ms: uint(row.try_get("received_at")?),
            recipients: row.try_get("recipients")?,
            delivery: serde_json::from_str(&state)
                .map_err(|error| StoreError::Row("messages", error.to_string()))?,
            content,
        })
    }
}

pub(super) fn state_text(state: &DeliveryState) -> String {
    serde_json::to_string(state).expect("a delivery state has a JSON form")
}
