//! Another master key for a database that nobody has open.
//!
//! All sealed values are opened and sealed anew in one transaction, so a crash leaves the former
//! key or the new one, never both. What hides the names of MLS rows stays: it is drawn from the
//! first key and kept sealed from now on.

use std::path::Path;

use futures::TryStreamExt as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use super::key::{self, Key};
use super::seal::Sealer;
use super::tables::{self, Cell, IDENTITY, MLS, TABLES, Table, cell};
use super::{Opened, StoreError, corrupt};
use crate::config::MasterKey;
use crate::error::OpenError;

/// Rows that are sealed anew between two reads.
const PAGE: usize = 500;

/// Seals a database anew, under a fresh key in the same file or (`to`) under another key. Answers
/// how many values were sealed anew.
///
/// What is damaged stays as it is.
///
/// # Errors
/// See [`OpenError`]; the former key is then still the one that counts, or the next call or the
/// next start puts the new one into its place.
pub async fn rekey(
    data_dir: &Path,
    from: &MasterKey,
    to: Option<&MasterKey>,
) -> Result<u64, OpenError> {
    run(data_dir, from, to, &mut |_| true).await
}

/// A moment at which a process may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    KeyMade,
    Sealed,
    Committed,
    Cleaned,
}

async fn run(
    data_dir: &Path,
    from: &MasterKey,
    to: Option<&MasterKey>,
    goes_on: &mut (dyn FnMut(Moment) -> bool + Send),
) -> Result<u64, OpenError> {
    let path = data_dir.join(super::DATABASE);
    if !path.exists() {
        let detail = "there is no database; it is made at the first start".to_owned();
        return Err(OpenError::Corrupt { path, detail });
    }
    // Also ends a rotation that was cut off.
    let Opened { mut connection, sealer: old, lock, options, .. } =
        super::open_files(data_dir, from).await?;
    let (new, in_place): (Key, Option<&Path>) = match (to, from) {
        (Some(to), _) => (key::read(to, true)?, None),
        (None, MasterKey::File(file)) => (key::make(&key::next(file))?, Some(file)),
        (None, from) => return Err(OpenError::KeyElsewhere { key: from.to_string() }),
    };
    let stopped = || OpenError::Database("stopped".to_owned());
    if !goes_on(Moment::KeyMade) {
        return Err(stopped());
    }
    let new = Sealer::new(&new).with_names(old.names());
    let failed = |error: StoreError| OpenError::Database(error.to_string());
    let database = |error: sqlx::Error| failed(error.into());
    let mut reads = options.read_only(true).connect().await.map_err(|e| corrupt(&path, &e))?;
    connection.execute("BEGIN IMMEDIATE").await.map_err(database)?;
    let sealed = reseal_all(&mut reads, &mut connection, &old, &new).await.map_err(failed)?;
    if !goes_on(Moment::Sealed) {
        return Err(stopped());
    }
    connection.execute("COMMIT").await.map_err(database)?;
    reads.close().await.map_err(database)?;
    if !goes_on(Moment::Committed) {
        return Err(stopped());
    }
    // What was sealed under the former key leaves unused places of pages, and the log too.
    connection.execute("VACUUM").await.map_err(database)?;
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.map_err(database)?;
    if !goes_on(Moment::Cleaned) {
        return Err(stopped());
    }
    if let Some(file) = in_place {
        key::replace(file)?;
    }
    connection.close().await.map_err(database)?;
    drop(lock);
    Ok(sealed)
}

