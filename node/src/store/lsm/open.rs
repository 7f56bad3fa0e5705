//! Opens the store, or says why it must not be used.

use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use fjall::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};
use fjall::{Database, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use super::ballast::{self, Ballast};
use super::heads::Heads;
use super::shares::ShareCache;
use super::{Lsm, LsmReads, Opened, Place, codec, journal};
use crate::clock::Clock;
use crate::config::Sync;
use crate::store::StoreError;
use crate::store::mark::Mark;
use crate::store::plan::Ids;

/// Name of the store's directory in the data directory.
pub(super) const DIRECTORY: &str = "queues";
/// Name of the mark in the data directory.
pub(super) const MARK: &str = "queues.mark";
/// Name of the ballast in the data directory.
const BALLAST: &str = "queues.ballast";
/// The file of fjall that says that a directory is a store.
const MARKER: &str = "version";
/// Directories of fjall's own keyspace and of ours, in the order in which they are made.
const KEYSPACES: RangeInclusive<u32> = 0..=5;
/// Version of the keys and values.
const VERSION: u64 = 1;

/// Blocks of tables that are kept in memory, in bytes.
const CACHE: u64 = 32 * 1024 * 1024;
/// Journals above this size make the oldest changes leave memory, in bytes. They are read at a
/// start.
const JOURNALS: u64 = 256 * 1024 * 1024;
/// Unsorted changes of one keyspace in memory, in bytes.
const MEMTABLE: u64 = 32 * 1024 * 1024;
/// With less than this free a background task is likely to find no room, in bytes: it writes a
/// keyspace's unsorted changes out, and what it finds no room for stops all writes.
const FLUSH_ROOM: u64 = 2 * MEMTABLE;
/// Journals that a store without background tasks may have. Each former one leaves changes to be
/// written out, and with four of those in a keyspace fjall lets writes wait for its tasks.
const JOURNALS_AT_REST: usize = 4;
/// Values from this size on are written once and not moved by compactions, in bytes.
const SEPARATED: u32 = 8 * 1024;

/// Both ends of an open store.
#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) writer: Lsm,
    pub(crate) reads: LsmReads,
}

/// Opens the queues of a data directory, or creates them where there have never been any.
pub(crate) fn open(data_dir: &Path, clock: &Clock, sync: Sync) -> Result<Queues, StoreError> {
    let place = Arc::new(Place {
        path: data_dir.join(DIRECTORY),
        clock: clock.clone(),
        opened: RwLock::new(None),
    });
    let mark_path = data_dir.join(MARK);
    let mark = Mark::read(&mark_path)?;
    if mark.is_none() && is_unfinished(&place.path)? {
        tracing::warn!("the first start was cut off: making the queues again");
        fs::remove_dir_all(&place.path)
            .map_err(|source| StoreError::Io { path: place.path.clone(), source })?;
    }
    check_directory(&place.path, mark.is_some())?;
    let mark_before = mark.unwrap_or_default();
    let (opened, commits, ids) = open_place(&place.path, &place.clock, mark_before, Tasks::Run)?;
    *place.opened.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
    let mark_file = Mark::open(&mark_path)?;
    if mark.is_none() {
        let io = |source| StoreError::Io { path: data_dir.to_owned(), source };
        File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(io)?;
    }
    let writer = Lsm {
        place: Arc::clone(&place),
        mark: mark_file,
        ballast: Ballast::new(data_dir.join(BALLAST)),
        sync,
        ids,
        shares: ShareCache::default(),
        heads: Heads::default(),
        commits,
        swept: 0,
        pending: None,
        broken: false,
        tasks: Tasks::Run,
    };
    Ok(Queues { writer, reads: LsmReads::new(place) })
}

/// Whether background tasks write unsorted changes out and merge tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tasks {
    Run,
    /// They would find no room. Commits go on, as far as there is room for their journal.
    Rest,
}

impl Tasks {
    /// What they should do on a disk as full as this one.
    pub(super) fn suitable(path: &Path) -> Self {
        let is_low = ballast::free(path).is_some_and(|free| free < FLUSH_ROOM);
        let may_rest = journal::files(path).is_ok_and(|files| files.len() <= JOURNALS_AT_REST);
        if is_low && may_rest { Self::Rest } else { Self::Run }
    }
}

