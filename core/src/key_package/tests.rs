//! Key packages that can be used, and those that are refused.

use std::time::{SystemTime, UNIX_EPOCH};

use openmls::prelude::{BasicCredential, CredentialWithKey};

use super::*;
use crate::kem::HybridSecret;
use crate::provider::key_package_scope;

#[expect(clippy::disallowed_methods, reason = "openmls reads the system clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn make(
    suite: Suite,
    last_resort: bool,
    now: u64,
) -> (Identity, HybridSecret, MlsStore, NewKeyPackage) {
    let identity = Identity::generate();
    let hybrid = HybridSecret::generate().unwrap();
    let store = MlsStore::new();
    let mut made =
        KeyPackages::generate(&identity, suite, 1, last_resort, hybrid.public(), now, &store)
            .unwrap();
    (identity, hybrid, store, made.remove(0))
}

#[test]
fn a_package_says_whose_it_is() {
    for suite in Suite::ALL {
        for last_resort in [false, true] {
            let (identity, hybrid, store, made) = make(suite, last_resort, now());
            let info = inspect(&made.bytes, now()).unwrap();
            assert_eq!(info.identity, identity.key());
            assert_eq!(info.suite, suite);
            assert_eq!(info.hybrid.as_ref(), Some(hybrid.public()));
            assert!(info.standard);
            assert_eq!(info.reference, made.reference);
            assert_eq!(info.last_resort, last_resort);
            assert_eq!(info.not_after, made.not_after);
            assert!(info.may_be_added(now()));
            let writes = store.take_writes();
            assert_eq!(writes.len(), 1);
            assert_eq!(writes[0].scope, key_package_scope(&made.reference));
        }
    }
}

#[test]
fn packages_of_one_batch_differ() {
    let (identity, hybrid) = (Identity::generate(), HybridSecret::generate().unwrap());
    let store = MlsStore::new();
    let made = KeyPackages::generate(
        &identity,
        Suite::Envelope,
        20,
        false,
        hybrid.public(),
        now(),
        &store,
    );
    let references: std::collections::BTreeSet<_> =
        made.unwrap().into_iter().map(|package| package.reference).collect();
    assert_eq!(references.len(), 20);
    assert_eq!(store.take_writes().len(), 20);
}

#[test]
fn lifetimes_are_judged_by_now() {
    let start = now();
    let (_, _, _, made) = make(Suite::Envelope, false, start);
    let with_days_left = |days| start + LIFETIME - days * DAY;
    assert!(inspect(&made.bytes, with_days_left(35)).unwrap().may_be_added(with_days_left(35)));
    assert!(!inspect(&made.bytes, with_days_left(34)).unwrap().may_be_added(with_days_left(34)));
    let refused = for_adding(&Provider::default(), &made.bytes, with_days_left(34)).unwrap_err();
    assert_eq!(refused, KeyPackageError::TooLittleLeft { not_after: made.not_after });
    assert_eq!(inspect(&made.bytes, start + LIFETIME), Err(KeyPackageError::Lifetime));
    assert_eq!(inspect(&made.bytes, start - SKEW - 1), Err(KeyPackageError::Lifetime));
}

#[test]
fn expired_packages_are_refused() {
    let (_, _, _, made) = make(Suite::Envelope, false, now() - LIFETIME - DAY);
    assert_eq!(inspect(&made.bytes, now()), Err(KeyPackageError::Lifetime));
}

#[test]
fn damaged_packages_are_refused() {
    let (_, _, _, made) = make(Suite::Envelope, false, now());
    for at in (0..made.bytes.len()).step_by(97) {
        let mut damaged = made.bytes.clone();
        damaged[at] ^= 1;
        assert!(inspect(&damaged, now()).is_err(), "byte {at}");
    }
    assert_eq!(
        inspect(&made.bytes[..made.bytes.len() - 1], now()),
        Err(KeyPackageError::Malformed)
    );
    assert_eq!(
        inspect(&[made.bytes.as_slice(), b"x"].concat(), now()),
        Err(KeyPackageError::Malformed)
    );
    assert_eq!(inspect(&[], now()), Err(KeyPackageError::Malformed));
}

#[test]
fn the_credential_must_be_the_leaf_key() {
    let (identity, other) = (Identity::generate(), Identity::generate());
    let provider = Provider::default();
    let wrong = CredentialWithKey {
        credential: BasicCredential::new(other.key().as_bytes().to_vec()).into(),
        signature_key: identity.key().as_bytes().to_vec().into(),
    };
    let bundle = KeyPackage::builder()
        .build(Suite::Envelope.ciphersuite(), &provider, &IdentitySigner(&identity), wrong)
        .unwrap();
    let bytes = bundle.key_package().tls_serialize_detached().unwrap();
    assert_eq!(inspect(&bytes, now()), Err(KeyPackageError::Credential));
}

#[test]
fn a_base_client_has_no_extensions() {
    let identity = Identity::generate();
    let provider = Provider::default();
    let bundle = KeyPackage::builder()
        .build(
            Suite::Envelope.ciphersuite(),
            &provider,
            &IdentitySigner(&identity),
            credential_of(&identity),
        )
        .unwrap();
    let bytes = bundle.key_package().tls_serialize_detached().unwrap();
    let info = inspect(&bytes, now()).unwrap();
    assert_eq!((info.hybrid, info.standard), (None, false));
}
