//! The number of the last acknowledged commit, in a file beside its store.
//!
//! A log ends where it stops making sense, so damage inside it looks like its end. The mark is
//! written after each commit and not synced: it is exact unless power fails, and never ahead of
//! the log. A store that ends before its mark has lost what was acknowledged.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::StoreError;

/// The number, and its complement, so that damage shows.
const LEN: usize = 16;

/// The open mark file.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    path: PathBuf,
}

impl Mark {
    /// The number in the file; none without a file, 0 when it makes no sense.
    pub(super) fn read(path: &Path) -> Result<Option<u64>, StoreError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Io { path: path.to_owned(), source }),
        };
        let commits = decode(&bytes);
        if commits.is_none() {
            tracing::warn!(path = %path.display(), "the mark is unreadable");
        }
        Ok(Some(commits.unwrap_or_default()))
    }

    /// Refuses a store that ends at `commits`, before what its mark says.
    pub(super) fn check(
        path: &Path,
        marked: Option<u64>,
        store: &Path,
        commits: u64,
    ) -> Result<(), StoreError> {
        match marked {
            Some(acknowledged) if commits < acknowledged => Err(StoreError::Behind {
                path: store.to_owned(),
                commits,
                acknowledged,
                mark: path.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Opens the file, or makes one that is synced.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let open = || {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            if file.metadata()?.len() == 0 {
                file.write_all_at(&encode(0), 0)?;
                file.sync_all()?;
            }
            Ok(Self { file, path: path.to_owned() })
        };
        open().map_err(|source| StoreError::Io { path: path.to_owned(), source })
    }

    /// A new file, synced.
    pub(super) fn create(path: &Path, commits: u64) -> Result<(), StoreError> {
        let create = || {
            let file = File::create(path)?;
            file.write_all_at(&encode(commits), 0)?;
            file.sync_all()
        };
        create().map_err(|source| StoreError::Io { path: path.to_owned(), source })
    }

    /// Notes a commit.
    pub(super) fn set(&self, commits: u64) {
        // The commit stands whatever becomes of its mark.
        if let Err(error) = self.file.write_all_at(&encode(commits), 0) {
            tracing::debug!(%error, path = %self.path.display(), "the mark was not written");
        }
    }

    /// Notes a commit, unless another process has noted a later one.
    pub(super) fn raise(&self, commits: u64) {
        let mut bytes = [0; LEN];
        let noted = self.file.read_exact_at(&mut bytes, 0).ok().and_then(|()| decode(&bytes));
        if noted.is_none_or(|noted| noted < commits) {
            self.set(commits);
        }
    }
}

fn encode(commits: u64) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..8].copy_from_slice(&commits.to_be_bytes());
    bytes[8..].copy_from_slice(&(!commits).to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let number = |at: usize| {
        let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u64::from_be_bytes)
    };
    let (commits, check) = (number(0)?, number(8)?);
    (commits == !check).then_some(commits)
}
