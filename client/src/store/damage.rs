//! Rows whose seal or form is broken: each concerns only what it belongs to.

use std::fmt::Display;

use quicproquo_core::id::GroupId;

use super::seal::SealError;
use super::{Owner, StoreError};

/// A row that does not read, with the bytes that are in its table.
#[derive(Debug)]
pub(crate) struct DamagedRow {
    pub(crate) place: Place,
    pub(crate) bytes: Vec<u8>,
}

/// Which row it is.
#[derive(Debug)]
pub(crate) enum Place {
    /// A send, by its counter.
    Outbox(u64),
    /// An intent that is not over.
    Intent(GroupId, u64),
    /// A payload that waits, by the name of its group.
    Buffered(Vec<u8>, u64),
    /// An event of a hidden group.
    Hidden(GroupId, u64),
}

impl StoreError {
    /// One row is broken; the database itself is well.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Seal(SealError) | Self::Row(..))
    }
}

/// `None`: the row is damaged, which is in the log.
pub(super) fn intact<T>(
    table: &'static str,
    owner: Owner,
    row: impl Display,
    read: Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_damage() => {
            tracing::error!(table, owner = owner.0, %row, %error, "a row is damaged");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
