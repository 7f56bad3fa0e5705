//! The frozen vectors of both envelopes, and everything that must not open.

use super::*;

const V1: &str = include_str!("../../tests/vectors/envelope-v1.json");
const V2: &str = include_str!("../../tests/vectors/envelope-v2.json");

fn frozen(json: &str) -> (HybridSecret, Vec<u8>, Vec<u8>) {
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let field = |name: &str| hex::decode(json[name].as_str().unwrap()).unwrap();
    (HybridSecret::from_bytes(&field("secret")).unwrap(), field("payload"), field("plaintext"))
}

fn sealed_v2(secret: &HybridSecret, mls: &[u8]) -> Vec<u8> {
    let sealed = seal_v2(&[secret.public()], mls).unwrap();
    [sealed.prefixes[0].clone(), sealed.body].concat()
}

#[test]
fn frozen_vectors_open() {
    for json in [V1, V2] {
        let (secret, payload, plaintext) = frozen(json);
        assert_eq!(*open(&[secret], &payload).unwrap(), plaintext);
    }
}

/// Writes new vectors; only for a new version of the format.
#[test]
#[ignore = "the vectors are frozen"]
fn write_vectors() {
    let plaintext = b"\x00\x01\x00\x02 frozen envelope test vector";
    let write = |name: &str, secret: &HybridSecret, payload: &[u8]| {
        let json = serde_json::json!({
            "secret": hex::encode(secret.to_bytes().unwrap().as_slice()),
            "payload": hex::encode(payload),
            "plaintext": hex::encode(plaintext),
        });
        let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, serde_json::to_string_pretty(&json).unwrap() + "\n").unwrap();
    };
    let secret = HybridSecret::generate().unwrap();
    write("envelope-v1", &secret, &seal_v1(secret.public(), plaintext).unwrap());
    let secret = HybridSecret::generate().unwrap();
    write("envelope-v2", &secret, &sealed_v2(&secret, plaintext));
}

#[test]
fn opens_with_any_secret_it_was_sealed_for() {
    let old = HybridSecret::generate().unwrap();
    let new = HybridSecret::generate().unwrap();
    let v1 = seal_v1(old.public(), b"mls").unwrap();
    let v2 = seal_v2(&[new.public(), old.public()], b"mls").unwrap();
    assert_eq!(v1.len(), 1149 + 3);
    let secrets = [new, old];
    assert_eq!(*open(&secrets, &v1).unwrap(), b"mls");
    for prefix in &v2.prefixes {
        assert_eq!(prefix.len(), SealedV2::PREFIX_LEN);
        assert_eq!(*open(&secrets, &[prefix.as_slice(), &v2.body].concat()).unwrap(), b"mls");
    }
}

/// Also when several threads seal, and when one of them stops in the middle.
#[test]
fn each_of_many_recipients_gets_its_own_prefix() {
    let secrets: Vec<_> = (0..30).map(|_| HybridSecret::generate().unwrap()).collect();
    let recipients: Vec<_> = secrets.iter().map(|secret| secret.public().clone()).collect();
    for helpers in 0..4 {
        let sealing = Sealing::new(recipients.clone(), b"mls").unwrap();
        for _ in 0..helpers {
            sealing.begin_with_one();
        }
        let sealed = std::thread::scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(|| sealing.help());
            }
            sealing.finish().unwrap()
        });
        assert_eq!(sealing.finish().unwrap(), sealed, "what is sealed stays");
        assert_eq!(sealed.prefixes.len(), secrets.len());
        for (secret, prefix) in secrets.iter().zip(&sealed.prefixes) {
            let payload = [prefix.as_slice(), &sealed.body].concat();
            assert_eq!(*open(std::slice::from_ref(secret), &payload).unwrap(), b"mls");
        }
    }
}

#[test]
fn version_2_hides_the_length() {
    let secret = HybridSecret::generate().unwrap();
    assert_eq!(sealed_v2(&secret, b"").len(), sealed_v2(&secret, &[7; 252]).len());
    let long = vec![9; 5000];
    assert_eq!(*open(std::slice::from_ref(&secret), &sealed_v2(&secret, &long)).unwrap(), long);
}

