//! Messages: one row each, own and received; events point at them.

use quicproquo_core::content::RelatesTo;
use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::Suite;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::contacts::Names;
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
        row.map(|row| self.message_row(owner, &row)).transpose()
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
        rows.iter().map(|row| self.message_row(owner, row)).collect()
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
        let message = self.message_row(owner, &row)?;
        let names = self.names(owner).await?;
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
        let rows = sqlx::query(select!(
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
        let mut stored = Vec::with_capacity(rows.len());
        for row in &rows {
            stored.push(self.message_row(owner, row)?);
        }
        let more = stored.len() > limit as usize;
        stored.truncate(limit as usize);
        let next = stored.last().filter(|_| more).map(|message| Cursor(message.seq));
        let names = self.names(owner).await?;
        let items = stored.into_iter().map(|message| message.into_message(own, &names)).collect();
        Ok(History { items, next })
    }

    fn message_row(&self, owner: Owner, row: &SqliteRow) -> Result<StoredMessage, StoreError> {
        let seq = uint(row.try_get("seq")?);
        let sealed: Vec<u8> = row.try_get("content")?;
        let content = record::open(&self.sealer, "messages", &record::row(owner.0, seq), &sealed)?;
        let bad =
            |error: quicproquo_core::id::IdError| StoreError::Row("messages", error.to_string());
        let state: String = row.try_get("state")?;
        Ok(StoredMessage {
            seq,
            group: GroupId::from_slice(row.try_get("group_id")?).map_err(bad)?,
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
