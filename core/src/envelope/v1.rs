//! Version 1, byte compatible with the published format.

use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce};
use zeroize::Zeroizing;

use super::{MAX_MLS_LEN, SealError, VERSION_1};
use crate::kem::{
    HybridPublic, HybridSecret, KemError, ML_KEM_CIPHERTEXT_LEN, X25519_LEN, combiner,
};

const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const HEADER_LEN: usize = 1 + X25519_LEN + ML_KEM_CIPHERTEXT_LEN + NONCE_LEN;

pub(super) fn seal(recipient: &HybridPublic, mls: &[u8]) -> Result<Vec<u8>, SealError> {
    let kem = recipient.encapsulate()?;
    let key = combiner::v1(&kem.shared);
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| KemError::Failed)?;
    let cipher = ChaCha20Poly1305::new(key.as_slice().into());
    let sealed = cipher.encrypt(Nonce::from_slice(&nonce), mls).map_err(|_| KemError::Failed)?;
    Ok([&[VERSION_1], kem.ephemeral.as_slice(), &kem.ciphertext, &nonce, &sealed].concat())
}

pub(super) fn open(secret: &HybridSecret, payload: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if payload.len() > HEADER_LEN + MAX_MLS_LEN + TAG_LEN {
        return None;
    }
    let (header, sealed) = payload.split_at_checked(HEADER_LEN)?;
    let (ephemeral, rest) = header[1..].split_at(X25519_LEN);
    let (ciphertext, nonce) = rest.split_at(ML_KEM_CIPHERTEXT_LEN);
    let shared = secret.decapsulate(ephemeral, ciphertext).ok()?;
    let key = combiner::v1(&shared);
    let cipher = ChaCha20Poly1305::new(key.as_slice().into());
    cipher.decrypt(Nonce::from_slice(nonce), sealed).ok().map(Zeroizing::new)
}
