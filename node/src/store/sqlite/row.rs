//! Columns of a row.

use quicproquo_schemas::id::IdentityKey;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::store::StoreError;

pub(super) fn key(row: &SqliteRow, at: usize) -> Result<IdentityKey, StoreError> {
    let bytes: &[u8] = row.try_get(at)?;
    IdentityKey::try_from(bytes).map_err(|error| damaged(&error))
}

pub(super) fn unsigned(row: &SqliteRow, at: usize) -> Result<u64, StoreError> {
    Ok(row.try_get::<i64, _>(at)?.cast_unsigned())
}

pub(super) fn damaged(detail: &dyn std::fmt::Display) -> StoreError {
    StoreError::Database(detail.to_string())
}