/// Whether a directory without a mark is what a first start has left that was cut off: without a
/// commit in its journals, and without a table.
fn is_unfinished(path: &Path) -> Result<bool, StoreError> {
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    if !path.try_exists().map_err(io)? {
        return Ok(false);
    }
    for (_, file) in journal::files(path).map_err(io)? {
        if !journal::is_blank(&file).map_err(io)? {
            return Ok(false);
        }
    }
    for id in KEYSPACES.skip(1) {
        for kind in ["tables", "blobs"] {
            let folder = path.join("keyspaces").join(id.to_string()).join(kind);
            let first = match fs::read_dir(folder) {
                Ok(mut entries) => entries.next(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(io(error)),
            };
            if first.is_some() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// A store that is gone is not replaced by an empty one.
fn check_directory(path: &Path, existed: bool) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    if path.join(MARKER).try_exists().map_err(io)? {
        return Ok(());
    }
    let empty = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(io(error)),
    };
    match (existed, empty) {
        (true, true) => Err(StoreError::Missing(path.to_owned())),
        (_, false) => Err(StoreError::Corrupt {
            path: path.to_owned(),
            detail: format!("the file {MARKER} is missing"),
        }),
        (false, true) => Ok(()),
    }
}

/// fjall takes a keyspace that has lost its pointer to its tables for a new one.
fn check_keyspaces(path: &Path) -> Result<(), StoreError> {
    for id in KEYSPACES {
        let pointer = path.join("keyspaces").join(id.to_string()).join("current");
        let io = |source| StoreError::Io { path: pointer.clone(), source };
        if !pointer.try_exists().map_err(io)? {
            return Err(corrupt(path, &format!("{} is missing", pointer.display())));
        }
    }
    Ok(())
}

/// Opens the keyspaces; returns the number of the last commit and the next ids.
pub(super) fn open_place(
    path: &Path,
    clock: &Clock,
    mark: u64,
    tasks: Tasks,
) -> Result<(Opened, u64, Ids), StoreError> {
    if path.join(MARKER).exists() {
        if mark > 0 {
            check_keyspaces(path)?;
        }
        journal::inspect(path, mark)?;
    }
    // Damage that the format does not foresee makes its readers panic.
    let opened = catch_unwind(AssertUnwindSafe(|| open_keyspaces(path, clock, tasks)))
        .map_err(|_| corrupt(path, "the store cannot be read"))?
        .map_err(|error| corrupt_if_damaged(error, path))?;
    let version = opened.state.get(codec::VERSION).map_err(|e| corrupt_if_damaged(e, path))?;
    let number =
        |value: Option<fjall::UserValue>| value.map(|value| codec::get_number(&value)).transpose();
    let commits = number(opened.state.get(codec::COMMITS)?)?.unwrap_or_default();
    match number(version)? {
        None if commits == 0 => {
            opened.state.insert(codec::VERSION, VERSION.to_be_bytes())?;
            opened.db.persist(PersistMode::SyncAll)?;
        }
        Some(VERSION) => {}
        None => return Err(corrupt(path, "it has no version")),
        Some(found) => {
            let (found, known) = (found.cast_signed(), VERSION.cast_signed());
            return Err(StoreError::Newer { path: path.to_owned(), found, known });
        }
    }
    Mark::check(&path.with_file_name(MARK), Some(mark), path, commits)?;
    let ids = match opened.state.get(codec::IDS)? {
        None => Ids { queue: 1, body: 1 },
        Some(value) => {
            let (queue, body) = value.split_at(value.len() / 2);
            let id = |bytes| Ok::<_, StoreError>(codec::get_number(bytes)?.cast_signed());
            Ids { queue: id(queue)?, body: id(body)? }
        }
    };
    Ok((opened, commits, ids))
}

pub(super) fn open_keyspaces(path: &Path, clock: &Clock, tasks: Tasks) -> fjall::Result<Opened> {
    let clock = clock.clone();
    let db = Database::builder(path)
        .cache_size(CACHE)
        .max_journaling_size(JOURNALS)
        // `worker_threads` takes no 0.
        .worker_threads_unchecked(usize::from(tasks == Tasks::Run))
        .manual_journal_persist(true)
        .with_compaction_filter_factories(Arc::new(move |keyspace| {
            let over = Arc::new(Over(clock.clone()));
            (keyspace == "kept").then_some(over as Arc<dyn Factory>)
        }))
        .open()?;
    let small = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE);
    let large = || {
        let separation = KvSeparationOptions::default().separation_threshold(SEPARATED);
        small().with_kv_separation(Some(separation))
    };
    Ok(Opened {
        rows: db.keyspace("rows", large)?,
        bodies: db.keyspace("bodies", large)?,
        state: db.keyspace("state", || small().expect_point_read_hits(true))?,
        index: db.keyspace("index", small)?,
        kept: db.keyspace("kept", small)?,
        db,
    })
}

impl Lsm {
    /// Opens the store anew where it has stopped, or where its tasks should do otherwise on a disk
    /// as full as it is now.
    pub(super) fn keep_open(&mut self) -> Result<(), StoreError> {
        if self.broken || self.has_stopped() {
            let tasks = Tasks::suitable(&self.place.path);
            tracing::warn!(?tasks, "opening the queues again after a failed write");
            return self.reopen(tasks);
        }
        if self.tasks == Tasks::Rest && Tasks::suitable(&self.place.path) == Tasks::Run {
            tracing::info!("opening the queues again: there is room for background tasks");
            return self.reopen(Tasks::Run);
        }
        Ok(())
    }

    /// A background task that fails stops all writes.
    pub(super) fn has_stopped(&self) -> bool {
        let place = self.place.read();
        place.as_ref().is_some_and(|opened| opened.db.persist(PersistMode::Buffer).is_err())
    }

    /// After a failed commit memory and disk may tell different stories, and the disk is right.
    fn reopen(&mut self, tasks: Tasks) -> Result<(), StoreError> {
        self.pending = None;
        self.shares.clear();
        self.heads.clear();
        self.broken = true;
        let mut opened = self.place.opened.write().unwrap_or_else(PoisonError::into_inner);
        drop(opened.take());
        let (path, clock) = (&self.place.path, &self.place.clock);
        let (fresh, commits, ids) = open_place(path, clock, self.commits, tasks)?;
        *opened = Some(fresh);
        self.commits = commits;
        self.ids = ids;
        self.tasks = tasks;
        self.broken = false;
        Ok(())
    }
}

fn corrupt(path: &Path, detail: &str) -> StoreError {
    StoreError::Corrupt { path: PathBuf::from(path), detail: detail.to_owned() }
}

fn corrupt_if_damaged(error: fjall::Error, path: &Path) -> StoreError {
    use fjall::{Error, LsmError};
    match error {
        Error::JournalRecovery(_)
        | Error::InvalidVersion(_)
        | Error::InvalidTag(_)
        | Error::InvalidTrailer
        | Error::Unrecoverable
        | Error::Storage(
            LsmError::ChecksumMismatch { .. }
            | LsmError::InvalidHeader(_)
            | LsmError::InvalidTag(_)
            | LsmError::InvalidTrailer
            | LsmError::InvalidVersion(_)
            | LsmError::Unrecoverable
            | LsmError::Utf8(_),
        ) => corrupt(path, &format!("{error:?}")),
        other => other.into(),
    }
}

/// Drops records of `kept` that are over when their table is compacted.
struct Over(Clock);

impl Factory for Over {
    fn name(&self) -> &'static str {
        "over"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(OverNow(self.0.now()))
    }
}

impl std::panic::RefUnwindSafe for Over {}

struct OverNow(u64);

impl CompactionFilter for OverNow {
    fn filter_item(
        &mut self,
        item: ItemAccessor<'_>,
        _: &Context,
    ) -> fjall::compaction::filter::CompactionFilterResult {
        let over = codec::is_over(&item.value()?, self.0);
        Ok(if over { Verdict::Remove } else { Verdict::Keep })
    }
}
