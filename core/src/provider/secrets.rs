//! The message secrets of a group, which change with every message, as rows.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::split::{self, PREFIX};
use super::store::{MlsStore, StoreError, encode};

const NAME: &[u8] = b"message_secrets";

fn damaged() -> StoreError {
    StoreError::Corrupt("message_secrets".into())
}

impl MlsStore {
    /// Writes the pieces that have changed and deletes those that are not part of the value any
    /// more: secrets that are used up do not stay behind.
    pub(super) fn write_secrets(
        &self,
        scope: &[u8],
        value: &impl Serialize,
    ) -> Result<(), StoreError> {
        let split = self.with_rows(scope, |rows| {
            let known = |key: &[u8]| rows.get(key).is_some_and(|entry| entry.value.is_some());
            split::split(value, &known)
        })?;
        let (root, pieces) = match split {
            Ok(split) => (split.skeleton, split.pieces),
            Err(error) => {
                // Written as openmls hands it over, which is only longer.
                let value = encode(value).map_err(|()| StoreError::Encode(error.to_string()))?;
                (value, BTreeMap::new())
            }
        };
        for key in self.keys(scope, PREFIX)? {
            if !pieces.contains_key(&key) {
                self.delete(scope, &key)?;
            }
        }
        for (key, piece) in pieces {
            if piece.is_some() {
                self.put(scope, &key, piece)?;
            }
        }
        self.put(scope, NAME, Some(root))?;
        debug_assert!(
            self.joined(scope)?.as_deref() == encode(value).ok().as_deref(),
            "the pieces are the value"
        );
        Ok(())
    }

    pub(super) fn read_secrets<T: DeserializeOwned>(
        &self,
        scope: &[u8],
    ) -> Result<Option<T>, StoreError> {
        let Some(value) = self.joined(scope)? else {
            return Ok(None);
        };
        ciborium::from_reader(value.as_slice()).map(Some).map_err(|_| damaged())
    }

    pub(super) fn delete_secrets(&self, scope: &[u8]) -> Result<(), StoreError> {
        for key in self.keys(scope, PREFIX)? {
            self.delete(scope, &key)?;
        }
        self.delete(scope, NAME)
    }

    /// The value as it was before it was cut.
    pub(crate) fn joined(&self, scope: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.with_rows(scope, |rows| {
            let row = |key: &[u8]| rows.get(key)?.value.as_ref().map(|value| value.as_slice());
            match row(NAME) {
                None => Ok(None),
                Some(root) if split::is_skeleton(root) => {
                    split::join(root, row).map(Some).ok_or_else(damaged)
                }
                Some(value) => Ok(Some(Zeroizing::new(value.to_vec()))),
            }
        })?
    }

    /// The keys that begin with `prefix` and have a value.
    fn keys(&self, scope: &[u8], prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        self.with_rows(scope, |rows| {
            rows.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded))
                .take_while(|(key, _)| key.starts_with(prefix))
                .filter(|(_, entry)| entry.value.is_some())
                .map(|(key, _)| key.clone())
                .collect()
        })
    }
}
