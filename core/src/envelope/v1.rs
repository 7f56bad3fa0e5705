//! Version 1, byte compatible with the published format.

use zeroize::Zeroizing;

use super::{MAX_MLS_LEN, SealError, VERSION_1};
use crate::aead::{self, NONCE, TAG};
use crate::kem::{
    Ephemeral, HybridPublic, HybridSecret, KemError, ML_KEM_CIPHERTEXT_LEN, X25519_LEN, combiner,
};

const HEADER_LEN: usize = 1 + X25519_LEN + ML_KEM_CIPHERTEXT_LEN + NONCE;

pub(super) fn seal(recipient: &HybridPublic, mls: &[u8]) -> Result<Vec<u8>, SealError> {
    let ephemeral = Ephemeral::generate()?;
    let kem = recipient.encapsulate(&ephemeral)?;
    let key = combiner::v1(&kem.shared);
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| KemError::Failed)?;
    let sealed = aead::seal(&key, nonce, &[], mls).map_err(|_| KemError::Failed)?;
    Ok([&[VERSION_1], ephemeral.public().as_slice(), &kem.ciphertext, &nonce, &sealed].concat())
}

pub(super) fn open(secret: &HybridSecret, payload: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if payload.len() > HEADER_LEN + MAX_MLS_LEN + TAG {
        return None;
    }
    let (header, sealed) = payload.split_at_checked(HEADER_LEN)?;
    let (ephemeral, rest) = header[1..].split_at(X25519_LEN);
    let (ciphertext, nonce) = rest.split_at(ML_KEM_CIPHERTEXT_LEN);
    let shared = secret.decapsulate(ephemeral, ciphertext).ok()?;
    aead::open(&combiner::v1(&shared), nonce.try_into().ok()?, &[], sealed).ok()
}
