//! `qpq node token` beside a running node, and the static token from a file.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use ed25519_dalek::{Signer, SigningKey};
use quicproquo_tests::Launch;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{Client, code, run, token_command, token_for, token_lines};

/// The line that proves a key for a token: documented in docs/node.md.
fn proof(key: &SigningKey, token: &[u8], made_at: u64) -> String {
    let signed =
        [key.verifying_key().as_bytes().as_slice(), &Sha256::digest(token), &made_at.to_be_bytes()]
            .concat();
    let signature = key.sign(&[b"quicproquo-token-v1", signed.as_slice()].concat());
    hex::encode([signed.as_slice(), &signature.to_bytes()].concat())
}

#[test]
fn tokens_are_issued_listed_and_revoked_beside_a_running_node() {
    run(async {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("node");
        let early = token_command(&data, &["list"]).await;
        assert_eq!(early.status.code(), Some(2), "no node has run here");
        let node = Launch::node(&data).start().await;
        let client = Client::connect(&node).await;
        let key = SigningKey::from_bytes(&[5; 32]);
        let bob = key.verifying_key().to_bytes();
        let identity = hex::encode(bob);

        // Whoever issues says why: a proof, or the operator's word.
        let neither = token_command(&data, &["issue", "--identity", &identity]).await;
        assert_eq!(neither.status.code(), Some(2));

        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let chosen = [42; 32];
        let file = dir.path().join("proof");
        let file_name = file.to_str().unwrap();
        let by_proof = ["issue", "--json", "--identity", &identity, "--proof", file_name];
        let genuine = proof(&key, &chosen, now);
        let spoilt = [
            proof(&key, &chosen, now - 2 * 24 * 3_600),
            proof(&SigningKey::from_bytes(&[6; 32]), &chosen, now),
            // No signature ends like this (RFC 8032, section 5.1.7: S is below 2^253).
            genuine.replace(&genuine[270..], "ff"),
            "no proof".to_owned(),
        ];
        for (case, text) in spoilt.iter().enumerate() {
            std::fs::write(&file, text).unwrap();
            let refused = token_command(&data, &by_proof).await;
            let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(refused.status.code(), Some(2), "case {case}: {complaint}");
            assert_eq!(complaint.lines().count(), 1, "{complaint}");
        }
        assert_eq!(code(client.fetch(&chosen, &bob).await), "E001");
        std::fs::write(&file, genuine).unwrap();
        let issued = token_lines(&data, &by_proof).await;
        assert!(issued[0]["token"].is_null(), "only the holder of the key knows it");
        assert!(client.fetch(&chosen, &bob).await.unwrap().is_empty());
        assert!(!token_command(&data, &by_proof).await.status.success(), "issued already");

        let vouched = token_for(&data, &bob).await;
        let other = token_for(&data, &[8; 32]).await;
        let listed = token_lines(&data, &["list", "--json", "--identity", &identity]).await;
        assert_eq!(listed.len(), 2);
        assert_eq!(token_lines(&data, &["list", "--json"]).await.len(), 3);
        assert!(listed.iter().all(|token| token.get("token").is_none()));

        let id = issued[0]["id"].as_str().unwrap();
        assert!(token_command(&data, &["revoke", id]).await.status.success());
        assert!(!token_command(&data, &["revoke", id]).await.status.success());
        assert_eq!(code(client.fetch(&chosen, &bob).await), "E001");
        client.fetch(&vouched, &bob).await.unwrap();
        assert!(token_command(&data, &["revoke", "--identity", &identity]).await.status.success());
        assert_eq!(code(client.fetch(&vouched, &bob).await), "E001");
        client.enqueue(&other, &bob, b"x").await.unwrap();
        assert_eq!(code(client.fetch(&other, &bob).await), "E002");
        node.stop().await;
    });
}

#[test]
fn the_static_token_comes_from_a_private_file() {
    run(async {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("node");
        let file = dir.path().join("static-token");
        std::fs::write(&file, "an operator's secret\n").unwrap();
        set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let launch = Launch::node(&data).arg("--node-static-token-file", file.to_str().unwrap());
        let ended = launch.fail().await;
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("chmod 600"), "{}", ended.stderr);

        set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let node = launch.start().await;
        let client = Client::connect(&node).await;
        let token = b"an operator's secret";
        assert_eq!(client.enqueue(token, &[5; 32], b"x").await.unwrap(), 1);
        assert_eq!(code(client.fetch(token, &[5; 32]).await), "E002");
        node.stop().await;
    });
}
