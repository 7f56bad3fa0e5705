//! Tokens that the operator issues, also beside a running node.

use std::path::Path;

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row};

use super::Sqlite;
use super::open::open_beside;
use super::row::{key, unsigned};
use super::script::Script;
use crate::store::{StoreError, StoredToken};

/// Stores the SHA-256 of a token. False: it is stored already.
pub(crate) async fn issue(
    data_dir: &Path,
    hash: [u8; 32],
    token: StoredToken,
) -> Result<bool, StoreError> {
    let mut script = Script::new("INSERT INTO tokens VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
    script
        .bind(hash.as_slice())
        .bind(token.identity.as_bytes().as_slice())
        .bind(token.expires_at.cast_signed());
    script.push(" RETURNING hash");
    Ok(!write(data_dir, script).await?.is_empty())
}

/// All tokens, by identity and then by their end.
pub(crate) async fn list(data_dir: &Path) -> Result<Vec<([u8; 32], StoredToken)>, StoreError> {
    let script = Script::new(
        "SELECT hash, identity, expires_at FROM tokens ORDER BY identity, expires_at, hash",
    );
    let (mut connection, _) = open_beside(data_dir).await?;
    let rows = script.fetch(&mut connection).await?;
    connection.close().await?;
    rows.iter()
        .map(|row| {
            let token = StoredToken { identity: key(row, 1)?, expires_at: unsigned(row, 2)? };
            let hash: Vec<u8> = row.try_get(0)?;
            let hash = hash.try_into();
            Ok((hash.map_err(|_| StoreError::Database("a token's hash".into()))?, token))
        })
        .collect()
}

/// Removes one token, by its SHA-256. Returns whether it was there.
pub(crate) async fn revoke(data_dir: &Path, hash: [u8; 32]) -> Result<bool, StoreError> {
    // A running node looks after those who wait when the version rises.
    let mut script = Script::new("UPDATE bans_version SET version = version + 1;");
    script.push("DELETE FROM tokens WHERE hash = ? RETURNING hash");
    script.bind(hash.as_slice());
    Ok(!write(data_dir, script).await?.is_empty())
}

async fn write(data_dir: &Path, script: Script) -> Result<Vec<SqliteRow>, StoreError> {
    let mut store = Sqlite::open_beside(data_dir).await?;
    let rows = store.write(script).await?;
    store.close().await;
    Ok(rows)
}
