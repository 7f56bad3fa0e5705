//! Version 2: one body for many recipients.
//!
//! The content key is fresh for each envelope, so every nonce is zero. From it
//! come the commitment (a cipher that is not key-committing would let a sender
//! craft one body with two meanings) and the key of the body. The seal of the
//! content key has as AAD the version, the recipient's public key and the
//! SHA-256 of the body, so that a prefix fits one recipient and one body.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{MAX_MLS_LEN, SealError, SealedV2, VERSION_2};
use crate::aead::{self, NONCE, TAG};
use crate::kem::combiner::{self, Key};
use crate::kem::{
    Ephemeral, HybridPublic, HybridSecret, KemError, ML_KEM_CIPHERTEXT_LEN, X25519_LEN,
};

const ZERO_NONCE: [u8; NONCE] = [0; NONCE];
const COMMITMENT_LEN: usize = 32;
const LENGTH_LEN: usize = 4;
const SMALLEST_BUCKET: usize = 256;
const BUCKET_STEP: usize = 4096;
const LARGEST_BODY: usize = COMMITMENT_LEN + bucket(LENGTH_LEN + MAX_MLS_LEN) + TAG;

const SALT: &[u8] = b"quicproquo-envelope-v2-content";
const COMMITMENT_INFO: &[u8] = b"quicproquo-envelope-v2-commitment";
const BODY_INFO: &[u8] = b"quicproquo-envelope-v2-body";

/// The padded length of `len` bytes: a power of two from 256 to 4096, above
/// that a multiple of 4096.
const fn bucket(len: usize) -> usize {
    if len <= SMALLEST_BUCKET {
        SMALLEST_BUCKET
    } else if len <= BUCKET_STEP {
        len.next_power_of_two()
    } else {
        len.next_multiple_of(BUCKET_STEP)
    }
}

/// An envelope of version 2 in the making: while one thread makes it, others may help, each by
/// sealing for whoever is next.
pub struct Sealing {
    content_key: Key,
    ephemeral: Ephemeral,
    body: Vec<u8>,
    digest: [u8; 32],
    recipients: Vec<HybridPublic>,
    /// The first recipient that nobody has begun with.
    next: AtomicUsize,
    prefixes: Vec<OnceLock<Vec<u8>>>,
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealing({} bytes for {})", self.body.len(), self.recipients.len())
    }
}

impl Sealing {
    /// Begins with what is the same for all recipients.
    ///
    /// # Errors
    /// `TooLong`, `Kem`.
    pub fn new(recipients: Vec<HybridPublic>, mls: &[u8]) -> Result<Self, SealError> {
        super::check_length(mls)?;
        let mut content_key: Key = Zeroizing::new([0; 32]);
        getrandom::fill(content_key.as_mut_slice()).map_err(|_| KemError::Failed)?;
        let body = seal_body(content_key.as_slice(), mls)?;
        let digest = Sha256::digest(&body).into();
        let ephemeral = Ephemeral::generate()?;
        let prefixes = recipients.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        Ok(Self { content_key, ephemeral, body, digest, recipients, next, prefixes })
    }

    /// Seals for one recipient after the other, until somebody has begun with each.
    pub fn help(&self) {
        // Only who takes which depends on the number; what is sealed is published by its cell.
        while let n = self.next.fetch_add(1, Ordering::Relaxed)
            && n < self.recipients.len()
        {
            // Who finishes tries again, and tells.
            let _ = self.prefix(n);
        }
    }

    /// Seals for all that are left, and gives the envelope. Waits for nobody: what a helper has begun
    /// with and not ended is done here again.
    ///
    /// # Errors
    /// `Kem`.
    pub fn finish(&self) -> Result<SealedV2, SealError> {
        self.help();
        let prefixes = (0..self.recipients.len()).map(|n| self.prefix(n).cloned());
        Ok(SealedV2 { prefixes: prefixes.collect::<Result<_, _>>()?, body: self.body.clone() })
    }

    /// As a helper does that is stopped before it has sealed.
    #[cfg(test)]
    pub(super) fn begin_with_one(&self) {
        self.next.fetch_add(1, Ordering::Relaxed);
    }

    fn prefix(&self, n: usize) -> Result<&Vec<u8>, KemError> {
        let cell = &self.prefixes[n];
        if let Some(sealed) = cell.get() {
            return Ok(sealed);
        }
        // Not in the cell, where others would wait for it. Either result opens.
        let sealed = self.seal_for(&self.recipients[n])?;
        Ok(cell.get_or_init(|| sealed))
    }

