//! Blocks that are written and synced, one after the other. Blocks the caller.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use super::{Figures, FloorError};
use crate::clock::Stopwatch;

/// Blocks of the file that is overwritten.
const BLOCKS: u64 = 256;

/// Appends blocks of `bytes` to a file in `dir`, which is removed, and syncs its data (fdatasync)
/// after each, for `time`, a block each `pace`.
pub fn sync_append(
    dir: &Path,
    time: Duration,
    bytes: usize,
    pace: Duration,
) -> Result<Figures, FloorError> {
    let block = vec![0x5a; bytes];
    with_file(dir, |file| measure(time, pace, file, |file, _| file.write_all(&block)))
}

/// Overwrites blocks of `bytes` of a file in `dir`, which is removed, in turn, and syncs its data
/// after each, for `time`: no block is allocated, so no metadata has to be written.
pub fn sync_overwrite(dir: &Path, time: Duration, bytes: usize) -> Result<Figures, FloorError> {
    let block = vec![0x5a; bytes];
    with_file(dir, |file| {
        for _ in 0..BLOCKS {
            file.write_all(&block)?;
        }
        file.sync_all()?;
        measure(time, Duration::ZERO, file, |file, turn| {
            file.seek(SeekFrom::Start(turn % BLOCKS * block.len() as u64))?;
            file.write_all(&block)
        })
    })
}

fn with_file(
    dir: &Path,
    work: impl FnOnce(&mut File) -> io::Result<Figures>,
) -> Result<Figures, FloorError> {
    let path = dir.join(format!("floor-{}.sync", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let figures = work(&mut file);
    std::fs::remove_file(&path)?;
    Ok(figures?)
}

fn measure(
    time: Duration,
    pace: Duration,
    file: &mut File,
    mut write: impl FnMut(&mut File, u64) -> io::Result<()>,
) -> io::Result<Figures> {
    let clock = Stopwatch::start();
    let mut nanos = Vec::new();
    for turn in 0.. {
        let started = clock.elapsed();
        if started >= time {
            break;
        }
        write(file, turn)?;
        file.sync_data()?;
        nanos.push(clock.nanos_since(started));
        std::thread::sleep(pace.saturating_sub(clock.elapsed().saturating_sub(started)));
    }
    Ok(Figures { nanos, elapsed: clock.elapsed() })
}
