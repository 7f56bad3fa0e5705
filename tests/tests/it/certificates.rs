//! The node's certificate: read again while it runs, and judged by gateways.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};

use quicproquo_tests::{Bot, LONG, Launch, Running, SOON, pair, wait_for, within};
use tempfile::TempDir;
use tokio::process::Command;

const USAGE: i32 = 2;

/// A certificate authority's certificate, and a node's that it signed, with its key.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: rcgen::Issuer::new(params, key), pem }
    }

    /// Writes a fresh certificate for `node.example` over the files.
    fn sign(&self, files: &Files) {
        let params = rcgen::CertificateParams::new(["node.example".to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(&files.chain, signed.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
    }
}

struct Files {
    chain: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(dir: &Path) -> Self {
        Self { chain: dir.join("chain.pem"), key: dir.join("key.pem") }
    }

    fn on(&self, launch: Launch) -> Launch {
        launch
            .arg("--node-certificate", self.chain.to_str().unwrap())
            .arg("--node-key", self.key.to_str().unwrap())
    }
}

async fn hang_up(process: &Running) {
    let pid = process.pid().to_string();
    let sent = Command::new("kill").args(["-HUP", &pid]).status().await.unwrap();
    assert!(sent.success());
}

async fn logs(process: &Running, text: &str) {
    let said = async || String::from_utf8_lossy(&process.log()).contains(text).then_some(());
    wait_for(text, SOON, said).await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_dropping_connections_and_a_bad_one_is_not() {
    let dir = TempDir::new().unwrap();
    let (files, authority) = (Files::new(dir.path()), Authority::new());
    authority.sign(&files);
    let node = files.on(Launch::node(&dir.path().join("node"))).start().await;
    let gateway = Launch::gateway(&dir.path().join("first"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;

    // Half a pair: refused, logged, and the former one stays.
    let sound = fs::read(&files.key).unwrap();
    fs::write(&files.key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    hang_up(&node).await;
    logs(&node, "the former certificate stays in use").await;
    let same = Launch::gateway(&dir.path().join("second"), &node).start().await;
    Bot::create(&same, "carol").await;
    fs::write(&files.key, sound).unwrap();

    authority.sign(&files);
    hang_up(&node).await;
    logs(&node, "the certificate was read again").await;
    // The gateway that pins the former one goes on, on its open connections.
    let tail = bob.tail().await;
    alice.say(&group, "still here").await;
    bob.hears(&tail, &group, &["still here".to_owned()]).await;
    // It does not get in again, for the node is not the one that it expects any more.
    let gateway = gateway.stop().await.start().await;
    logs(&gateway, "the node is not the expected one").await;
    same.stop().await;
    gateway.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn system_roots_and_first_use_are_judged() {
    let dir = TempDir::new().unwrap();
    let (files, authority) = (Files::new(dir.path()), Authority::new());
    authority.sign(&files);
    let node = files.on(Launch::node(&dir.path().join("node"))).start().await;
    let address = node.field("node").to_owned();
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, &authority.pem).unwrap();

    let roots = |name: &str| {
        Launch::gateway_to(&dir.path().join(name), &address).arg("--node-system-roots", "true")
    };
    let missing = roots("nameless").fail().await;
    assert_eq!(missing.code, USAGE, "{}", missing.stderr);
    assert!(missing.stderr.contains("server_name"), "{}", missing.stderr);
    let trusted = roots("roots")
        .arg("--node-server-name", "node.example")
        .env("SSL_CERT_FILE", ca.to_str().unwrap())
        .start()
        .await;
    Bot::create(&trusted, "dora").await;
    trusted.stop().await;

    let elsewhere = Launch::gateway_to(&dir.path().join("far"), "192.0.2.1:7000");
    let refused = elsewhere.fail().await;
    assert_eq!(refused.code, USAGE, "{}", refused.stderr);
    assert!(refused.stderr.contains("--node-system-roots"), "{}", refused.stderr);

    let first = Launch::gateway_to(&dir.path().join("first"), &address);
    let gateway = first.start().await;
    Bot::create(&gateway, "emil").await;
    let pin = fs::read_to_string(dir.path().join("first").join("node.pin")).unwrap();
    assert_eq!(pin.trim(), node.field("node_fingerprint"));
    let gateway = gateway.stop().await;
    authority.sign(&files);
    let node = node.stop().await.start().await;
    let gateway = within("the gateway to start", LONG, gateway.start()).await;
    logs(&gateway, "node.pin pins").await;
    gateway.stop().await;
    node.stop().await;
}
