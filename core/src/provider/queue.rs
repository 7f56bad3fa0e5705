//! The list rows: queued proposals and own leaf nodes.
//!
//! A proposal has a row of its own; the order is kept in one more row of the
//! same scope.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::store::{MlsStore, StoreError, encode};

const ORDER: &[u8] = b"proposals";

fn proposal_key(reference: &[u8]) -> Vec<u8> {
    [b"proposal/", reference].concat()
}

fn encoded(reference: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut bytes =
        encode(reference).map_err(|()| StoreError::Encode("proposal reference".into()))?;
    Ok(std::mem::take(&mut *bytes))
}

fn order(store: &MlsStore, scope: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
    Ok(store.read(scope, ORDER)?.unwrap_or_default())
}

fn set_order(store: &MlsStore, scope: &[u8], order: &Vec<Vec<u8>>) -> Result<(), StoreError> {
    if order.is_empty() { store.delete(scope, ORDER) } else { store.write(scope, ORDER, order) }
}

pub(super) fn push(
    store: &MlsStore,
    scope: &[u8],
    reference: &impl Serialize,
    proposal: &impl Serialize,
) -> Result<(), StoreError> {
    let reference = encoded(reference)?;
    store.write(scope, &proposal_key(&reference), proposal)?;
    let mut order = order(store, scope)?;
    if !order.contains(&reference) {
        order.push(reference);
    }
    set_order(store, scope, &order)
}

pub(super) fn remove(
    store: &MlsStore,
    scope: &[u8],
    reference: &impl Serialize,
) -> Result<(), StoreError> {
    let reference = encoded(reference)?;
    store.delete(scope, &proposal_key(&reference))?;
    let mut order = order(store, scope)?;
    order.retain(|known| *known != reference);
    set_order(store, scope, &order)
}

pub(super) fn clear(store: &MlsStore, scope: &[u8]) -> Result<(), StoreError> {
    for reference in order(store, scope)? {
        store.delete(scope, &proposal_key(&reference))?;
    }
    store.delete(scope, ORDER)
}

pub(super) fn references<R: DeserializeOwned>(
    store: &MlsStore,
    scope: &[u8],
) -> Result<Vec<R>, StoreError> {
    order(store, scope)?.iter().map(|reference| decode(reference)).collect()
}

pub(super) fn all<R: DeserializeOwned, P: DeserializeOwned>(
    store: &MlsStore,
    scope: &[u8],
) -> Result<Vec<(R, P)>, StoreError> {
    order(store, scope)?
        .iter()
        .map(|reference| {
            let proposal = store
                .read(scope, &proposal_key(reference))?
                .ok_or_else(|| StoreError::Corrupt("proposals".into()))?;
            Ok((decode(reference)?, proposal))
        })
        .collect()
}

fn decode<R: DeserializeOwned>(reference: &[u8]) -> Result<R, StoreError> {
    ciborium::from_reader(reference).map_err(|_| StoreError::Corrupt("proposals".into()))
}
