//! What the node keeps, and the rules that every backend follows.
//!
//! The two halves of RFC 9750 are two stores: the queues of delivery ([`QueueBackend`]), which
//! see every message, and the key directory ([`DirectoryBackend`]). Nothing spans both in one
//! transaction.
//!
//! 1. A batch is one transaction: `begin`, loads, changes, `commit`. After a failed call
//!    everything since `begin` is undone by `rollback`. After `commit` returned, power may fail.
//! 2. All decisions on queues are made by [`plan`], on rows that were loaded inside the
//!    transaction; a backend only loads and applies. A request that is refused changes nothing,
//!    and the others of its batch do not notice.
//! 3. `seq` counts per recipient from 1 and never repeats, also after everything was removed.
//! 4. No cost grows with the length of a queue, except that of removing rows, with their number.
//! 5. Reads see committed rows only and never wait for the writer.

pub(crate) mod blob;
#[cfg(test)]
mod conformance;
pub(crate) mod directory;
mod error;
pub(crate) mod lsm;
mod mark;
#[cfg(test)]
mod memory;
mod operate;
pub(crate) mod plan;
pub(crate) mod sqlite;
pub(crate) mod tails;
pub(crate) mod write;

use futures::future::BoxFuture;
use quicproquo_schemas::id::{IdentityKey, SendId};

use blob::{BlobChange, BlobView, Upload};
pub(crate) use error::Refusal;
pub use error::StoreError;
use error::{INVITE_BAD, INVITE_NEEDED, NOBODY_NEW};
pub use operate::{IdentityInfo, InviteInfo, NameInfo};
pub(crate) use operate::{NewInvite, Operate};
use plan::{Effects, Ids, Loaded, ShareKey, Shares, Strangers, Wanted};
use write::{
    Admit, Channel, Claim, ClaimName, Deletion, Publish, PutBlob, PutHybridKey, ReleaseBlob,
    Sender, Sent,
};

/// Shared bytes of a payload.
pub(crate) type Bytes = std::sync::Arc<[u8]>;

/// One row as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueuedRow {
    /// Position in the recipient's queue.
    pub(crate) seq: u64,
    /// Label; none for gaps.
    pub(crate) channel: Channel,
    /// What it holds.
    pub(crate) content: RowContent,
}

/// What a row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowContent {
    /// The payload is `head || body`.
    Payload {
        /// The recipient's own part.
        head: Bytes,
        /// The shared part.
        body: Bytes,
    },
    /// So many rows were lost here.
    Gap(u32),
}

impl QueuedRow {
    /// Payload size in bytes.
    pub(crate) fn size(&self) -> usize {
        match &self.content {
            RowContent::Payload { head, body } => head.len() + body.len(),
            RowContent::Gap(_) => 0,
        }
    }
}

/// How many packages of one ciphersuite an identity has in store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SuiteStock {
    pub(crate) ciphersuite: u16,
    pub(crate) one_time: u32,
    pub(crate) last_resort: bool,
}

/// Which rows to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    /// Rows above this position.
    pub(crate) after: u64,
    /// At most so many rows.
    pub(crate) rows: u32,
    /// At most so many payload bytes, but always one row.
    pub(crate) bytes: usize,
}

/// A token that was issued by the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredToken {
    pub(crate) identity: IdentityKey,
    /// Unix seconds.
    pub(crate) expires_at: u64,
}

/// All queues together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) queues: u64,
    pub(crate) rows: u64,
    /// Payload bytes.
    pub(crate) bytes: u64,
}

/// Result of a read.
pub(crate) type Read<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Reads of queues, as committed. Not found is `None` or empty.
pub(crate) trait QueueReads: Send + Sync + 'static {
    /// Rows in order of `seq`.
    fn rows(&self, recipient: IdentityKey, page: Page) -> Read<'_, Vec<QueuedRow>>;
    /// Rows of one channel, and the gaps between them, in order of `seq`.
    fn channel_rows(
        &self,
        recipient: IdentityKey,
        channel: Channel,
        page: Page,
    ) -> Read<'_, Vec<QueuedRow>>;
    /// Results of a send that are kept at `now`.
    fn send_result(&self, sender: IdentityKey, id: SendId, now: u64) -> Read<'_, Option<Sent>>;
    /// Counts all queues. The cost grows with their number.
    fn totals(&self) -> Read<'_, Totals>;
}

/// Reads of the directory, as committed. Not found is `None` or empty.
pub(crate) trait DirectoryReads: Send + Sync + 'static {
    /// Packages in store that have life left at `now`.
    fn stock(&self, identity: IdentityKey, now: u64) -> Read<'_, Vec<SuiteStock>>;
    /// Owner of a name, and the owner's signature.
    fn name(&self, name: String) -> Read<'_, Option<(IdentityKey, Vec<u8>)>>;
    /// Names of an identity, the first claimed first.
    fn names_of(&self, identity: IdentityKey) -> Read<'_, Vec<String>>;
    /// The published hybrid key.
    fn hybrid_key(&self, identity: IdentityKey) -> Read<'_, Option<Vec<u8>>>;
    /// A token issued by the operator, by its SHA-256.
    fn token(&self, hash: [u8; 32]) -> Read<'_, Option<StoredToken>>;
    /// Whether the identity is registered.
    fn is_registered(&self, identity: IdentityKey) -> Read<'_, bool>;
    /// All bans, if there was a change since the version that is known.
    fn bans(&self, known: Option<u64>) -> Read<'_, Option<Bans>>;
    /// Identities that are being deleted.
    fn deletions(&self) -> Read<'_, Vec<IdentityKey>>;
    /// Bytes of a complete blob.
    fn blob_size(&self, sha256: [u8; 32]) -> Read<'_, Option<u64>>;
    /// Bytes of a complete blob from `offset` on: at most `limit`, at least one unless it ends
    /// there; and its size.
    fn blob_bytes(&self, sha256: [u8; 32], offset: u64, limit: u32) -> Read<'_, Option<BlobBytes>>;
    /// An unfinished upload.
    fn upload(&self, owner: IdentityKey, sha256: [u8; 32]) -> Read<'_, Option<Upload>>;
}

