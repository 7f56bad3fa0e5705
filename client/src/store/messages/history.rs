//! A group's messages as readers want them: pages, one by its id, and what is searched for.

use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::IdentityKey;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::class::Wanted;
use super::{Owner, Store, StoreError, StoredMessage, int, uint};
use crate::error::SessionError;
use crate::event::Cursor;
use crate::model::{History, HistoryQuery, Message};

/// How often a page is filled up with rows when the content says which are wanted.
const ROUNDS: u32 = 10;

impl Store {
    /// A message as it is now. Of several senders' messages with this id, that of `sender` or else
    /// the oldest.
    pub(crate) async fn message(
        &self,
        owner: Owner,
        own: &IdentityKey,
        group: &GroupId,
        id: &MessageId,
        sender: Option<&IdentityKey>,
    ) -> Result<Option<Message>, SessionError> {
        let stored = self.messages_with(owner, group, id).await?.into_iter();
        let mut stored = stored.filter(|message| sender.is_none_or(|key| *key == message.sender));
        let Some(message) = stored.next() else { return Ok(None) };
        Ok(self.current(owner, own, group, vec![message]).await?.pop())
    }

    /// All senders' messages with this id, the oldest first.
    pub(crate) async fn messages_with(
        &self,
        owner: Owner,
        group: &GroupId,
        id: &MessageId,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let rows = sqlx::query(select!(
            "WHERE owner = ? AND group_id = ? AND message_id = ? ORDER BY seq LIMIT 100"
        ))
        .bind(owner.0)
        .bind(group.as_bytes())
        .bind(&id.as_bytes()[..])
        .fetch_all(&self.reads)
        .await?;
        self.message_rows(owner, &rows).await
    }

    /// A page of a group's history, newest first.
    pub(crate) async fn history(
        &self,
        owner: Owner,
        own: &IdentityKey,
        group: &GroupId,
        query: HistoryQuery,
    ) -> Result<History, SessionError> {
        let limit = query.limit.clamp(1, 200) as usize;
        let wanted = Wanted::new(&query.kinds);
        let mut before = query.before.map_or(i64::MAX, |cursor| int(cursor.0));
        let (mut kept, mut rounds) = (Vec::new(), 0);
        let mut next = loop {
            let mut rows = self
                .history_rows(owner, group, &query, wanted.classes(), before, limit + 1)
                .await?;
            let more = rows.len() > limit;
            rows.truncate(limit);
            let stored = self.message_rows(owner, &rows).await?.into_iter();
            kept.extend(stored.filter(|message| wanted.takes(&message.content.kind)));
            rounds += 1;
            let Some(last) = rows.last().filter(|_| more) else { break None };
            before = last.try_get("seq").map_err(StoreError::from)?;
            if kept.len() >= limit || rounds == ROUNDS {
                break Some(uint(before));
            }
        };
        if kept.len() > limit {
            kept.truncate(limit);
            next = kept.last().map(|message| message.seq);
        }
        let items = self.current(owner, own, group, kept).await?;
        Ok(History { items, next: next.map(Cursor) })
    }

    async fn history_rows(
        &self,
        owner: Owner,
        group: &GroupId,
        query: &HistoryQuery,
        classes: i64,
        before: i64,
        limit: usize,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        // The inner part reads the index alone, however much is not wanted.
        let rows = sqlx::query(select!(
            "WHERE owner = ?1 AND seq IN (SELECT seq FROM messages \
             WHERE owner = ?1 AND group_id = ?2 AND seq < ?3 AND seq > ?4 \
             AND received_at >= ?5 AND received_at < ?6 AND ((1 << class) & ?7) <> 0 \
             ORDER BY seq DESC LIMIT ?8) ORDER BY seq DESC"
        ))
        .bind(owner.0)
        .bind(group.as_bytes())
        .bind(before)
        .bind(query.after.map_or(0, |cursor| int(cursor.0)))
        .bind(int(query.since_ms.unwrap_or(0)))
        .bind(int(query.until_ms.unwrap_or(u64::MAX)))
        .bind(classes)
        .bind(int(limit as u64))
        .fetch_all(&self.reads)
        .await?;
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;

    /// Rows that are not wanted must not be read from the table.
    #[tokio::test]
    async fn a_search_reads_the_index_alone() {
        let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        crate::store::MIGRATIONS.run(&mut connection).await.unwrap();
        let explain = "EXPLAIN QUERY PLAN SELECT seq FROM messages WHERE owner = 1 \
                       AND group_id = x'00' AND seq < 9 AND seq > 1 AND received_at >= 1 \
                       AND received_at < 2 AND ((1 << class) & 3) <> 0 ORDER BY seq DESC LIMIT 3";
        let plan = sqlx::query(explain).fetch_all(&mut connection).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get::<String, _>("detail")).collect();
        assert!(
            plan.iter().any(|step| step.contains("COVERING INDEX messages_by_group")),
            "{plan:?}"
        );
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
    }
}
