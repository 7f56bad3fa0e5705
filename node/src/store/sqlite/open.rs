//! Opens the database, or says why it must not be used.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{Sqlite, SqliteReads};
use crate::store::StoreError;

/// Name of the database in the data directory.
pub(crate) const FILE: &str = "node.db";

/// Says that the data directory has had a database.
pub(super) const MARKER: &str = "node.db.created";

/// `application_id` of our databases: "qpqn".
const APPLICATION: i64 = 0x7170_716e;

/// The oldest version that can be brought to today's.
const FIRST: i64 = 2;

/// Version that the last migration leads to.
#[expect(clippy::cast_possible_wrap, reason = "there are few migrations")]
const VERSION: i64 = FIRST - 1 + MIGRATIONS.len() as i64;

/// Databases up to this size are checked as a whole at the start.
const CHECKED_BYTES: u64 = 64 * 1024 * 1024;

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
    match size {
        None if existed => return Err(StoreError::Missing(path)),
        Some(0) if existed => {
            return Err(StoreError::Corrupt { path, detail: "the file is empty".into() });
        }
        Some(1..) => check_header(&path)?,
        None | Some(0) => {}
    }

    let mut connection = options(&path)
        .create_if_missing(true)
        .connect()
        .await
        .map_err(|error| corrupt_if_malformed(error.into(), &path))?;
    prepare(&mut connection, &path, size.unwrap_or_default(), existed)
        .await
        .map_err(|error| corrupt_if_malformed(error, &path))?;
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
    Ok(Database { writer: Sqlite { connection }, reads: SqliteReads::new(pool) })
}

/// Opens the database of a data directory that may be in use by a running node.
pub(super) async fn open_beside(data_dir: &Path) -> Result<SqliteConnection, StoreError> {
    let path = data_dir.join(FILE);
    if !path.exists() {
        return Err(StoreError::Missing(path));
    }
    check_header(&path)?;
    let mut connection = options(&path).connect().await?;
    check_version(&mut connection, &path).await?;
    Ok(connection)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .pragma("cache_size", "-32768")
        .pragma("wal_autocheckpoint", "4000")
        .disable_statement_logging()
}

fn check_header(path: &Path) -> Result<(), StoreError> {
    let mut header = [0; 16];
    File::open(path).and_then(|mut file| file.read_exact(&mut header)).map_err(|error| {
        StoreError::Corrupt { path: path.to_owned(), detail: error.to_string() }
    })?;
    if &header == b"SQLite format 3\0" {
        Ok(())
    } else {
        Err(StoreError::Corrupt { path: path.to_owned(), detail: "the header is damaged".into() })
    }
}

async fn prepare(
    connection: &mut SqliteConnection,
    path: &Path,
    size: u64,
    existed: bool,
) -> Result<(), StoreError> {
    let number = async |connection: &mut SqliteConnection, query: &'static str| {
        sqlx::query_scalar::<_, i64>(query).fetch_one(connection).await
    };
    let tables = number(connection, "SELECT count(*) FROM sqlite_schema").await?;
    // A first start that was cut off can leave the header, which turns on the write-ahead log.
    if tables == 0 && !existed && number(connection, "PRAGMA application_id").await? == 0 {
        return migrate(connection, FIRST - 1).await;
    }
    let found = check_version(connection, path).await?;
    if size <= CHECKED_BYTES {
        let found: String =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
        if found != "ok" {
            return Err(StoreError::Corrupt { path: path.to_owned(), detail: found });
        }
    }
    migrate(connection, found).await
}

/// Runs what is missing, each migration in a transaction of its own.
async fn migrate(connection: &mut SqliteConnection, found: i64) -> Result<(), StoreError> {
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

/// Writes what the header says already: the smallest change that the commit has to sync.
pub(super) async fn rewrite_header(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION}")))
        .execute(connection)
        .await?;
    Ok(())
}

async fn check_version(connection: &mut SqliteConnection, path: &Path) -> Result<i64, StoreError> {
    let application: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    if application != APPLICATION || found == 0 {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    if found < FIRST {
        return Err(StoreError::Older { path: path.to_owned(), found, oldest: FIRST });
    }
    if found > VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    Ok(found)
}

/// `SQLite` says "malformed" or "not a database" where it stumbles over damage.
fn corrupt_if_malformed(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Database(detail)
            if detail.contains("malformed") || detail.contains("not a database") =>
        {
            StoreError::Corrupt { path: PathBuf::from(path), detail }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(data_dir: &Path) -> StoreError {
        open(data_dir).await.map(drop).unwrap_err()
    }

    #[tokio::test]
    async fn a_lost_database_is_not_replaced_by_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).await.unwrap());
        drop(open(dir.path()).await.unwrap());
        fs::remove_file(dir.path().join(FILE)).unwrap();
        assert!(matches!(refusal(dir.path()).await, StoreError::Missing(_)));
        File::create(dir.path().join(FILE)).unwrap();
        assert!(matches!(refusal(dir.path()).await, StoreError::Corrupt { .. }));
        fs::write(dir.path().join(FILE), [7; 8192]).unwrap();
        assert!(matches!(refusal(dir.path()).await, StoreError::Corrupt { .. }));
    }

    #[tokio::test]
    async fn a_first_start_that_was_cut_off_is_done_again() {
        for existed in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(FILE);
            let begun = options(&path).create_if_missing(true).connect().await.unwrap();
            begun.close().await.unwrap();
            assert!(fs::metadata(&path).unwrap().len() > 0, "a header, and no tables");
            if existed {
                File::create(dir.path().join(MARKER)).unwrap();
                assert!(matches!(refusal(dir.path()).await, StoreError::Foreign(_)));
            } else {
                drop(open(dir.path()).await.unwrap());
                drop(open(dir.path()).await.unwrap());
            }
        }
    }

    #[tokio::test]
    async fn newer_foreign_and_damaged_databases_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut database = open(dir.path()).await.unwrap();
        sqlx::raw_sql("PRAGMA user_version = 1000")
            .execute(&mut database.writer.connection)
            .await
            .unwrap();
        drop(database);
        assert!(matches!(refusal(dir.path()).await, StoreError::Newer { found: 1000, .. }));

        let dir = tempfile::tempdir().unwrap();
        let mut database = open(dir.path()).await.unwrap();
        sqlx::raw_sql("PRAGMA application_id = 1")
            .execute(&mut database.writer.connection)
            .await
            .unwrap();
        drop(database);
        assert!(matches!(refusal(dir.path()).await, StoreError::Foreign(_)));

        let dir = tempfile::tempdir().unwrap();
        let database = open(dir.path()).await.unwrap();
        database.reads.close().await;
        database.writer.close().await;
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[100..middle].fill(0xa5);
        fs::write(&path, bytes).unwrap();
        assert!(matches!(refusal(dir.path()).await, StoreError::Corrupt { .. }));
    }
}
