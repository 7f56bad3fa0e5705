//! How full the disk is, and whether new rows are taken.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytesize::ByteSize;

/// The default watermark is this much, or a twentieth of the disk when that is less.
const DEFAULT_WATERMARK: u64 = 256 * 1024 * 1024;
const DEFAULT_SHARE: u64 = 20;

/// The watermark: below it the node takes no new rows.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    /// Set by the operator.
    wanted: Option<u64>,
    free: AtomicU64,
    watermark: AtomicU64,
    low: AtomicBool,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskChange {
    Low,
    Enough,
}

impl Disk {
    /// Looks at the file system of `path`, which must exist. `watermark` in bytes; 0: none.
    pub(crate) fn new(path: &Path, watermark: Option<u64>) -> io::Result<Self> {
        let disk = Self {
            path: path.to_owned(),
            wanted: watermark,
            free: AtomicU64::new(0),
            watermark: AtomicU64::new(0),
            low: AtomicBool::new(false),
        };
        disk.measure()?;
        Ok(disk)
    }

    /// Looks again; returns what has changed.
    pub(crate) fn measure(&self) -> io::Result<Option<DiskChange>> {
        let stat = rustix::fs::statvfs(&self.path)?;
        // What is free for us, which is less than what is free for root.
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let total = stat.f_blocks.saturating_mul(stat.f_frsize);
        Ok(self.note(free, total))
    }

    fn note(&self, free: u64, total: u64) -> Option<DiskChange> {
        let watermark = self.wanted.unwrap_or_else(|| DEFAULT_WATERMARK.min(total / DEFAULT_SHARE));
        self.free.store(free, Ordering::Relaxed);
        self.watermark.store(watermark, Ordering::Relaxed);
        let low = free < watermark;
        let was = self.low.swap(low, Ordering::Relaxed);
        (was != low).then_some(if low { DiskChange::Low } else { DiskChange::Enough })
    }

    /// Whether new rows are refused.
    pub(crate) fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    /// Bytes that are free.
    pub(crate) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// Bytes below which new rows are refused.
    pub(crate) fn watermark(&self) -> u64 {
        self.watermark.load(Ordering::Relaxed)
    }

    /// The state for people.
    pub(crate) fn describe(&self) -> String {
        let (free, watermark) = (ByteSize(self.free()), ByteSize(self.watermark()));
        format!("{free} free, new rows need {watermark}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_default_is_a_twentieth_and_at_most_256_mib() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(dir.path(), None).unwrap();
        assert!(disk.free() > 0 && disk.watermark() > 0);
        disk.note(GIB, 100 * GIB);
        assert_eq!(disk.watermark(), 256 << 20);
        disk.note(GIB, GIB);
        assert_eq!(disk.watermark(), GIB / 20);
    }

    #[test]
    fn changes_are_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(dir.path(), Some(1)).unwrap();
        assert!(!disk.is_low());
        assert_eq!(disk.note(0, GIB), Some(DiskChange::Low));
        assert_eq!(disk.note(0, GIB), None);
        assert!(disk.is_low());
        assert_eq!(disk.note(1, GIB), Some(DiskChange::Enough));
        let off = Disk::new(dir.path(), Some(0)).unwrap();
        assert_eq!(off.note(0, GIB), None);
        assert!(!off.is_low());
        assert!(Disk::new(&dir.path().join("gone"), None).is_err());
    }
}
