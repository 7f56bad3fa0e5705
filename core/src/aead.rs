//! ChaCha20-Poly1305 (RFC 8439), XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), whose nonces of
//! 24 bytes may be random, and for MLS AES-128-GCM (NIST SP 800-38D).
//!
//! The ciphers are those of AWS-LC, which take a quarter of the time of those in portable Rust, short
//! values of AES-128-GCM excepted (`docs/decisions/0083-ciphers.md`). A sealed value is `ciphertext || tag`.

use aws_lc_rs::aead::{
    AES_128_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use chacha20::R20;
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY: usize = 32;
/// Bytes of a nonce of ChaCha20-Poly1305.
pub const NONCE: usize = 12;
/// Bytes of a nonce of XChaCha20-Poly1305.
pub const LONG_NONCE: usize = 24;
/// Bytes that sealing adds.
pub const TAG: usize = 16;

/// A value does not open, or cannot be sealed: it is longer than the cipher's limit (tens of
/// GiB), or the key or the nonce has a wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open")]
pub struct AeadError;

/// Seals a value. A nonce seals one value under its key, never two.
///
/// # Errors
/// When the value is longer than the cipher's limit.
pub fn seal(
    key: &[u8; KEY],
    nonce: [u8; NONCE],
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, AeadError> {
    let mut sealed = Vec::with_capacity(plain.len() + TAG);
    append(key, nonce, aad, plain, &mut sealed)?;
    Ok(sealed)
}

/// Seals a value to the end of `out`.
///
/// # Errors
/// When the value is longer than the cipher's limit; `out` is of no use then.
pub fn append(
    key: &[u8; KEY],
    nonce: [u8; NONCE],
    aad: &[u8],
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), AeadError> {
    append_by(&CHACHA20_POLY1305, key, &nonce, aad, plain, out)
}

/// Opens what [`seal`] made.
///
/// # Errors
/// When it is not what was sealed under this key, with this nonce and associated data.
pub fn open(
    key: &[u8; KEY],
    nonce: [u8; NONCE],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, AeadError> {
    open_by(&CHACHA20_POLY1305, key, &nonce, aad, sealed)
}

/// The key and the nonce of ChaCha20-Poly1305 that stand for a key and a long nonce
/// (draft-irtf-cfrg-xchacha-03, section 2.3).
pub fn extended(key: &[u8; KEY], nonce: &[u8; LONG_NONCE]) -> (Zeroizing<[u8; KEY]>, [u8; NONCE]) {
    let (mut head, mut short) = ([0; 16], [0; NONCE]);
    head.copy_from_slice(&nonce[..16]);
    short[4..].copy_from_slice(&nonce[16..]);
    let inner = chacha20::hchacha::<R20>(key.into(), &head.into());
    (Zeroizing::new(inner.into()), short)
}

/// Seals with AES-128-GCM; key and nonce have 16 and 12 bytes.
pub(crate) fn seal_gcm(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, AeadError> {
    let mut sealed = Vec::with_capacity(plain.len() + TAG);
    append_by(&AES_128_GCM, key, nonce, aad, plain, &mut sealed)?;
    Ok(sealed)
}

/// Opens what [`seal_gcm`] made.
pub(crate) fn open_gcm(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, AeadError> {
    open_by(&AES_128_GCM, key, nonce, aad, sealed)
}

fn append_by(
    algorithm: &'static Algorithm,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), AeadError> {
    let (key, nonce) = bound(algorithm, key, nonce)?;
    let start = out.len();
    out.extend_from_slice(plain);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut out[start..]);
    out.extend_from_slice(tag.map_err(|_| AeadError)?.as_ref());
    Ok(())
}

fn open_by(
    algorithm: &'static Algorithm,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, AeadError> {
    let (key, nonce) = bound(algorithm, key, nonce)?;
    let length = sealed.len().checked_sub(TAG).ok_or(AeadError)?;
    let (text, tag) = sealed.split_at(length);
    let mut plain = Zeroizing::new(vec![0; length]);
    let opened = key.open_separate_gather(nonce, Aad::from(aad), text, tag, &mut plain);
    opened.map(|()| plain).map_err(|_| AeadError)
}

fn bound(
    algorithm: &'static Algorithm,
    key: &[u8],
    nonce: &[u8],
) -> Result<(LessSafeKey, Nonce), AeadError> {
    let key = UnboundKey::new(algorithm, key).map_err(|_| AeadError)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| AeadError)?;
    Ok((LessSafeKey::new(key), nonce))
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
    use chacha20poly1305::{ChaCha20Poly1305, XChaCha20Poly1305};

    use super::*;

    fn random<const N: usize>() -> [u8; N] {
        std::array::from_fn(|_| fastrand::u8(..))
    }

    #[test]
    fn sealed_values_are_those_of_another_implementation() {
        for length in [0, 1, 63, 64, 65, 1100, 65_536] {
            let (key, nonce, long) = (random::<KEY>(), random::<NONCE>(), random::<LONG_NONCE>());
            let plain: Vec<u8> = (0..length).map(|_| fastrand::u8(..)).collect();
            let aad = &plain[..length.min(40)];
            let payload = || Payload { msg: &plain, aad };
            let short = ChaCha20Poly1305::new(&key.into()).encrypt(&nonce.into(), payload());
            assert_eq!(seal(&key, nonce, aad, &plain).unwrap(), short.unwrap());
            let theirs = XChaCha20Poly1305::new(&key.into()).encrypt(&long.into(), payload());
            let (inner, nonce) = extended(&key, &long);
            let ours = seal(&inner, nonce, aad, &plain).unwrap();
            assert_eq!(ours, theirs.unwrap());
            assert_eq!(open(&inner, nonce, aad, &ours).unwrap().as_slice(), plain);
        }
    }

    #[test]
    fn a_value_opens_only_as_it_was_sealed() {
        let (key, nonce) = ([1; KEY], [2; NONCE]);
        let mut sealed = vec![9; 3];
        append(&key, nonce, b"aad", b"plain", &mut sealed).unwrap();
        assert_eq!(sealed[..3], [9; 3]);
        let sealed = &sealed[3..];
        assert_eq!(open(&key, nonce, b"aad", sealed).unwrap().as_slice(), b"plain");
        assert_eq!(open(&key, nonce, b"add", sealed), Err(AeadError));
        assert_eq!(open(&key, [3; NONCE], b"aad", sealed), Err(AeadError));
        assert_eq!(open(&[2; KEY], nonce, b"aad", sealed), Err(AeadError));
        for place in 0..sealed.len() {
            let mut damaged = sealed.to_vec();
            damaged[place] ^= 1;
            assert_eq!(open(&key, nonce, b"aad", &damaged), Err(AeadError), "{place}");
            assert_eq!(open(&key, nonce, b"aad", &sealed[..place]), Err(AeadError), "{place}");
        }
    }
}
