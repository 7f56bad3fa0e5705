//! A file that gives its room back when the disk is full.
//!
//! Removing rows takes room too: an acknowledgement is written before anything is reclaimed. When
//! a commit finds no room, the ballast goes, and acknowledgements go on.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes that are kept back: some tens of thousands of acknowledgements.
const BYTES: u64 = 16 * 1024 * 1024;
/// The ballast is made again when so many times its size is free.
const PLENTY: u64 = 8;

/// Free bytes that are too few for a table or a journal.
const NOTHING: u64 = 4 * 1024 * 1024;

/// The file, there or not.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    there: bool,
}

impl Ballast {
    pub(super) fn new(path: PathBuf) -> Self {
        let there = fs::metadata(&path).is_ok_and(|file| file.len() == BYTES);
        let mut ballast = Self { path, there };
        ballast.load();
        ballast
    }

    /// Gives the room back.
    pub(super) fn drop(&mut self) {
        if !self.there {
            return;
        }
        self.there = false;
        match fs::remove_file(&self.path) {
            Ok(()) => tracing::warn!("the disk is full: the ballast is gone"),
            Err(error) => tracing::error!(%error, "the ballast cannot be removed"),
        }
    }

    /// Takes the room again once there is plenty.
    pub(super) fn load(&mut self) {
        if self.there || !has_plenty(&self.path) {
            return;
        }
        match write(&self.path) {
            Ok(()) => self.there = true,
            Err(error) => {
                tracing::debug!(%error, "no ballast yet");
                let _ = fs::remove_file(&self.path);
            }
        }
    }
}

fn has_plenty(path: &Path) -> bool {
    path.parent().and_then(free).is_some_and(|free| free > PLENTY * BYTES)
}

/// Whether next to nothing is free on the disk of `path`.
pub(super) fn is_full(path: &Path) -> bool {
    free(path).is_some_and(|free| free < NOTHING)
}

/// Bytes that this process may still write on the disk of `path`.
pub(super) fn free(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Real blocks: a hole would hold nothing back.
fn write(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let block = vec![0xa5; 1 << 20];
    for _ in 0..BYTES >> 20 {
        file.write_all(&block)?;
    }
    file.sync_all()
}
