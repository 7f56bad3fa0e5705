//! What is on its way to the node.

use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use serde::{Deserialize, Serialize};

use super::damage::{DamagedRow, Place, intact};
use super::{Owner, Store, StoreError, record, uint};

/// One send, until the node has it and, for a commit, until its epoch is decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OutboxRecord {
    pub(crate) group: GroupId,
    pub(crate) kind: OutboxKind,
    /// The epoch the bytes belong to.
    pub(crate) epoch: u64,
    /// The final bytes; `None` while the group cannot encrypt.
    pub(crate) parcel: Option<Parcel>,
    pub(crate) created_at_ms: u64,
    /// Bytes of a message's content.
    #[serde(default)]
    pub(crate) size: u32,
}

/// What a send carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OutboxKind {
    /// An application message, by its position.
    Message(u64),
    /// A commit.
    Commit,
    /// A proposal.
    Proposal,
    /// A Welcome.
    Welcome,
    /// A request to be added again, or what answers one without adding.
    Repair,
}

/// Bytes and whom they are for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parcel {
    /// Recipient and prefix; empty prefixes in groups without envelope.
    pub(crate) recipients: Vec<(IdentityKey, serde_bytes::ByteBuf)>,
    #[serde(with = "serde_bytes")]
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Parcel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parcel({} bytes to {})", self.body.len(), self.recipients.len())
    }
}

impl OutboxRecord {
    /// A commit whose row is damaged: the node can be asked about it, but it cannot be sent.
    pub(crate) fn lost(group: GroupId, epoch: u64, created_at_ms: u64) -> Self {
        let parcel = Some(Parcel { recipients: Vec::new(), body: Vec::new() });
        Self { group, kind: OutboxKind::Commit, epoch, parcel, created_at_ms, size: 0 }
    }

    /// Made by [`OutboxRecord::lost`]: what has bytes has recipients.
    pub(crate) fn is_lost(&self) -> bool {
        self.parcel.as_ref().is_some_and(|parcel| parcel.recipients.is_empty())
    }
}

impl Store {
    /// Everything still on its way, in order.
    pub(crate) async fn outbox(
        &self,
        owner: Owner,
        damaged: &mut Vec<DamagedRow>,
    ) -> Result<Vec<(u64, OutboxRecord)>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT counter, record FROM outbox WHERE owner = ? ORDER BY counter")
                .bind(owner.0)
                .fetch_all(&self.reads)
                .await?;
        let mut outbox = Vec::with_capacity(rows.len());
        for (counter, sealed) in rows {
            let counter = uint(counter);
            let row = record::row(owner.0, counter);
            let read = record::open(&self.sealer, "outbox", &row, &sealed);
            match intact("outbox", owner, counter, read)? {
                Some(record) => outbox.push((counter, record)),
                None => damaged.push(DamagedRow { place: Place::Outbox(counter), bytes: sealed }),
            }
        }
        Ok(outbox)
    }
}
