//! Reads beside the writer.

use futures::FutureExt;
use quicproquo_schemas::id::IdentityKey;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection};

use super::packages;
use super::row::{key, unsigned};
use super::script::Script;
use crate::store::{DirectoryReads, Read, StoreError, StoredToken, SuiteStock};

/// The reading end.
#[derive(Debug, Clone)]
pub(crate) struct SqliteReads {
    pool: SqlitePool,
}

impl SqliteReads {
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    /// Ends all reading connections.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    async fn fetch(&self, script: Script) -> Result<Vec<SqliteRow>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        script.fetch(&mut connection).await
    }
}

impl DirectoryReads for SqliteReads {
    fn stock(&self, identity: IdentityKey, now: u64) -> Read<'_, Vec<SuiteStock>> {
        async move {
            let mut connection = self.pool.acquire().await?;
            let connection: &mut SqliteConnection = &mut connection;
            packages::stock(connection, identity, now).await
        }
        .boxed()
    }

    fn name(&self, name: String) -> Read<'_, Option<(IdentityKey, Vec<u8>)>> {
        let mut script = Script::new("SELECT identity, signature FROM names WHERE name = ?");
        script.bind(name);
        async move {
            let rows = self.fetch(script).await?;
            rows.first().map(|row| Ok((key(row, 0)?, row.try_get(1)?))).transpose()
        }
        .boxed()
    }

    fn names_of(&self, identity: IdentityKey) -> Read<'_, Vec<String>> {
        let mut script = Script::new("SELECT name FROM names WHERE identity = ? ORDER BY id");
        script.bind(identity.as_bytes().as_slice());
        async move { self.fetch(script).await?.iter().map(|row| Ok(row.try_get(0)?)).collect() }
            .boxed()
    }

    fn hybrid_key(&self, identity: IdentityKey) -> Read<'_, Option<Vec<u8>>> {
        let mut script = Script::new("SELECT public_key FROM hybrid_keys WHERE identity = ?");
        script.bind(identity.as_bytes().as_slice());
        async move {
            let rows = self.fetch(script).await?;
            rows.first().map(|row| Ok(row.try_get(0)?)).transpose()
        }
        .boxed()
    }

    fn token(&self, hash: [u8; 32]) -> Read<'_, Option<StoredToken>> {
        let mut script = Script::new("SELECT identity, expires_at FROM tokens WHERE hash = ?");
        script.bind(hash.as_slice());
        async move {
            let rows = self.fetch(script).await?;
            rows.first()
                .map(|row| {
                    Ok(StoredToken { identity: key(row, 0)?, expires_at: unsigned(row, 1)? })
                })
                .transpose()
        }
        .boxed()
    }
}
