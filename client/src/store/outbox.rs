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
    /// A notice that somebody is out.
    Notice,
}

/// Bytes and whom they are for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parcel {
    /// Recipient and prefix; empty prefixes in groups without envelope.
    #[serde(with = "recipients")]
    pub(crate) recipients: Vec<(IdentityKey, serde_bytes::ByteBuf)>,
    #[serde(with = "serde_bytes")]
    pub(crate) body: Vec<u8>,
    /// To the other members of its epoch, as the group knows them; `recipients` is empty.
    #[serde(default)]
    pub(crate) to_members: bool,
}

impl Parcel {
    pub(crate) fn to(recipients: Vec<(IdentityKey, serde_bytes::ByteBuf)>, body: Vec<u8>) -> Self {
        Self { recipients, body, to_members: false }
    }

    /// The same bytes for all other members. Only for messages: they are encrypted again in each
    /// epoch.
    pub(crate) fn to_members(body: Vec<u8>) -> Self {
        Self { recipients: Vec::new(), body, to_members: true }
    }
}

/// Recipients as two values: a row of a large group is written with every message.
mod recipients {
    use quicproquo_core::identity::IdentityKey;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_bytes::ByteBuf;

    type Recipients = Vec<(IdentityKey, ByteBuf)>;

    #[derive(Serialize)]
    struct Packed<'a> {
        /// One after the other.
        keys: ByteBuf,
        /// None, or as many as keys.
        prefixes: Vec<&'a ByteBuf>,
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Packed {
            keys: ByteBuf,
            prefixes: Vec<ByteBuf>,
        },
        /// How they were written before.
        Listed(Recipients),
    }

    pub(super) fn serialize<S: Serializer>(
        recipients: &Recipients,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut keys = ByteBuf::with_capacity(32 * recipients.len());
        for (key, _) in recipients {
            keys.extend_from_slice(key.as_bytes());
        }
        let sealed = recipients.iter().any(|(_, prefix)| !prefix.is_empty());
        let prefixes = recipients.iter().filter(|_| sealed).map(|(_, prefix)| prefix).collect();
        Packed { keys, prefixes }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Recipients, D::Error> {
        let (keys, mut prefixes) = match Stored::deserialize(deserializer)? {
            Stored::Packed { keys, prefixes } => (keys, prefixes),
            Stored::Listed(recipients) => return Ok(recipients),
        };
        let keys = keys.chunks(32).map(IdentityKey::from_slice).collect::<Result<Vec<_>, _>>();
        let keys = keys.map_err(D::Error::custom)?;
        if prefixes.is_empty() {
            prefixes.resize(keys.len(), ByteBuf::new());
        }
        if prefixes.len() != keys.len() {
            return Err(D::Error::custom("prefixes and recipients differ in number"));
        }
        Ok(keys.into_iter().zip(prefixes).collect())
    }
}

impl std::fmt::Debug for Parcel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = if self.to_members { " members" } else { "" };
        write!(f, "Parcel({} bytes to {}{all})", self.body.len(), self.recipients.len())
    }
}

impl OutboxRecord {
    /// A commit whose row is damaged: the node can be asked about it, but it cannot be sent.
    pub(crate) fn lost(group: GroupId, epoch: u64, created_at_ms: u64) -> Self {
        let parcel = Some(Parcel::to(Vec::new(), Vec::new()));
        Self { group, kind: OutboxKind::Commit, epoch, parcel, created_at_ms, size: 0 }
    }

    /// Made by [`OutboxRecord::lost`]: what has bytes has recipients.
    pub(crate) fn is_lost(&self) -> bool {
        let lost = |parcel: &Parcel| parcel.recipients.is_empty() && !parcel.to_members;
        self.parcel.as_ref().is_some_and(lost)
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

#[cfg(test)]
mod tests {
    use quicproquo_core::identity::Identity;
    use serde_bytes::ByteBuf;

    use super::*;

    fn bytes(value: &impl Serialize) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Parcel {
        ciborium::from_reader(bytes).unwrap()
    }

    #[test]
    fn parcels_read_as_they_were_written_and_as_they_were_written_before() {
        #[derive(Serialize)]
        struct Before {
            recipients: Vec<(IdentityKey, ByteBuf)>,
            body: ByteBuf,
        }
        for (count, prefix) in [(0, 0), (1, 0), (100, 0), (1, 9), (100, 1169)] {
            let one = |_| (Identity::generate().key(), ByteBuf::from(vec![7; prefix]));
            let recipients: Vec<_> = (0..count).map(one).collect();
            let parcel = Parcel::to(recipients.clone(), vec![1, 2, 3]);
            let written = bytes(&parcel);
            assert!(written.len() < 100 + count * (32 + prefix + 4), "{}", written.len());
            assert_eq!(read(&written), parcel);
            let before = Before { recipients, body: ByteBuf::from(vec![1, 2, 3]) };
            assert_eq!(read(&bytes(&before)), parcel);
        }
    }
}
