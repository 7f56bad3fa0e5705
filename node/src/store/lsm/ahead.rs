//! Blocks that the journal has before it needs them.
//!
//! A journal is made 64 MiB long and empty. Its first write into each block makes the file system
//! find one, and the sync that follows waits for that to be recorded as well: most of the time of
//! a small commit. Where the journal has been filled with zeros in advance a sync is one write.
//! What was filled and not used reads as what was never written.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{SeekFrom, seek};

use super::journal;

/// Fewest bytes to have ahead.
const FEWEST: u64 = 512 * 1024;
/// Most bytes to have ahead. What writes more in a second writes large batches, of which the
/// blocks are the smaller part.
const MOST: u64 = 4 * 1024 * 1024;
/// Zeros are looked for and written in such pieces, in bytes.
const PIECE: usize = 64 * 1024;

/// The newest journal, and how far it was written.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    journal: Option<(PathBuf, File)>,
    written: u64,
}

impl Ahead {
    /// Fills what a second like the last one will need. To be called once a second, and never
    /// while a commit is under way.
    pub(super) fn fill(&mut self, store: &Path) {
        if let Err(error) = self.try_fill(store) {
            tracing::debug!(%error, "the journal was not filled in advance");
            self.journal = None;
        }
    }

    fn try_fill(&mut self, store: &Path) -> io::Result<()> {
        let Some((_, newest)) = journal::files(store)?.pop() else { return Ok(()) };
        if self.journal.as_ref().is_none_or(|(path, _)| *path != newest) {
            let file = OpenOptions::new().read(true).write(true).open(&newest)?;
            self.journal = Some((newest, file));
            self.written = 0;
        }
        let Some((_, file)) = &self.journal else { return Ok(()) };
        let len = file.metadata()?.len();
        // Only a hole is filled: nothing was ever written there.
        let hole = seek(file, SeekFrom::Hole(0))?;
        let written = end_of_data(file, hole)?;
        let used = written.saturating_sub(self.written);
        self.written = written;
        let ahead = hole - written;
        let wanted = (2 * used).max(FEWEST);
        if used > MOST || ahead >= wanted.min(MOST) / 2 {
            return Ok(());
        }
        let end = (written + wanted.min(MOST)).min(len);
        let zeros = vec![0; PIECE];
        let mut at = hole;
        while at < end {
            let piece = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
            file.write_all_at(&zeros[..piece], at)?;
            at += piece as u64;
        }
        if hole < end { file.sync_data() } else { Ok(()) }
    }
}

/// Where the zeros begin that end at `hole`, looking back no further than [`MOST`].
fn end_of_data(file: &File, hole: u64) -> io::Result<u64> {
    let mut piece = vec![0; PIECE];
    let mut end = hole;
    let least = hole.saturating_sub(MOST + PIECE as u64);
    while end > least {
        let start = end.saturating_sub(PIECE as u64);
        let len = usize::try_from(end - start).unwrap_or(PIECE);
        file.read_exact_at(&mut piece[..len], start)?;
        if let Some(last) = piece[..len].iter().rposition(|byte| *byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(end)
}
