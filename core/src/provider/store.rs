//! The rows of MLS state, held in memory between a load and a write set.
//!
//! A row is `(scope, key, value)`. Everything a group owns is in one scope, so
//! loading that scope is enough to work with the group; a key package bundle
//! has a scope of its own. Reading in a scope that was not loaded is an error
//! and never "absent": openmls would go on and overwrite what it did not see.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// A loaded row inside one scope: key, value.
pub type Row = (Vec<u8>, Vec<u8>);
/// A loaded row with its scope: scope, key, value.
pub type ScopedRow = (Vec<u8>, Vec<u8>, Vec<u8>);

/// One row to write, or to delete when `value` is `None`.
#[derive(Clone, PartialEq, Eq)]
pub struct RowWrite {
    /// The scope of the row.
    pub scope: Vec<u8>,
    /// The key inside the scope.
    pub key: Vec<u8>,
    /// The CBOR value; it holds secrets and is to be sealed at rest.
    pub value: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for RowWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowWrite")
            .field("scope", &hex::encode(&self.scope))
            .field("key", &String::from_utf8_lossy(&self.key))
            .field("value_len", &self.value.as_ref().map(|value| value.len()))
            .finish()
    }
}

/// Why the storage did not serve openmls.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The scope was neither loaded nor begun.
    #[error("rows of scope {0} were not loaded")]
    NotLoaded(String),
    /// A row does not decode to what is expected of it.
    #[error("row {0} does not decode")]
    Corrupt(String),
    /// A value could not be encoded.
    #[error("row {0} cannot be encoded")]
    Encode(String),
    /// openmls asked for something this storage does not keep.
    #[error("{0} are not stored here")]
    Unsupported(&'static str),
}

/// The scope of all rows of a group: `"g" || group id`.
pub fn group_scope(group_id: &[u8]) -> Vec<u8> {
    [b"g", group_id].concat()
}

/// The scope of a key package bundle: `"k" || key package reference`.
pub fn key_package_scope(reference: &[u8]) -> Vec<u8> {
    [b"k", reference].concat()
}

pub(super) struct Entry {
    pub(super) value: Option<Zeroizing<Vec<u8>>>,
    dirty: bool,
}

/// The rows of a scope by key.
pub(super) type Entries = BTreeMap<Vec<u8>, Entry>;

struct Undo {
    scope: Vec<u8>,
    key: Vec<u8>,
    before: Option<Entry>,
}

#[derive(Default)]
struct Inner {
    scopes: HashMap<Vec<u8>, Entries>,
    /// The group scope that takes rows which openmls names by no group.
    home: Option<Vec<u8>>,
    journal: Option<Vec<Undo>>,
    /// Writes of message secrets are put off.
    lazy: bool,
    /// Such a write was put off: the rows lag behind the group.
    stale: bool,
}

/// In-memory MLS rows with a write set; a handle, clones share the rows.
#[derive(Clone, Default)]
pub struct MlsStore(Arc<Mutex<Inner>>);

impl MlsStore {
    /// A store in which nothing is loaded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes all rows of a scope; from now on an absent key is absent.
    pub fn load_scope(&self, scope: Vec<u8>, rows: impl IntoIterator<Item = Row>) {
        let rows = rows
            .into_iter()
            .map(|(key, value)| (key, Entry { value: Some(Zeroizing::new(value)), dirty: false }))
            .collect();
        let mut inner = self.lock();
        inner.adopt_home(&scope);
        inner.scopes.insert(scope, rows);
    }

    /// Declares a scope as new and empty, unless it is loaded already.
    pub fn begin_scope(&self, scope: Vec<u8>) {
        let mut inner = self.lock();
        inner.adopt_home(&scope);
        inner.scopes.entry(scope).or_default();
    }

