//! Single rows by their key, for a session's task in the middle of a unit of work.
//!
//! Such a row is found in microseconds; to hand the question to a thread and wait for its answer
//! takes ten times as long. Whatever reads more goes to the pool.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use super::{Owner, StoreError};

/// A read-only connection.
#[derive(Debug)]
pub(super) struct Lookup(Mutex<Connection>);

impl Lookup {
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Whether the inbox has one of these hashes.
    pub(super) fn knows(&self, owner: Owner, hashes: &[[u8; 32]]) -> Result<bool, StoreError> {
        let connection = self.lock();
        let sql = "SELECT 1 FROM inbox WHERE owner = ? AND hash = ?";
        let mut statement = connection.prepare_cached(sql)?;
        for hash in hashes {
            if statement.exists(params![owner.0, &hash[..]])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The row that `sql` finds for an owner and a key.
    pub(super) fn row<T>(
        &self,
        sql: &'static str,
        owner: Owner,
        key: &str,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql)?;
        Ok(statement.query_row(params![owner.0, key], read).optional()?)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection, so that the writer's is the last.
    pub(super) fn close(&self) {
        let mut connection = self.lock();
        if let Ok(nothing) = Connection::open_in_memory() {
            drop(std::mem::replace(&mut *connection, nothing));
        }
    }
}
