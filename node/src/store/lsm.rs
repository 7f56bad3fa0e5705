//! The queues in a log-structured store (fjall), synced at every commit.
//!
//! A batch is one journal entry: what readers see is durable. Rows come and go in order of their
//! keys, so a batch costs one sequential write, however long the queues are.

mod apply;
mod backup;
mod ballast;
mod codec;
mod heads;
mod journal;
mod load;
mod open;
mod reads;
mod shares;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use fjall::{Keyspace, OwnedWriteBatch, PersistMode};
use quicproquo_schemas::id::IdentityKey;

use super::mark::Mark;
use super::plan::{Effects, Ids, Loaded, ShareKey, Shares, Strangers, Wanted};
use super::write::Sender;
use super::{QueueBackend, StoreError};
use crate::clock::Clock;
use crate::config::Sync;
pub(crate) use backup::revive;
use ballast::Ballast;
use heads::Heads;
pub(crate) use open::{Queues, open};
pub(crate) use reads::LsmReads;
use shares::ShareCache;

/// The keyspaces, open.
#[derive(Clone)]
struct Opened {
    db: fjall::Database,
    /// Rows: queue and position.
    rows: Keyspace,
    /// Bodies that several rows share.
    bodies: Keyspace,
    /// Small records that are read by key: queues, fences, counters.
    state: Keyspace,
    /// Rows by expiry and by channel.
    index: Keyspace,
    /// What is remembered for a time: payload digests and results of sends.
    kept: Keyspace,
}

/// What both ends share. Empty while the store is opened again after a failure.
struct Place {
    path: PathBuf,
    clock: Clock,
    opened: RwLock<Option<Opened>>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Place {
    fn read(&self) -> RwLockReadGuard<'_, Option<Opened>> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> Result<Opened, StoreError> {
        self.read().clone().ok_or_else(|| StoreError::Database("the queues are closed".into()))
    }
}

/// The writing end.
pub(crate) struct Lsm {
    place: Arc<Place>,
    mark: Mark,
    ballast: Ballast,
    sync: Sync,
    ids: Ids,
    shares: ShareCache,
    heads: Heads,
    /// Number of the last commit.
    commits: u64,
    /// Everything that expired before was swept.
    swept: u64,
    pending: Option<OwnedWriteBatch>,
    /// A commit failed: what is in memory may differ from the disk.
    broken: bool,
    tasks: open::Tasks,
}

impl std::fmt::Debug for Lsm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lsm").field("place", &self.place).finish_non_exhaustive()
    }
}

impl From<fjall::Error> for StoreError {
    fn from(error: fjall::Error) -> Self {
        let io = match &error {
            fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) => Some(io),
            _ => None,
        };
        match io {
            Some(io) if io.kind() == std::io::ErrorKind::StorageFull => Self::Full,
            Some(io) => Self::Database(format!("queues: {io}")),
            None => Self::Database(format!("queues: {error:?}")),
        }
    }
}

impl Lsm {
    /// Closes the store.
    pub(crate) fn close(self) {
        self.place.opened.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// A background task that finds no room stops all writes, so that a later one fails with
    /// another error: the disk says what the matter is.
    fn failure(&mut self, error: fjall::Error) -> StoreError {
        let error = match StoreError::from(error) {
            StoreError::Database(_) if ballast::is_full(&self.place.path) => StoreError::Full,
            error => error,
        };
        if matches!(error, StoreError::Full) {
            self.ballast.drop();
        }
        error
    }

    /// The batch of this transaction.
    fn batch(&mut self) -> Result<&mut OwnedWriteBatch, StoreError> {
        self.pending.as_mut().ok_or_else(|| StoreError::Database("no transaction".into()))
    }
}

impl QueueBackend for Lsm {
    fn is_steady(&self) -> bool {
        !self.broken && self.tasks == open::Tasks::Run && !self.has_stopped()
    }

    fn ids(&mut self) -> &mut Ids {
        &mut self.ids
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        self.keep_open()?;
        let mode = match self.sync {
            Sync::Full => PersistMode::SyncData,
            Sync::None => PersistMode::Buffer,
        };
        let place = self.place.read();
        let opened =
            place.as_ref().ok_or_else(|| StoreError::Database("the queues are closed".into()))?;
        self.pending = Some(opened.db.batch().durability(Some(mode)));
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        let Some(mut batch) = self.pending.take().filter(|batch| !batch.is_empty()) else {
            return Ok(());
        };
        let commits = self.commits + 1;
        let opened = self.place.opened()?;
        batch.insert(&opened.state, codec::COMMITS, commits.to_be_bytes());
        if let Err(error) = batch.commit() {
            self.broken = true;
            return Err(self.failure(error));
        }
        self.commits = commits;
        self.mark.set(commits);
        Ok(())
    }

    async fn rollback(&mut self) {
        self.pending = None;
        // What the caches were told has not happened.
        self.shares.clear();
        self.heads.clear();
    }

    async fn load(&mut self, wanted: &Wanted, now: u64) -> Result<Loaded, StoreError> {
        load::load(&self.place.opened()?, &mut self.heads, wanted, now)
    }

    async fn load_shares(&mut self, wanted: &[ShareKey]) -> Result<Shares, StoreError> {
        let opened = self.place.opened()?;
        self.shares.load(&opened, wanted)
    }

    async fn load_strangers(&mut self, wanted: &[Sender]) -> Result<Strangers, StoreError> {
        load::strangers(&self.place.opened()?, wanted)
    }

    async fn forget_kept(
        &mut self,
        identity: &IdentityKey,
        limit: u32,
    ) -> Result<bool, StoreError> {
        let opened = self.place.opened()?;
        apply::forget_kept(&opened, self.batch()?, identity, limit)
    }

    async fn load_expired(&mut self, now: u64, limit: u32) -> Result<Loaded, StoreError> {
        if now < self.swept {
            self.swept = 0;
        }
        let loaded = load::expired(&self.place.opened()?, self.swept, now, limit)?;
        if loaded.expired.len() < limit as usize {
            self.swept = now;
        }
        Ok(loaded)
    }

    async fn apply(&mut self, effects: Effects) -> Result<(), StoreError> {
        self.shares.apply(&effects);
        self.heads.apply(&effects);
        let opened = self.place.opened()?;
        apply::apply(&opened, self.batch()?, &effects)
    }

    /// Takes up the ballast again when there is room for it. Digests and sends that are over are
    /// passed by when they are read, and dropped when their table is compacted.
    async fn purge(&mut self, _: u64, _: u32) -> Result<(), StoreError> {
        self.ballast.load();
        Ok(())
    }

    async fn probe(&mut self) -> Result<(), StoreError> {
        let opened = self.place.opened()?;
        self.batch()?.insert(&opened.state, codec::PROBE, []);
        Ok(())
    }
}
