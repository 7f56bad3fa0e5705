//! Packages made by hand, byte by byte, and packages that openmls made.

use ed25519_dalek::{Signer, SigningKey};

use super::reader::put_vector;
use super::*;

/// 2026-11-01.
pub(crate) const NOW: u64 = 1_793_491_200;
const DAY: u64 = 24 * 3_600;
/// One of the values that mean nothing (RFC 9420 section 13.5).
const GREASE: u16 = 0x0a0a;

/// What a package says; each field can be spoilt.
pub(crate) struct Recipe {
    pub(crate) owner: SigningKey,
    pub(crate) version: u16,
    pub(crate) ciphersuite: u16,
    pub(crate) init_key: Vec<u8>,
    pub(crate) encryption_key: Vec<u8>,
    pub(crate) identity: Vec<u8>,
    pub(crate) capabilities: [Vec<u16>; 5],
    pub(crate) source: u8,
    pub(crate) lifetime: (u64, u64),
    pub(crate) leaf_extensions: Vec<u16>,
    pub(crate) extensions: Vec<u16>,
}

impl Recipe {
    pub(crate) fn new(owner: &SigningKey, serial: u32) -> Self {
        let mut init_key = vec![1; 32];
        init_key[..4].copy_from_slice(&serial.to_be_bytes());
        Self {
            owner: owner.clone(),
            version: 1,
            ciphersuite: CLASSIC,
            init_key,
            encryption_key: vec![2; 32],
            identity: owner.verifying_key().to_bytes().to_vec(),
            capabilities: [
                vec![1],
                vec![CLASSIC, HYBRID],
                vec![0xf0c1, LAST_RESORT, GREASE],
                vec![],
                vec![1],
            ],
            source: 1,
            lifetime: (NOW - 3_600, NOW + 70 * DAY),
            leaf_extensions: vec![0xf0c1],
            extensions: vec![],
        }
    }

    pub(crate) fn last_resort(mut self) -> Self {
        self.extensions.push(LAST_RESORT);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let list = |kinds: &[u16]| {
            let mut list = Vec::new();
            for kind in kinds {
                list.extend(kind.to_be_bytes());
                put_vector(&mut list, b"");
            }
            list
        };
        let mut leaf = Vec::new();
        put_vector(&mut leaf, &self.encryption_key);
        put_vector(&mut leaf, self.owner.verifying_key().as_bytes());
        leaf.extend([0, 1]);
        put_vector(&mut leaf, &self.identity);
        for numbers in &self.capabilities {
            let numbers: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
            put_vector(&mut leaf, &numbers);
        }
        leaf.push(self.source);
        leaf.extend(self.lifetime.0.to_be_bytes());
        leaf.extend(self.lifetime.1.to_be_bytes());
        put_vector(&mut leaf, &list(&self.leaf_extensions));
        let signature = self.owner.sign(&sign_content(b"LeafNodeTBS", &leaf));
        put_vector(&mut leaf, &signature.to_bytes());

        let mut package = Vec::new();
        package.extend(self.version.to_be_bytes());
        package.extend(self.ciphersuite.to_be_bytes());
        put_vector(&mut package, &self.init_key);
        package.extend(leaf);
        put_vector(&mut package, &list(&self.extensions));
        let signature = self.owner.sign(&sign_content(b"KeyPackageTBS", &package));
        put_vector(&mut package, &signature.to_bytes());
        package
    }
}

pub(crate) fn owner(seed: u8) -> (SigningKey, IdentityKey) {
    let key = SigningKey::from_bytes(&[seed; 32]);
    let identity = IdentityKey::new(key.verifying_key().to_bytes());
    (key, identity)
}

fn spoilt(spoil: impl FnOnce(&mut Recipe)) -> Result<VerifiedKeyPackage, KeyPackageError> {
    let (key, identity) = owner(1);
    let mut recipe = Recipe::new(&key, 0);
    spoil(&mut recipe);
    verify(&recipe.bytes(), &identity, NOW)
}

#[test]
fn the_bytes_that_are_signed_are_those_of_the_rfc() {
    let content = sign_content(b"LeafNodeTBS", &[9; 70]);
    assert_eq!(content[0], 19);
    assert_eq!(&content[1..20], b"MLS 1.0 LeafNodeTBS");
    assert_eq!(&content[20..22], &[0x40, 70]);
    assert_eq!(&content[22..], &[9; 70]);
}

#[test]
fn packages_of_both_suites_verify() {
    let classic = spoilt(|_| {}).unwrap();
    assert_eq!((classic.ciphersuite, classic.last_resort), (CLASSIC, false));
    assert_eq!(classic.not_after, NOW + 70 * DAY);
    let hybrid = spoilt(|recipe| {
        recipe.ciphersuite = HYBRID;
        recipe.init_key = vec![1; 1216];
        recipe.encryption_key = vec![2; 1216];
        recipe.extensions = vec![GREASE, LAST_RESORT];
    })
    .unwrap();
    assert_eq!((hybrid.ciphersuite, hybrid.last_resort), (HYBRID, true));
}

