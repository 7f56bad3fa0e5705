//! Copies of a data directory: taken while the node runs, restored into an empty one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use crate::clock::Clock;
use crate::config::Sync;
use crate::control;
use crate::lock::{DirLock, LockError};
use crate::store::lsm::{self, LsmReads};
use crate::store::{StoreError, sqlite};
use crate::tls;

/// Files beside the stores that belong to a node. What is not there is left out.
const FILES: [&str; 3] = [tls::CHAIN, tls::KEY, tls::MADE];

/// A backup was not taken, or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target has something in it.
    #[error("{0} is not empty")]
    NotEmpty(PathBuf),
    /// There is no node's data.
    #[error("{0} does not hold the data of a node")]
    NoData(PathBuf),
    /// One of the stores.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data directory cannot be locked.
    #[error(transparent)]
    Lock(LockError),
    /// The running node could not be asked, or refused.
    #[error("the running node: {0}")]
    Node(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// Records of the queues.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// What restoring changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// Queues, each of which now says that rows may be missing.
    pub queues: u64,
    /// One-time `KeyPackage`s that are not handed out again.
    pub packages: u64,
}

/// Copies the data of `data_dir` to `target`, which must be absent or empty, as of one moment for
/// each half of the store. A node that is running on it does the work and goes on serving.
///
/// # Errors
/// See [`BackupError`]; `target` is left as it was.
pub async fn backup(data_dir: &Path, target: &Path, clock: &Clock) -> Result<Backup, BackupError> {
    if !data_dir.join(sqlite::FILE).is_file() {
        return Err(BackupError::NoData(data_dir.to_owned()));
    }
    let target = std::path::absolute(target).map_err(|source| io_at(target, source))?;
    check_empty(&target)?;
    match DirLock::take(data_dir) {
        Ok(_lock) => {
            let queues = lsm::open(data_dir, clock, Sync::Full)?;
            let taken = take(&queues.reads, data_dir, &target).await;
            queues.writer.close();
            taken
        }
        Err(LockError::Held { .. }) => control::ask_backup(data_dir, &target).await,
        Err(error) => Err(BackupError::Lock(error)),
    }
}

/// Takes a backup of the queues that `reads` reads and of the directory beside them.
pub(crate) async fn take(
    reads: &LsmReads,
    data_dir: &Path,
    target: &Path,
) -> Result<Backup, BackupError> {
    let partial = prepare(target)?;
    let taken = fill(reads, data_dir, &partial).await;
    finish(taken, &partial, target)
}

async fn fill(reads: &LsmReads, data_dir: &Path, to: &Path) -> Result<Backup, BackupError> {
    let (reads, queues) = (reads.clone(), to.to_owned());
    let copied = spawn_blocking(move || reads.copy_to(&queues))
        .await
        .map_err(|error| BackupError::Node(error.to_string()))??;
    sqlite::copy(data_dir, to).await?;
    for name in FILES {
        let (from, to) = (data_dir.join(name), to.join(name));
        if from.exists() {
            copy_file(&from, &to).map_err(|source| io_at(&to, source))?;
        }
    }
    Ok(Backup { records: copied.records, bytes: copied.bytes })
}

/// Brings a backup to `data_dir`, which must be absent or empty, so that a node can go on from
/// it: positions of queues jump ahead and each queue says that rows may be missing; one-time
/// packages, which may have been handed out since, are spent.
///
/// # Errors
/// See [`BackupError`]; `data_dir` is left as it was.
pub async fn restore(from: &Path, data_dir: &Path, clock: &Clock) -> Result<Restored, BackupError> {
    if !from.join(sqlite::FILE).is_file() {
        return Err(BackupError::NoData(from.to_owned()));
    }
    let partial = prepare(data_dir)?;
    let restored = bring(from, &partial, clock).await;
    finish(restored, &partial, data_dir)
}

async fn bring(from: &Path, to: &Path, clock: &Clock) -> Result<Restored, BackupError> {
    copy_tree(from, to)?;
    let queues = lsm::revive(to, clock)?;
    let packages = sqlite::revive(to).await?;
    Ok(Restored { queues, packages })
}

fn check_empty(target: &Path) -> Result<(), BackupError> {
    match fs::read_dir(target).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(BackupError::NotEmpty(target.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(io_at(target, source)),
    }
}

/// A directory beside the target that takes its place when everything is in it.
fn prepare(target: &Path) -> Result<PathBuf, BackupError> {
    check_empty(target)?;
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = target.with_file_name(name);
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(|source| io_at(&partial, source))?;
    }
    make_private(&partial).map_err(|source| io_at(&partial, source))?;
    Ok(partial)
}

fn finish<T>(
    outcome: Result<T, BackupError>,
    partial: &Path,
    target: &Path,
) -> Result<T, BackupError> {
    let outcome = outcome.and_then(|value| {
        let place = || {
            fs::File::open(partial)?.sync_all()?;
            fs::rename(partial, target)?;
            let parent = target.parent().unwrap_or(Path::new("/"));
            fs::File::open(parent)?.sync_all()
        };
        place().map(|()| value).map_err(|source| io_at(target, source))
    });
    if outcome.is_err() {
        let _ = fs::remove_dir_all(partial);
    }
    outcome
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(from).map_err(|source| io_at(from, source))? {
        let entry = entry.map_err(|source| io_at(from, source))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(|source| io_at(&path, source))?;
        if kind.is_dir() {
            make_private(&target).map_err(|source| io_at(&target, source))?;
            copy_tree(&path, &target)?;
        } else if kind.is_file() {
            copy_file(&path, &target).map_err(|source| io_at(&target, source))?;
        }
    }
    fs::File::open(to).and_then(|dir| dir.sync_all()).map_err(|source| io_at(to, source))
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    fs::File::open(to)?.sync_all()
}

fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn io_at(path: &Path, source: io::Error) -> BackupError {
    BackupError::Io { path: path.to_owned(), source }
}
