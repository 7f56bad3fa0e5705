//! What the fuzzers drive (`client/fuzz`), and the tests that replay their corpus. Not part of what
//! the library offers.

#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

use crate::archive::{Archive, ArchiveKey};
pub use crate::store::fuzzing::{Importer, master_key, record, sealed_row};

/// What the archives of the corpus are sealed under.
const KEY: [u8; 32] = [5; 32];

/// An archive: what opens opens under its own key alone, and only word for word.
pub fn archive(bytes: &[u8]) {
    let key = |bytes| ArchiveKey::Key(Zeroizing::new(bytes));
    if Archive::open(bytes, &key(KEY)).is_err() {
        return;
    }
    assert!(Archive::open(bytes, &key([6; 32])).is_err());
    let words = ArchiveKey::Passphrase(Zeroizing::new("words".to_owned()));
    assert!(Archive::open(bytes, &words).is_err());
    for at in [0, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        assert!(Archive::open(&changed, &key(KEY)).is_err(), "byte {at} does not count");
    }
}
