//! Project Wycheproof's vectors, through the code of ours that calls the primitives, and those of
//! RFC 9420.

mod rfc9420;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use hkdf::Hkdf;
use sha2::Sha256;
use wycheproof::{TestResult, aead as ciphers, eddsa, hkdf as kdf, mlkem, xdh};
use zeroize::Zeroizing;

use crate::aead;
use crate::identity::{IdentityKey, verify};
use crate::kem::{HybridPublic, HybridSecret, diffie_hellman};

#[test]
fn ed25519_signatures() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut checked = 0;
    for group in &set.test_groups {
        let key = IdentityKey::from_slice(&group.key.pk).unwrap();
        for test in &group.tests {
            let verified = verify(&key, &test.msg, &test.sig).is_ok();
            assert_eq!(verified, test.result != TestResult::Invalid, "test {}", test.tc_id);
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn x25519_agreements() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let (mut agreed, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let secret = PrivateKey::from_private_key(&X25519, &test.private_key).unwrap();
        if let Ok(shared) = diffie_hellman(&secret, &test.public_key) {
            assert_eq!(&shared[..], &test.shared_secret[..], "test {}", test.tc_id);
            assert_ne!(test.result, TestResult::Invalid, "test {}", test.tc_id);
            agreed += 1;
        } else {
            // Points of small order give zeros, which nobody may agree on.
            assert!(test.shared_secret.iter().all(|byte| *byte == 0), "test {}", test.tc_id);
            refused += 1;
        }
    }
    assert!(agreed > 400 && refused > 5, "{agreed} {refused}");
}

#[test]
fn chacha20_poly1305() {
    let checked = check_cipher(ciphers::TestName::ChaCha20Poly1305, 256, |test| {
        let (key, nonce) = (test.key[..].try_into().unwrap(), test.nonce[..].try_into().unwrap());
        let sealed = aead::seal(key, nonce, &test.aad, &test.pt).unwrap();
        let opened = aead::open(key, nonce, &test.aad, &[&test.ct[..], &test.tag[..]].concat());
        (sealed, opened)
    });
    assert!(checked > 200, "{checked}");
}

#[test]
fn xchacha20_poly1305() {
    let checked = check_cipher(ciphers::TestName::XChaCha20Poly1305, 256, |test| {
        let (key, nonce) = (test.key[..].try_into().unwrap(), test.nonce[..].try_into().unwrap());
        let (key, nonce) = aead::extended(key, nonce);
        let sealed = aead::seal(&key, nonce, &test.aad, &test.pt).unwrap();
        let opened = aead::open(&key, nonce, &test.aad, &[&test.ct[..], &test.tag[..]].concat());
        (sealed, opened)
    });
    assert!(checked > 200, "{checked}");
}

#[test]
fn aes_128_gcm() {
    let checked = check_cipher(ciphers::TestName::AesGcm, 128, |test| {
        let sealed = aead::seal_gcm(&test.key, &test.nonce, &test.aad, &test.pt).unwrap();
        let together = [&test.ct[..], &test.tag[..]].concat();
        (sealed, aead::open_gcm(&test.key, &test.nonce, &test.aad, &together))
    });
    assert!(checked > 30, "{checked}");
}

/// Seals and opens all of a set with keys of this size that have the nonce of the cipher; answers
/// how many.
fn check_cipher(
    name: ciphers::TestName,
    key_bits: usize,
    cipher: impl Fn(&ciphers::Test) -> (Vec<u8>, Result<Zeroizing<Vec<u8>>, aead::AeadError>),
) -> usize {
    let nonce_bits = if name == ciphers::TestName::XChaCha20Poly1305 { 192 } else { 96 };
    let set = ciphers::TestSet::load(name).unwrap();
    let fit =
        |group: &&ciphers::TestGroup| (group.key_size, group.nonce_size) == (key_bits, nonce_bits);
    let tests = set.test_groups.iter().filter(fit).flat_map(|group| &group.tests);
    tests
        .map(|test| {
            let (sealed, opened) = cipher(test);
            if test.result == TestResult::Invalid {
                assert!(opened.is_err(), "test {}", test.tc_id);
            } else {
                assert_eq!(sealed, [&test.ct[..], &test.tag[..]].concat(), "test {}", test.tc_id);
                assert_eq!(opened.unwrap()[..], test.pt[..], "test {}", test.tc_id);
            }
        })
        .count()
}

#[test]
fn hkdf_sha256() {
    let set = kdf::TestSet::load(kdf::TestName::HkdfSha256).unwrap();
    let mut checked = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut okm = vec![0; test.size];
        let expanded =
            Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut okm);
        match test.result {
            TestResult::Invalid => assert!(expanded.is_err(), "test {}", test.tc_id),
            _ => assert_eq!(okm, test.okm[..], "test {}", test.tc_id),
        }
        checked += 1;
    }
    assert!(checked > 50, "{checked}");
}

/// A hybrid key whose ML-KEM half a vector gives.
fn hybrid(decapsulation: &[u8]) -> Option<HybridSecret> {
    HybridSecret::from_bytes(&[&[7; 32][..], decapsulation].concat()).ok()
}

#[test]
fn ml_kem_768_decapsulations() {
    let name = mlkem::TestName::MlKem768SemiExpandedDecaps;
    let set = mlkem::TestSet::load(name).unwrap();
    let ephemeral = hybrid_point();
    let (mut right, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (key, ciphertext) = (test.decaps_key.as_ref().unwrap(), test.ct.as_ref().unwrap());
        let shared = hybrid(key).and_then(|key| key.decapsulate(&ephemeral, ciphertext).ok());
        match (test.result, shared) {
            (TestResult::Invalid, None) => refused += 1,
            (TestResult::Invalid, Some(_)) => panic!("test {} is taken", test.tc_id),
            (_, shared) => {
                let expected = test.shared_secret.as_ref().unwrap();
                assert_eq!(&shared.unwrap().as_bytes()[32..], &expected[..], "test {}", test.tc_id);
                right += 1;
            }
        }
    }
    assert!(right > 0 && refused > 0, "{right} {refused}");
}

#[test]
fn ml_kem_768_encapsulation_keys() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768Encaps).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let Some(key) = &test.encaps_key else { continue };
        let public = HybridPublic::from_slice(&[&hybrid_point()[..], key].concat());
        assert_eq!(public.is_ok(), test.result != TestResult::Invalid, "test {}", test.tc_id);
        taken += usize::from(public.is_ok());
        refused += usize::from(public.is_err());
    }
    assert!(taken > 0 && refused > 0, "{taken} {refused}");
}

/// A public X25519 key.
fn hybrid_point() -> [u8; 32] {
    let secret = PrivateKey::from_private_key(&X25519, &[9; 32]).unwrap();
    secret.compute_public_key().unwrap().as_ref().try_into().unwrap()
}
