//! Looks at the journals before they are replayed.
//!
//! fjall takes the first thing that makes no sense for the end of a journal, or refuses to open.
//! Neither is right in every case: a batch that was being written when power failed is to be cut
//! off, damage to what was acknowledged is to be reported. The numbers of the commits, which are
//! part of each batch, tell the two apart.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::codec;
use crate::store::StoreError;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8] = b"FJL\x03";
/// Value type of an item that was inserted.
const INSERTED: u8 = 0;
/// Longest value that is believed.
const MAX_VALUE: u32 = 256 * 1024 * 1024;

/// What the journals hold.
struct Journal {
    /// Bytes of the batches that are whole.
    whole: u64,
    /// Something that is no batch follows.
    damaged: bool,
    /// Numbers of its first and last commit.
    commits: Option<(u64, u64)>,
}

/// Checks that the journals lead without a hole to the commit `mark` or further, and cuts off
/// what was being written when the power failed.
pub(super) fn inspect(path: &Path, mark: u64) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    let corrupt = |detail: String| StoreError::Corrupt { path: path.to_owned(), detail };
    let files = files(path).map_err(io)?;
    let mut last: Option<u64> = None;
    let newest = files.len().saturating_sub(1);
    for (at, (_, file)) in files.iter().enumerate() {
        let journal = read(file).map_err(io)?;
        let name = file.display();
        if let Some((first, end)) = journal.commits {
            if last.is_some_and(|last| last + 1 != first) {
                return Err(corrupt(format!(
                    "{name} does not go on where the journal before ends"
                )));
            }
            last = Some(end);
        }
        if !journal.damaged {
            continue;
        }
        let whole = journal.whole;
        if at < newest {
            return Err(corrupt(format!("{name} is damaged after byte {whole}")));
        }
        if last.is_some_and(|last| last < mark) {
            let last = last.unwrap_or_default();
            return Err(corrupt(format!(
                "{name} is damaged after byte {whole}: it ends at commit {last}, and commit \
                 {mark} was acknowledged"
            )));
        }
        tracing::warn!(journal = %name, whole, "cutting off a batch that was never finished");
        let cut = || {
            let file = OpenOptions::new().write(true).open(file)?;
            file.set_len(whole)?;
            file.sync_all()
        };
        cut().map_err(io)?;
    }
    Ok(())
}

/// The journals, the oldest first, with their numbers.
pub(super) fn files(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(id) = name.strip_suffix(".jnl").and_then(|id| id.parse().ok()) {
            files.push((id, file));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Whether a journal is whole and holds no commit.
pub(super) fn is_blank(path: &Path) -> io::Result<bool> {
    let journal = read(path)?;
    Ok(journal.commits.is_none() && !journal.damaged)
}

fn read(path: &Path) -> io::Result<Journal> {
    let file = File::open(path)?;
    let mut reader = Counted { inner: BufReader::with_capacity(1 << 18, file), at: 0 };
    let mut journal = Journal { whole: 0, damaged: false, commits: None };
    loop {
        match batch(&mut reader) {
            Ok(Some(commit)) => {
                journal.whole = reader.at;
                journal.commits = match journal.commits {
                    None => Some((commit, commit)),
                    Some((first, last)) if last + 1 == commit => Some((first, commit)),
                    // A hole inside: what follows cannot be trusted.
                    Some(_) => {
                        journal.damaged = true;
                        return Ok(journal);
                    }
                };
            }
            Ok(None) => journal.whole = reader.at,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                journal.damaged = !only_zeros(path, journal.whole)?;
                return Ok(journal);
            }
            Err(error) => return Err(error),
        }
    }
}

/// One batch: the number of its commit, if it has one.
fn batch(reader: &mut Counted) -> io::Result<Option<u64>> {
    let [tag] = reader.take()?;
    if tag != START {
        return Err(invalid());
    }
    let items = u32::from_le_bytes(reader.take()?);
    let _seqno: [u8; 8] = reader.take()?;
    let mut checksum = Xxh3::default();
    let mut commit = None;
    let mut bytes = Vec::new();
    for _ in 0..items {
        bytes.clear();
        if let Some(number) = item(reader, &mut bytes)? {
            commit = Some(number);
        }
        checksum.update(&bytes);
    }
    let [tag] = reader.take()?;
    let expected = u64::from_le_bytes(reader.take()?);
    let trailer: [u8; TRAILER.len()] = reader.take()?;
    if tag != END || trailer != TRAILER || expected != checksum.digest() {
        return Err(invalid());
    }
    Ok(commit)
}

/// Reads an item into `bytes`; returns the number of the commit when it is that.
fn item(reader: &mut Counted, bytes: &mut Vec<u8>) -> io::Result<Option<u64>> {
    let [tag] = reader.take()?;
    bytes.push(tag);
    match tag {
        CLEAR => {
            bytes.extend(reader.take::<8>()?);
            return Ok(None);
        }
        ITEM => {}
        _ => return Err(invalid()),
    }
    let [kind] = reader.take()?;
    let head: [u8; 19] = reader.take()?;
    bytes.push(kind);
    bytes.extend(head);
    // Compression u8, keyspace u64, key u16, value u32, value on disk u32.
    let key_len = u16::from_le_bytes([head[9], head[10]]);
    let value_len = u32::from_le_bytes([head[15], head[16], head[17], head[18]]);
    if value_len > MAX_VALUE {
        return Err(invalid());
    }
    let start = bytes.len();
    let len = u64::from(key_len) + u64::from(value_len);
    let read = reader.take_up_to(len, bytes)?;
    if read < len {
        return Err(invalid());
    }
    let (key, value) = bytes[start..].split_at(usize::from(key_len));
    let number = (kind == INSERTED && key == codec::COMMITS).then_some(value);
    Ok(number.and_then(|value| value.try_into().ok()).map(u64::from_be_bytes))
}

/// Journals are made longer in advance; what was never written is zero.
fn only_zeros(path: &Path, from: u64) -> io::Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(true),
            len if buffer[..len].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

fn invalid() -> io::Error {
    io::Error::from(io::ErrorKind::InvalidData)
}

/// Knows how far it has read.
struct Counted {
    inner: BufReader<File>,
    at: u64,
}

impl Counted {
    fn take_up_to(&mut self, len: u64, bytes: &mut Vec<u8>) -> io::Result<u64> {
        let read = Read::take(&mut self.inner, len).read_to_end(bytes)? as u64;
        self.at += read;
        Ok(read)
    }

    /// The file ends inside a batch: as damaged as any other.
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => invalid(),
            _ => error,
        })?;
        self.at += N as u64;
        Ok(bytes)
    }
}
