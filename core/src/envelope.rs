//! The hybrid envelope around MLS bytes.
//!
//! Version 1 (published format, one recipient):
//! `0x01 | X25519 ephemeral 32 | ML-KEM-768 ciphertext 1088 | nonce 12 |
//! ChaCha20-Poly1305(MLS bytes)`, 1149 bytes more than the MLS bytes.
//!
//! Version 2 (many recipients): a prefix per recipient,
//! `0x02 | X25519 ephemeral 32 | ML-KEM-768 ciphertext 1088 | content key
//! sealed 48`, and one body for all: a 32-byte commitment to the content key,
//! then the AEAD of `u32 length | MLS bytes | zeros`. What a recipient gets is
//! `prefix || body`. The length is padded to a power of two from 256 bytes to
//! 4 KiB, above that to a multiple of 4 KiB.
//!
//! Opening has one error: it does not tell which step failed. There is no
//! fall-back from one version to another or to bare MLS bytes.

mod v1;
mod v2;

#[cfg(test)]
mod tests;

pub use v2::Sealing;
use zeroize::Zeroizing;

use crate::group::{RemovalNotice, RepairRequest};
use crate::kem::{HybridPublic, HybridSecret, KemError};

/// First byte of an envelope of version 1.
const VERSION_1: u8 = 0x01;
/// First byte of an envelope of version 2.
const VERSION_2: u8 = 0x02;

/// Most MLS bytes one envelope carries: 5 MiB, the node's limit for a payload.
pub const MAX_MLS_LEN: usize = 5 * 1024 * 1024;

/// What the first bytes of a payload claim it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadKind {
    /// The published envelope for one recipient.
    EnvelopeV1,
    /// The envelope for many recipients.
    EnvelopeV2,
    /// A bare `MLSMessage` (RFC 9420, section 6: it starts with `00 01`).
    BareMls,
    /// A signed request to be added to a group again, without an envelope.
    RepairRequest,
    /// A signed notice that the recipient was removed, without an envelope.
    RemovalNotice,
    /// Anything else.
    Unknown,
}

/// Tells what a payload claims to be, by its first bytes.
pub fn kind(payload: &[u8]) -> PayloadKind {
    match payload {
        [VERSION_1, ..] => PayloadKind::EnvelopeV1,
        [VERSION_2, ..] => PayloadKind::EnvelopeV2,
        [0x00, 0x01, ..] => PayloadKind::BareMls,
        payload if RepairRequest::is_request(payload) => PayloadKind::RepairRequest,
        payload if RemovalNotice::is_notice(payload) => PayloadKind::RemovalNotice,
        _ => PayloadKind::Unknown,
    }
}

/// The payload could not be opened. Deliberately says no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the envelope cannot be opened")]
pub struct OpenError;

/// Sealing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// More than [`MAX_MLS_LEN`] bytes.
    #[error("too long for an envelope")]
    TooLong,
    /// The cryptographic library refused.
    #[error(transparent)]
    Kem(#[from] KemError),
}

/// An envelope of version 2: recipient `i` gets `prefixes[i] || body`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedV2 {
    /// One prefix of [`SealedV2::PREFIX_LEN`] bytes per recipient, in their order.
    pub prefixes: Vec<Vec<u8>>,
    /// The body, the same for all.
    pub body: Vec<u8>,
}

impl SealedV2 {
    /// Bytes of a prefix.
    pub const PREFIX_LEN: usize =
        1 + crate::kem::X25519_LEN + crate::kem::ML_KEM_CIPHERTEXT_LEN + 48;
}

/// Seals MLS bytes for one recipient in the published format.
pub fn seal_v1(recipient: &HybridPublic, mls: &[u8]) -> Result<Vec<u8>, SealError> {
    check_length(mls)?;
    v1::seal(recipient, mls)
}

/// Seals MLS bytes for many recipients: one prefix each, one body for all. [`Sealing`] does it with
/// help.
pub fn seal_v2(recipients: &[&HybridPublic], mls: &[u8]) -> Result<SealedV2, SealError> {
    Sealing::new(recipients.iter().copied().cloned().collect(), mls)?.finish()
}

/// Opens an envelope of either version with the first of `secrets` that fits;
/// give the newest first.
pub fn open(secrets: &[HybridSecret], payload: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    match kind(payload) {
        PayloadKind::EnvelopeV1 => first(secrets, |secret| v1::open(secret, payload)),
        PayloadKind::EnvelopeV2 => first(secrets, |secret| v2::open(secret, payload)),
        PayloadKind::BareMls
        | PayloadKind::RepairRequest
        | PayloadKind::RemovalNotice
        | PayloadKind::Unknown => Err(OpenError),
    }
}

fn first(
    secrets: &[HybridSecret],
    open: impl Fn(&HybridSecret) -> Option<Zeroizing<Vec<u8>>>,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    secrets.iter().find_map(open).ok_or(OpenError)
}

fn check_length(mls: &[u8]) -> Result<(), SealError> {
    if mls.len() > MAX_MLS_LEN { Err(SealError::TooLong) } else { Ok(()) }
}
