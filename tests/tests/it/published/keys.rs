//! All eight methods through real processes, and callers of before the last parameters.

use ed25519_dalek::{Signer, SigningKey};
use quicproquo_tests::Launch;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::client::put;
use super::{Client, LONG, NOT, code, run, token_for};

/// `opaque x<V>` of RFC 9420 section 2.1.2, up to 16,383 bytes.
fn vector(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short vector");
    let head = match length {
        0..0x40 => vec![length.to_be_bytes()[1]],
        _ => (length | 0x4000).to_be_bytes().to_vec(),
    };
    [head.as_slice(), content].concat()
}

/// `SignWithLabel` of RFC 9420 section 5.1.2.
fn sign(key: &SigningKey, label: &str, content: &[u8]) -> Vec<u8> {
    let label = format!("MLS 1.0 {label}");
    vector(&key.sign(&[vector(label.as_bytes()), vector(content)].concat()).to_bytes())
}

/// A key package of ciphersuite 0x0001 (RFC 9420 section 10), valid from an hour ago for 70 days.
fn key_package(key: &SigningKey) -> Vec<u8> {
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let identity = key.verifying_key().to_bytes();
    let mut leaf = [vector(&[2; 32]), vector(&identity), vec![0, 1], vector(&identity)].concat();
    // Versions, ciphersuites, extensions, proposals, credentials.
    for capability in [&[0, 1][..], &[0, 1], &[], &[], &[0, 1]] {
        leaf.extend(vector(capability));
    }
    leaf.push(1);
    leaf.extend((now - 3_600).to_be_bytes());
    leaf.extend((now + 70 * 24 * 3_600).to_be_bytes());
    leaf.extend(vector(&[]));
    leaf.extend(sign(key, "LeafNodeTBS", &leaf));
    let mut package = [&[0, 1, 0, 1][..], &vector(&[1; 32]), &leaf, &vector(&[])].concat();
    package.extend(sign(key, "KeyPackageTBS", &package));
    package
}

#[test]
fn the_eight_published_methods_are_all_a_client_needs() {
    run(async {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("node");
        let node = Launch::node(&data).start().await;
        let key = SigningKey::from_bytes(&[5; 32]);
        let bob = key.verifying_key().to_bytes();
        let token = token_for(&data, &bob).await;
        let client = Client::connect(&node).await;
        assert_eq!(client.health().await.unwrap(), "ok");

        let package = key_package(&key);
        let mut request = client.service.upload_key_package_request();
        request.get().set_identity_key(&bob);
        request.get().set_package(&package);
        put(request.get().init_auth(), &token);
        let answer = request.send().promise.await.unwrap();
        let fingerprint = answer.get().unwrap().get_fingerprint().unwrap();
        assert_eq!(fingerprint, Sha256::digest(&package).as_slice());
        for expected in [package.as_slice(), b""] {
            let mut request = client.service.fetch_key_package_request();
            request.get().set_identity_key(&bob);
            put(request.get().init_auth(), &token);
            let answer = request.send().promise.await.unwrap();
            assert_eq!(answer.get().unwrap().get_package().unwrap(), expected, "single use");
        }
        let mut request = client.service.upload_key_package_request();
        request.get().set_identity_key(&bob);
        request.get().set_package(&package[1..]);
        put(request.get().init_auth(), &token);
        assert_eq!(code(request.send().promise.await.map(|_| ())), "E014");

        let hybrid = vec![7; 1216];
        let mut request = client.service.upload_hybrid_key_request();
        request.get().set_identity_key(&bob);
        request.get().set_hybrid_public_key(&hybrid);
        put(request.get().init_auth(), &token);
        request.send().promise.await.unwrap();
        let mut request = client.service.fetch_hybrid_key_request();
        request.get().set_identity_key(&bob);
        put(request.get().init_auth(), &token);
        let answer = request.send().promise.await.unwrap();
        assert_eq!(answer.get().unwrap().get_hybrid_public_key().unwrap(), hybrid);

        assert_eq!(client.enqueue(&token, &bob, b"first").await.unwrap(), 1);
        assert_eq!(client.fetch(&token, &bob).await.unwrap(), [(1, b"first".to_vec())]);
        assert!(client.fetch_wait(&token, &bob, NOT).await.unwrap().is_empty());
        let waiting = client.fetch_wait(&token, &bob, LONG);
        let enqueue = async {
            client.health().await.unwrap();
            client.enqueue(&token, &bob, b"second").await.unwrap()
        };
        let (rows, seq) = tokio::join!(waiting, enqueue);
        assert_eq!((rows.unwrap(), seq), (vec![(2, b"second".to_vec())], 2));
        node.stop().await;
    });
}

#[test]
fn callers_of_before_the_last_parameters_are_served() {
    run(async {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("node");
        let node = Launch::node(&data).start().await;
        let bob = [5; 32];
        let token = token_for(&data, &bob).await;
        let client = Client::connect(&node).await;
        let older = client.older();

        let mut request = older.enqueue_request();
        let mut params = request.get();
        params.set_recipient_key(&bob);
        params.set_payload(b"without ttlSecs");
        params.set_version(1);
        let mut auth = params.init_auth();
        auth.set_version(1);
        auth.set_access_token(&token);
        let answer = request.send().promise.await.unwrap();
        assert_eq!(answer.get().unwrap().get_seq(), 1);

        let mut request = older.fetch_request();
        let mut params = request.get();
        params.set_recipient_key(&bob);
        params.set_version(1);
        let mut auth = params.init_auth();
        auth.set_version(1);
        auth.set_access_token(&token);
        let answer = request.send().promise.await.unwrap();
        let rows = answer.get().unwrap().get_payloads().unwrap();
        assert_eq!((rows.len(), rows.get(0).get_data().unwrap()), (1, &b"without ttlSecs"[..]));

        // No auth at all is an empty one: refused, and not a malformed call.
        let mut request = older.upload_hybrid_key_request();
        request.get().set_identity_key(&bob);
        request.get().set_hybrid_public_key(&[7; 1216]);
        assert_eq!(code(request.send().promise.await.map(|_| ())), "E001");
        let mut request = older.fetch_hybrid_key_request();
        request.get().set_identity_key(&bob);
        assert_eq!(code(request.send().promise.await.map(|_| ())), "E001");
        node.stop().await;
    });
}
