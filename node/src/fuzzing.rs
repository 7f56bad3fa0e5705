//! What the fuzzers drive (`node/fuzz`), and the tests that replay their corpus. Not part of the
//! node.
#![doc(hidden)]

mod frame;
mod rig;
#[cfg(test)]
mod tests;

use ed25519_dalek::{Signer, SigningKey};
use quicproquo_schemas::id::{IdentityKey, Instance};
use quicproquo_schemas::limits::AUTH_EXPORTER_LEN;

use crate::auth::{Claimed, TokenProof, signed_bytes, verify};
use crate::key_package;
pub use frame::frame;
pub use rig::{Answer, Rig};

/// When the packages of the corpus are valid: 2026-11-01.
pub const NOW: u64 = 1_793_491_200;

/// The identity that everything is about.
pub fn identity() -> (SigningKey, IdentityKey) {
    let key = SigningKey::from_bytes(&[1; 32]);
    let identity = IdentityKey::new(key.verifying_key().to_bytes());
    (key, identity)
}

/// Reads and verifies a package. Whatever verifies says what it is, in bounds.
pub fn key_package(data: &[u8]) {
    let (_, owner) = identity();
    if let Ok(verified) = key_package::verify(data, &owner, NOW) {
        assert!(verified.not_after > NOW);
        assert!([key_package::CLASSIC, key_package::HYBRID].contains(&verified.ciphersuite));
        // The same bytes are nobody else's.
        let other = IdentityKey::new([3; 32]);
        assert!(key_package::verify(data, &other, NOW).is_err());
    }
}

/// A proof of `authenticate`, as the fields lie one after another: the genuine one is the only one
/// that verifies under its key.
pub fn auth_proof(data: &[u8]) {
    let (key, genuine) = identity();
    let claimed =
        Claimed { identity: genuine, incarnation: 1, instance: Instance::new([7; 16]), attempt: 1 };
    let exporter = [9; AUTH_EXPORTER_LEN];
    let signed = signed_bytes(&claimed, &exporter);
    let signature = key.sign(&signed).to_bytes();
    let Some((head, rest)) = data.split_at_checked(signed.len()) else {
        return;
    };
    if verify(&genuine, head, rest) {
        assert!(head == signed && rest == signature, "a second proof of the same key");
    }
    // Any bytes as a key.
    if let Some(key) = data.first_chunk() {
        verify(&IdentityKey::new(*key), head, rest);
    }
}

/// A proof that comes with a request for a token.
pub fn token_proof(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(proof) = text.parse::<TokenProof>()
        && proof.verify(NOW).is_ok()
    {
        assert!(proof.made_at <= NOW + 3_600);
    }
}
