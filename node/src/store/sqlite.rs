//! The directory in SQLite: WAL mode, synced at every commit.
//!
//! One connection writes; a small pool reads.

mod accounts;
mod backup;
mod blobs;
mod inspect;
mod names;
mod open;
mod operator;
mod packages;
mod reads;
mod row;
mod script;
mod tokens;

use std::path::Path;

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};

use quicproquo_schemas::id::IdentityKey;

use super::blob::{BlobChange, BlobView, Upload};
use super::mark::Mark;
use super::write::{
    Admit, Claim, ClaimName, Deletion, Publish, PutBlob, PutHybridKey, ReleaseBlob,
};
use super::{DirectoryBackend, Refusal, StoreError, SuiteStock};
pub(crate) use backup::{copy, revive};
pub(crate) use open::{Database, FILE, open};
pub(crate) use reads::SqliteReads;
use row::unsigned;
use script::Script;
pub(crate) use tokens::{issue as issue_token, list as list_tokens, revoke as revoke_token};

/// A writing end.
#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: SqliteConnection,
    mark: Mark,
    /// Rows that this connection had changed when its transaction began.
    changes: i64,
}

impl Sqlite {
    fn new(connection: SqliteConnection, data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection, mark: Mark::open(&data_dir.join(open::MARK))?, changes: 0 })
    }

    /// Opens the database of a data directory that may be in use by a running node.
    pub(crate) async fn open_beside(data_dir: &Path) -> Result<Self, StoreError> {
        let (connection, found) = open::open_beside(data_dir).await?;
        if found < open::VERSION {
            let path = data_dir.join(FILE);
            return Err(StoreError::Unmigrated { path, found, known: open::VERSION });
        }
        Self::new(connection, data_dir)
    }

    /// Runs changes in a transaction of their own.
    async fn write(&mut self, script: Script) -> Result<Vec<SqliteRow>, StoreError> {
        self.begin().await?;
        let mut outcome = script.fetch(&mut self.connection).await;
        if outcome.is_ok()
            && let Err(error) = self.commit().await
        {
            outcome = Err(error);
        }
        if outcome.is_err() {
            self.rollback().await;
        }
        outcome
    }

    /// Closes the database; the last connection to close also empties the write-ahead log.
    pub(crate) async fn close(self) {
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the database did not close cleanly");
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        const SQLITE_FULL: i32 = 13;
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .and_then(|code| code.parse::<i32>().ok());
        if code.is_some_and(|code| code & 0xff == SQLITE_FULL) {
            Self::Full
        } else {
            Self::Database(error.to_string())
        }
    }
}

impl DirectoryBackend for Sqlite {
    async fn begin(&mut self) -> Result<(), StoreError> {
        let script = Script::new("BEGIN IMMEDIATE; SELECT total_changes()");
        let rows = script.fetch(&mut self.connection).await?;
        let row = rows.first().ok_or_else(|| StoreError::Database("no answer".into()))?;
        self.changes = row.try_get(0)?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        // One that has changed nothing needs no number, and no sync.
        let mut script = Script::new(
            "UPDATE commits SET number = number + 1 WHERE total_changes() <> ? RETURNING number;
             COMMIT",
        );
        script.bind(self.changes);
        if let Some(row) = script.fetch(&mut self.connection).await?.first() {
            self.mark.raise(unsigned(row, 0)?);
        }
        Ok(())
    }

    async fn rollback(&mut self) {
        // Fails when a failed statement has already ended the transaction.
        if let Err(error) = sqlx::query("ROLLBACK").execute(&mut self.connection).await {
            tracing::debug!(%error, "nothing to roll back");
        }
    }

    async fn purge(&mut self, now: u64, limit: u32) -> Result<bool, StoreError> {
        let blobs_left = blobs::purge(&mut self.connection, now, limit).await?;
        let (now, limit) = (now.cast_signed(), i64::from(limit));
        let mut script = Script::default();
        for statement in [
            "DELETE FROM packages WHERE id IN
                (SELECT id FROM packages WHERE not_after < ? LIMIT ?);",
            "DELETE FROM tokens WHERE hash IN
                (SELECT hash FROM tokens WHERE expires_at <= ? LIMIT ?);",
        ] {
            script.push(statement);
            script.bind(now).bind(limit);
        }
        script.execute(&mut self.connection).await?;
        Ok(blobs_left)
    }

    async fn publish(
        &mut self,
        publish: &Publish,
    ) -> Result<Result<Vec<SuiteStock>, Refusal>, StoreError> {
        packages::publish(&mut self.connection, publish).await
    }

    async fn claim(&mut self, claim: &Claim) -> Result<Result<Vec<Vec<u8>>, Refusal>, StoreError> {
        packages::claim(&mut self.connection, claim).await
    }

    async fn put_hybrid_key(&mut self, put: &PutHybridKey) -> Result<(), StoreError> {
        names::put_hybrid_key(&mut self.connection, put).await
    }

    async fn claim_name(&mut self, claim: &ClaimName) -> Result<Result<(), Refusal>, StoreError> {
        names::claim(&mut self.connection, claim).await
    }

    async fn probe(&mut self) -> Result<(), StoreError> {
        Script::new("UPDATE commits SET number = number").execute(&mut self.connection).await
    }

    async fn admit(&mut self, admit: &Admit) -> Result<Result<(), Refusal>, StoreError> {
        accounts::admit(&mut self.connection, admit).await
    }

    async fn delete(&mut self, step: &Deletion) -> Result<(), StoreError> {
        accounts::delete(&mut self.connection, step).await
    }

    async fn load_blob(
        &mut self,
        owner: &IdentityKey,
        sha256: &[u8; 32],
    ) -> Result<BlobView, StoreError> {
        blobs::view(&mut self.connection, owner, sha256).await
    }

    async fn apply_blob(
        &mut self,
        put: &PutBlob,
        upload: Option<&Upload>,
        change: BlobChange<'_>,
    ) -> Result<(), StoreError> {
        blobs::apply(&mut self.connection, put, upload, change).await
    }

    async fn release_blob(&mut self, release: &ReleaseBlob) -> Result<(), StoreError> {
        blobs::release(&mut self.connection, &release.owner, &release.sha256).await
    }
}