#[test]
fn every_damage_gives_the_one_error() {
    let secrets = [HybridSecret::generate().unwrap()];
    let secret = &secrets[0];
    for payload in
        [seal_v1(secret.public(), b"some mls bytes").unwrap(), sealed_v2(secret, b"some mls bytes")]
    {
        assert_eq!(open(&[HybridSecret::generate().unwrap()], &payload), Err(OpenError));
        assert_eq!(open(&[], &payload), Err(OpenError));
        for at in (0..payload.len()).step_by(11).chain([payload.len() - 1]) {
            let mut damaged = payload.clone();
            damaged[at] ^= 0x04;
            assert_eq!(open(&secrets, &damaged), Err(OpenError), "byte {at}");
        }
        for len in [0, 1, 33, 1120, 1133, 1140, payload.len() - 1] {
            assert_eq!(open(&secrets, &payload[..len]), Err(OpenError), "length {len}");
        }
        assert_eq!(open(&secrets, &[payload.as_slice(), b"x"].concat()), Err(OpenError));
        let mut oversized = payload.clone();
        oversized.resize(MAX_MLS_LEN + 10_000, 0);
        assert_eq!(open(&secrets, &oversized), Err(OpenError));
    }
}

/// A key or nonce that is not drawn anew would show in the first bytes already.
#[test]
fn the_same_bytes_are_sealed_differently_each_time() {
    let secret = HybridSecret::generate().unwrap();
    let [one, two] = [(); 2].map(|()| seal_v2(&[secret.public()], b"mls").unwrap());
    assert_ne!(one.body, two.body);
    let nonce = 1 + 32 + 1088..1149 - 16;
    let [one, two] = [(); 2].map(|()| seal_v1(secret.public(), b"mls").unwrap());
    assert_ne!(one[nonce.clone()], two[nonce]);
}

#[test]
fn parts_of_two_envelopes_do_not_fit() {
    let secrets = [HybridSecret::generate().unwrap()];
    let one = seal_v2(&[secrets[0].public()], b"one").unwrap();
    let two = seal_v2(&[secrets[0].public()], b"two").unwrap();
    assert_eq!(open(&secrets, &[one.prefixes[0].as_slice(), &two.body].concat()), Err(OpenError));
}

#[test]
fn no_downgrade() {
    let secrets = [HybridSecret::generate().unwrap()];
    let bare = [0x00, 0x01, 0x00, 0x02, 0xFF];
    assert_eq!(kind(&bare), PayloadKind::BareMls);
    assert_eq!(open(&secrets, &bare), Err(OpenError));
    // A version 1 payload is not read as version 2, nor the other way round.
    let mut relabelled = seal_v1(secrets[0].public(), &[1; 600]).unwrap();
    relabelled[0] = 0x02;
    assert_eq!(open(&secrets, &relabelled), Err(OpenError));
    let mut relabelled = sealed_v2(&secrets[0], &[1; 600]);
    relabelled[0] = 0x01;
    assert_eq!(open(&secrets, &relabelled), Err(OpenError));
    assert_eq!(kind(&[]), PayloadKind::Unknown);
    assert_eq!(kind(&[0x03]), PayloadKind::RepairRequest);
    assert_eq!(kind(&[0x04]), PayloadKind::RemovalNotice);
    assert_eq!(kind(&[0x05]), PayloadKind::Unknown);
    assert_eq!(open(&secrets, &[0x03]), Err(OpenError));
}

#[test]
fn as_long_as_may_be_goes_through() {
    let secret = HybridSecret::generate().unwrap();
    let long = vec![7; MAX_MLS_LEN];
    let secrets = std::slice::from_ref(&secret);
    assert_eq!(*open(secrets, &seal_v1(secret.public(), &long).unwrap()).unwrap(), long);
    assert_eq!(*open(secrets, &sealed_v2(&secret, &long)).unwrap(), long);
}

#[test]
fn too_long_is_refused() {
    let secret = HybridSecret::generate().unwrap();
    let long = vec![0; MAX_MLS_LEN + 1];
    assert_eq!(seal_v1(secret.public(), &long), Err(SealError::TooLong));
    assert_eq!(seal_v2(&[secret.public()], &long), Err(SealError::TooLong));
}
