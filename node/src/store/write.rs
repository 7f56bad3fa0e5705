//! What the writer can be asked to do, and how it answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use quicproquo_schemas::id::{ChannelId, IdentityKey, Instance, SendId};

use super::SuiteStock;
use super::blob::BlobProgress;
use crate::delivery::order::Turn;

/// Rows of a small delivery.
const SMALL_ROWS: usize = 16;
/// Payload bytes of a small delivery.
const SMALL_BYTES: usize = 32 * 1024;

/// A row's label inside the queue; none is a channel of its own.
pub(crate) type Channel = Option<ClientChannel>;

/// A channel id as the client gave it.
pub(crate) type ClientChannel = ChannelId;

/// Whose quota a row counts on. Derived from the key, so that no lookup is needed; two keys with
/// one tag would share a quota and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sender(pub(crate) i64);

impl Sender {
    /// Everybody who uses the operator's static token.
    pub(crate) const OPERATOR: Self = Self(0);
}

impl From<&IdentityKey> for Sender {
    fn from(key: &IdentityKey) -> Self {
        let (head, _) = key.as_bytes().split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        Self(i64::from_be_bytes(*head))
    }
}

/// Makes `instance` the live Session of an identity.
#[derive(Debug, Clone)]
pub(crate) struct Authenticate {
    pub(crate) identity: IdentityKey,
    pub(crate) incarnation: u64,
    pub(crate) instance: Instance,
    pub(crate) attempt: u64,
}

/// Removes the fence, the rows and the kept records of an identity.
#[derive(Debug, Clone)]
pub(crate) struct DeleteQueue {
    pub(crate) identity: IdentityKey,
    /// The Session that must be the live one; none: whichever is.
    pub(crate) session: Option<u64>,
}

/// On what terms an identity is let in that has not been here before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    /// None.
    Open,
    /// An invite with a use left; its SHA-256.
    Invite(Option<[u8; 32]>),
    /// It is not.
    Closed,
}

/// Makes sure that an identity is registered.
#[derive(Debug, Clone)]
pub(crate) struct Admit {
    pub(crate) identity: IdentityKey,
    pub(crate) terms: Terms,
    pub(crate) now: u64,
}

/// A step of the deletion of an identity from the directory.
#[derive(Debug, Clone)]
pub(crate) enum Deletion {
    /// It is going to be deleted, and these names are for this heir alone.
    Mark { identity: IdentityKey, heir: Option<IdentityKey> },
    /// It is not.
    Unmark { identity: IdentityKey },
    /// Everything of it goes, its mark last; without a mark nothing is done.
    Finish { identity: IdentityKey },
}

/// Bytes of a blob on their way to the store.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// The upload it was made for; none: it begins one.
    pub(crate) upload: Option<i64>,
    pub(crate) offset: u64,
    pub(crate) data: Arc<[u8]>,
    /// SHA-256 of the bytes up to the end of this piece, in the middle of its work.
    pub(crate) state: Vec<u8>,
    /// SHA-256 of the bytes up to the end of this piece.
    pub(crate) digest: [u8; 32],
}

/// Stores a piece of a blob, or asks how far it is.
#[derive(Debug, Clone)]
pub(crate) struct PutBlob {
    pub(crate) owner: IdentityKey,
    pub(crate) sha256: [u8; 32],
    /// Bytes of the whole blob.
    pub(crate) size: u64,
    pub(crate) piece: Option<Piece>,
    /// When the owner's reference ends (unix seconds).
    pub(crate) expires_at: u64,
    /// When the upload ends if nothing more comes (unix seconds).
    pub(crate) upload_expires_at: u64,
    /// Most bytes of all blobs of the owner.
    pub(crate) quota_bytes: u64,
    /// Most blobs of the owner.
    pub(crate) quota_count: u64,
}

/// Ends the owner's reference to a blob, or its unfinished upload.
#[derive(Debug, Clone)]
pub(crate) struct ReleaseBlob {
    pub(crate) owner: IdentityKey,
    pub(crate) sha256: [u8; 32],
}

/// One row for one recipient.
#[derive(Debug, Clone)]
pub(crate) struct Enqueue {
    pub(crate) recipient: IdentityKey,
    pub(crate) sender: Sender,
    pub(crate) channel: Channel,
    pub(crate) payload: Arc<[u8]>,
    /// SHA-256 over channel and payload.
    pub(crate) digest: [u8; 32],
    pub(crate) ttl_secs: u32,
}

/// One recipient of a multicast.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) recipient: IdentityKey,
    pub(crate) prefix: Arc<[u8]>,
    pub(crate) include_body: bool,
    /// The recipient is banned: it gets no row.
    pub(crate) banned: bool,
}

/// One row for each of many recipients, all or none.
#[derive(Debug, Clone)]
pub(crate) struct Multicast {
    pub(crate) sender: IdentityKey,
    pub(crate) session: u64,
    pub(crate) id: SendId,
    /// SHA-256 over the whole request.
    pub(crate) request: [u8; 32],
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) body: Arc<[u8]>,
    pub(crate) channel: Channel,
    pub(crate) ttl_secs: u32,
    /// Among the sends of its Session.
    pub(crate) turn: Arc<Turn>,
}

/// Removes all rows up to a position.
#[derive(Debug, Clone)]
pub(crate) struct Ack {
    pub(crate) identity: IdentityKey,
    pub(crate) session: u64,
    pub(crate) up_to: u64,
}

