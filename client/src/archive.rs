//! Sealed archives of an identity: everything its database knows of it, for another database.
//!
//! `"qpq-archive" || version 2 || kind || salt 16 || memory u32 || rounds u32 || lanes u32 ||
//! nonce 24 || XChaCha20-Poly1305(CBOR)`; all before the ciphertext is its associated data. The key
//! is drawn from the given key (kind 0, HKDF-SHA256) or from the passphrase (kind 1, Argon2id,
//! RFC 9106, with the parameters that the archive names; memory in KiB). Version 1, which is read
//! too, has an event for each received message; programs that read that version alone need these.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use quicproquo_core::aead::{self, LONG_NONCE};
use quicproquo_core::identity::IdentityKey;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::SessionError;
use crate::store::Exported;

const MAGIC: &[u8] = b"qpq-archive\x02";
const FORMER_MAGIC: &[u8] = b"qpq-archive\x01";
const SALT: usize = 16;
const HEADER: usize = MAGIC.len() + 1 + SALT + 12 + LONG_NONCE;
/// 64 MiB, three rounds, one lane: what RFC 9106 recommends where memory is short, with one lane.
const COST: [u32; 3] = [64 * 1024, 3, 1];
/// Archives of others may not ask for more: 1 GiB, 16 rounds, 16 lanes.
const MOST: [u32; 3] = [1024 * 1024, 16, 16];

/// What an archive is sealed under.
#[derive(Clone)]
pub enum ArchiveKey {
    /// 32 random bytes.
    Key(Zeroizing<[u8; 32]>),
    /// Something that a person remembers.
    Passphrase(Zeroizing<String>),
}

impl fmt::Debug for ArchiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArchiveKey")
    }
}

/// An archive cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no archive, or one of a newer version.
    #[error("this is not an archive that this program reads")]
    Unknown,
    /// The key or the passphrase is another one, or the archive is damaged.
    #[error("the archive does not open: another key or passphrase, or it is damaged")]
    Sealed,
    /// It opens and does not hold what it should.
    #[error("the archive is of another version: {0}")]
    Content(String),
    /// The identity is in this database already.
    #[error("{0} is here already")]
    Exists(IdentityKey),
    /// The session or the database failed.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// An archive that was opened, to be imported.
pub struct Archive(pub(crate) Exported);

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Archive").field(&self.identity()).finish()
    }
}

impl Archive {
    /// Opens an archive; takes a while and 64 MiB with a passphrase.
    ///
    /// # Errors
    /// `Unknown`, `Sealed`, `Content`.
    pub fn open(bytes: &[u8], key: &ArchiveKey) -> Result<Self, ArchiveError> {
        let (header, sealed) = bytes.split_at_checked(HEADER).ok_or(ArchiveError::Unknown)?;
        let rest = header.strip_prefix(MAGIC).or_else(|| header.strip_prefix(FORMER_MAGIC));
        let rest = rest.ok_or(ArchiveError::Unknown)?;
        let ([kind], rest) = rest.split_at(1) else { return Err(ArchiveError::Unknown) };
        let (salt, rest) = rest.split_at(SALT);
        let (numbers, nonce) = rest.split_at(12);
        let nonce = nonce.first_chunk().ok_or(ArchiveError::Unknown)?;
        let mut cost = [0; 3];
        for (number, bytes) in cost.iter_mut().zip(numbers.chunks(4)) {
            *number = u32::from_be_bytes(bytes.try_into().unwrap_or_default());
        }
        if *kind != key.kind() {
            return Err(ArchiveError::Sealed);
        }
        if cost.iter().zip(MOST).any(|(asked, most)| *asked > most) {
            return Err(ArchiveError::Unknown);
        }
        let key = key.derive(salt, cost).ok_or(ArchiveError::Unknown)?;
        let (key, nonce) = aead::extended(&key, nonce);
        let plain = aead::open(&key, nonce, header, sealed).map_err(|_| ArchiveError::Sealed)?;
        let exported = ciborium::from_reader(plain.as_slice());
        exported.map(Self).map_err(|error| ArchiveError::Content(error.to_string()))
    }

    /// Whose it is.
    pub fn identity(&self) -> IdentityKey {
        self.0.identity
    }

    /// The name it claimed first, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// What was put in with [`Client::export_with`](crate::Client::export_with).
    pub fn note(&self) -> &[u8] {
        &self.0.note
    }

