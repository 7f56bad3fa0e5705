//! Rows of MLS state, by scope.
//!
//! `scope` and `key` are hidden behind HMACs that include the owner, so two identities of one
//! database that share a group share nothing here. The sealed value is
//! `key length u32 || key || value`.

use std::collections::HashMap;

use quicproquo_core::provider::RowWrite;
use zeroize::Zeroizing;

use super::seal::Sealer;
use super::{Batch, Owner, Store, StoreError};

/// Writes a row. One that is there keeps its place, which the index names.
pub(super) const PUT: &str = "INSERT INTO mls (owner, scope, key, value) VALUES (?, ?, ?, ?) \
                              ON CONFLICT (owner, scope, key) DO UPDATE SET value = excluded.value";

/// Rows of one scope; `None` deletes.
type Rows = HashMap<Vec<u8>, Option<Zeroizing<Vec<u8>>>>;

/// What a unit of work has written and not committed yet, by scope and key.
#[derive(Default)]
pub(crate) struct Overlay {
    scopes: HashMap<Vec<u8>, Rows>,
}

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Overlay({} scopes)", self.scopes.len())
    }
}

impl Overlay {
    /// The last write of a row counts.
    pub(crate) fn put(&mut self, scope: Vec<u8>, key: Vec<u8>, value: Option<Zeroizing<Vec<u8>>>) {
        self.scopes.entry(scope).or_default().insert(key, value);
    }

    /// Takes the write set of a group.
    pub(crate) fn put_all(&mut self, writes: Vec<RowWrite>) {
        for RowWrite { scope, key, value } in writes {
            self.put(scope, key, value);
        }
    }

    /// Drops what was written in a scope.
    pub(crate) fn forget(&mut self, scope: &[u8]) {
        self.scopes.remove(scope);
    }

    /// Moves everything into a batch.
    pub(crate) fn drain_into(&mut self, owner: Owner, batch: &mut Batch) {
        let scopes = std::mem::take(&mut self.scopes);
        let rows = scopes.iter().flat_map(|(scope, rows)| {
            rows.iter().map(|(key, value)| {
                (scope.as_slice(), key.as_slice(), value.as_ref().map(|value| value.as_slice()))
            })
        });
        batch.mls(owner, rows);
    }
}

impl Store {
    /// The rows of a scope as they will be once `overlay` is committed.
    pub(crate) async fn mls_scope(
        &self,
        owner: Owner,
        scope: &[u8],
        overlay: &Overlay,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let name = scope_name(&self.sealer, owner, scope);
        let rows: Vec<(Vec<u8>, Vec<u8>)> =
            sqlx::query_as("SELECT key, value FROM mls WHERE owner = ? AND scope = ?")
                .bind(owner.0)
                .bind(&name[..])
                .fetch_all(&self.reads)
                .await?;
        let mut merged = HashMap::with_capacity(rows.len());
        for (key_name, sealed) in rows {
            let (key, value) = open(&self.sealer, owner, &name, &key_name, &sealed)?;
            merged.insert(key, value);
        }
        for (key, value) in overlay.scopes.get(scope).into_iter().flatten() {
            match value {
                Some(value) => merged.insert(key.clone(), value.to_vec()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().collect())
    }
}

pub(super) fn scope_name(sealer: &Sealer, owner: Owner, scope: &[u8]) -> [u8; 32] {
    sealer.name(&[&owner.0.to_be_bytes(), scope])
}

fn row(owner: Owner, scope: &[u8], key: &[u8]) -> Vec<u8> {
    [&owner.0.to_be_bytes(), scope, key].concat()
}

pub(super) fn seal(
    sealer: &Sealer,
    owner: Owner,
    scope: &[u8; 32],
    key_name: &[u8; 32],
    key: &[u8],
    value: &[u8],
) -> Vec<u8> {
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes();
    let plain = Zeroizing::new([&length[..], key, value].concat());
    sealer.seal("mls", &row(owner, scope, key_name), &plain)
}

fn open(
    sealer: &Sealer,
    owner: Owner,
    scope: &[u8; 32],
    key_name: &[u8],
    sealed: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let plain = sealer.open("mls", &row(owner, scope, key_name), sealed)?;
    let short = || StoreError::Row("mls", "too short".into());
    let (length, rest) = plain.split_at_checked(4).ok_or_else(short)?;
    let length = u32::from_be_bytes(length.try_into().unwrap_or_default()) as usize;
    let (key, value) = rest.split_at_checked(length).ok_or_else(short)?;
    Ok((key.to_vec(), value.to_vec()))
}
