//! Looks at a database before it is used, and says why it must not be.
//!
//! The connection cannot write, not even the log into the database: what is refused stays as it
//! is. The one exception is a first start that was cut off while it turned on the write-ahead log:
//! only a connection that can write can undo the half of it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::open::{APPLICATION, COUNTED, FILE, FIRST, MARK, VERSION, bare_options};
use super::row::unsigned;
use super::script::Script;
use crate::store::StoreError;
use crate::store::mark::Mark;

/// Databases up to this size are checked as a whole at the start.
const CHECKED_BYTES: u64 = 64 * 1024 * 1024;

/// What `SQLite` undoes an unfinished change with before there is a write-ahead log.
pub(super) const ROLLBACK: &str = "node.db-journal";

/// What is in a database that may be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Its version.
    pub(super) version: i64,
    /// Its last commit; 0 before they were numbered.
    pub(super) commits: u64,
}

/// How to look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// At all pages, when they are not too many.
    pub(super) whole: bool,
    /// No start has been finished here.
    pub(super) first: bool,
}

/// Looks at the database of a data directory, which is there and not empty. Works beside a
/// running node.
pub(super) async fn inspect(data_dir: &Path, how: Look) -> Result<Found, StoreError> {
    let path = data_dir.join(FILE);
    check_header(&path)?;
    // The mark first: beside a running node the database may go on meanwhile.
    let mark = data_dir.join(MARK);
    let marked = Mark::read(&mark)?;
    let found = async {
        let half_made = how.first && data_dir.join(ROLLBACK).exists();
        let mut connection = bare_options(&path).read_only(!half_made).connect().await?;
        let found = look(&mut connection, &path, &mark, marked, how).await;
        connection.close().await?;
        found
    };
    found.await.map_err(|error| corrupt_if_malformed(error, &path))
}

async fn look(
    connection: &mut SqliteConnection,
    path: &Path,
    mark: &Path,
    marked: Option<u64>,
    how: Look,
) -> Result<Found, StoreError> {
    let found = find(connection, path, marked, how.first).await?;
    Mark::check(mark, marked, path, found.commits)?;
    if how.whole && fs::metadata(path).is_ok_and(|file| file.len() <= CHECKED_BYTES) {
        check_pages(connection, path).await?;
    }
    Ok(found)
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

async fn find(
    connection: &mut SqliteConnection,
    path: &Path,
    marked: Option<u64>,
    first: bool,
) -> Result<Found, StoreError> {
    let application: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
    let version: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    if marked > Some(0) && application == 0 && version == 0 {
        // All that was ever written was in the log, which is gone.
        return Ok(Found { version, commits: 0 });
    }
    if first && application == 0 && version == 0 {
        // A first start that was cut off can leave the header, which turns on the write-ahead log.
        let query = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = sqlx::query_scalar(query).fetch_one(&mut *connection).await?;
        if tables == 0 {
            return Ok(Found { version: FIRST - 1, commits: 0 });
        }
    }
    if application != APPLICATION || version == 0 {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    if version < FIRST {
        return Err(StoreError::Older { path: path.to_owned(), found: version, oldest: FIRST });
    }
    if version > VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: VERSION });
    }
    let mut commits = 0;
    if version >= COUNTED {
        let rows = Script::new("SELECT number FROM commits").fetch(connection).await?;
        let missing = || StoreError::Corrupt {
            path: path.to_owned(),
            detail: "the number of its last commit is missing".into(),
        };
        commits = unsigned(rows.first().ok_or_else(missing)?, 0)?;
    }
    Ok(Found { version, commits })
}

async fn check_pages(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let found: String =
        sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
    if found == "ok" {
        Ok(())
    } else {
        Err(StoreError::Corrupt { path: path.to_owned(), detail: found })
    }
}

/// `SQLite` says "malformed" or "not a database" where it stumbles over damage.
pub(super) fn corrupt_if_malformed(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Database(detail)
            if detail.contains("malformed") || detail.contains("not a database") =>
        {
            StoreError::Corrupt { path: PathBuf::from(path), detail }
        }
        other => other,
    }
}
