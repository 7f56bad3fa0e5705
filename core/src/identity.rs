//! Identities: an Ed25519 key, and the byte strings that it signs.

mod claims;
mod number;
mod point;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

pub use claims::{NameError, auth_bytes, name_claim_bytes};
pub use number::{SafetyNumber, fingerprint};

use crate::id::{IdError, hex_text};

/// The public half of an identity: a 32-byte Ed25519 public key (RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityKey([u8; 32]);

impl IdentityKey {
    /// The key with these bytes. Whether they are a point of the curve shows
    /// when a signature is verified.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Takes exactly 32 bytes as a key.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
        bytes.try_into().map(Self).map_err(|_| IdError::Length(bytes.len()))
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

hex_text!(IdentityKey);

/// A signature that does not fit its key and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct BadSignature;

/// Checks an Ed25519 signature (RFC 8032, section 5.1.7) strictly: keys that are not encoded as they
/// should be, keys and points of small order and malleable signatures are refused.
///
/// # Errors
/// When the signature is not one of this key for this message.
pub fn verify(key: &IdentityKey, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let (point, _) = signature.split_first_chunk::<32>().ok_or(BadSignature)?;
    if !point::is_strict(&key.0) || !point::is_strict(point) {
        return Err(BadSignature);
    }
    UnparsedPublicKey::new(&ED25519, &key.0).verify(message, signature).map_err(|_| BadSignature)
}

/// An identity with its secret key, which is wiped when dropped.
#[derive(Clone)]
pub struct Identity {
    seed: Zeroizing<[u8; 32]>,
    key: IdentityKey,
    /// Signs in half the time that `ed25519-dalek` takes, the same bytes.
    pair: Arc<Ed25519KeyPair>,
}

impl Identity {
    /// A new identity from 32 random bytes.
    ///
    /// # Panics
    /// When the operating system cannot give random bytes.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).expect("the operating system gives random bytes");
        Self::from_seed(seed)
    }

    /// The identity of a 32-byte Ed25519 seed (RFC 8032, section 5.1.5).
    ///
    /// # Panics
    /// When there is no memory for its keys.
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice());
        let pair = pair.expect("32 bytes are a seed");
        let public = pair.public_key().as_ref();
        let key = IdentityKey(public.try_into().expect("32 bytes are a public key"));
        Self { seed, key, pair: Arc::new(pair) }
    }

    /// The seed, for storing it sealed.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        self.seed.clone()
    }

    /// The public key.
    pub fn key(&self) -> IdentityKey {
        self.key
    }

    /// Signs a message (Ed25519, 64 bytes).
    ///
    /// # Panics
    /// When memory is exhausted.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(message).as_ref());
        signature
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("key", &self.key()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn seed_gives_the_same_identity() {
        let identity = Identity::generate();
        let again = Identity::from_seed(identity.seed());
        assert_eq!(identity.key(), again.key());
        assert_eq!(identity.sign(b"x"), again.sign(b"x"));
    }

    /// Another implementation of RFC 8032 derives the same keys and signs the same bytes.
    #[test]
    fn keys_and_signatures_are_those_of_rfc_8032() {
        use ed25519_dalek::Signer as _;

        for len in [0, 1, 64, 1300] {
            let identity = Identity::generate();
            let other = ed25519_dalek::SigningKey::from_bytes(&identity.seed());
            let message: Vec<u8> = (0..=255).cycle().take(len).collect();
            assert_eq!(identity.key().as_bytes(), other.verifying_key().as_bytes());
            assert_eq!(identity.sign(&message), other.sign(&message).to_bytes());
        }
    }

    #[test]
    fn signatures_verify_only_as_they_are() {
        let identity = Identity::generate();
        let signature = identity.sign(b"message");
        assert!(verify(&identity.key(), b"message", &signature).is_ok());
        assert!(verify(&identity.key(), b"massage", &signature).is_err());
        assert!(verify(&Identity::generate().key(), b"message", &signature).is_err());
        assert!(verify(&identity.key(), b"message", &signature[..63]).is_err());
    }

    /// As `ed25519-dalek` has it with `verify_strict`: valid, malleated, and with each bit turned.
    #[test]
    fn what_is_valid_another_strict_implementation_says_too() {
        /// The order of the group (RFC 8032, section 5.1), little-endian.
        const ORDER: [u8; 32] = [
            0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9,
            0xDE, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let strict = |key: &[u8; 32], signature: &[u8; 64]| {
            ed25519_dalek::VerifyingKey::from_bytes(key).is_ok_and(|key| {
                let signature = ed25519_dalek::Signature::from_bytes(signature);
                key.verify_strict(b"message", &signature).is_ok()
            })
        };
        let agree = |key: &[u8; 32], signature: &[u8; 64]| {
            let valid = verify(&IdentityKey::new(*key), b"message", signature).is_ok();
            assert_eq!(valid, strict(key, signature), "{key:02x?} {signature:02x?}");
            valid
        };
        for _ in 0..50 {
            let identity = Identity::generate();
            let (key, signature) = (*identity.key().as_bytes(), identity.sign(b"message"));
            assert!(agree(&key, &signature));
            let mut malleated = signature;
            let mut carry = 0;
            for (byte, order) in malleated[32..].iter_mut().zip(ORDER) {
                let sum = u16::from(*byte) + u16::from(order) + carry;
                (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
            }
            assert!(!agree(&key, &malleated));
            for bit in 0..64 * 8 {
                let mut other = signature;
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(!agree(&key, &other));
            }
            for bit in 0..32 * 8 {
                let mut other = key;
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(!agree(&other, &signature));
            }
        }
    }

    /// The neutral element signs anything under a check that is lax.
    #[test]
    fn keys_of_small_order_sign_nothing() {
        let (mut key, mut signature) = ([0; 32], [0; 64]);
        key[0] = 1;
        signature[0] = 1;
        let lax = UnparsedPublicKey::new(&ED25519, key);
        lax.verify(b"message", &signature).unwrap();
        assert!(verify(&IdentityKey::new(key), b"message", &signature).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let identity = Identity::from_seed(Zeroizing::new([7; 32]));
        let shown = format!("{identity:?}");
        assert!(shown.contains(&identity.key().to_string()));
        assert!(!shown.contains("0707"));
        assert!(!shown.contains("7, 7"));
    }

    #[test]
    fn key_is_hex_text() {
        let key = IdentityKey::new([0xAB; 32]);
        assert_eq!(key.to_string(), "ab".repeat(32));
        assert_eq!(key.to_string().parse::<IdentityKey>().unwrap(), key);
        assert_eq!(
            serde_json::from_str::<IdentityKey>(&serde_json::to_string(&key).unwrap()).unwrap(),
            key
        );
        assert!("ab".parse::<IdentityKey>().is_err());
    }
}