    /// The content key, sealed for one recipient and this body.
    fn seal_for(&self, recipient: &HybridPublic) -> Result<Vec<u8>, KemError> {
        let ephemeral = self.ephemeral.public();
        let kem = recipient.encapsulate(&self.ephemeral)?;
        let kek = combiner::v2(&kem.shared, ephemeral, &kem.ciphertext, recipient);
        let aad = key_aad(recipient, &self.digest);
        let sealed = aead::seal(&kek, ZERO_NONCE, &aad, self.content_key.as_slice())
            .map_err(|_| KemError::Failed)?;
        Ok([&[VERSION_2], ephemeral.as_slice(), &kem.ciphertext, &sealed].concat())
    }
}

pub(super) fn open(secret: &HybridSecret, payload: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (prefix, body) = payload.split_at_checked(SealedV2::PREFIX_LEN)?;
    if body.len() > LARGEST_BODY {
        return None;
    }
    let (ephemeral, rest) = prefix[1..].split_at(X25519_LEN);
    let (ciphertext, sealed) = rest.split_at(ML_KEM_CIPHERTEXT_LEN);
    let shared = secret.decapsulate(ephemeral, ciphertext).ok()?;
    let kek = combiner::v2(&shared, ephemeral, ciphertext, secret.public());
    let aad = key_aad(secret.public(), &Sha256::digest(body));
    let content_key = aead::open(&kek, ZERO_NONCE, &aad, sealed).ok()?;
    open_body(&content_key, body)
}

fn key_aad(recipient: &HybridPublic, body_digest: &[u8]) -> Vec<u8> {
    [&[VERSION_2], recipient.as_bytes(), body_digest].concat()
}

fn seal_body(content_key: &[u8], mls: &[u8]) -> Result<Vec<u8>, SealError> {
    let length = u32::try_from(mls.len()).map_err(|_| SealError::TooLong)?;
    let mut padded = Zeroizing::new(Vec::with_capacity(bucket(LENGTH_LEN + mls.len())));
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(mls);
    padded.resize(bucket(LENGTH_LEN + mls.len()), 0);
    seal_padded(content_key, &padded)
}

fn seal_padded(content_key: &[u8], padded: &[u8]) -> Result<Vec<u8>, SealError> {
    let commitment = combiner::hkdf32(SALT, content_key, &[COMMITMENT_INFO]);
    let key = combiner::hkdf32(SALT, content_key, &[BODY_INFO]);
    let mut body = Vec::with_capacity(COMMITMENT_LEN + padded.len() + TAG);
    body.extend_from_slice(commitment.as_slice());
    aead::append(&key, ZERO_NONCE, &[VERSION_2], padded, &mut body)
        .map_err(|_| KemError::Failed)?;
    Ok(body)
}

fn open_body(content_key: &[u8], body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (commitment, sealed) = body.split_at_checked(COMMITMENT_LEN)?;
    // Both sides are known to whoever reaches this line, so the comparison need not be constant in time.
    if combiner::hkdf32(SALT, content_key, &[COMMITMENT_INFO]).as_slice() != commitment {
        return None;
    }
    let key = combiner::hkdf32(SALT, content_key, &[BODY_INFO]);
    let padded = aead::open(&key, ZERO_NONCE, &[VERSION_2], sealed).ok()?;
    let (length, rest) = padded.split_at_checked(LENGTH_LEN)?;
    let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
    let (mls, padding) = rest.split_at_checked(length)?;
    let well_padded =
        padded.len() == bucket(LENGTH_LEN + length) && padding.iter().all(|byte| *byte == 0);
    well_padded.then(|| Zeroizing::new(mls.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets() {
        let expected =
            [(0, 256), (256, 256), (257, 512), (4096, 4096), (4097, 8192), (8193, 12288)];
        for (len, padded) in expected {
            assert_eq!(bucket(len), padded);
        }
    }

    /// What a sender may hide in the padding, or tell by its length, nobody takes.
    #[test]
    fn padding_is_zeros_up_to_its_bucket() {
        let opened = |padded: &[u8]| {
            let body = seal_padded(&[7; 32], padded).unwrap();
            open_body(&[7; 32], &body).map(|mls| mls.to_vec())
        };
        let mut padded = vec![0; SMALLEST_BUCKET];
        padded[..7].copy_from_slice(&[0, 0, 0, 3, b'm', b'l', b's']);
        assert_eq!(opened(&padded).as_deref(), Some(&b"mls"[..]));
        assert_eq!(opened(&[padded.as_slice(), &[0]].concat()), None, "longer than its bucket");
        assert_eq!(opened(&padded[..7]), None, "no padding");
        padded[SMALLEST_BUCKET - 1] = 1;
        assert_eq!(opened(&padded), None, "not zeros");
        padded[..4].copy_from_slice(&[0, 0, 1, 0]);
        assert_eq!(opened(&padded), None, "more than there is");
    }
}
