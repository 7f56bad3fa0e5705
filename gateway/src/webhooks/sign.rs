//! Signatures of Standard Webhooks: `v1` (HMAC-SHA256) and `v1a` (Ed25519).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::random;

const SECRET: usize = 32;
const SEED: usize = 32;

/// The two keys of a webhook.
pub(crate) struct Keys {
    secret: Zeroizing<[u8; SECRET]>,
    signing: SigningKey,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    /// New keys.
    pub(crate) fn random() -> Self {
        let seed = Zeroizing::new(random::bytes::<SEED>());
        Self { secret: Zeroizing::new(random::bytes()), signing: SigningKey::from_bytes(&seed) }
    }

    /// Keys as they are kept.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (secret, seed) = bytes.split_at_checked(SECRET)?;
        let seed = Zeroizing::new(<[u8; SEED]>::try_from(seed).ok()?);
        let secret = Zeroizing::new(secret.try_into().ok()?);
        Some(Self { secret, signing: SigningKey::from_bytes(&seed) })
    }

    /// Both, to be sealed.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let seed = Zeroizing::new(self.signing.to_bytes());
        Zeroizing::new([self.secret.as_slice(), seed.as_slice()].concat())
    }

    /// The secret as it is shown once: `whsec_...`.
    pub(crate) fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.secret.as_slice()))
    }

    /// The public key: `whpk_...`.
    pub(crate) fn public(&self) -> String {
        format!("whpk_{}", STANDARD.encode(self.signing.verifying_key().as_bytes()))
    }

    /// The header `webhook-signature`.
    ///
    /// # Panics
    /// Never: an HMAC takes keys of any length.
    pub(crate) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let content = [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body].concat();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_slice())
            .expect("an HMAC takes keys of any length");
        mac.update(&content);
        let symmetric = STANDARD.encode(mac.finalize().into_bytes());
        let asymmetric = STANDARD.encode(self.signing.sign(&content).to_bytes());
        format!("v1,{symmetric} v1a,{asymmetric}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of the Standard Webhooks specification.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let mut bytes = [0; SECRET + SEED];
        bytes[..secret.len()].copy_from_slice(&secret);
        let mut keys = Keys::from_bytes(&bytes).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        mac.update(br#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#);
        let expected = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(STANDARD.encode(mac.finalize().into_bytes()), expected);
        // A key that is padded with zeros is the same key of an HMAC.
        keys = Keys::from_bytes(&keys.to_bytes()).unwrap();
        let header =
            keys.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert!(header.starts_with(&format!("v1,{expected} v1a,")), "{header}");
    }

    #[test]
    fn secrets_are_not_in_debug() {
        let keys = Keys::random();
        assert_eq!(format!("{keys:?}"), "Keys(..)");
        assert!(keys.reveal().starts_with("whsec_") && keys.public().starts_with("whpk_"));
        assert!(Keys::from_bytes(&[0; 63]).is_none());
    }
}
