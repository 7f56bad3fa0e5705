//! The hybrid keys of an identity; row key and seal name the identity.

use quicproquo_core::identity::IdentityKey;
use quicproquo_core::kem::HybridSecret;

use super::{Batch, Owner, Store, StoreError, uint};

impl Store {
    /// The hybrid keys of an identity, the newest first.
    pub(crate) async fn hybrid_keys(
        &self,
        owner: Owner,
        identity: &[u8],
    ) -> Result<Vec<HybridSecret>, StoreError> {
        let secrets: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT secret FROM hybrid_keys WHERE owner = ? ORDER BY n DESC")
                .bind(owner.0)
                .fetch_all(&self.reads)
                .await?;
        let mut hybrid = Vec::with_capacity(secrets.len());
        for sealed in secrets {
            let plain = self.sealer.open("hybrid_keys", identity, &sealed)?;
            let secret = HybridSecret::from_bytes(&plain)
                .map_err(|error| StoreError::Row("hybrid_keys", error.to_string()))?;
            hybrid.push(secret);
        }
        Ok(hybrid)
    }

    /// The number of each hybrid key and when it was made (unix milliseconds), the oldest first.
    pub(crate) async fn hybrid_ages(&self, owner: Owner) -> Result<Vec<(u64, u64)>, StoreError> {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT n, created_at FROM hybrid_keys WHERE owner = ? ORDER BY n")
                .bind(owner.0)
                .fetch_all(&self.reads)
                .await?;
        Ok(rows.into_iter().map(|(n, made)| (uint(n), uint(made))).collect())
    }
}

impl Batch {
    /// Adds the newest hybrid key.
    pub(crate) fn hybrid_key(
        &mut self,
        owner: Owner,
        identity: &IdentityKey,
        n: u64,
        secret: &HybridSecret,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let plain =
            secret.to_bytes().map_err(|error| StoreError::Row("hybrid_keys", error.to_string()))?;
        let sealed = self.sealer().seal("hybrid_keys", identity.as_bytes(), &plain);
        self.put_hybrid_key(owner, n, sealed, now_ms);
        Ok(())
    }
}