    /// What has changed since the last call, at most one write per row.
    pub fn take_writes(&self) -> Vec<RowWrite> {
        let mut writes = Vec::new();
        for (scope, rows) in &mut self.lock().scopes {
            rows.retain(|key, entry| {
                if entry.dirty {
                    entry.dirty = false;
                    writes.push(RowWrite {
                        scope: scope.clone(),
                        key: key.clone(),
                        value: entry.value.clone(),
                    });
                }
                entry.value.is_some()
            });
        }
        writes
    }

    /// Whether [`MlsStore::take_writes`] would give anything, or lacks message secrets.
    pub fn dirty(&self) -> bool {
        self.stale() || self.lock().scopes.values().flat_map(BTreeMap::values).any(|it| it.dirty)
    }

    /// Bytes of all rows.
    pub(crate) fn size(&self) -> usize {
        let inner = self.lock();
        let rows = inner.scopes.values().flatten();
        rows.map(|(key, entry)| key.len() + entry.value.as_ref().map_or(0, |value| value.len()))
            .sum()
    }

    /// From here on, writes of message secrets are put off, or are not any more.
    pub(crate) fn set_lazy(&self, lazy: bool) {
        self.lock().lazy = lazy;
    }

    /// Whether a write of message secrets was put off and is still to be made.
    pub(crate) fn stale(&self) -> bool {
        self.lock().stale
    }

    /// Whether this write of message secrets is put off; one that is not brings the rows up to
    /// date.
    pub(super) fn put_off(&self) -> bool {
        let mut inner = self.lock();
        inner.stale = inner.lazy;
        inner.lazy
    }

    /// Forgets that writes of message secrets were put off.
    pub(crate) fn forget_stale(&self) {
        let mut inner = self.lock();
        (inner.lazy, inner.stale) = (false, false);
    }

    /// From here on, writes can be undone by [`MlsStore::rollback`].
    pub(crate) fn checkpoint(&self) {
        self.lock().journal = Some(Vec::new());
    }

    /// Keeps what was written since the checkpoint.
    pub(crate) fn keep(&self) {
        self.lock().journal = None;
    }

    /// Undoes what was written since the checkpoint; `true` when there was something.
    pub(crate) fn rollback(&self) -> bool {
        let mut inner = self.lock();
        let journal = inner.journal.take().unwrap_or_default();
        let undone = !journal.is_empty();
        for Undo { scope, key, before } in journal.into_iter().rev() {
            let rows = inner.scopes.entry(scope).or_default();
            match before {
                Some(entry) => rows.insert(key, entry),
                None => rows.remove(&key),
            };
        }
        undone
    }

    pub(super) fn read<T: DeserializeOwned>(
        &self,
        scope: &[u8],
        key: &[u8],
    ) -> Result<Option<T>, StoreError> {
        self.with_rows(scope, |rows| {
            let Some(value) = rows.get(key).and_then(|entry| entry.value.as_ref()) else {
                return Ok(None);
            };
            ciborium::from_reader(value.as_slice())
                .map(Some)
                .map_err(|_| StoreError::Corrupt(name(key)))
        })?
    }

    pub(super) fn with_rows<T>(
        &self,
        scope: &[u8],
        work: impl FnOnce(&Entries) -> T,
    ) -> Result<T, StoreError> {
        let inner = self.lock();
        let rows = inner.scopes.get(scope);
        Ok(work(rows.ok_or_else(|| StoreError::NotLoaded(hex::encode(scope)))?))
    }

    pub(super) fn write<T: Serialize>(
        &self,
        scope: &[u8],
        key: &[u8],
        value: &T,
    ) -> Result<(), StoreError> {
        let value = encode(value).map_err(|()| StoreError::Encode(name(key)))?;
        self.put(scope, key, Some(value))
    }

    pub(super) fn delete(&self, scope: &[u8], key: &[u8]) -> Result<(), StoreError> {
        self.put(scope, key, None)
    }

    /// The scope for rows that openmls names by an encryption key alone: that
    /// of the group this store belongs to.
    pub(super) fn home(&self) -> Result<Vec<u8>, StoreError> {
        self.lock().home.clone().ok_or_else(|| StoreError::NotLoaded("of a group".into()))
    }

