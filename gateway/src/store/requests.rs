//! Answers to admin requests that carried an `Idempotency-Key`.

use super::{Store, StoreError, Tx, to_db};

/// How long answers are kept, in milliseconds: 48 hours (at least 24 are promised).
const KEEP_MS: u64 = 48 * 60 * 60 * 1000;

/// An answer, without secrets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    /// The caller's key.
    pub(crate) key: String,
    /// SHA-256 of the request.
    pub(crate) fingerprint: [u8; 32],
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body; `null` for none.
    pub(crate) answer: serde_json::Value,
    /// When it was given, unix milliseconds.
    pub(crate) created_at_ms: u64,
}

impl Store {
    /// The answer given to a key, if it is kept.
    pub(crate) async fn request(&self, key: &str) -> Result<Option<Record>, StoreError> {
        let row: Option<(Vec<u8>, i64, String, i64)> = sqlx::query_as(
            "SELECT fingerprint, status, answer, created_at_ms FROM admin_requests WHERE key = ?",
        )
        .bind(key)
        .fetch_optional(&self.pool)
        .await?;
        let Some((fingerprint, status, answer, created_at_ms)) = row else {
            return Ok(None);
        };
        let damaged = || StoreError::Damaged("admin_requests");
        Ok(Some(Record {
            key: key.to_owned(),
            fingerprint: fingerprint.try_into().map_err(|_| damaged())?,
            status: u16::try_from(status).map_err(|_| damaged())?,
            answer: serde_json::from_str(&answer).map_err(|_| damaged())?,
            created_at_ms: super::from_db(created_at_ms),
        }))
    }

    /// Keeps an answer whose effect is durable elsewhere.
    pub(crate) async fn put_request(&self, record: &Record) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        insert(&mut tx, Some(record)).await?;
        self.commit(tx).await
    }
}

pub(super) async fn insert(tx: &mut Tx, record: Option<&Record>) -> Result<(), StoreError> {
    let Some(record) = record else { return Ok(()) };
    sqlx::query("DELETE FROM admin_requests WHERE created_at_ms < ?")
        .bind(to_db(record.created_at_ms.saturating_sub(KEEP_MS)))
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO admin_requests (key, fingerprint, status, answer, created_at_ms)
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(&record.key)
    .bind(record.fingerprint.as_slice())
    .bind(i64::from(record.status))
    .bind(record.answer.to_string())
    .bind(to_db(record.created_at_ms))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
