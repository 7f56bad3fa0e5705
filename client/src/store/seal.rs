//! Seals rows at rest: XChaCha20-Poly1305 under keys derived from one master key.
//!
//! A sealed value is `nonce 24 || ciphertext || tag 16`; the associated data is
//! `version || table || 0x00 || row key`, so a value opens only where it was put.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use quicproquo_core::aead::{self, LONG_NONCE, TAG};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key::{KEY, Key};

const VERSION: u8 = 1;

/// A value does not open: wrong key, wrong place, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed row does not open")]
pub(crate) struct SealError;

/// Seals and opens values; names rows by their HMAC.
pub(crate) struct Sealer {
    rows: Key,
    names: Key,
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
        Self { rows, names }
    }

    /// What hides names stays when the master key is replaced: names are part of row keys.
    pub(super) fn with_names(mut self, names: &[u8; KEY]) -> Self {
        *self.names = *names;
        self
    }

    pub(super) fn names(&self) -> &[u8; KEY] {
        &self.names
    }

    /// For what an application keeps elsewhere. It outlives the master key, as names do.
    pub(super) fn for_application(&self) -> Self {
        Self::new(&derive(&self.names, b"quicproquo-application-v1"))
    }

    /// # Panics
    /// When the operating system cannot give random bytes, or memory is exhausted.
    pub(crate) fn seal(&self, table: &str, row: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; LONG_NONCE];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        let mut sealed = Vec::with_capacity(LONG_NONCE + plain.len() + TAG);
        sealed.extend_from_slice(&nonce);
        let (key, nonce) = aead::extended(&self.rows, &nonce);
        aead::append(&key, nonce, &associated(table, row), plain, &mut sealed)
            .expect("rows are far below the cipher's limit");
        sealed
    }

    pub(crate) fn open(
        &self,
        table: &str,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(SealError)?;
        let (key, nonce) = aead::extended(&self.rows, nonce);
        aead::open(&key, nonce, &associated(table, row), sealed).map_err(|_| SealError)
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

fn derive(master: &[u8; KEY], info: &[u8]) -> Key {
    let mut key = Zeroizing::new([0; KEY]);
    Hkdf::<Sha256>::new(Some(b"quicproquo-client-v1"), master)
        .expand(info, key.as_mut_slice())
        .expect("32 bytes are a valid length");
    key
}

#[cfg(test)]
mod tests {
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
}
