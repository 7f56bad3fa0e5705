//! Seals rows at rest: XChaCha20-Poly1305 under keys derived from one master key.
//!
//! A sealed value is `nonce 24 || ciphertext || tag 16`; the associated data is
//! `version || table || 0x00 || row key`, so a value opens only where it was put.

use std::io::Write as _;
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::OpenError;

const VERSION: u8 = 1;
const NONCE: usize = 24;
const KEY: usize = 32;

/// A value does not open: wrong key, wrong place, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed row does not open")]
pub(crate) struct SealError;

/// Seals and opens values; names rows by their HMAC.
pub(crate) struct Sealer {
    cipher: XChaCha20Poly1305,
    names: Zeroizing<[u8; KEY]>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    pub(crate) fn new(master: &[u8; KEY]) -> Self {
        let rows = derive(master, b"quicproquo-rows-v1");
        let names = derive(master, b"quicproquo-row-names-v1");
        Self { cipher: XChaCha20Poly1305::new((&*rows).into()), names }
    }

    /// # Panics
    /// When the operating system cannot give random bytes, or memory is exhausted.
    pub(crate) fn seal(&self, table: &str, row: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        let aad = associated(table, row);
        let sealed = self
            .cipher
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: &aad })
            .expect("rows are far below the cipher's limit");
        [&nonce[..], &sealed].concat()
    }

    pub(crate) fn open(
        &self,
        table: &str,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or(SealError)?;
        let aad = associated(table, row);
        self.cipher
            .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| SealError)
    }

    /// Hides what a row is called.
    pub(crate) fn name(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.names).expect("any key length fits");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

fn associated(table: &str, row: &[u8]) -> Vec<u8> {
    [&[VERSION], table.as_bytes(), &[0], row].concat()
}

fn derive(master: &[u8; KEY], info: &[u8]) -> Zeroizing<[u8; KEY]> {
    let mut key = Zeroizing::new([0; KEY]);
    Hkdf::<Sha256>::new(Some(b"quicproquo-client-v1"), master)
        .expand(info, key.as_mut_slice())
        .expect("32 bytes are a valid length");
    key
}

/// Reads the master key (64 hexadecimal digits); with `create`, makes one with mode 0600.
pub(crate) fn master_key(path: &Path, create: bool) -> Result<Zeroizing<[u8; KEY]>, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let mut key = Zeroizing::new([0; KEY]);
            hex::decode_to_slice(text.trim(), key.as_mut_slice())
                .map_err(|_| OpenError::WrongKey { path: path.to_owned() })?;
            Ok(key)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !create => {
            Err(OpenError::KeyMissing { path: path.to_owned() })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut key = Zeroizing::new([0; KEY]);
            getrandom::fill(key.as_mut_slice())
                .map_err(|error| io(std::io::Error::other(error)))?;
            let mut file = private(path).map_err(io)?;
            let text = Zeroizing::new(hex::encode(*key));
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
            Ok(key)
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(OpenError::WrongKey { path: path.to_owned() })
        }
        Err(error) => Err(io(error)),
    }
}

fn private(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_value_opens_only_where_it_was_put() {
        let sealer = Sealer::new(&[1; 32]);
        let sealed = sealer.seal("mls", b"row", b"secret");
        assert_eq!(sealer.open("mls", b"row", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(sealer.open("mls", b"other", &sealed), Err(SealError));
        assert_eq!(sealer.open("events", b"row", &sealed), Err(SealError));
        assert_eq!(Sealer::new(&[2; 32]).open("mls", b"row", &sealed), Err(SealError));
        assert_eq!(sealer.open("mls", b"row", &sealed[..10]), Err(SealError));
    }

    #[test]
    fn names_do_not_run_into_each_other() {
        let sealer = Sealer::new(&[1; 32]);
        assert_ne!(sealer.name(&[b"ab", b"c"]), sealer.name(&[b"a", b"bc"]));
    }

    #[test]
    fn a_master_key_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        assert!(master_key(&path, false).is_err());
        let key = master_key(&path, true).unwrap();
        assert_eq!(*master_key(&path, false).unwrap(), *key);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
