//! A client of which no part is ours or Rust: aioquic and pycapnp.

use std::process::Stdio;

use quicproquo_tests::{LONG, Launch, files, within};
use tempfile::TempDir;
use tokio::process::Command;

use super::token_for;

#[tokio::test]
async fn a_foreign_quic_and_a_foreign_capnp_speak_with_the_node() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("node");
    let node = Launch::node(&data).start().await;
    let identity = [5; 32];
    let token = token_for(&data, &identity).await;
    let run = async |fingerprint: &str| {
        let run = Command::new(files::python())
            .arg(files::checkout("tests/python/published_client.py"))
            .arg(files::checkout("tests/capnp/published.capnp"))
            .args([node.field("node"), fingerprint, &hex::encode(identity)])
            .env("QPQ_TOKEN", hex::encode(&token))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = within("the foreign client", LONG, run).await.expect("run python");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), text, complaint)
    };
    let (success, text, complaint) = run(node.field("node_fingerprint")).await;
    assert!(success, "{text}\n{complaint}");
    for step in ["health", "enqueue", "fetch", "fetchWait", "keys", "errors"] {
        assert!(text.lines().any(|line| line == format!("{step}: ok")), "{step}: {text}");
    }
    // It trusts this certificate alone.
    let (success, text, _) = run(&"00".repeat(32)).await;
    assert!(!success && text.is_empty(), "{text}");
    node.stop().await;
}
