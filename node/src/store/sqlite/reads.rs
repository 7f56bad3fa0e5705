//! Reads beside the writer.

use futures::FutureExt;
use quicproquo_schemas::id::IdentityKey;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection};

use super::row::{key, unsigned};
use super::script::Script;
use super::{blobs, packages};
use crate::store::blob::Upload;
use crate::store::{Bans, BlobBytes, DirectoryReads, Read, StoreError, StoredToken, SuiteStock};

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

    fn is_registered(&self, identity: IdentityKey) -> Read<'_, bool> {
        let mut script = Script::new("SELECT 1 FROM registrations WHERE identity = ?");
        script.bind(identity.as_bytes().as_slice());
        async move { Ok(!self.fetch(script).await?.is_empty()) }.boxed()
    }

    fn bans(&self, known: Option<u64>) -> Read<'_, Option<Bans>> {
        async move {
            let rows = self.fetch(Script::new("SELECT version FROM bans_version")).await?;
            let version = rows.first().map_or(Ok(0), |row| unsigned(row, 0))?;
            if known == Some(version) {
                return Ok(None);
            }
            // A change after the version was read has a higher one, and is read again.
            let script = Script::new("SELECT identity FROM bans ORDER BY identity");
            let identities = self.fetch(script).await?;
            let identities = identities.iter().map(|row| key(row, 0)).collect::<Result<_, _>>()?;
            Ok(Some(Bans { version, identities }))
        }
        .boxed()
    }

    fn deletions(&self) -> Read<'_, Vec<IdentityKey>> {
        let script = Script::new("SELECT identity FROM deletions");
        async move { self.fetch(script).await?.iter().map(|row| key(row, 0)).collect() }.boxed()
    }

    fn blob_size(&self, sha256: [u8; 32]) -> Read<'_, Option<u64>> {
        async move {
            let mut connection = self.pool.acquire().await?;
            blobs::size(&mut connection, &sha256).await
        }
        .boxed()
    }

    fn blob_bytes(&self, sha256: [u8; 32], offset: u64, limit: u32) -> Read<'_, Option<BlobBytes>> {
        async move {
            let mut connection = self.pool.acquire().await?;
            blobs::bytes(&mut connection, &sha256, offset, limit).await
        }
        .boxed()
    }

    fn upload(&self, owner: IdentityKey, sha256: [u8; 32]) -> Read<'_, Option<Upload>> {
        async move {
            let mut connection = self.pool.acquire().await?;
            blobs::upload(&mut connection, &owner, &sha256).await
        }
        .boxed()
    }
}
