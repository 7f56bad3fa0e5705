//! Reads and verifies MLS `KeyPackage`s without an MLS library.
//!
//! The struct of RFC 9420 section 10 in TLS presentation language, not wrapped in an
//! `MLSMessage`, checked by the rules of sections 7.2, 7.3 and 10.1 that need no group. A node
//! that checks what it stores cannot be used to hand out packages of an identity that the identity
//! never made, nor such as no member could add; it learns nothing that is not public. Which rule
//! is checked where is in `docs/decisions/0010-key-packages-without-mls.md`.

mod reader;
#[cfg(test)]
pub(crate) mod tests;

use ed25519_dalek::{Signature, VerifyingKey};
use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::MAX_KEY_PACKAGE;
use sha2::{Digest, Sha256};

use reader::{Malformed, Reader};

/// `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519`, with 32-byte HPKE keys.
pub(crate) const CLASSIC: u16 = 0x0001;
/// `MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519`, with 1,216-byte HPKE keys.
pub(crate) const HYBRID: u16 = 0x004F;

const MLS_10: u16 = 1;
const CREDENTIAL_BASIC: u16 = 1;
const SOURCE_KEY_PACKAGE: u8 = 1;
/// Extension of the MLS extensions draft that marks a package for repeated use.
const LAST_RESORT: u16 = 0x000a;
/// Extension types 1 to 5 need no capability (RFC 9420 section 7.2).
const DEFAULT_EXTENSIONS: std::ops::RangeInclusive<u16> = 1..=5;
/// The only one of them that a leaf may hold (RFC 9420 section 17.3); a package may hold none.
const APPLICATION_ID: u16 = 1;
/// Clocks may differ by so much, in seconds.
const SKEW_SECS: u64 = 3_600;
/// Longest lifetime, in seconds: 100 days, and the skew at both ends.
const MAX_LIFETIME_SECS: u64 = 100 * 24 * 3_600 + 2 * SKEW_SECS;

/// Why a package is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyPackageError {
    #[error("larger than a key package may be")]
    TooLarge,
    #[error("not a key package: {0}")]
    Malformed(&'static str),
    #[error("the protocol version is not MLS 1.0")]
    Version,
    #[error("the ciphersuite is not supported")]
    Ciphersuite,
    #[error("an HPKE key has the wrong length")]
    HpkeKey,
    #[error("the leaf's key or credential is not the caller's")]
    Owner,
    #[error("the leaf was not made for a key package")]
    Source,
    #[error("the capabilities do not cover the package")]
    Capabilities,
    #[error("an extension comes twice, or has no place there")]
    Extension,
    #[error("expired, not valid yet, or valid for too long")]
    Lifetime,
    #[error("a signature does not verify")]
    Signature,
}

impl From<Malformed> for KeyPackageError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error.0)
    }
}

/// What the node needs to know of a verified package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VerifiedKeyPackage {
    pub(crate) ciphersuite: u16,
    /// Unix seconds.
    pub(crate) not_after: u64,
    pub(crate) last_resort: bool,
    /// SHA-256 of the bytes.
    pub(crate) fingerprint: [u8; 32],
}

struct Leaf<'a> {
    encryption_key: &'a [u8],
    /// Extension types that the owner says to know.
    known_extensions: Vec<u16>,
    not_after: u64,
    signed: &'a [u8],
    signature: &'a [u8],
}

/// Verifies that `bytes` are a package of `owner` that is valid at `now` (unix seconds).
pub(crate) fn verify(
    bytes: &[u8],
    owner: &IdentityKey,
    now: u64,
) -> Result<VerifiedKeyPackage, KeyPackageError> {
    if bytes.len() > MAX_KEY_PACKAGE {
        return Err(KeyPackageError::TooLarge);
    }
    let mut reader = Reader::new(bytes);
    if reader.u16()? != MLS_10 {
        return Err(KeyPackageError::Version);
    }
    let ciphersuite = reader.u16()?;
    let hpke_key_len = match ciphersuite {
        CLASSIC => 32,
        HYBRID => 1216,
        _ => return Err(KeyPackageError::Ciphersuite),
    };
    let init_key = reader.vector()?;
    let leaf = leaf(&mut reader, ciphersuite, owner, now)?;
    let extensions = extensions(&mut reader)?;
    if extensions.iter().any(|kind| DEFAULT_EXTENSIONS.contains(kind)) {
        return Err(KeyPackageError::Extension);
    }
    if extensions.iter().any(|kind| !leaf.known_extensions.contains(kind)) {
        return Err(KeyPackageError::Capabilities);
    }
    let signed = reader.since(0);
    let signature = reader.vector()?;
    if !reader.is_empty() {
        return Err(KeyPackageError::Malformed("bytes after the end"));
    }
    if init_key.len() != hpke_key_len || leaf.encryption_key.len() != hpke_key_len {
        return Err(KeyPackageError::HpkeKey);
    }
    if init_key == leaf.encryption_key {
        return Err(KeyPackageError::HpkeKey);
    }
    verify_with_label(owner, b"LeafNodeTBS", leaf.signed, leaf.signature)?;
    verify_with_label(owner, b"KeyPackageTBS", signed, signature)?;
    Ok(VerifiedKeyPackage {
        ciphersuite,
        not_after: leaf.not_after,
        last_resort: extensions.contains(&LAST_RESORT),
        fingerprint: Sha256::digest(bytes).into(),
    })
}