async fn reseal_all(
    reads: &mut SqliteConnection,
    writes: &mut SqliteConnection,
    old: &Sealer,
    new: &Sealer,
) -> Result<u64, StoreError> {
    let mut sealed = 0;
    for table in TABLES.iter().chain([&MLS]) {
        let (name, by) = (table.name, table.key.join(" = ? AND "));
        for spec in table.sealed {
            let column = spec.column;
            let select = format!("SELECT * FROM {name}");
            let update = format!("UPDATE {name} SET {column} = ? WHERE owner = ? AND {by} = ?");
            let place = |row: &SqliteRow| {
                let row = tables::cells(row)?;
                let Some(Cell::Int(owner)) = cell(&row, "owner").cloned() else { return Ok(None) };
                let Some(value) = cell(&row, column).cloned() else { return Ok(None) };
                let mut key = table.key_of(&row);
                let associated = spec.associated(&Table::row_key(owner, &key), &row);
                key.insert(0, Cell::Int(owner));
                Ok(Some((associated, value, key)))
            };
            sealed +=
                reseal(reads, writes, (old, new), (spec.label, select, update), place).await?;
        }
    }
    for spec in &IDENTITY {
        let select = "SELECT * FROM identities".to_owned();
        let update = format!("UPDATE identities SET {} = ? WHERE id = ?", spec.column);
        let place = |row: &SqliteRow| {
            let row = tables::cells(row)?;
            let (Some(Cell::Bytes(key)), Some(value), Some(id)) =
                (cell(&row, "identity"), cell(&row, spec.column), cell(&row, "id"))
            else {
                return Ok(None);
            };
            Ok(Some((spec.associated(key, &row), value.clone(), vec![id.clone()])))
        };
        sealed += reseal(reads, writes, (old, new), (spec.label, select, update), place).await?;
    }
    // A row key is the identity.
    for (name, select, update) in [
        (
            "identities",
            "SELECT identity, seed, id FROM identities",
            "UPDATE identities SET seed = ? WHERE id = ?",
        ),
        (
            "hybrid_keys",
            "SELECT identities.identity, secret, owner, n FROM hybrid_keys \
             JOIN identities ON identities.id = owner",
            "UPDATE hybrid_keys SET secret = ? WHERE owner = ? AND n = ?",
        ),
        (
            "meta",
            "SELECT CAST(key AS BLOB), value, key FROM meta WHERE key = 'check'",
            "UPDATE meta SET value = ? WHERE key = ?",
        ),
    ] {
        let place = |row: &SqliteRow| {
            let mut cells = tables::cells(row)?.into_iter().map(|(_, cell)| cell);
            let (Some(Cell::Bytes(key)), Some(value)) = (cells.next(), cells.next()) else {
                return Ok(None);
            };
            Ok(Some((key.to_vec(), value, cells.collect())))
        };
        let sql = (name, select.to_owned(), update.to_owned());
        sealed += reseal(reads, writes, (old, new), sql, place).await?;
    }
    let names = new.seal("meta", b"names", old.names());
    sqlx::query("INSERT OR REPLACE INTO meta (key, value) VALUES ('names', ?)")
        .bind(names)
        .execute(writes)
        .await?;
    Ok(sealed)
}

/// Row key, sealed value, and what the update binds after the value.
type Place = Option<(Vec<u8>, Cell, Vec<Cell>)>;

async fn reseal(
    reads: &mut SqliteConnection,
    writes: &mut SqliteConnection,
    (old, new): (&Sealer, &Sealer),
    (table, select, update): (&'static str, String, String),
    place: impl Fn(&SqliteRow) -> Result<Place, sqlx::Error>,
) -> Result<u64, StoreError> {
    let rows = sqlx::query(AssertSqlSafe(select)).fetch(reads);
    let mut pages = rows.try_chunks(PAGE);
    let mut sealed = 0;
    while let Some(page) = pages.try_next().await.map_err(|error| error.1)? {
        for row in page {
            let Some((row_key, Cell::Bytes(value), rest)) = place(&row)? else { continue };
            // What was deleted is empty, and not sealed.
            if value.is_empty() {
                continue;
            }
            let Ok(plain) = old.open(table, &row_key, &value) else {
                tracing::warn!(table, "a damaged row stays as it is");
                continue;
            };
            let value = new.seal(table, &row_key, &plain);
            let cells: Vec<Cell> = std::iter::once(Cell::Bytes(value.into())).chain(rest).collect();
            sealed += tables::execute(writes, update.clone(), &cells).await?;
        }
    }
    Ok(sealed)
}

#[cfg(test)]
mod tests;
