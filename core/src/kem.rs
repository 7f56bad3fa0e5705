//! Hybrid keys for the envelope: X25519 (RFC 7748) and ML-KEM-768 (FIPS 203).

pub(crate) mod combiner;

use std::fmt;

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes of an X25519 key, public or secret.
pub(crate) const X25519_LEN: usize = 32;
/// Bytes of an ML-KEM-768 encapsulation key.
const ML_KEM_PUBLIC_LEN: usize = 1184;
/// Bytes of an ML-KEM-768 decapsulation key in its expanded form.
const ML_KEM_SECRET_LEN: usize = 2400;
/// Bytes of an ML-KEM-768 ciphertext.
pub(crate) const ML_KEM_CIPHERTEXT_LEN: usize = 1088;
/// Bytes of both shared secrets.
pub(crate) const SHARED_LEN: usize = 64;
/// Where the encapsulation key lies in an expanded decapsulation key
/// (FIPS 203, algorithm 16: `dk_pke || ek || H(ek) || z`).
const ML_KEM_PUBLIC_OFFSET: usize = 1152;
/// The modulus of ML-KEM.
const ML_KEM_Q: u16 = 3329;

/// A key or an operation with it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KemError {
    /// The bytes are not a key of this kind.
    #[error("not a hybrid key")]
    InvalidKey,
    /// The cryptographic library refused the operation.
    #[error("hybrid key operation failed")]
    Failed,
}

/// A hybrid public key: X25519 (32 bytes), then the ML-KEM-768 encapsulation
/// key (1184 bytes).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HybridPublic(Box<[u8]>);

impl HybridPublic {
    /// Bytes of a hybrid public key.
    pub const LEN: usize = X25519_LEN + ML_KEM_PUBLIC_LEN;

    /// Parses 1216 bytes and checks the ML-KEM part as FIPS 203, section 7.2
    /// asks for, so that sealing to a parsed key cannot fail for its sake.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KemError> {
        if bytes.len() != Self::LEN {
            return Err(KemError::InvalidKey);
        }
        // The last 32 bytes are a seed; before it, two 12-bit coefficients lie in three bytes.
        let coefficients = &bytes[X25519_LEN..Self::LEN - 32];
        let reduced = coefficients.chunks_exact(3).all(|triple| {
            let (a, b, c) = (u16::from(triple[0]), u16::from(triple[1]), u16::from(triple[2]));
            (a | (b & 0x0F) << 8) < ML_KEM_Q && (b >> 4 | c << 4) < ML_KEM_Q
        });
        if reduced { Ok(Self(bytes.into())) } else { Err(KemError::InvalidKey) }
    }

    /// The raw bytes, [`HybridPublic::LEN`] of them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn x25519(&self) -> &[u8] {
        &self.0[..X25519_LEN]
    }

    fn ml_kem(&self) -> &[u8] {
        &self.0[X25519_LEN..]
    }

    /// A pair of ciphertexts for this key, the first of which is the ephemeral key, and the two secrets
    /// in them.
    pub(crate) fn encapsulate(&self, ephemeral: &Ephemeral) -> Result<Encapsulated, KemError> {
        let key =
            EncapsulationKey::new(&ML_KEM_768, self.ml_kem()).map_err(|_| KemError::Failed)?;
        let (ciphertext, ml_kem) = key.encapsulate().map_err(|_| KemError::Failed)?;
        // A key of small order has the secret zero: its owner harms nobody but himself.
        let x25519 = diffie_hellman(&ephemeral.secret, self.x25519()).unwrap_or_default();

        let mut encapsulated = Encapsulated {
            ciphertext: ciphertext.as_ref().to_vec(),
            shared: SharedSecrets(Zeroizing::new([0; SHARED_LEN])),
        };
        encapsulated.shared.set(&x25519, ml_kem.as_ref());
        Ok(encapsulated)
    }
}

/// The X25519 key of one envelope. All its recipients may have the same one, since what is derived
/// depends on the recipient's key too (Bellare, Boldyreva, Staddon: Randomness Re-use in
/// Multi-recipient Encryption Schemes, PKC 2003). Wiped when dropped, by the library that holds it.
pub(crate) struct Ephemeral {
    secret: PrivateKey,
    public: [u8; X25519_LEN],
}

impl Ephemeral {
    pub(crate) fn generate() -> Result<Self, KemError> {
        let secret = PrivateKey::generate(&X25519).map_err(|_| KemError::Failed)?;
        let public = secret.compute_public_key().map_err(|_| KemError::Failed)?;
        let public = public.as_ref().try_into().map_err(|_| KemError::Failed)?;
        Ok(Self { secret, public })
    }

    pub(crate) fn public(&self) -> &[u8; X25519_LEN] {
        &self.public
    }
}

impl fmt::Debug for HybridPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HybridPublic({}..)", hex::encode(&self.0[..8]))
    }
}

/// Both secrets, X25519 first.
pub(crate) struct SharedSecrets(Zeroizing<[u8; SHARED_LEN]>);

impl SharedSecrets {
    fn set(&mut self, x25519: &[u8; 32], ml_kem: &[u8]) {
        self.0[..32].copy_from_slice(x25519);
        self.0[32..].copy_from_slice(ml_kem);
    }

    /// `X25519 secret || ML-KEM secret`.
    pub(crate) fn as_bytes(&self) -> &[u8; SHARED_LEN] {
        &self.0
    }
}

/// What [`HybridPublic::encapsulate`] gives.
pub(crate) struct Encapsulated {
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) shared: SharedSecrets,
}

