//! The same request twice does its work once.

use quicproquo_tests::bot::{messages, text_message};
use quicproquo_tests::{LONG, Launch, pair, wait_for};
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

#[tokio::test]
async fn a_late_repetition_undoes_nothing_that_was_done_since() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let path = format!("/v1/identities/{}", bob.identity);
    let verify = async || {
        let put = alice.api.request(reqwest::Method::PUT, &format!("{path}/verification"));
        let put = put.header("Idempotency-Key", "known").json(&json!({ "verified": true }));
        alice.api.send(put).await
    };
    assert_eq!(verify().await.expect(200)["trust"], "verified");
    let back = json!({ "verified": false });
    alice.api.put(&format!("{path}/verification"), &back).await.expect(200);
    let known = verify().await;
    assert_eq!(known.expect(200)["trust"], "verified", "the answer is the former one");
    assert_eq!(alice.api.get(&path).await.expect(200)["trust"], "tofu", "and nothing is done");

    alice.api.get("/v1/events?timeout=0&consumer=main").await.expect(200);
    let ack = json!({ "consumer": "main", "up_to": alice.tail().await });
    alice.api.post_once("/v1/events/ack", "ack", &ack).await.unwrap().expect(200);
    alice.api.delete("/v1/events/consumers/main").await.expect(204);
    let acked = alice.api.post_once("/v1/events/ack", "ack", &ack).await.unwrap();
    assert_eq!(acked.expect(200)["cursor"], ack["up_to"]);

    let other = bob.create_group("other", &[&alice]).await;
    let invitation = wait_for("an invitation", LONG, || async {
        let all = alice.api.get("/v1/invitations").await.expect(200);
        all["items"][0]["invitation_id"].as_str().map(str::to_owned)
    })
    .await;
    let path = format!("/v1/invitations/{invitation}");
    let accept = format!("{path}/accept");
    let first = alice.api.post_once(&accept, "come", &json!({})).await.unwrap();
    assert_eq!((&first.expect(200)["group_id"], first.header("etag")), (&json!(other), "\"1\""));
    let members = json!({ "name": "renamed" });
    bob.api.patch(&format!("/v1/groups/{other}"), &members).await.expect(200);
    let again = alice.api.post_once(&accept, "come", &json!({})).await.unwrap();
    assert_eq!((again.expect(200), again.header("etag")), (first.json(), "\"1\""));
    // Accepting twice is accepting, and no repetition unless it is told to be one.
    let anew = alice.api.post(&accept, &json!({})).await;
    anew.expect(200);
    assert_eq!(anew.header("idempotency-replayed"), "");
    let mixed = alice.api.post_once(&format!("{path}/decline"), "come", &json!({})).await.unwrap();
    mixed.expect_problem(422, "idempotency-mismatch");
    for answer in [known, acked, again] {
        assert_eq!(answer.header("idempotency-replayed"), "true", "{}", answer.text);
    }
    assert_eq!(alice.group(&group).await["state"], "active");
}
