//! The directory in maps.

use futures::FutureExt;
use futures::future::ready;
use quicproquo_schemas::id::IdentityKey;

use super::{Kept, Memory, State, Tables};
use crate::store::blob::{BlobChange, BlobView, Upload};
use crate::store::write::{
    Admit, Claim, ClaimName, Deletion, Package, Publish, PutBlob, PutHybridKey, ReleaseBlob, Target,
};
use crate::store::{
    Bans, BlobBytes, DirectoryBackend, DirectoryReads, Read, Refusal, StoreError, StoredToken,
    SuiteStock,
};

impl DirectoryBackend for Memory {
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.start();
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.before = None;
        Ok(())
    }

    async fn rollback(&mut self) {
        self.undo();
    }

    async fn purge(&mut self, now: u64, _: u32) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        tables.packages.retain(|kept| kept.package.not_after >= now);
        tables.tokens.retain(|_, token| token.expires_at > now);
        tables.blobs.expire(now);
        Ok(false)
    }

    async fn publish(
        &mut self,
        publish: &Publish,
    ) -> Result<Result<Vec<SuiteStock>, Refusal>, StoreError> {
        let mut tables = self.tables();
        let known = |tables: &Tables, package: &Package| {
            tables.packages.iter().any(|kept| {
                kept.identity == publish.identity && kept.package.fingerprint == package.fingerprint
            })
        };
        let mut changed = tables.clone();
        let replaced = publish.replaced();
        for kept in &mut changed.packages {
            let comes = |package: &Package| package.fingerprint == kept.package.fingerprint;
            if kept.identity == publish.identity
                && replaced.contains(&kept.package.ciphersuite)
                && matches!(kept.state, State::OneTime)
                && !publish.one_time.iter().any(comes)
            {
                kept.state = State::Spent;
            }
        }
        for package in &publish.one_time {
            if !known(&changed, package) {
                let (identity, package) = (publish.identity, package.clone());
                changed.packages.push(Kept { identity, package, state: State::OneTime });
            }
        }
        let stock = changed.alive(publish.identity, publish.now);
        if stock.iter().any(|suite| suite.one_time > publish.limit) {
            return Ok(Err(Refusal::StockFull));
        }
        if let Some(package) = &publish.last_resort {
            changed.packages.retain(|kept| {
                kept.identity != publish.identity
                    || kept.package.ciphersuite != package.ciphersuite
                    || !matches!(kept.state, State::LastResort)
            });
            let (identity, package) = (publish.identity, package.clone());
            changed.packages.push(Kept { identity, package, state: State::LastResort });
        }
        *tables = changed;
        Ok(Ok(tables.stock(publish.identity, publish.now)))
    }

    async fn claim(&mut self, claim: &Claim) -> Result<Result<Vec<Vec<u8>>, Refusal>, StoreError> {
        let mut tables = self.tables();
        let find = |target: &Target| {
            let of_state = |one_time| {
                tables.packages.iter().position(|kept| {
                    kept.identity == target.identity
                        && kept.package.ciphersuite == claim.ciphersuite
                        && kept.package.not_after >= claim.alive_until
                        && match kept.state {
                            State::OneTime => one_time,
                            State::LastResort => !one_time,
                            State::Spent => false,
                        }
                })
            };
            target.one_time.then(|| of_state(true)).flatten().or_else(|| of_state(false))
        };
        let found: Vec<Option<usize>> = claim.targets.iter().map(find).collect();
        let bytes =
            found.iter().flatten().map(|at| tables.packages[*at].package.data.len() as u64).sum();
        if bytes > claim.bytes {
            return Ok(Err(Refusal::ClaimTooLarge { bytes, limit: claim.bytes }));
        }
        let mut take = |at: usize| {
            let kept = &mut tables.packages[at];
            if matches!(kept.state, State::OneTime) {
                kept.state = State::Spent;
            }
            kept.package.data.to_vec()
        };
        Ok(Ok(found.into_iter().map(|at| at.map(&mut take).unwrap_or_default()).collect()))
    }

    async fn put_hybrid_key(&mut self, put: &PutHybridKey) -> Result<(), StoreError> {
        self.tables().hybrid_keys.insert(put.identity, put.key.clone());
        Ok(())
    }

    async fn claim_name(&mut self, claim: &ClaimName) -> Result<Result<(), Refusal>, StoreError> {
        let mut tables = self.tables();
        if let Some(owner) = tables.names.iter().find(|kept| kept.name == claim.name) {
            let own = owner.identity == claim.identity;
            return Ok(if own { Ok(()) } else { Err(Refusal::NameTaken) });
        }
        let heir = tables.tombstones.get(&claim.name);
        if heir.is_some_and(|heir| *heir != Some(claim.identity)) {
            return Ok(Err(Refusal::NameRetired));
        }
        let held = tables.names.iter().filter(|kept| kept.identity == claim.identity).count();
        if held >= claim.limit {
            return Ok(Err(Refusal::TooManyNames));
        }
        tables.tombstones.remove(&claim.name);
        tables.names.push(claim.clone());
        Ok(Ok(()))
    }

    async fn probe(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn admit(&mut self, admit: &Admit) -> Result<Result<(), Refusal>, StoreError> {
        Ok(self.tables().admit(admit))
    }

    async fn delete(&mut self, step: &Deletion) -> Result<(), StoreError> {
        self.tables().delete(step);
        Ok(())
    }

    async fn load_blob(
        &mut self,
        owner: &IdentityKey,
        sha256: &[u8; 32],
    ) -> Result<BlobView, StoreError> {
        Ok(self.tables().blobs.view(owner, sha256))
    }

    async fn apply_blob(
        &mut self,
        put: &PutBlob,
        _: Option<&Upload>,
        change: BlobChange<'_>,
    ) -> Result<(), StoreError> {
        self.tables().blobs.apply(put, &change);
        Ok(())
    }

    async fn release_blob(&mut self, release: &ReleaseBlob) -> Result<(), StoreError> {
        self.tables().blobs.release(&release.owner, &release.sha256);
        Ok(())
    }
}

