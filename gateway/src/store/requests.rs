//! Answers to admin requests that carried an `Idempotency-Key`.

use quicproquo_client::Seals;

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
        let row: Option<(i64, i64, Option<Vec<u8>>)> = sqlx::query_as(
            "SELECT status, created_at_ms, sealed FROM admin_requests WHERE key = ?",
        )
        .bind(key)
        .fetch_optional(&self.pool)
        .await?;
        let Some((status, created_at_ms, sealed)) = row else {
            return Ok(None);
        };
        let damaged = || StoreError::Damaged("admin_requests");
        let status = u16::try_from(status).map_err(|_| damaged())?;
        let bound = status.to_be_bytes();
        let sealed = sealed.unwrap_or_default();
        let opened = self.seals.open("admin_requests", &fields(key, &bound), &sealed);
        let opened = opened.ok_or_else(damaged)?;
        let (fingerprint, answer) = opened.split_at_checked(32).ok_or_else(damaged)?;
        Ok(Some(Record {
            key: key.to_owned(),
            fingerprint: fingerprint.try_into().map_err(|_| damaged())?,
            status,
            answer: serde_json::from_slice(answer).map_err(|_| damaged())?,
            created_at_ms: super::from_db(created_at_ms),
        }))
    }

    /// Keeps an answer whose effect is durable elsewhere.
    pub(crate) async fn put_request(&self, record: &Record) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        insert(&mut tx, Some(record), &self.seals).await?;
        self.commit(tx).await
    }
}

fn fields<'a>(key: &'a str, status: &'a [u8; 2]) -> [Option<&'a [u8]>; 2] {
    [Some(key.as_bytes()), Some(status)]
}

/// Fingerprint and answer. From the former a passphrase in a request could be guessed.
pub(super) fn seal(
    seals: &Seals,
    key: &str,
    status: u16,
    fingerprint: &[u8],
    answer: &str,
) -> Vec<u8> {
    let bound = status.to_be_bytes();
    let plain = [fingerprint, answer.as_bytes()].concat();
    seals.seal("admin_requests", &fields(key, &bound), &plain)
}

pub(super) async fn insert(
    tx: &mut Tx,
    record: Option<&Record>,
    seals: &Seals,
) -> Result<(), StoreError> {
    let Some(record) = record else { return Ok(()) };
    sqlx::query("DELETE FROM admin_requests WHERE created_at_ms < ?")
        .bind(to_db(record.created_at_ms.saturating_sub(KEEP_MS)))
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO admin_requests (key, fingerprint, status, answer, created_at_ms, sealed)
         VALUES (?, x'', ?, '', ?, ?)",
    )
    .bind(&record.key)
    .bind(i64::from(record.status))
    .bind(to_db(record.created_at_ms))
    .bind(seal(seals, &record.key, record.status, &record.fingerprint, &record.answer.to_string()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