/// Whether a package that was verified before is marked for repeated use.
pub(crate) fn is_last_resort(bytes: &[u8]) -> bool {
    let find = || -> Result<bool, KeyPackageError> {
        let mut reader = Reader::new(bytes);
        let (_version, _ciphersuite, _init_key) = (reader.u16()?, reader.u16()?, reader.vector()?);
        let (_encryption_key, _signature_key) = (reader.vector()?, reader.vector()?);
        let (_credential, _identity) = (reader.u16()?, reader.vector()?);
        for _capability in 0..5 {
            reader.vector()?;
        }
        let (_source, _not_before, _not_after) = (reader.u8()?, reader.u64()?, reader.u64()?);
        let (_leaf_extensions, _leaf_signature) = (reader.vector()?, reader.vector()?);
        Ok(extensions(&mut reader)?.contains(&LAST_RESORT))
    };
    find().unwrap_or(false)
}

/// RFC 9420 section 7.2.
fn leaf<'a>(
    reader: &mut Reader<'a>,
    ciphersuite: u16,
    owner: &IdentityKey,
    now: u64,
) -> Result<Leaf<'a>, KeyPackageError> {
    let start = reader.position();
    let encryption_key = reader.vector()?;
    let signature_key = reader.vector()?;
    let credential = reader.u16()?;
    if credential != CREDENTIAL_BASIC {
        return Err(KeyPackageError::Owner);
    }
    let identity = reader.vector()?;
    if signature_key != owner.as_bytes() || identity != owner.as_bytes() {
        return Err(KeyPackageError::Owner);
    }

    let versions = reader.numbers()?;
    let ciphersuites = reader.numbers()?;
    let known_extensions = reader.numbers()?;
    let _proposals = reader.numbers()?;
    let credentials = reader.numbers()?;
    let covers = versions.contains(&MLS_10)
        && ciphersuites.contains(&ciphersuite)
        && credentials.contains(&CREDENTIAL_BASIC);

    if reader.u8()? != SOURCE_KEY_PACKAGE {
        return Err(KeyPackageError::Source);
    }
    let not_before = reader.u64()?;
    let not_after = reader.u64()?;
    let span = not_after.checked_sub(not_before).ok_or(KeyPackageError::Lifetime)?;
    if not_before > now.saturating_add(SKEW_SECS) || not_after <= now || span > MAX_LIFETIME_SECS {
        return Err(KeyPackageError::Lifetime);
    }

    let extensions = extensions(reader)?;
    let misplaced = |kind: &u16| {
        *kind == LAST_RESORT || DEFAULT_EXTENSIONS.contains(kind) && *kind != APPLICATION_ID
    };
    if extensions.iter().any(misplaced) {
        return Err(KeyPackageError::Extension);
    }
    let covered = |kind: &u16| DEFAULT_EXTENSIONS.contains(kind) || known_extensions.contains(kind);
    if !covers || !extensions.iter().all(covered) {
        return Err(KeyPackageError::Capabilities);
    }
    let signed = reader.since(start);
    let signature = reader.vector()?;
    Ok(Leaf { encryption_key, known_extensions, not_after, signed, signature })
}

/// The types of a list of extensions, each of which may come once.
fn extensions(reader: &mut Reader<'_>) -> Result<Vec<u16>, KeyPackageError> {
    let mut list = Reader::new(reader.vector()?);
    let mut kinds = Vec::new();
    while !list.is_empty() {
        let kind = list.u16()?;
        list.vector()?;
        kinds.push(kind);
    }
    let mut sorted = kinds.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(KeyPackageError::Extension);
    }
    Ok(kinds)
}

/// `VerifyWithLabel` of RFC 9420 section 5.1.2.
fn verify_with_label(
    owner: &IdentityKey,
    label: &[u8],
    content: &[u8],
    signature: &[u8],
) -> Result<(), KeyPackageError> {
    let key = VerifyingKey::from_bytes(owner.as_bytes()).map_err(|_| KeyPackageError::Signature)?;
    let signature = Signature::from_slice(signature).map_err(|_| KeyPackageError::Signature)?;
    key.verify_strict(&sign_content(label, content), &signature)
        .map_err(|_| KeyPackageError::Signature)
}

/// `struct { opaque label<V> = "MLS 1.0 " + Label; opaque content<V>; } SignContent`.
fn sign_content(label: &[u8], content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + label.len() + 16);
    reader::put_vector(&mut bytes, &[b"MLS 1.0 ", label].concat());
    reader::put_vector(&mut bytes, content);
    bytes
}
