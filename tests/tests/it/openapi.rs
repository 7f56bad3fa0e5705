//! The description that is served equals the one that is committed.

use std::fs;

use quicproquo_tests::{Api, Launch, files};
use tempfile::TempDir;

#[tokio::test]
async fn the_served_description_is_the_committed_one() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let served = Api::new(&up.url(), "").get("/openapi.json").await.expect(200);
    let committed = fs::read_to_string(files::checkout("openapi/gateway.json")).unwrap();
    let committed: serde_json::Value = serde_json::from_str(&committed).unwrap();
    assert_eq!(served, committed, "run `cargo xtask openapi`");
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
}
