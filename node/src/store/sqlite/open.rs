//! Opens the database, or says why it must not be used.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::inspect::{Found, Look, corrupt_if_malformed, inspect};
use super::{Sqlite, SqliteReads};
use crate::store::StoreError;

/// Name of the database in the data directory.
pub(crate) const FILE: &str = "node.db";

/// Says that the data directory has had a database.
pub(super) const MARKER: &str = "node.db.created";

/// Name of the mark in the data directory.
pub(super) const MARK: &str = "node.db.mark";

/// `application_id` of our databases: "qpqn".
pub(super) const APPLICATION: i64 = 0x7170_716e;

/// The oldest version that can be brought to today's.
pub(super) const FIRST: i64 = 2;

/// The version since which commits are numbered.
pub(super) const COUNTED: i64 = 4;

/// Version that the last migration leads to.
#[expect(clippy::cast_possible_wrap, reason = "there are few migrations")]
pub(super) const VERSION: i64 = FIRST - 1 + MIGRATIONS.len() as i64;

/// Connections that read.
const READERS: u32 = 2;

/// Each brings a database to its next version; the first one makes version [`FIRST`] of nothing.
/// What has been released is never changed, only added to.
const MIGRATIONS: &[&str] = &[
    "CREATE TABLE packages (id INTEGER PRIMARY KEY, identity BLOB NOT NULL,
        ciphersuite INTEGER NOT NULL, state INTEGER NOT NULL, not_after INTEGER NOT NULL,
        fingerprint BLOB NOT NULL, data BLOB NOT NULL, UNIQUE (identity, fingerprint)) STRICT;
     CREATE INDEX packages_pick ON packages (identity, ciphersuite, state, id);
     CREATE INDEX packages_expiry ON packages (not_after);
     CREATE TABLE hybrid_keys (identity BLOB PRIMARY KEY, public_key BLOB NOT NULL)
        STRICT, WITHOUT ROWID;
     CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, identity BLOB NOT NULL,
        signature BLOB NOT NULL) STRICT;
     CREATE INDEX names_identity ON names (identity, id);
     CREATE TABLE tokens (hash BLOB PRIMARY KEY, identity BLOB NOT NULL,
        expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE INDEX tokens_expiry ON tokens (expires_at);",
    "CREATE TABLE registrations (identity BLOB PRIMARY KEY, created_at INTEGER NOT NULL)
        STRICT, WITHOUT ROWID;
     CREATE TABLE deletions (identity BLOB PRIMARY KEY, heir BLOB) STRICT, WITHOUT ROWID;
     CREATE TABLE tombstones (name TEXT PRIMARY KEY, heir BLOB) STRICT, WITHOUT ROWID;
     CREATE TABLE invites (id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE,
        label TEXT NOT NULL, uses INTEGER NOT NULL, uses_left INTEGER NOT NULL,
        created_at INTEGER NOT NULL, expires_at INTEGER) STRICT;
     CREATE TABLE bans (identity BLOB PRIMARY KEY, created_at INTEGER NOT NULL)
        STRICT, WITHOUT ROWID;
     CREATE TABLE bans_version (version INTEGER NOT NULL) STRICT;
     INSERT INTO bans_version VALUES (1);
     CREATE INDEX tokens_identity ON tokens (identity);
     CREATE TABLE blobs (id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 BLOB NOT NULL,
        state INTEGER NOT NULL, owner BLOB, size INTEGER NOT NULL, received INTEGER NOT NULL,
        hash_state BLOB, expires_at INTEGER) STRICT;
     CREATE UNIQUE INDEX blobs_complete ON blobs (sha256) WHERE state = 1;
     CREATE UNIQUE INDEX blobs_uploads ON blobs (owner, sha256) WHERE state = 0;
     CREATE INDEX blobs_dead ON blobs (id) WHERE state = 2;
     CREATE INDEX blobs_expiry ON blobs (expires_at) WHERE state = 0;
     CREATE TABLE pieces (blob INTEGER NOT NULL, position INTEGER NOT NULL, data BLOB NOT NULL)
        STRICT;
     CREATE UNIQUE INDEX pieces_position ON pieces (blob, position);
     CREATE TABLE blob_refs (owner BLOB NOT NULL, blob INTEGER NOT NULL, size INTEGER NOT NULL,
        expires_at INTEGER NOT NULL, PRIMARY KEY (owner, blob)) STRICT, WITHOUT ROWID;
     CREATE INDEX blob_refs_blob ON blob_refs (blob);
     CREATE INDEX blob_refs_expiry ON blob_refs (expires_at);",
    "CREATE TABLE commits (number INTEGER NOT NULL) STRICT;
     INSERT INTO commits VALUES (0);",
];

/// Both ends of an open database.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) writer: Sqlite,
    pub(crate) reads: SqliteReads,
}

/// Opens the database of a data directory, or creates it where there has never been one.
pub(crate) async fn open(data_dir: &Path) -> Result<Database, StoreError> {
    let path = data_dir.join(FILE);
    let marker = data_dir.join(MARKER);
    let io = |source: io::Error| StoreError::Io { path: path.clone(), source };
    let existed = marker.try_exists().map_err(io)?;
    let size = match fs::metadata(&path) {
        Ok(metadata) => Some(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(io(error)),
    };
    let found = match size {
        None if existed => return Err(StoreError::Missing(path)),
        Some(0) if existed => {
            return Err(StoreError::Corrupt { path, detail: "the file is empty".into() });
        }
        Some(1..) => inspect(data_dir, Look { whole: true, first: !existed }).await?,
        None | Some(0) => Found { version: FIRST - 1, commits: 0 },
    };

    let mut connection = options(&path)
        .create_if_missing(true)
        .connect()
        .await
        .map_err(|error| corrupt_if_malformed(error.into(), &path))?;
    migrate(&mut connection, found.version)
        .await
        .map_err(|error| corrupt_if_malformed(error, &path))?;
    let writer = Sqlite::new(connection, data_dir)?;
    writer.mark.raise(found.commits);
    if !existed {
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        File::create(&marker).and_then(|file| file.sync_all()).map_err(io)?;
        sync(data_dir).map_err(io)?;
    }

    let pool = SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(READERS)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options(&path).read_only(true))
        .await?;
    Ok(Database { writer, reads: SqliteReads::new(pool) })
}

/// Opens the database of a data directory that may be in use by a running node; its version may
/// be an earlier one.
pub(super) async fn open_beside(data_dir: &Path) -> Result<(SqliteConnection, i64), StoreError> {
    let path = data_dir.join(FILE);
    if !path.exists() {
        return Err(StoreError::Missing(path));
    }
    let found = inspect(data_dir, Look { whole: false, first: false }).await?;
    Ok((options(&path).connect().await?, found.version))
}

/// For connections that must change nothing.
pub(super) fn bare_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging()
}

fn options(path: &Path) -> SqliteConnectOptions {
    bare_options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("cache_size", "-32768")
        .pragma("wal_autocheckpoint", "4000")
}

/// Runs what is missing, each migration in a transaction of its own.
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    found: i64,
) -> Result<(), StoreError> {
    for (version, migration) in (FIRST..).zip(MIGRATIONS) {
        if version <= found {
            continue;
        }
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {version};"
        )))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
