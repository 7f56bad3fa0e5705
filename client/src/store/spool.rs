//! Where an upload is put while it arrives: a file without a name, so that whatever ends the process
//! leaves nothing behind.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Uploads at once, of all sessions: each may take 100 MiB of disk.
const UPLOADS: usize = 8;

/// The folder of uploads.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    places: Arc<Semaphore>,
}

impl Spool {
    /// Uses a folder in the data directory, and empties it.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let dir = dir.join("uploads");
        std::fs::create_dir_all(&dir)?;
        for left in std::fs::read_dir(&dir)? {
            std::fs::remove_file(left?.path())?;
        }
        Ok(Self { dir, places: Arc::new(Semaphore::new(UPLOADS)) })
    }

    /// A place among those that upload. `None`: there is none.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// An empty file.
    pub(crate) fn file(&self) -> io::Result<File> {
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(io::Error::other)?;
        let path = self.dir.join(hex::encode(name));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays() {
        let dir = tempfile::tempdir().unwrap();
        let uploads = dir.path().join("uploads");
        std::fs::create_dir(&uploads).unwrap();
        std::fs::write(uploads.join("of a crash"), "x").unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let _file = spool.file().unwrap();
        assert_eq!(std::fs::read_dir(&uploads).unwrap().count(), 0);
        let places: Vec<_> = (0..UPLOADS).map(|_| spool.place().unwrap()).collect();
        assert!(spool.place().is_none());
        drop(places);
        assert!(spool.place().is_some());
    }
}
