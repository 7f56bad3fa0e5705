//! Files beside messages: sealed in chunks before they reach the node, which keeps them as blobs.
//!
//! The bytes are cut into chunks of 64 KiB, each sealed with ChaCha20-Poly1305 in the STREAM
//! construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015, in the `StreamBE32` flavour: nonce =
//! 7 bytes of prefix, chunk number u32 big-endian, last flag). The key is fresh for each file, so the prefix
//! is zero. A chunk cannot be moved, left out or taken for the last one, and each can be opened
//! alone. An empty file is one empty chunk.
//!
//! The sealed bytes are stored as blobs of at most 100 MiB, each named by its SHA-256. Their names
//! and the key travel in the body of a message of type `file`:
//! `{"name", "mime", "size", "encrypted": true, "blobs": [hex], "key": hex}`.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::aead::{self, NONCE};
use crate::id::{IdError, hex_text};

/// Bytes of a chunk; the last one may have fewer.
pub const CHUNK: usize = 64 * 1024;
/// Bytes that sealing adds to a chunk.
pub const TAG: usize = 16;
/// Most bytes of a file: 100 MiB.
pub const MAX_FILE: u64 = 100 * 1024 * 1024;
/// Bytes of a blob, but for the last one of a file: the most that a node takes.
pub const BLOB: u64 = 100 * 1024 * 1024;
const DOMAIN: &[u8] = b"quicproquo-attachment-v1";

/// A chunk does not open: it is not what was sealed, or not in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a chunk of the file is not what was sealed")]
pub struct Damaged;

/// Seals one file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileKey([u8; 32]);

impl FileKey {
    /// A fresh key.
    ///
    /// # Panics
    /// When the operating system cannot give random bytes.
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        Self(bytes)
    }

    /// Seals a chunk in its place.
    ///
    /// # Panics
    /// When memory is exhausted; a chunk is far from the cipher's limits.
    pub fn seal(&self, number: u32, last: bool, chunk: &[u8]) -> Vec<u8> {
        aead::seal(&self.0, nonce(number, last), &[], chunk)
            .expect("a chunk within the cipher's limits")
    }

    /// Opens a chunk in its place.
    ///
    /// # Errors
    /// [`Damaged`].
    pub fn open(&self, number: u32, last: bool, sealed: &[u8]) -> Result<Vec<u8>, Damaged> {
        let opened = aead::open(&self.0, nonce(number, last), &[], sealed);
        opened.map(|mut chunk| std::mem::take(&mut *chunk)).map_err(|_| Damaged)
    }
}

fn nonce(number: u32, last: bool) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce[7..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = last.into();
    nonce
}

impl Drop for FileKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(..)")
    }
}

/// The id of an attachment, from its key and blobs: nobody can make two with one id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachmentId([u8; 16]);

impl AttachmentId {
    /// Takes exactly 16 bytes as an id.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
        bytes.try_into().map(Self).map_err(|_| IdError::Length(bytes.len()))
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

hex_text!(AttachmentId);

/// Everything needed to get a file and open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedFile {
    /// Seals it.
    pub key: FileKey,
    /// SHA-256 of its blobs, in order.
    pub blobs: Vec<[u8; 32]>,
    /// Its bytes, in clear.
    pub size: u64,
}

impl SealedFile {
    /// Its id.
    pub fn id(&self) -> AttachmentId {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(self.key.0);
        hash.update(self.size.to_be_bytes());
        self.blobs.iter().for_each(|blob| hash.update(blob));
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        AttachmentId(id)
    }

    /// How many chunks it has.
    pub fn chunks(&self) -> u32 {
        chunks(self.size)
    }

    /// Where the sealed bytes of a chunk are.
    pub fn chunk_at(&self, number: u32) -> Range<u64> {
        let start = u64::from(number) * (CHUNK + TAG) as u64;
        start..(start + (CHUNK + TAG) as u64).min(sealed_len(self.size))
    }

    /// Puts what opens the file into the body of a message.
    pub fn put_into(&self, body: &mut Map<String, Value>) {
        let blobs: Vec<String> = self.blobs.iter().map(hex::encode).collect();
        body.insert("size".into(), json!(self.size));
        body.insert("encrypted".into(), json!(true));
        body.insert("blobs".into(), json!(blobs));
        body.insert("key".into(), json!(hex::encode(self.key.0)));
    }

