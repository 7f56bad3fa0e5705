//! Own messages on their way, in memory: the database need not be asked for them when the node has
//! them.

use std::collections::HashMap;

use super::actor::Actor;
use super::unit::Unit;
use crate::store::{StoreError, StoredMessage};

/// Messages that are kept; others are read.
const MESSAGES: usize = 256;
/// Bytes of the content of one.
const BYTES: usize = 4096;

/// Messages as their rows are, by position.
#[derive(Debug, Default)]
pub(super) struct Said(HashMap<u64, StoredMessage>);

impl Said {
    /// A new message, with the bytes of its content.
    pub(super) fn put(&mut self, message: &StoredMessage, size: usize) {
        if self.0.len() < MESSAGES && size <= BYTES {
            self.0.insert(message.seq, message.clone());
        }
    }

    /// The row was changed.
    pub(super) fn change(&mut self, message: &StoredMessage) {
        if let Some(kept) = self.0.get_mut(&message.seq) {
            *kept = message.clone();
        }
    }

    pub(super) fn get(&self, seq: u64) -> Option<&StoredMessage> {
        self.0.get(&seq)
    }

    pub(super) fn remove(&mut self, seq: u64) {
        self.0.remove(&seq);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Actor {
    /// A message row, as this unit has left it. `None`: there is none that reads.
    pub(super) async fn stored_message(
        &mut self,
        seq: u64,
        unit: &Unit,
    ) -> Result<Option<StoredMessage>, StoreError> {
        match unit.messages.get(&seq).or_else(|| self.said.get(seq)) {
            Some(message) => Ok(Some(message.clone())),
            None => match self.store.message_at(self.owner, seq).await {
                Err(error) if error.is_damage() => {
                    tracing::error!(table = "messages", row = seq, %error, "a row is damaged");
                    Ok(None)
                }
                read => read,
            },
        }
    }
}
