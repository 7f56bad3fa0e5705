//! Sealed CBOR records.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::StoreError;
use super::seal::Sealer;

/// What small records take, bytes.
const ROOM: usize = 256;

/// The row key of numbered rows: owner and number.
pub(super) fn row(owner: i64, n: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&owner.to_be_bytes());
    key[8..].copy_from_slice(&n.to_be_bytes());
    key
}

/// The row key of named rows: owner and name.
pub(super) fn named(owner: i64, name: &[u8]) -> Vec<u8> {
    [&owner.to_be_bytes()[..], name].concat()
}

pub(super) fn seal<T: Serialize>(
    sealer: &Sealer,
    table: &'static str,
    row: &[u8],
    value: &T,
) -> Vec<u8> {
    let mut plain = Zeroizing::new(Vec::with_capacity(ROOM));
    ciborium::into_writer(value, &mut *plain).expect("our records have a CBOR form");
    sealer.seal(table, row, &plain)
}

pub(super) fn open<T: DeserializeOwned>(
    sealer: &Sealer,
    table: &'static str,
    row: &[u8],
    sealed: &[u8],
) -> Result<T, StoreError> {
    let plain = sealer.open(table, row, sealed)?;
    ciborium::from_reader(plain.as_slice())
        .map_err(|error| StoreError::Row(table, error.to_string()))
}
