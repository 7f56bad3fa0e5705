//! Rows of versions that did not seal them, sealed once.

use super::{Store, StoreError, tokens};

/// Key, fingerprint, status, answer.
type RequestRow = (String, Vec<u8>, i64, String);

impl Store {
    /// Seals all rows that are not, in one transaction. Only where nobody can have put them there:
    /// the client knows whether that was done before.
    pub(crate) async fn seal_former(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let bots: Vec<(String, String, String)> =
            sqlx::query_as("SELECT bot_id, name, identity FROM bots WHERE seal IS NULL")
                .fetch_all(&mut *tx)
                .await?;
        for (bot_id, name, identity) in bots {
            let seal = self.seals.bind("bots", &super::bots::fields(&bot_id, &name, &identity));
            let update = "UPDATE bots SET seal = ? WHERE bot_id = ?";
            sqlx::query(update).bind(seal).bind(bot_id).execute(&mut *tx).await?;
        }
        let rows: Vec<tokens::Row> = sqlx::query_as(tokens::SELECT).fetch_all(&mut *tx).await?;
        for row in rows.into_iter().filter(|row| row.10.is_none()) {
            // One that does not read stays so, and does not count.
            let Some(grant) = tokens::grant(row) else { continue };
            let update = "UPDATE tokens SET seal = ? WHERE token_id = ?";
            let seal = tokens::seal_of(&grant, &self.seals);
            sqlx::query(update).bind(seal).bind(&grant.token_id).execute(&mut *tx).await?;
        }
        let consumers: Vec<(String, String, Option<String>)> =
            sqlx::query_as("SELECT bot_id, name, groups FROM consumers WHERE seal IS NULL")
                .fetch_all(&mut *tx)
                .await?;
        for (bot_id, name, groups) in consumers {
            let fields = super::consumers::fields(&bot_id, &name, groups.as_deref());
            let seal = self.seals.bind("consumers", &fields);
            let update = "UPDATE consumers SET seal = ? WHERE bot_id = ? AND name = ?";
            sqlx::query(update).bind(seal).bind(bot_id).bind(name).execute(&mut *tx).await?;
        }
        let webhooks: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT webhook_id, bot_id, settings FROM webhooks WHERE sealed IS NULL",
        )
        .fetch_all(&mut *tx)
        .await?;
        for (webhook_id, bot_id, settings) in webhooks {
            let fields = super::webhooks::fields(&webhook_id, &bot_id);
            let sealed = self.seals.seal("webhooks", &fields, settings.as_bytes());
            let update = "UPDATE webhooks SET sealed = ?, settings = '' WHERE webhook_id = ?";
            sqlx::query(update).bind(sealed).bind(webhook_id).execute(&mut *tx).await?;
        }
        let requests: Vec<RequestRow> = sqlx::query_as(
            "SELECT key, fingerprint, status, answer FROM admin_requests WHERE sealed IS NULL",
        )
        .fetch_all(&mut *tx)
        .await?;
        for (key, fingerprint, status, answer) in requests {
            let status = u16::try_from(status).unwrap_or_default();
            let sealed = super::requests::seal(&self.seals, &key, status, &fingerprint, &answer);
            let update = "UPDATE admin_requests SET sealed = ?, fingerprint = x'', answer = '' WHERE key = ?";
            sqlx::query(update).bind(sealed).bind(key).execute(&mut *tx).await?;
        }
        let data: Vec<(String, String, String, String)> = sqlx::query_as(
            "SELECT bot_id, group_id, type, content FROM matrix_account_data WHERE sealed IS NULL",
        )
        .fetch_all(&mut *tx)
        .await?;
        for (bot_id, group_id, kind, content) in data {
            let fields = super::matrix::fields(&bot_id, &group_id, &kind);
            let sealed = self.seals.seal("matrix_account_data", &fields, content.as_bytes());
            sqlx::query(
                "UPDATE matrix_account_data SET sealed = ?, content = ''
                 WHERE bot_id = ? AND group_id = ? AND type = ?",
            )
            .bind(sealed)
            .bind(bot_id)
            .bind(group_id)
            .bind(kind)
            .execute(&mut *tx)
            .await?;
        }
        self.commit(tx).await?;
        // What was open before leaves unused places of pages, and the log.
        sqlx::query("VACUUM").execute(&self.pool).await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await?;
        Ok(())
    }
}