    /// Reads it from the body of a message. `None`: there is no file in it that can be one.
    pub fn read_from(body: &Value) -> Option<Self> {
        let size = body.get("size")?.as_u64().filter(|size| *size <= MAX_FILE)?;
        let key = Zeroizing::new(hex::decode(body.get("key")?.as_str()?).ok()?);
        let key = FileKey(key.as_slice().try_into().ok()?);
        let blob = |blob: &Value| hex::decode(blob.as_str()?).ok()?.try_into().ok();
        let blobs = body.get("blobs")?.as_array()?;
        let wanted = sealed_len(size).div_ceil(BLOB);
        if blobs.len() as u64 != wanted {
            return None;
        }
        let blobs = blobs.iter().map(blob).collect::<Option<Vec<[u8; 32]>>>()?;
        Some(Self { key, blobs, size })
    }
}

/// How many chunks a file of so many bytes has.
pub fn chunks(size: u64) -> u32 {
    u32::try_from(size.div_ceil(CHUNK as u64).max(1)).unwrap_or(u32::MAX)
}

/// Bytes of a sealed file of so many bytes.
pub fn sealed_len(size: u64) -> u64 {
    size + u64::from(chunks(size)) * TAG as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(size: u64) -> SealedFile {
        let blobs = vec![[7; 32]; usize::try_from(sealed_len(size).div_ceil(BLOB)).unwrap()];
        SealedFile { key: FileKey([1; 32]), blobs, size }
    }

    #[test]
    fn chunks_are_those_of_another_implementation_of_the_construction() {
        use chacha20poly1305::aead::stream::{NewStream as _, StreamBE32, StreamPrimitive as _};
        use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};

        let key = FileKey::random();
        let aead = ChaCha20Poly1305::new(&key.0.into());
        let stream = StreamBE32::from_aead(aead, &[0; 7].into());
        for (number, last) in [(0, false), (1, true), (258, false), (u32::MAX, true)] {
            let theirs = stream.encrypt(number, last, &b"bytes"[..]).unwrap();
            assert_eq!(key.seal(number, last, b"bytes"), theirs);
        }
    }

    #[test]
    fn a_chunk_opens_in_its_place_only() {
        let key = FileKey::random();
        let chunk = key.seal(3, false, b"bytes");
        assert_eq!(key.open(3, false, &chunk).unwrap(), b"bytes");
        assert_eq!(key.open(4, false, &chunk), Err(Damaged));
        assert_eq!(key.open(3, true, &chunk), Err(Damaged));
        assert_eq!(FileKey::random().open(3, false, &chunk), Err(Damaged));
        for at in 0..chunk.len() {
            let mut other = chunk.clone();
            other[at] ^= 1;
            assert_eq!(key.open(3, false, &other), Err(Damaged), "{at}");
        }
        assert_eq!(key.open(3, false, &chunk[..10]), Err(Damaged));
    }

    /// Files that were sealed before must open.
    #[test]
    fn the_format_is_frozen() {
        let key = FileKey([1; 32]);
        assert_eq!(hex::encode(key.seal(0, true, b"hi")), FROZEN);
        assert_eq!(sealed(2).id().to_string(), FROZEN_ID);
    }

    const FROZEN: &str = "7d31ccc45b610cbc95a513dc6f847d04739a";
    const FROZEN_ID: &str = "1c71a0b2e0225250e52e9263cc4d98af";

    #[test]
    fn sizes() {
        let chunk = CHUNK as u64;
        for (size, count) in [(0, 1), (1, 1), (chunk, 1), (chunk + 1, 2), (MAX_FILE, 1600)] {
            assert_eq!(chunks(size), count, "{size}");
            let last = sealed(size).chunk_at(count - 1);
            assert_eq!(last.end, sealed_len(size), "{size}");
            assert!(last.end > last.start && last.end - last.start <= chunk + TAG as u64);
        }
        assert_eq!(sealed(MAX_FILE).blobs.len(), 2);
    }

    #[test]
    fn a_body_says_how_to_open_its_file() {
        let file = sealed(MAX_FILE);
        let mut body = Map::new();
        file.put_into(&mut body);
        let body = Value::Object(body);
        assert_eq!(SealedFile::read_from(&body), Some(file));
        for (field, value) in [
            ("size", json!(MAX_FILE + 1)),
            ("size", json!(-1)),
            ("size", json!(1)),
            ("key", json!("00")),
            ("key", json!(7)),
            ("blobs", json!([])),
            ("blobs", json!(["00", "00"])),
        ] {
            let mut body = body.clone();
            body[field] = value.clone();
            assert_eq!(SealedFile::read_from(&body), None, "{field} {value}");
        }
        assert_eq!(SealedFile::read_from(&json!({"blob": "00", "encrypted": false})), None);
    }
}