/// Removes rows that a lease had.
#[derive(Debug, Clone)]
pub(crate) struct Remove {
    pub(crate) recipient: IdentityKey,
    pub(crate) seqs: Vec<u64>,
}

/// A verified `KeyPackage`.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) ciphersuite: u16,
    /// Unix seconds.
    pub(crate) not_after: u64,
    pub(crate) fingerprint: [u8; 32],
    pub(crate) data: Arc<[u8]>,
}

/// Stores packages of one identity.
#[derive(Debug, Clone)]
pub(crate) struct Publish {
    pub(crate) identity: IdentityKey,
    pub(crate) one_time: Vec<Package>,
    pub(crate) last_resort: Option<Package>,
    /// What nobody has claimed of the ciphersuites that come is forgotten first.
    pub(crate) replace: bool,
    /// Most one-time packages of one ciphersuite.
    pub(crate) limit: u32,
    pub(crate) now: u64,
}

impl Publish {
    /// Whose one-time packages are forgotten.
    pub(crate) fn replaced(&self) -> BTreeSet<u16> {
        let packages = self.one_time.iter().chain(&self.last_resort).filter(|_| self.replace);
        packages.map(|package| package.ciphersuite).collect()
    }
}

/// One target of a claim.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) identity: IdentityKey,
    /// False: over the rate limit, so only the last resort.
    pub(crate) one_time: bool,
}

/// Takes one package of each target.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) targets: Vec<Target>,
    /// Most bytes of all packages together; above it nothing is taken.
    pub(crate) bytes: u64,
    pub(crate) ciphersuite: u16,
    /// Packages that end before this time (unix seconds) are passed over.
    pub(crate) alive_until: u64,
}

/// Replaces a hybrid key.
#[derive(Debug, Clone)]
pub(crate) struct PutHybridKey {
    pub(crate) identity: IdentityKey,
    pub(crate) key: Vec<u8>,
}

/// Claims a name.
#[derive(Debug, Clone)]
pub(crate) struct ClaimName {
    pub(crate) name: String,
    pub(crate) identity: IdentityKey,
    pub(crate) signature: Vec<u8>,
    /// Most names of one identity.
    pub(crate) limit: usize,
}

/// One request to the writer of the queues.
#[derive(Debug, Clone)]
pub(crate) enum QueueWrite {
    Authenticate(Authenticate),
    Enqueue(Enqueue),
    Multicast(Multicast),
    Ack(Ack),
    Remove(Remove),
    /// Changes nothing, and fails when the store cannot be written.
    Probe,
    Delete(DeleteQueue),
}

impl QueueWrite {
    /// Whether it brings rows, and so few and small ones that the sync is most of its commit.
    pub(crate) fn is_small_delivery(&self) -> bool {
        let rows = match self {
            Self::Enqueue(_) => 1,
            Self::Multicast(send) => send.deliveries.len(),
            _ => return false,
        };
        rows <= SMALL_ROWS && self.size() <= SMALL_BYTES
    }

    /// Bytes it brings into a batch.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Enqueue(enqueue) => enqueue.payload.len(),
            Self::Multicast(send) => {
                send.body.len() + send.deliveries.iter().map(|to| to.prefix.len()).sum::<usize>()
            }
            Self::Authenticate(_)
            | Self::Ack(_)
            | Self::Remove(_)
            | Self::Probe
            | Self::Delete(_) => 0,
        }
    }
}

/// One request to the writer of the directory.
#[derive(Debug, Clone)]
pub(crate) enum DirectoryWrite {
    Publish(Publish),
    Claim(Claim),
    PutHybridKey(PutHybridKey),
    ClaimName(ClaimName),
    /// Changes nothing, and fails when the database cannot be written.
    Probe,
    Admit(Admit),
    Deletion(Deletion),
    PutBlob(PutBlob),
    ReleaseBlob(ReleaseBlob),
}

impl DirectoryWrite {
    /// Bytes it brings into a batch.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Publish(publish) => publish.one_time.iter().map(|one| one.data.len()).sum(),
            Self::PutHybridKey(put) => put.key.len(),
            Self::PutBlob(put) => put.piece.as_ref().map_or(0, |piece| piece.data.len()),
            Self::Claim(_)
            | Self::ClaimName(_)
            | Self::Probe
            | Self::Admit(_)
            | Self::Deletion(_)
            | Self::ReleaseBlob(_) => 0,
        }
    }
}

/// What became of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// Queued at this position.
    Queued(u64),
    /// The queue was full; it carries a gap mark.
    Full,
}

/// What became of a send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// One per delivery, in order.
    pub(crate) results: Vec<Delivered>,
    /// The position that the sender's own queue was to give next; 0: not known.
    pub(crate) own_next: u64,
}

/// The new Session of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authenticated {
    pub(crate) session: u64,
    pub(crate) last_send: SendId,
    pub(crate) acked_up_to: u64,
}

/// How the writer of the queues answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum QueueWritten {
    Authenticated(Authenticated),
    /// Position of an enqueued row.
    Seq(u64),
    Sent(Sent),
    /// Whether kept records are left, which the same request removes.
    Deleted {
        more: bool,
    },
    Done,
}

/// How the writer of the directory answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DirectoryWritten {
    Stock(Vec<SuiteStock>),
    /// One per target, in order.
    Claimed(Vec<Vec<u8>>),
    Blob(BlobProgress),
    Done,
}
