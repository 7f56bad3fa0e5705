//! The proof of a key that comes with a request for an access token.
//!
//! One line of 272 hexadecimal digits: identity key 32 bytes, SHA-256 of the token 32, time made
//! in unix seconds 8 (big-endian), and 64 bytes of Ed25519 signature by the identity key over
//! `"quicproquo-token-v1" || identity || token hash || time`. The holder of the key chooses the
//! token, 32 random bytes, so neither the operator nor the way to the operator sees it.

use std::str::FromStr;

use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::TOKEN_DOMAIN;

use super::verify;

/// How long a proof can be used, in seconds.
const LIFE_SECS: u64 = 24 * 3_600;
/// Clocks may differ by so much, in seconds.
const SKEW_SECS: u64 = 3_600;
const SIGNED: usize = 72;
const LEN: usize = SIGNED + 64;

/// A proof is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not the form of a proof.
    #[error("a proof is one line of {} hexadecimal digits", LEN * 2)]
    Malformed,
    /// The signature is not the identity's.
    #[error("the signature of the proof does not verify")]
    Signature,
    /// Too old, or made in the future.
    #[error("the proof was not made within the last 24 hours")]
    Time,
}

/// A proof as it was read; [`TokenProof::verify`] says whether it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenProof {
    /// The identity that asks.
    pub identity: IdentityKey,
    /// SHA-256 of the token that it has chosen.
    pub token_hash: [u8; 32],
    /// Unix seconds.
    pub made_at: u64,
    signature: [u8; 64],
}

impl FromStr for TokenProof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        let mut bytes = [0; LEN];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| ProofError::Malformed)?;
        let (identity, rest) = bytes.split_first_chunk().ok_or(ProofError::Malformed)?;
        let (token_hash, rest) = rest.split_first_chunk().ok_or(ProofError::Malformed)?;
        let (made_at, rest) = rest.split_first_chunk().ok_or(ProofError::Malformed)?;
        Ok(Self {
            identity: IdentityKey::new(*identity),
            token_hash: *token_hash,
            made_at: u64::from_be_bytes(*made_at),
            signature: rest.try_into().map_err(|_| ProofError::Malformed)?,
        })
    }
}

impl TokenProof {
    /// The bytes that the identity signs.
    fn signed_bytes(&self) -> Vec<u8> {
        [TOKEN_DOMAIN, self.identity.as_bytes(), &self.token_hash, &self.made_at.to_be_bytes()]
            .concat()
    }

    /// Whether the identity has signed this, lately.
    pub fn verify(&self, now: u64) -> Result<(), ProofError> {
        if !verify(&self.identity, &self.signed_bytes(), &self.signature) {
            return Err(ProofError::Signature);
        }
        let latest = now.saturating_add(SKEW_SECS);
        if self.made_at > latest || self.made_at.saturating_add(LIFE_SECS) < now {
            return Err(ProofError::Time);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    const NOW: u64 = 1_793_491_200;

    pub(crate) fn proof(key: &SigningKey, token_hash: [u8; 32], made_at: u64) -> TokenProof {
        let identity = IdentityKey::new(key.verifying_key().to_bytes());
        let mut proof = TokenProof { identity, token_hash, made_at, signature: [0; 64] };
        proof.signature = key.sign(&proof.signed_bytes()).to_bytes();
        proof
    }

    pub(crate) fn text(proof: &TokenProof) -> String {
        hex::encode(
            [
                proof.identity.as_bytes().as_slice(),
                &proof.token_hash,
                &proof.made_at.to_be_bytes(),
                &proof.signature,
            ]
            .concat(),
        )
    }

    #[test]
    fn a_proof_is_read_and_no_digit_of_it_can_be_changed() {
        let proof = proof(&SigningKey::from_bytes(&[1; 32]), [7; 32], NOW);
        let text = text(&proof);
        assert_eq!(format!("{text}\n").parse(), Ok(proof));
        proof.verify(NOW).unwrap();
        for position in 0..LEN {
            let mut bytes = hex::decode(&text).unwrap();
            bytes[position] ^= 1;
            let changed: TokenProof = hex::encode(bytes).parse().unwrap();
            assert_eq!(changed.verify(NOW), Err(ProofError::Signature), "byte {position}");
        }
        for malformed in [&text[1..], "", "zz", &format!("{text}00")] {
            assert_eq!(malformed.parse::<TokenProof>(), Err(ProofError::Malformed));
        }
    }

    #[test]
    fn a_proof_has_its_time() {
        let key = SigningKey::from_bytes(&[1; 32]);
        for (made_at, verdict) in [
            (NOW - LIFE_SECS, Ok(())),
            (NOW - LIFE_SECS - 1, Err(ProofError::Time)),
            (NOW + SKEW_SECS, Ok(())),
            (NOW + SKEW_SECS + 1, Err(ProofError::Time)),
            (u64::MAX, Err(ProofError::Time)),
        ] {
            assert_eq!(proof(&key, [7; 32], made_at).verify(NOW), verdict, "{made_at}");
        }
    }
}
