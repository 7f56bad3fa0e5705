//! The same request twice does its work once.

use quicproquo_tests::bot::{messages, text_message};
use quicproquo_tests::{Launch, pair};
use serde_json::json;
use tempfile::TempDir;

#[tokio::test]
async fn a_send_is_replayed_across_a_restart() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    let path = messages(&group);
    let body = text_message("once");
    let first = alice.api.post_once(&path, "k1", &body).await.unwrap();
    let id = first.expect(201)["message_id"].clone();
    assert_eq!(first.header("idempotency-replayed"), "");

    let again = alice.api.post_once(&path, "k1", &body).await.unwrap();
    assert_eq!(again.expect(201)["message_id"], id);
    assert_eq!(again.header("idempotency-replayed"), "true");

    let _up = up.stop().await.start().await;
    let later = alice.api.post_once(&path, "k1", &body).await.unwrap();
    assert_eq!(later.expect(201)["message_id"], id);
    assert_eq!(later.header("idempotency-replayed"), "true");

    let other = alice.api.post_once(&path, "k1", &text_message("other")).await.unwrap();
    other.expect_problem(422, "idempotency-mismatch");
    bob.hears(&tail, &group, &["once".into()]).await;
}

#[tokio::test]
async fn groups_and_bots_are_created_once() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, _) = pair(&up).await;
    let body = json!({ "name": "one", "members": [bob.identity] });
    let first = alice.api.post_once("/v1/groups", "g", &body).await.unwrap().expect(201);
    let again = alice.api.post_once("/v1/groups", "g", &body).await.unwrap();
    assert_eq!(again.expect(201)["group_id"], first["group_id"]);
    assert_eq!(again.header("idempotency-replayed"), "true");

    let admin = up.admin();
    let body = json!({ "name": "carol" });
    let first = admin.post_once("/v1/bots", "b", &body).await.unwrap().expect(201);
    let again = admin.post_once("/v1/bots", "b", &body).await.unwrap();
    assert_eq!(again.json()["bot_id"], first["bot_id"]);
    assert_eq!(again.header("idempotency-replayed"), "true");
    let secret = quicproquo_tests::bot::find_token(&first).unwrap().to_owned();
    assert!(!again.text.contains(&secret), "a secret is shown once");
}