impl DirectoryReads for Memory {
    fn stock(&self, identity: IdentityKey, now: u64) -> Read<'_, Vec<SuiteStock>> {
        ready(Ok(self.tables().stock(identity, now))).boxed()
    }

    fn name(&self, name: String) -> Read<'_, Option<(IdentityKey, Vec<u8>)>> {
        let tables = self.tables();
        let owner = tables.names.iter().find(|kept| kept.name == name);
        ready(Ok(owner.map(|kept| (kept.identity, kept.signature.clone())))).boxed()
    }

    fn names_of(&self, identity: IdentityKey) -> Read<'_, Vec<String>> {
        let tables = self.tables();
        let names = tables.names.iter().filter(|kept| kept.identity == identity);
        ready(Ok(names.map(|kept| kept.name.clone()).collect())).boxed()
    }

    fn hybrid_key(&self, identity: IdentityKey) -> Read<'_, Option<Vec<u8>>> {
        ready(Ok(self.tables().hybrid_keys.get(&identity).cloned())).boxed()
    }

    fn token(&self, hash: [u8; 32]) -> Read<'_, Option<StoredToken>> {
        ready(Ok(self.tables().tokens.get(&hash).copied())).boxed()
    }

    fn is_registered(&self, identity: IdentityKey) -> Read<'_, bool> {
        ready(Ok(self.tables().registered.contains(&identity))).boxed()
    }

    fn bans(&self, known: Option<u64>) -> Read<'_, Option<Bans>> {
        let tables = self.tables();
        let version = tables.bans_version;
        let bans = Bans { version, identities: tables.bans.iter().copied().collect() };
        ready(Ok((known != Some(version)).then_some(bans))).boxed()
    }

    fn deletions(&self) -> Read<'_, Vec<IdentityKey>> {
        ready(Ok(self.tables().deletions.keys().copied().collect())).boxed()
    }

    fn blob_size(&self, sha256: [u8; 32]) -> Read<'_, Option<u64>> {
        ready(Ok(self.tables().blobs.bytes(&sha256).map(|data| data.len() as u64))).boxed()
    }

    fn blob_bytes(&self, sha256: [u8; 32], offset: u64, limit: u32) -> Read<'_, Option<BlobBytes>> {
        let tables = self.tables();
        let part = tables.blobs.bytes(&sha256).map(|bytes| {
            let start = bytes.len().min(usize::try_from(offset).unwrap_or(usize::MAX));
            let end = bytes.len().min(start + limit as usize);
            BlobBytes { data: bytes[start..end].to_vec(), size: bytes.len() as u64 }
        });
        ready(Ok(part)).boxed()
    }

    fn upload(&self, owner: IdentityKey, sha256: [u8; 32]) -> Read<'_, Option<Upload>> {
        ready(Ok(self.tables().blobs.view(&owner, &sha256).upload)).boxed()
    }
}
