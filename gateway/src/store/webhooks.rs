//! Webhooks, and what became of their deliveries.

use quicproquo_client::Cursor;

use super::{Record, Store, StoreError, from_db, to_db};
use crate::webhooks::{Report, ReportState, Settings};

/// How many deliveries of a webhook are listed at least.
const KEEP: i64 = 1_000;

/// A webhook as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct WebhookRow {
    /// Its id.
    pub(crate) webhook_id: String,
    /// Whose it is.
    pub(crate) bot_id: String,
    /// What it is.
    pub(crate) settings: Settings,
    /// Its keys, sealed.
    pub(crate) secrets: Vec<u8>,
    /// When it was made, unix milliseconds.
    pub(crate) created_at_ms: u64,
}

/// Id, bot, sealed settings, sealed keys, when it was made.
type Row = (String, String, Option<Vec<u8>>, Vec<u8>, i64);

impl Store {
    /// All webhooks of all bots.
    pub(crate) async fn webhooks(&self) -> Result<Vec<WebhookRow>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT webhook_id, bot_id, sealed, secrets, created_at_ms FROM webhooks
             ORDER BY created_at_ms, webhook_id",
        )
        .fetch_all(&self.pool)
        .await?;
        let whole = rows.into_iter().filter_map(|(webhook_id, bot_id, sealed, secrets, at)| {
            let bound = fields(&webhook_id, &bot_id);
            let opened = self.seals.open("webhooks", &bound, &sealed.unwrap_or_default());
            let settings = opened.and_then(|opened| serde_json::from_slice(&opened).ok());
            if settings.is_none() {
                super::changed("webhooks", &webhook_id);
            }
            let (settings, created_at_ms) = (settings?, from_db(at));
            Some(WebhookRow { webhook_id, bot_id, settings, secrets, created_at_ms })
        });
        Ok(whole.collect())
    }

    /// Adds a webhook or changes its settings, with the answer to the request.
    pub(crate) async fn put_webhook(
        &self,
        row: &WebhookRow,
        record: Option<&Record>,
    ) -> Result<(), StoreError> {
        let settings = serde_json::to_vec(&row.settings).unwrap_or_default();
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO webhooks (webhook_id, bot_id, settings, secrets, created_at_ms, sealed)
             VALUES (?, ?, '', ?, ?, ?)
             ON CONFLICT (webhook_id) DO UPDATE SET sealed = excluded.sealed",
        )
        .bind(&row.webhook_id)
        .bind(&row.bot_id)
        .bind(&row.secrets)
        .bind(to_db(row.created_at_ms))
        .bind(self.seals.seal("webhooks", &fields(&row.webhook_id, &row.bot_id), &settings))
        .execute(&mut *tx)
        .await?;
        super::requests::insert(&mut tx, record, &self.seals).await?;
        self.commit(tx).await
    }

    /// Deletes a webhook and its deliveries.
    pub(crate) async fn delete_webhook(&self, webhook_id: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let delete = sqlx::query("DELETE FROM webhooks WHERE webhook_id = ?");
        delete.bind(webhook_id).execute(&mut *tx).await?;
        self.commit(tx).await
    }

    /// Writes what became of an event; the oldest deliveries are forgotten from time to time.
    pub(crate) async fn put_report(
        &self,
        webhook_id: &str,
        cursor: Cursor,
        report: &Report,
        prune: bool,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO webhook_deliveries (webhook_id, cursor, state, report)
             SELECT webhook_id, ?, ?, ? FROM webhooks WHERE webhook_id = ?
             ON CONFLICT (webhook_id, cursor) DO UPDATE
             SET state = excluded.state, report = excluded.report",
        )
        .bind(cursor.to_string())
        .bind(report.state.as_str())
        .bind(serde_json::to_string(report).unwrap_or_default())
        .bind(webhook_id)
        .execute(&mut *tx)
        .await?;
        if prune {
            sqlx::query(
                "DELETE FROM webhook_deliveries WHERE webhook_id = ?1 AND state = 'delivered'
                 AND n <= (SELECT n FROM webhook_deliveries WHERE webhook_id = ?1
                           ORDER BY n DESC LIMIT 1 OFFSET ?2)",
            )
            .bind(webhook_id)
            .bind(KEEP)
            .execute(&mut *tx)
            .await?;
        }
        self.commit(tx).await
    }

    /// Deliveries that are said to wait for another attempt, but for which none comes any more, have
    /// failed.
    pub(crate) async fn give_up_reports(
        &self,
        webhook_id: &str,
        is_over: impl Fn(Cursor) -> bool,
    ) -> Result<(), StoreError> {
        let waiting =
            self.reports(webhook_id, Some(ReportState::Pending), None, usize::MAX).await?;
        let mut over = waiting.into_iter().filter(|(_, cursor, _)| is_over(*cursor)).peekable();
        if over.peek().is_none() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        for (n, _, report) in over {
            let failed = Report { state: ReportState::Failed, next_at_ms: None, ..report.clone() };
            // An attempt that has ended since is what counts.
            let sql =
                "UPDATE webhook_deliveries SET state = ?, report = ? WHERE n = ? AND report = ?";
            sqlx::query(sql)
                .bind(failed.state.as_str())
                .bind(serde_json::to_string(&failed).unwrap_or_default())
                .bind(to_db(n))
                .bind(serde_json::to_string(&report).unwrap_or_default())
                .execute(&mut *tx)
                .await?;
        }
        self.commit(tx).await
    }

    /// Why the newest delivery that is not through has failed, if there is one.
    pub(crate) async fn last_failure(
        &self,
        webhook_id: &str,
    ) -> Result<Option<String>, StoreError> {
        let report: Option<String> = sqlx::query_scalar(
            "SELECT report FROM webhook_deliveries WHERE webhook_id = ? AND state <> 'delivered'
             ORDER BY n DESC LIMIT 1",
        )
        .bind(webhook_id)
        .fetch_optional(&self.pool)
        .await?;
        let Some(report) = report else { return Ok(None) };
        let report: Report =
            serde_json::from_str(&report).map_err(|_| StoreError::Damaged("webhook_deliveries"))?;
        Ok(match (report.error, report.status) {
            (Some(error), Some(status)) if error == "status" => Some(format!("status {status}")),
            (error, _) => error,
        })
    }

    /// Deliveries of a webhook, the newest event first, with their places in the list.
    pub(crate) async fn reports(
        &self,
        webhook_id: &str,
        state: Option<ReportState>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Cursor, Report)>, StoreError> {
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT n, cursor, report FROM webhook_deliveries
             WHERE webhook_id = ?1 AND n < ?2 AND (?3 IS NULL OR state = ?3)
             ORDER BY n DESC LIMIT ?4",
        )
        .bind(webhook_id)
        .bind(before.map_or(i64::MAX, to_db))
        .bind(state.map(ReportState::as_str))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|(n, cursor, report)| {
                let damaged = || StoreError::Damaged("webhook_deliveries");
                let cursor = cursor.parse().map_err(|_| damaged())?;
                Ok((from_db(n), cursor, serde_json::from_str(&report).map_err(|_| damaged())?))
            })
            .collect()
    }
}

/// Whose events go where its settings say.
pub(super) fn fields<'a>(webhook_id: &'a str, bot_id: &'a str) -> [Option<&'a [u8]>; 2] {
    [Some(webhook_id.as_bytes()), Some(bot_id.as_bytes())]
}
