//! The cursors of named consumers.

use quicproquo_client::Cursor;

use super::{Store, StoreError, Tx};

/// Where a consumer is: everything up to the cursor is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CursorRow {
    /// The bot it reads for.
    pub(crate) bot_id: String,
    /// Its name.
    pub(crate) name: String,
    /// Everything up to here is acknowledged.
    pub(crate) cursor: Cursor,
}

impl Store {
    /// All consumers of all bots.
    pub(crate) async fn consumers(&self) -> Result<Vec<CursorRow>, StoreError> {
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("SELECT bot_id, name, cursor FROM consumers")
                .fetch_all(&self.pool)
                .await?;
        rows.into_iter()
            .map(|(bot_id, name, cursor)| {
                let cursor = cursor.parse().map_err(|_| StoreError::Damaged("consumers"))?;
                Ok(CursorRow { bot_id, name, cursor })
            })
            .collect()
    }

    /// Writes many cursors in one transaction. Those of bots that are gone are left out.
    pub(crate) async fn put_consumers(&self, rows: &[CursorRow]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        put(&mut tx, rows).await?;
        self.commit(tx).await
    }
}

/// Writes cursors; those of bots that are gone are left out.
pub(super) async fn put(tx: &mut Tx, rows: &[CursorRow]) -> Result<(), StoreError> {
    for row in rows {
        sqlx::query(
            "INSERT INTO consumers (bot_id, name, cursor)
             SELECT bot_id, ?, ? FROM bots WHERE bot_id = ?
             ON CONFLICT (bot_id, name) DO UPDATE SET cursor = excluded.cursor",
        )
        .bind(&row.name)
        .bind(row.cursor.to_string())
        .bind(&row.bot_id)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