/// A hybrid secret key. Wiped when dropped (by the library that holds it).
pub struct HybridSecret {
    x25519: PrivateKey,
    ml_kem: DecapsulationKey,
    public: HybridPublic,
}

impl HybridSecret {
    /// Bytes of the sealed-storage form: X25519 secret, then the expanded
    /// ML-KEM-768 decapsulation key.
    pub const LEN: usize = X25519_LEN + ML_KEM_SECRET_LEN;

    /// A new random key.
    pub fn generate() -> Result<Self, KemError> {
        let x25519 = PrivateKey::generate(&X25519).map_err(|_| KemError::Failed)?;
        let ml_kem = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| KemError::Failed)?;
        let encapsulation = ml_kem.encapsulation_key().map_err(|_| KemError::Failed)?;
        let encapsulation = encapsulation.key_bytes().map_err(|_| KemError::Failed)?;
        Self::assemble(x25519, ml_kem, encapsulation.as_ref())
    }

    /// Reads what [`HybridSecret::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KemError> {
        if bytes.len() != Self::LEN {
            return Err(KemError::InvalidKey);
        }
        let (x25519, ml_kem) = bytes.split_at(X25519_LEN);
        let encapsulation = &ml_kem[ML_KEM_PUBLIC_OFFSET..ML_KEM_PUBLIC_OFFSET + ML_KEM_PUBLIC_LEN];
        let x25519 =
            PrivateKey::from_private_key(&X25519, x25519).map_err(|_| KemError::InvalidKey)?;
        let ml_kem =
            DecapsulationKey::new(&ML_KEM_768, ml_kem).map_err(|_| KemError::InvalidKey)?;
        Self::assemble(x25519, ml_kem, encapsulation)
    }

    fn assemble(
        x25519: PrivateKey,
        ml_kem: DecapsulationKey,
        encapsulation: &[u8],
    ) -> Result<Self, KemError> {
        let x25519_public = x25519.compute_public_key().map_err(|_| KemError::Failed)?;
        let public = HybridPublic::from_slice(&[x25519_public.as_ref(), encapsulation].concat())?;
        Ok(Self { x25519, ml_kem, public })
    }

    /// The key as [`HybridSecret::LEN`] bytes, for storing it sealed.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, KemError> {
        let x25519: Curve25519SeedBin = self.x25519.as_be_bytes().map_err(|_| KemError::Failed)?;
        let ml_kem = self.ml_kem.key_bytes().map_err(|_| KemError::Failed)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(Self::LEN));
        bytes.extend_from_slice(x25519.as_ref());
        bytes.extend_from_slice(ml_kem.as_ref());
        Ok(bytes)
    }

    /// The public half.
    pub fn public(&self) -> &HybridPublic {
        &self.public
    }

    /// The secrets in a pair of ciphertexts.
    pub(crate) fn decapsulate(
        &self,
        ephemeral: &[u8],
        ciphertext: &[u8],
    ) -> Result<SharedSecrets, KemError> {
        let x25519 = diffie_hellman(&self.x25519, ephemeral)?;
        let ml_kem =
            self.ml_kem.decapsulate(Ciphertext::from(ciphertext)).map_err(|_| KemError::Failed)?;
        let mut shared = SharedSecrets(Zeroizing::new([0; SHARED_LEN]));
        shared.set(&x25519, ml_kem.as_ref());
        Ok(shared)
    }
}

impl fmt::Debug for HybridSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HybridSecret").field("public", &self.public).finish_non_exhaustive()
    }
}

pub(crate) fn diffie_hellman(
    secret: &PrivateKey,
    public: &[u8],
) -> Result<Zeroizing<[u8; 32]>, KemError> {
    agreement::agree(secret, UnparsedPublicKey::new(&X25519, public), KemError::Failed, |raw| {
        let mut shared = <[u8; 32]>::try_from(raw).map_err(|_| KemError::Failed)?;
        let result = Zeroizing::new(shared);
        shared.zeroize();
        Ok(result)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_survives_storage() {
        let secret = HybridSecret::generate().unwrap();
        let again = HybridSecret::from_bytes(&secret.to_bytes().unwrap()).unwrap();
        assert_eq!(secret.public(), again.public());
        let ephemeral = Ephemeral::generate().unwrap();
        let sent = secret.public().encapsulate(&ephemeral).unwrap();
        let received = again.decapsulate(ephemeral.public(), &sent.ciphertext).unwrap();
        assert_eq!(sent.shared.as_bytes(), received.as_bytes());
    }

    #[test]
    fn malformed_public_keys_are_refused() {
        let secret = HybridSecret::generate().unwrap();
        let good = secret.public().as_bytes();
        assert!(HybridPublic::from_slice(&good[1..]).is_err());
        let mut unreduced = good.to_vec();
        unreduced[X25519_LEN] = 0xFF;
        unreduced[X25519_LEN + 1] |= 0x0F;
        assert!(HybridPublic::from_slice(&unreduced).is_err());
        assert!(HybridSecret::from_bytes(&[0; 10]).is_err());
    }

    #[test]
    fn small_order_key_does_not_stop_a_sender() {
        let secret = HybridSecret::generate().unwrap();
        let mut bytes = secret.public().as_bytes().to_vec();
        bytes[..X25519_LEN].fill(0);
        let ephemeral = Ephemeral::generate().unwrap();
        assert!(HybridPublic::from_slice(&bytes).unwrap().encapsulate(&ephemeral).is_ok());
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = HybridSecret::generate().unwrap();
        let hidden = hex::encode(&secret.to_bytes().unwrap()[..8]);
        assert!(!format!("{secret:?}").contains(&hidden));
    }
}