    pub(super) fn put(
        &self,
        scope: &[u8],
        key: &[u8],
        value: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<(), StoreError> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let rows =
            inner.scopes.get_mut(scope).ok_or_else(|| StoreError::NotLoaded(hex::encode(scope)))?;
        let before = rows.get(key).and_then(|entry| entry.value.as_ref());
        if before == value.as_ref() {
            return Ok(());
        }
        let before = rows.insert(key.to_vec(), Entry { value, dirty: true });
        if let Some(journal) = &mut inner.journal {
            journal.push(Undo { scope: scope.to_vec(), key: key.to_vec(), before });
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn adopt_home(&mut self, scope: &[u8]) {
        if scope.first() == Some(&b'g') {
            self.home = Some(scope.to_vec());
        }
    }
}

impl fmt::Debug for MlsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scopes: Vec<_> = self.lock().scopes.keys().map(hex::encode).collect();
        f.debug_struct("MlsStore").field("scopes", &scopes).finish_non_exhaustive()
    }
}

/// CBOR of a value; the error says nothing of the value.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>, ()> {
    let mut bytes = Zeroizing::new(Vec::new());
    ciborium::into_writer(value, &mut *bytes).map_err(|_| ())?;
    Ok(bytes)
}

fn name(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_was_not_loaded_is_an_error() {
        let store = MlsStore::new();
        assert!(matches!(store.read::<u8>(b"gx", b"k"), Err(StoreError::NotLoaded(_))));
        assert!(matches!(store.write(b"gx", b"k", &1_u8), Err(StoreError::NotLoaded(_))));
        store.begin_scope(b"gx".to_vec());
        assert_eq!(store.read::<u8>(b"gx", b"k"), Ok(None));
    }

    #[test]
    fn last_write_wins_and_is_taken_once() {
        let store = MlsStore::new();
        store.load_scope(b"gx".to_vec(), [(b"old".to_vec(), vec![0x01])]);
        store.write(b"gx", b"k", &1_u8).unwrap();
        store.write(b"gx", b"k", &2_u8).unwrap();
        store.delete(b"gx", b"old").unwrap();
        assert!(store.dirty());
        let mut writes = store.take_writes();
        writes.sort_by(|a, b| a.key.cmp(&b.key));
        let taken: Vec<_> = writes.iter().map(|w| (w.key.as_slice(), w.value.as_deref())).collect();
        assert_eq!(taken, [(b"k".as_slice(), Some(&vec![2])), (b"old", None)]);
        assert!(!store.dirty());
        assert!(store.take_writes().is_empty());
        store.write(b"gx", b"k", &2_u8).unwrap();
        assert!(!store.dirty(), "an equal value is no change");
    }

    #[test]
    fn rollback_restores_values_and_earlier_writes() {
        let store = MlsStore::new();
        store.load_scope(b"gx".to_vec(), [(b"a".to_vec(), vec![0x01])]);
        store.write(b"gx", b"b", &5_u8).unwrap();
        store.checkpoint();
        assert!(!store.rollback());
        store.checkpoint();
        store.write(b"gx", b"a", &2_u8).unwrap();
        store.write(b"gx", b"a", &3_u8).unwrap();
        store.delete(b"gx", b"b").unwrap();
        store.write(b"gx", b"c", &1_u8).unwrap();
        assert!(store.rollback());
        assert_eq!(store.read::<u8>(b"gx", b"a"), Ok(Some(1)));
        assert_eq!(store.read::<u8>(b"gx", b"c"), Ok(None));
        let writes = store.take_writes();
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].key, b"b");
    }

    #[test]
    fn debug_shows_no_values() {
        let store = MlsStore::new();
        store.load_scope(b"gx".to_vec(), [(b"a".to_vec(), b"secret".to_vec())]);
        store.write(b"gx", b"b", &"secret").unwrap();
        assert!(!format!("{store:?}").contains("secret"));
        assert!(!format!("{:?}", store.take_writes()).contains("secret"));
    }
}