#[test]
fn each_rule_is_enforced() {
    use KeyPackageError as E;
    type Spoil = fn(&mut Recipe);
    let cases: [(Spoil, E); 23] = [
        (|r| r.version = 2, E::Version),
        (|r| r.ciphersuite = 3, E::Ciphersuite),
        (|r| r.ciphersuite = HYBRID, E::HpkeKey),
        (|r| r.init_key = vec![1; 31], E::HpkeKey),
        (|r| r.encryption_key = r.init_key.clone(), E::HpkeKey),
        (|r| r.identity = vec![0; 32], E::Owner),
        (|r| r.owner = owner(2).0, E::Owner),
        (|r| r.source = 2, E::Source),
        (|r| r.capabilities[0].clear(), E::Capabilities),
        (|r| r.capabilities[1] = vec![HYBRID], E::Capabilities),
        (|r| r.capabilities[2].clear(), E::Capabilities),
        (|r| r.capabilities[4].clear(), E::Capabilities),
        (|r| r.lifetime = (NOW - DAY, NOW), E::Lifetime),
        (|r| r.lifetime = (NOW + DAY, NOW + 70 * DAY), E::Lifetime),
        (|r| r.lifetime = (NOW, NOW + 101 * DAY), E::Lifetime),
        (|r| r.lifetime = (NOW + 70 * DAY, NOW + DAY), E::Lifetime),
        (|r| r.leaf_extensions = vec![0xf0c1, GREASE, 0xf0c1], E::Extension),
        (|r| r.leaf_extensions = vec![3], E::Extension),
        (|r| r.leaf_extensions = vec![LAST_RESORT], E::Extension),
        (|r| r.extensions = vec![LAST_RESORT, LAST_RESORT], E::Extension),
        (|r| r.extensions = vec![1], E::Extension),
        (|r| r.extensions = vec![0x1a1a], E::Capabilities),
        (
            |r| {
                r.capabilities[2] = vec![0xf0c1];
                r.extensions = vec![LAST_RESORT];
            },
            E::Capabilities,
        ),
    ];
    for (index, (spoil, error)) in cases.into_iter().enumerate() {
        assert_eq!(spoilt(spoil), Err(error), "case {index}");
    }
}

#[test]
fn what_means_nothing_is_tolerated() {
    let leaf = |kinds: &[u16]| {
        let kinds = kinds.to_vec();
        spoilt(move |recipe| {
            for list in &mut recipe.capabilities {
                list.insert(0, GREASE);
                list.push(0xeaea);
            }
            recipe.leaf_extensions = kinds;
        })
    };
    leaf(&[GREASE, 0xf0c1]).unwrap();
    leaf(&[0xeaea]).unwrap();
    // An application id needs no capability.
    leaf(&[APPLICATION_ID]).unwrap();
    assert_eq!(leaf(&[0x2a2a]), Err(KeyPackageError::Capabilities));
}

/// Made by openmls 0.9 through `quicproquo-core` at [`NOW`]: with our extensions, and as a client
/// without them makes them.
const REAL: [(&str, &[u8], u16, bool); 5] = [
    ("plain", include_bytes!("vectors/plain.bin"), CLASSIC, false),
    ("envelope", include_bytes!("vectors/envelope.bin"), CLASSIC, false),
    ("envelope-last-resort", include_bytes!("vectors/envelope-last-resort.bin"), CLASSIC, true),
    ("native", include_bytes!("vectors/native.bin"), HYBRID, false),
    ("native-last-resort", include_bytes!("vectors/native-last-resort.bin"), HYBRID, true),
];

/// The signature key of a package that is known to be well-formed.
fn leaf_key(bytes: &[u8]) -> IdentityKey {
    let mut reader = Reader::new(&bytes[4..]);
    reader.vector().unwrap();
    reader.vector().unwrap();
    IdentityKey::try_from(reader.vector().unwrap()).unwrap()
}

#[test]
fn packages_of_openmls_verify() {
    for (name, bytes, ciphersuite, last_resort) in REAL {
        let verified = verify(bytes, &leaf_key(bytes), NOW).unwrap();
        assert_eq!(
            (verified.ciphersuite, verified.last_resort),
            (ciphersuite, last_resort),
            "{name}"
        );
        assert_eq!(verified.not_after, NOW + 70 * DAY, "{name}");
        let later = verify(bytes, &leaf_key(bytes), NOW + 70 * DAY);
        assert_eq!(later, Err(KeyPackageError::Lifetime), "{name}");
        assert_eq!(verify(bytes, &owner(1).1, NOW), Err(KeyPackageError::Owner), "{name}");
    }
}

#[test]
fn no_byte_of_a_package_can_be_changed() {
    let (key, identity) = owner(1);
    let made = Recipe::new(&key, 0).bytes();
    let real = REAL.map(|(name, bytes, ..)| (name, bytes, leaf_key(bytes)));
    let all = real.into_iter().chain([("by hand", made.as_slice(), identity)]);
    for (name, bytes, identity) in all {
        assert!(verify(bytes, &identity, NOW).is_ok(), "{name}");
        for position in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut changed = bytes.to_vec();
                changed[position] ^= flip;
                assert!(verify(&changed, &identity, NOW).is_err(), "{name} byte {position}");
            }
            assert!(verify(&bytes[..position], &identity, NOW).is_err(), "{name} cut {position}");
        }
        let longer = [bytes, &[0]].concat();
        assert!(verify(&longer, &identity, NOW).is_err(), "{name}");
    }
}
