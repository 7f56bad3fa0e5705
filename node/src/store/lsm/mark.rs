//! The number of the last acknowledged commit, beside the store.
//!
//! A journal ends where it stops making sense, so damage inside it would look like its end. The
//! mark is written after each commit and not synced: it is exact unless power fails, and never
//! ahead of the journal. A journal that ends before it has lost acknowledged rows.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The number, and its complement, so that damage shows.
const LEN: usize = 16;

/// The open mark file.
#[derive(Debug)]
pub(super) struct Mark(File);

impl Mark {
    /// The number in the file; none without a file, 0 when it makes no sense.
    pub(super) fn read(path: &Path) -> io::Result<Option<u64>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let number = |at: usize| {
            let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u64::from_be_bytes)
        };
        match (number(0), number(8)) {
            (Some(commits), Some(check)) if commits == !check => Ok(Some(commits)),
            _ => {
                tracing::warn!(path = %path.display(), "the mark of the queues is unreadable");
                Ok(Some(0))
            }
        }
    }

    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() == 0 {
            file.write_all_at(&encode(0), 0)?;
            file.sync_all()?;
        }
        Ok(Self(file))
    }

    /// A new file, synced.
    pub(super) fn create(path: &Path, commits: u64) -> io::Result<()> {
        let file = File::create(path)?;
        file.write_all_at(&encode(commits), 0)?;
        file.sync_all()
    }

    pub(super) fn set(&self, commits: u64) {
        // The commit stands whatever becomes of its mark.
        if let Err(error) = self.0.write_all_at(&encode(commits), 0) {
            tracing::debug!(%error, "the mark was not written");
        }
    }
}

fn encode(commits: u64) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..8].copy_from_slice(&commits.to_be_bytes());
    bytes[8..].copy_from_slice(&(!commits).to_be_bytes());
    bytes
}
