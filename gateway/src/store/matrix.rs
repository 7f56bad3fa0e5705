//! What Matrix clients keep: filters and account data.

use serde_json::Value;

use super::{Store, StoreError, to_db};

/// Filters of a bot that are kept, the newest ones.
const FILTERS: i64 = 200;
/// Entries of a bot's account data.
const ENTRIES: i64 = 1_000;

impl Store {
    /// Keeps a filter; the oldest of too many goes.
    pub(crate) async fn put_filter(
        &self,
        bot_id: &str,
        filter_id: &str,
        filter: &Value,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO matrix_filters (bot_id, filter_id, filter, created_at_ms)
             VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET created_at_ms = excluded.created_at_ms",
        )
        .bind(bot_id)
        .bind(filter_id)
        .bind(filter.to_string())
        .bind(to_db(now_ms))
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM matrix_filters WHERE bot_id = ?1 AND filter_id NOT IN
             (SELECT filter_id FROM matrix_filters WHERE bot_id = ?1
              ORDER BY created_at_ms DESC LIMIT ?2)",
        )
        .bind(bot_id)
        .bind(FILTERS)
        .execute(&mut *tx)
        .await?;
        self.commit(tx).await
    }

    /// A filter that is kept.
    pub(crate) async fn filter(
        &self,
        bot_id: &str,
        filter_id: &str,
    ) -> Result<Option<Value>, StoreError> {
        let text: Option<String> = sqlx::query_scalar(
            "SELECT filter FROM matrix_filters WHERE bot_id = ? AND filter_id = ?",
        )
        .bind(bot_id)
        .bind(filter_id)
        .fetch_optional(&self.pool)
        .await?;
        text.map(|text| json("matrix_filters", &text)).transpose()
    }

    /// Sets an entry of account data. `false`: there are too many.
    pub(crate) async fn put_account_data(
        &self,
        bot_id: &str,
        group_id: &str,
        kind: &str,
        content: &Value,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "INSERT INTO matrix_account_data (bot_id, group_id, type, content)
             SELECT ?1, ?2, ?3, ?4
             WHERE (SELECT COUNT(*) FROM matrix_account_data
                    WHERE bot_id = ?1 AND NOT (group_id = ?2 AND type = ?3)) < ?5
             ON CONFLICT DO UPDATE SET content = excluded.content",
        )
        .bind(bot_id)
        .bind(group_id)
        .bind(kind)
        .bind(content.to_string())
        .bind(ENTRIES)
        .execute(&mut *tx)
        .await?;
        self.commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    /// A bot's account data: group (empty: none), type and content.
    pub(crate) async fn account_data(
        &self,
        bot_id: &str,
    ) -> Result<Vec<(String, String, Value)>, StoreError> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT group_id, type, content FROM matrix_account_data WHERE bot_id = ?",
        )
        .bind(bot_id)
        .fetch_all(&self.pool)
        .await?;
        let read = |(group, kind, text): (String, String, String)| {
            Ok((group, kind, json("matrix_account_data", &text)?))
        };
        rows.into_iter().map(read).collect()
    }
}

fn json(table: &'static str, text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged(table))
}
