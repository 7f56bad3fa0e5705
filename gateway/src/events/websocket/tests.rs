//! Conformance with RFC 6455: the cases of the Autobahn test suite, driven by `kosoku`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use axum::Router;
use axum::extract::ws::Message;
use axum::routing::any;
use futures::StreamExt;
use serde_json::Value;
use tokio_util::task::TaskTracker;

use super::*;

/// `<target>/venv`, made by `cargo xtask ci`.
fn kosoku() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let path = exe.ancestors().nth(3).unwrap().join("venv/bin/kosoku");
    assert!(path.exists(), "{} is absent: cargo xtask ci --install makes it", path.display());
    path
}

/// The suite wants to hear what it says.
async fn echo(upgrade: WebSocketUpgrade) -> Response {
    // Its largest message has 16 MiB; ours may have less, which the suite has no case for.
    let upgrade = set_up(upgrade).max_message_size(17 << 20).max_frame_size(17 << 20);
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message)) = socket.next().await {
            let answer = match message {
                Message::Text(_) | Message::Binary(_) => message,
                Message::Close(_) => return,
                Message::Ping(_) | Message::Pong(_) => continue,
            };
            if socket.send(answer).await.is_err() {
                return;
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_websocket_conforms() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let tasks = TaskTracker::new();
    tasks
        .spawn(async { axum::serve(listener, Router::new().route("/", any(echo))).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    // 12 and 13 are about compression, which is not offered.
    let output = tokio::process::Command::new(kosoku())
        .args(["-p", "4", "-x", "12.*", "-x", "13.*", "-o"])
        .arg(folder.path())
        .arg(&address)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let index = folder.path().join("index.json");
    let text = std::fs::read_to_string(&index).unwrap_or_else(|_| panic!("no report: {said}"));
    let report: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_str(&text).unwrap();
    let cases = report.values().next().unwrap();
    let bad: Vec<_> = cases
        .iter()
        .filter(|(_, case)| {
            let good = |value: &Value| {
                matches!(value.as_str(), Some("OK" | "NON-STRICT" | "INFORMATIONAL"))
            };
            !good(&case["behavior"]) || !good(&case["behaviorClose"])
        })
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(cases.len(), 301);
}
