//! From two shared secrets to one key.
//!
//! Version 1 is the published derivation and hashes the secrets alone. Version
//! 2 also binds both ciphertexts and the recipient's public key, so that the
//! derived key belongs to this one exchange even if one of the two mechanisms
//! is broken (the argument of X-Wing, draft-connolly-cfrg-xwing-kem).

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{HybridPublic, SharedSecrets};

const V1_SALT: &[u8] = b"quicnprotochat-hybrid-v1-salt";
const V1_INFO: &[u8] = b"quicnprotochat-hybrid-v1";
const V2_SALT: &[u8] = b"quicproquo-envelope-v2-salt";
const V2_INFO: &[u8] = b"quicproquo-envelope-v2-kek";

/// A 32-byte symmetric key.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// HKDF-SHA256 (RFC 5869) to one 32-byte key; `info` may come in parts.
pub(crate) fn hkdf32(salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> Key {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), ikm)
        .expand_multi_info(info, key.as_mut_slice())
        .expect("32 bytes are a valid length for HKDF-SHA256");
    key
}

/// The content key of envelope version 1.
pub(crate) fn v1(shared: &SharedSecrets) -> Key {
    hkdf32(V1_SALT, shared.as_bytes(), &[V1_INFO])
}

/// The key that seals the content key in envelope version 2.
pub(crate) fn v2(
    shared: &SharedSecrets,
    ephemeral: &[u8],
    ciphertext: &[u8],
    recipient: &HybridPublic,
) -> Key {
    hkdf32(V2_SALT, shared.as_bytes(), &[V2_INFO, ephemeral, ciphertext, recipient.as_bytes()])
}
