//! Cryptography for openmls: that of its own provider, except for what each message needs. Its cipher
//! and the check of its signature are [ours](crate::aead), and a signature is verified once.
//!
//! All members of a group that live in one process verify the same signature of each message, which
//! is half of what reading it costs. What has been verified is known by its digest
//! (`docs/decisions/0068-verified-signatures.md`).

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use openmls::prelude::tls_codec::SecretVLBytes;
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig,
    HpkeKeyPair, KemOutput, SignatureScheme,
};
use sha2::{Digest as _, Sha256};

use crate::aead;
use crate::identity::{IdentityKey, verify};

/// Signatures that are remembered, 32 bytes each.
const REMEMBERED: usize = 4096;

/// What the whole process has verified.
static VERIFIED: Mutex<Option<Verified>> = Mutex::new(None);

/// Digests of valid signatures with what they sign and by whom, the newest ones.
#[derive(Debug, Default)]
struct Verified {
    known: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl Verified {
    fn add(&mut self, digest: [u8; 32]) {
        if !self.known.insert(digest) {
            return;
        }
        self.order.push_back(digest);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

fn with<T>(work: impl FnOnce(&mut Verified) -> T) -> T {
    let mut verified = VERIFIED.lock().unwrap_or_else(PoisonError::into_inner);
    work(verified.get_or_insert_default())
}

/// Of everything that a verification depends on; lengths keep the parts apart.
fn digest(alg: SignatureScheme, data: &[u8], pk: &[u8], signature: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update((alg as u16).to_be_bytes());
    for part in [pk, signature, data] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// The cryptography of a provider.
#[derive(Debug, Default)]
pub(crate) struct Crypto(RustCrypto);

impl Crypto {
    pub(super) fn rand(&self) -> &RustCrypto {
        &self.0
    }
}

impl OpenMlsCrypto for Crypto {
    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        pk: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let digest = digest(alg, data, pk, signature);
        if with(|verified| verified.known.contains(&digest)) {
            return Ok(());
        }
        match alg {
            SignatureScheme::ED25519 => {
                let key = IdentityKey::from_slice(pk).map_err(|_| CryptoError::InvalidPublicKey)?;
                verify(&key, data, signature).map_err(|_| CryptoError::InvalidSignature)?;
            }
            _ => self.0.verify_signature(alg, data, pk, signature)?,
        }
        with(|verified| verified.add(digest));
        Ok(())
    }

    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        self.0.supports(ciphersuite)
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        self.0.supported_ciphersuites()
    }

    fn hkdf_extract(
        &self,
        hash_type: HashType,
        salt: &[u8],
        ikm: &[u8],
    ) -> Result<SecretVLBytes, CryptoError> {
        self.0.hkdf_extract(hash_type, salt, ikm)
    }

    fn hmac(
        &self,
        hash_type: HashType,
        key: &[u8],
        message: &[u8],
    ) -> Result<SecretVLBytes, CryptoError> {
        self.0.hmac(hash_type, key, message)
    }

    fn hkdf_expand(
        &self,
        hash_type: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        self.0.hkdf_expand(hash_type, prk, info, okm_len)
    }

    fn hash(&self, hash_type: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.0.hash(hash_type, data)
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        match alg {
            AeadType::Aes128Gcm => {
                aead::seal_gcm(key, nonce, aad, data).map_err(|_| CryptoError::CryptoLibraryError)
            }
            _ => self.0.aead_encrypt(alg, key, data, nonce, aad),
        }
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        match alg {
            AeadType::Aes128Gcm => aead::open_gcm(key, nonce, aad, ct_tag)
                .map(|mut plain| std::mem::take(&mut *plain))
                .map_err(|_| CryptoError::AeadDecryptionError),
            _ => self.0.aead_decrypt(alg, key, ct_tag, nonce, aad),
        }
    }

    fn signature_key_gen(&self, alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        self.0.signature_key_gen(alg)
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.0.sign(alg, data, key)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        aad: &[u8],
        ptxt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        self.0.hpke_seal(config, pk_r, info, aad, ptxt)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        sk_r: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.0.hpke_open(config, input, sk_r, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        self.0.hpke_setup_sender_and_export(config, pk_r, info, exporter_context, exporter_length)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        sk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        let (context, length) = (exporter_context, exporter_length);
        self.0.hpke_setup_receiver_and_export(config, enc, sk_r, info, context, length)
    }

    fn derive_hpke_keypair(
        &self,
        config: HpkeConfig,
        ikm: &[u8],
    ) -> Result<HpkeKeyPair, CryptoError> {
        self.0.derive_hpke_keypair(config, ikm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    const ALG: SignatureScheme = SignatureScheme::ED25519;

    #[test]
    fn what_was_verified_says_nothing_about_anything_else() {
        let (crypto, alice, bob) = (Crypto::default(), Identity::generate(), Identity::generate());
        let (key, signature) = (alice.key(), alice.sign(b"data").to_vec());
        let verify = |data: &[u8], pk: &[u8], signature: &[u8]| {
            crypto.verify_signature(ALG, data, pk, signature).is_ok()
        };
        for _ in 0..2 {
            assert!(verify(b"data", key.as_bytes(), &signature));
            assert!(!verify(b"date", key.as_bytes(), &signature));
            assert!(!verify(b"dat", key.as_bytes(), &signature));
            assert!(!verify(b"data", bob.key().as_bytes(), &signature));
            assert!(!verify(b"data", key.as_bytes(), &bob.sign(b"data")));
            let mut other = signature.clone();
            other[0] ^= 1;
            assert!(!verify(b"data", key.as_bytes(), &other));
        }
        assert!(with(|verified| verified.known.contains(&digest(
            ALG,
            b"data",
            key.as_bytes(),
            &signature
        ))));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(digest(ALG, b"c", b"a", b"b"), digest(ALG, b"bc", b"a", b""));
        assert_ne!(digest(ALG, b"x", b"ab", b"c"), digest(ALG, b"x", b"a", b"bc"));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut verified = Verified::default();
        for n in 0..=REMEMBERED as u64 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_be_bytes());
            verified.add(digest);
            verified.add(digest);
        }
        assert_eq!((verified.known.len(), verified.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!verified.known.contains(&[0; 32]));
    }
}
