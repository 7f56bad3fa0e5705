//! The number of the last acknowledged commit, in a file beside its database.
//!
//! A write-ahead log ends where it stops making sense, so damage inside it looks like its end.
//! Commits are numbered in the database itself, in the `user_version` of its header, and the mark
//! beside it is written after each commit and not synced: it is exact unless power fails, and never
//! ahead of the database. A database that ends before its mark has lost what was acknowledged.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor as _};

/// The number, and its complement, so that damage shows.
const LEN: usize = 8;

/// The number of a commit. It begins anew after 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit(u32);

/// The mark of a database.
#[derive(Debug)]
pub struct Mark {
    file: File,
    path: PathBuf,
}

/// Why a database must not be used.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// It has lost what was acknowledged.
    #[error(
        "it ends before what was acknowledged: restore a backup, or remove {} to go on without \
         what is lost",
        .0.display()
    )]
    Behind(PathBuf),
    /// Its number cannot be read.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The mark cannot be read or made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The mark.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl Commit {
    /// The number of the last commit of a database, before anything is written to it; or, in a
    /// transaction, of the last one before.
    ///
    /// # Errors
    /// Of the database.
    pub async fn of(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let number: i64 =
            sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
        Ok(Self::from_header(number))
    }

    /// The same, for a connection of the other driver.
    pub(crate) fn last(connection: &rusqlite::Connection) -> rusqlite::Result<Self> {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map(Self::from_header)
    }

    /// The header has 32 bits, which the drivers read as signed.
    fn from_header(number: i64) -> Self {
        Self(u32::from_be_bytes(i32::try_from(number).unwrap_or_default().to_be_bytes()))
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The statement that gives a transaction this number.
    pub fn statement(self) -> String {
        format!("PRAGMA user_version = {}", i32::from_be_bytes(self.0.to_be_bytes()))
    }

    fn is_before(self, other: Self) -> bool {
        let ahead = other.0.wrapping_sub(self.0);
        ahead != 0 && ahead < u32::MAX / 2
    }
}

impl Mark {
    /// Opens the mark of a database, makes one that is synced, or refuses the database, in which
    /// nothing was written yet. One that makes no sense counts as none.
    ///
    /// # Errors
    /// [`MarkError`].
    pub async fn open(path: &Path, connection: &mut SqliteConnection) -> Result<Self, MarkError> {
        let commit = Commit::of(connection).await?;
        let failed = |source| MarkError::Io { path: path.to_owned(), source };
        let open =
            || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = open().map_err(failed)?;
        let mut bytes = [0; LEN];
        let marked = file.read_exact_at(&mut bytes, 0).ok().and_then(|()| decode(bytes));
        if marked.is_some_and(|marked| commit.is_before(marked)) {
            return Err(MarkError::Behind(path.to_owned()));
        }
        let mark = Self { file, path: path.to_owned() };
        if marked.is_none() {
            mark.file.write_all_at(&encode(commit), 0).map_err(failed)?;
            mark.file.sync_all().map_err(failed)?;
        }
        Ok(mark)
    }

    /// Gives the open transaction its number, as its last statement.
    ///
    /// # Errors
    /// Of the database.
    pub async fn number(connection: &mut SqliteConnection) -> Result<Commit, sqlx::Error> {
        let commit = Commit::of(connection).await?.next();
        connection.execute(AssertSqlSafe(commit.statement())).await?;
        Ok(commit)
    }

    /// Notes a commit.
    pub fn set(&self, commit: Commit) {
        // The commit stands whatever becomes of its mark.
        if let Err(error) = self.file.write_all_at(&encode(commit), 0) {
            tracing::debug!(%error, path = %self.path.display(), "the mark was not written");
        }
    }
}

fn encode(Commit(number): Commit) -> [u8; LEN] {
    (u64::from(number) << 32 | u64::from(!number)).to_be_bytes()
}

fn decode(bytes: [u8; LEN]) -> Option<Commit> {
    let [a, b, c, d, rest @ ..] = bytes;
    let number = u32::from_be_bytes([a, b, c, d]);
    (number == !u32::from_be_bytes(rest)).then_some(Commit(number))
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;

    #[tokio::test]
    async fn a_database_that_ends_before_its_mark_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        let mut database = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let mark = Mark::open(&path, &mut database).await.unwrap();
        database.execute("BEGIN").await.unwrap();
        let commit = Mark::number(&mut database).await.unwrap();
        database.execute("COMMIT").await.unwrap();
        mark.set(commit);
        assert_eq!(Commit::of(&mut database).await.unwrap(), commit);
        Mark::open(&path, &mut database).await.unwrap();

        database.execute("PRAGMA user_version = 0").await.unwrap();
        let refused = Mark::open(&path, &mut database).await;
        assert!(matches!(refused, Err(MarkError::Behind(_))), "{refused:?}");
        // Damage to the mark is none to the database.
        std::fs::write(&path, [1; LEN]).unwrap();
        Mark::open(&path, &mut database).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        Mark::open(&path, &mut database).await.unwrap();
    }

    #[tokio::test]
    async fn numbers_begin_anew() {
        let mut database = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let last = Commit(u32::MAX);
        database.execute(AssertSqlSafe(last.statement())).await.unwrap();
        assert_eq!(Commit::of(&mut database).await.unwrap(), last);
        assert_eq!(Mark::number(&mut database).await.unwrap(), Commit(0));
        assert!(last.is_before(Commit(0)) && !Commit(0).is_before(last));
    }
}