/// A part of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlobBytes {
    pub(crate) data: Vec<u8>,
    /// Bytes of the whole blob.
    pub(crate) size: u64,
}

/// Whom the operator has shut out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bans {
    /// Rises with every change.
    pub(crate) version: u64,
    pub(crate) identities: Vec<IdentityKey>,
}

/// One writer's end of the queues: rows, counters, fences, kept sends. The rules are those of the
/// module. The calls may wait for the disk, and for nothing that happens on their caller's thread:
/// they end at their first poll.
pub(crate) trait QueueBackend {
    /// Whether the next transaction can begin at once: nothing has to be repaired first.
    fn is_steady(&self) -> bool;
    /// Where new ids of queues and bodies come from.
    fn ids(&mut self) -> &mut Ids;
    /// Opens the transaction.
    async fn begin(&mut self) -> Result<(), StoreError>;
    /// Makes it durable.
    async fn commit(&mut self) -> Result<(), StoreError>;
    /// Undoes it.
    async fn rollback(&mut self);
    /// Loads what the planner asked for; what does not exist, or is over at `now`, is left out.
    async fn load(&mut self, wanted: &Wanted, now: u64) -> Result<Loaded, StoreError>;
    /// Loads senders' shares of queues.
    async fn load_shares(&mut self, wanted: &[ShareKey]) -> Result<Shares, StoreError>;
    /// Loads what senders have waiting for strangers.
    async fn load_strangers(&mut self, wanted: &[Sender]) -> Result<Strangers, StoreError>;
    /// Removes at most `limit` kept sends of a sender and payload digests of its queue. Returns
    /// whether there may be more.
    async fn forget_kept(&mut self, identity: &IdentityKey, limit: u32)
    -> Result<bool, StoreError>;
    /// Loads at most `limit` rows that expired at or before `now`, with their queues.
    async fn load_expired(&mut self, now: u64, limit: u32) -> Result<Loaded, StoreError>;
    /// Writes what the planner decided.
    async fn apply(&mut self, effects: Effects) -> Result<(), StoreError>;
    /// Removes at most `limit` of each kind of expired record beside the rows.
    async fn purge(&mut self, now: u64, limit: u32) -> Result<(), StoreError>;
    /// Writes something that the commit must sync, and changes nothing.
    async fn probe(&mut self) -> Result<(), StoreError>;
}

/// One writer's end of the directory: key packages, hybrid keys, names. The rules are those of
/// the module.
pub(crate) trait DirectoryBackend {
    /// Opens the transaction.
    async fn begin(&mut self) -> Result<(), StoreError>;
    /// Makes it durable.
    async fn commit(&mut self) -> Result<(), StoreError>;
    /// Undoes it.
    async fn rollback(&mut self);
    /// Removes at most `limit` of each kind of expired record, and a few megabytes of blobs that
    /// nobody refers to. Returns whether there may be more.
    async fn purge(&mut self, now: u64, limit: u32) -> Result<bool, StoreError>;
    /// Stores packages; a package that was published before changes nothing.
    async fn publish(
        &mut self,
        publish: &Publish,
    ) -> Result<Result<Vec<SuiteStock>, Refusal>, StoreError>;
    /// Takes one package per target; empty when there is none.
    async fn claim(&mut self, claim: &Claim) -> Result<Result<Vec<Vec<u8>>, Refusal>, StoreError>;
    /// Replaces the hybrid key.
    async fn put_hybrid_key(&mut self, put: &PutHybridKey) -> Result<(), StoreError>;
    /// Gives a free name to an identity; a repetition changes nothing.
    async fn claim_name(&mut self, claim: &ClaimName) -> Result<Result<(), Refusal>, StoreError>;
    /// Writes something that the commit must sync, and changes nothing.
    async fn probe(&mut self) -> Result<(), StoreError>;
    /// Registers an identity on the given terms, taking one use of its invite. One that is
    /// registered stays so, and its invite as it is.
    async fn admit(&mut self, admit: &Admit) -> Result<Result<(), Refusal>, StoreError>;
    /// One step of a deletion.
    async fn delete(&mut self, step: &Deletion) -> Result<(), StoreError>;
    /// What an owner has under one hash.
    async fn load_blob(
        &mut self,
        owner: &IdentityKey,
        sha256: &[u8; 32],
    ) -> Result<BlobView, StoreError>;
    /// Writes what was decided about a blob; `upload` is the owner's, as it was loaded.
    async fn apply_blob(
        &mut self,
        put: &PutBlob,
        upload: Option<&Upload>,
        change: BlobChange<'_>,
    ) -> Result<(), StoreError>;
    /// Removes the owner's reference or upload; nothing there is no error.
    async fn release_blob(&mut self, release: &ReleaseBlob) -> Result<(), StoreError>;
}