    pub(crate) fn seal(exported: &Exported, key: &ArchiveKey) -> Result<Vec<u8>, ArchiveError> {
        Self::seal_as(MAGIC, exported, key)
    }

    fn seal_as(
        magic: &[u8],
        exported: &Exported,
        key: &ArchiveKey,
    ) -> Result<Vec<u8>, ArchiveError> {
        let internal = |error: String| ArchiveError::Session(SessionError::Internal(error));
        let (mut salt, mut nonce) = ([0; SALT], [0; LONG_NONCE]);
        for random in [&mut salt[..], &mut nonce] {
            getrandom::fill(random).map_err(|error| internal(error.to_string()))?;
        }
        let cost = if key.kind() == 0 { [0; 3] } else { COST };
        let numbers: Vec<u8> = cost.iter().flat_map(|number| number.to_be_bytes()).collect();
        let header = [magic, &[key.kind()], &salt, &numbers, &nonce].concat();
        let mut plain = Zeroizing::new(Vec::new());
        ciborium::into_writer(exported, &mut *plain)
            .map_err(|error| internal(error.to_string()))?;
        let key = key.derive(&salt, cost).ok_or_else(|| internal("no key".to_owned()))?;
        let (key, nonce) = aead::extended(&key, &nonce);
        let mut bytes = header.clone();
        aead::append(&key, nonce, &header, &plain, &mut bytes)
            .map_err(|error| internal(error.to_string()))?;
        Ok(bytes)
    }
}

impl ArchiveKey {
    fn kind(&self) -> u8 {
        match self {
            Self::Key(_) => 0,
            Self::Passphrase(_) => 1,
        }
    }

    fn derive(
        &self,
        salt: &[u8],
        [memory, rounds, lanes]: [u32; 3],
    ) -> Option<Zeroizing<[u8; 32]>> {
        let mut key = Zeroizing::new([0; 32]);
        match self {
            Self::Key(given) => Hkdf::<Sha256>::new(Some(salt), given.as_slice())
                .expand(b"quicproquo-archive-v1", key.as_mut_slice())
                .ok()?,
            Self::Passphrase(text) => {
                let params = Params::new(memory, rounds, lanes, Some(32)).ok()?;
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(text.as_bytes(), salt, key.as_mut_slice())
                    .ok()?;
            }
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported() -> Exported {
        let identity = IdentityKey::new([7; 32]);
        Exported::empty(identity)
    }

    fn passphrase(text: &str) -> ArchiveKey {
        ArchiveKey::Passphrase(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn an_archive_opens_under_its_own_key_only() {
        let given = |byte| ArchiveKey::Key(Zeroizing::new([byte; 32]));
        for (key, other) in [(given(1), given(2)), (passphrase("right"), passphrase("wrong"))] {
            let bytes = Archive::seal(&exported(), &key).unwrap();
            assert_eq!(Archive::open(&bytes, &key).unwrap().identity(), exported().identity);
            assert!(matches!(Archive::open(&bytes, &other), Err(ArchiveError::Sealed)));
            let another_kind = if key.kind() == 0 { passphrase("right") } else { given(1) };
            assert!(matches!(Archive::open(&bytes, &another_kind), Err(ArchiveError::Sealed)));
        }
    }

    #[test]
    fn former_archives_open_and_later_ones_do_not() {
        let key = ArchiveKey::Key(Zeroizing::new([1; 32]));
        let opened = |magic| {
            let bytes = Archive::seal_as(magic, &exported(), &key).unwrap();
            Archive::open(&bytes, &key).map(|archive| archive.identity())
        };
        assert_eq!(opened(b"qpq-archive\x01").unwrap(), exported().identity);
        assert_eq!(opened(MAGIC).unwrap(), exported().identity);
        assert!(matches!(opened(b"qpq-archive\x03"), Err(ArchiveError::Unknown)));
    }

    #[test]
    fn every_byte_of_an_archive_counts() {
        let key = ArchiveKey::Key(Zeroizing::new([1; 32]));
        let bytes = Archive::seal(&exported(), &key).unwrap();
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert!(Archive::open(&damaged, &key).is_err(), "byte {place}");
            assert!(Archive::open(&bytes[..place], &key).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn an_archive_cannot_ask_for_all_memory() {
        let key = passphrase("right");
        let mut bytes = Archive::seal(&exported(), &key).unwrap();
        bytes[MAGIC.len() + 1 + SALT] = 0xFF;
        assert!(matches!(Archive::open(&bytes, &key), Err(ArchiveError::Unknown)));
    }
}
