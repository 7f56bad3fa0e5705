//! The embedded database: SQLite in WAL mode, synced at every commit.
//!
//! One connection writes; a small pool reads. A statement costs a thread hop, so loads and
//! effects of a batch are packed into few statements.

mod apply;
mod load;
mod names;
mod open;
mod packages;
mod reads;
mod script;
mod tokens;

use sqlx::{Connection, SqliteConnection};

use super::plan::{Effects, Ids, Loaded, ShareKey, Shares, Wanted};
use super::write::{Claim, ClaimName, Publish, PutHybridKey};
use super::{Backend, Refusal, StoreError, SuiteStock};
pub(crate) use open::{Database, open};
pub(crate) use reads::SqliteReads;
pub(crate) use tokens::issue as issue_token;

/// Channel value of gap rows; client channels have 0 or 16 bytes.
const GAP_CHANNEL: &[u8] = &[0];

/// The writing end.
#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: SqliteConnection,
    ids: Ids,
}

impl Sqlite {
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

impl Backend for Sqlite {
    fn ids(&mut self) -> &mut Ids {
        &mut self.ids
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        Ok(())
    }

    async fn rollback(&mut self) {
        // Fails when a failed statement has already ended the transaction.
        if let Err(error) = sqlx::query("ROLLBACK").execute(&mut self.connection).await {
            tracing::debug!(%error, "nothing to roll back");
        }
    }

    async fn load(&mut self, wanted: &Wanted) -> Result<Loaded, StoreError> {
        load::load(&mut self.connection, wanted).await
    }

    async fn load_shares(&mut self, wanted: &[ShareKey]) -> Result<Shares, StoreError> {
        load::shares(&mut self.connection, wanted).await
    }

    async fn load_expired(&mut self, now: u64, limit: u32) -> Result<Loaded, StoreError> {
        load::expired(&mut self.connection, now, limit).await
    }

    async fn apply(&mut self, effects: Effects) -> Result<(), StoreError> {
        apply::apply(&mut self.connection, effects).await
    }

    async fn purge(&mut self, now: u64, limit: u32) -> Result<(), StoreError> {
        apply::purge(&mut self.connection, now, limit).await
    }

    async fn publish(
        &mut self,
        publish: &Publish,
    ) -> Result<Result<Vec<SuiteStock>, Refusal>, StoreError> {
        packages::publish(&mut self.connection, publish).await
    }

    async fn claim(&mut self, claim: &Claim) -> Result<Vec<Vec<u8>>, StoreError> {
        packages::claim(&mut self.connection, claim).await
    }

    async fn put_hybrid_key(&mut self, put: &PutHybridKey) -> Result<(), StoreError> {
        names::put_hybrid_key(&mut self.connection, put).await
    }

    async fn claim_name(&mut self, claim: &ClaimName) -> Result<Result<(), Refusal>, StoreError> {
        names::claim(&mut self.connection, claim).await
    }
}
