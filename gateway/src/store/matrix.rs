//! What Matrix clients keep: filters and account data.

use serde_json::Value;

use super::{Store, StoreError, to_db};

/// Filters of a bot that are kept, the newest ones.
const FILTERS: i64 = 200;
/// Entries of a bot's account data, read markers apart.
const ENTRIES: i64 = 1_000;
/// Bytes of it in all.
const ACCOUNT_DATA: i64 = 1024 * 1024;

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
        let bound = fields(bot_id, group_id, kind);
        let sealed = self.seals.seal("matrix_account_data", &bound, content.to_string().as_bytes());
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "INSERT INTO matrix_account_data (bot_id, group_id, type, content, sealed)
             SELECT ?1, ?2, ?3, '', ?4
             WHERE (SELECT COUNT(*) FROM matrix_account_data
                    WHERE bot_id = ?1 AND NOT (group_id = ?2 AND type = ?3)
                    AND (group_id = '' OR type <> 'm.fully_read')) < ?5
             AND (SELECT COALESCE(SUM(LENGTH(sealed)), 0) FROM matrix_account_data
                  WHERE bot_id = ?1 AND NOT (group_id = ?2 AND type = ?3)) + LENGTH(?4) <= ?6
             ON CONFLICT DO UPDATE SET sealed = excluded.sealed",
        )
        .bind(bot_id)
        .bind(group_id)
        .bind(kind)
        .bind(sealed)
        .bind(ENTRIES)
        .bind(ACCOUNT_DATA)
        .execute(&mut *tx)
        .await?;
        self.commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    /// One entry of it.
    pub(crate) async fn account_datum(
        &self,
        bot_id: &str,
        group_id: &str,
        kind: &str,
    ) -> Result<Option<Value>, StoreError> {
        let sealed: Option<Option<Vec<u8>>> = sqlx::query_scalar(
            "SELECT sealed FROM matrix_account_data
             WHERE bot_id = ? AND group_id = ? AND type = ?",
        )
        .bind(bot_id)
        .bind(group_id)
        .bind(kind)
        .fetch_optional(&self.pool)
        .await?;
        sealed.map(|sealed| self.datum(bot_id, group_id, kind, sealed)).transpose()
    }

    /// A bot's account data: group (empty: none), type and content.
    pub(crate) async fn account_data(
        &self,
        bot_id: &str,
    ) -> Result<Vec<(String, String, Value)>, StoreError> {
        let rows: Vec<(String, String, Option<Vec<u8>>)> = sqlx::query_as(
            "SELECT group_id, type, sealed FROM matrix_account_data WHERE bot_id = ?",
        )
        .bind(bot_id)
        .fetch_all(&self.pool)
        .await?;
        let read = |(group, kind, sealed): (String, String, Option<Vec<u8>>)| {
            let content = self.datum(bot_id, &group, &kind, sealed)?;
            Ok((group, kind, content))
        };
        rows.into_iter().map(read).collect()
    }

    fn datum(
        &self,
        bot_id: &str,
        group_id: &str,
        kind: &str,
        sealed: Option<Vec<u8>>,
    ) -> Result<Value, StoreError> {
        let bound = fields(bot_id, group_id, kind);
        let opened = self.seals.open("matrix_account_data", &bound, &sealed.unwrap_or_default());
        let value = opened.and_then(|opened| serde_json::from_slice(&opened).ok());
        value.ok_or(StoreError::Damaged("matrix_account_data"))
    }
}

fn json(table: &'static str, text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged(table))
}

pub(super) fn fields<'a>(
    bot_id: &'a str,
    group_id: &'a str,
    kind: &'a str,
) -> [Option<&'a [u8]>; 3] {
    [bot_id, group_id, kind].map(|text| Some(text.as_bytes()))
}
