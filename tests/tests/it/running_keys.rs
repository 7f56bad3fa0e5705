//! The same `Idempotency-Key` again, while its first request is still running.

use futures::future::{Either, select};
use quicproquo_tests::bot::{find_token, messages, text_message};
use quicproquo_tests::{Api, Bot, LONG, Later, Launch, SOON, bots, pair, wait_for};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tempfile::TempDir;

fn upload(api: &Api, key: &str) -> RequestBuilder {
    let request = api.request(Method::POST, "/v1/attachments").header("Idempotency-Key", key);
    request.header("Content-Type", "application/octet-stream").body("content")
}

/// The same upload, let in, with nothing sent yet.
async fn open(api: &Api, key: &str) -> Later {
    let headers = [("Content-Type", "application/octet-stream"), ("Idempotency-Key", key)];
    Later::post(api, "/v1/attachments", 7, &headers).await
}

#[tokio::test]
async fn a_bot_is_made_once_while_the_node_says_nothing() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let admin = gateway.admin();
    let body = json!({ "name": "carol" });
    node.signal("STOP").await;
    let (one, other) = (
        Box::pin(admin.post_once("/v1/bots", "k", &body)),
        Box::pin(admin.post_once("/v1/bots", "k", &body)),
    );
    let (refused, running) = match select(one, other).await {
        Either::Left((refused, running)) | Either::Right((refused, running)) => (refused, running),
    };
    let refused = refused.unwrap().expect_problem(409, "idempotency-running");
    assert_eq!(refused["retryable"], true);
    // Nor is it another's turn, whatever it asks for.
    let other = admin.post_once("/v1/bots", "k", &json!({ "name": "dave" })).await.unwrap();
    other.expect_problem(409, "idempotency-running");
    node.signal("CONT").await;
    let made = running.await.unwrap();
    let (bot, token) = (made.expect(201), find_token(&made.json()).unwrap().to_owned());
    assert_eq!(made.header("idempotency-replayed"), "");

    let again = admin.post_once("/v1/bots", "k", &body).await.unwrap();
    assert_eq!(again.expect(201)["bot_id"], bot["bot_id"]);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert!(!again.text.contains(&token), "a secret is shown once");
    let other = admin.post_once("/v1/bots", "k", &json!({ "name": "dave" })).await.unwrap();
    other.expect_problem(422, "idempotency-mismatch");
    let list = admin.get("/v1/bots").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    gateway.stop().await;
}

#[tokio::test]
async fn an_upload_holds_its_key_until_it_ends() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let api = &alice.api;
    let running = open(api, "whole").await;
    let again = api.send(upload(api, "whole")).await;
    again.expect_problem(409, "idempotency-running");
    // Keys are a bot's own.
    let theirs = bob.api.send(upload(&bob.api, "whole")).await;
    assert_eq!((theirs.status, theirs.header("idempotency-replayed")), (201, ""));
    let answer = running.finish(b"content").await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let again = api.send(upload(api, "whole")).await;
    let id = again.expect(201)["attachment_id"].as_str().unwrap().to_owned();
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert!(answer.contains(&id), "{answer}");

    // One that breaks off gives its key back, and has done nothing.
    let mut running = open(api, "broken").await;
    running.write(b"cont").await;
    api.send(upload(api, "broken")).await.expect_problem(409, "idempotency-running");
    drop(running);
    let fresh = wait_for("the key to be free", SOON, async || {
        let answer = api.send(upload(api, "broken")).await;
        (answer.status != 409).then_some(answer)
    })
    .await;
    assert_ne!(fresh.expect(201)["attachment_id"], id.as_str());
    assert_eq!(fresh.header("idempotency-replayed"), "");
}

#[tokio::test]
async fn a_change_that_waits_for_the_node_has_its_outcome_under_its_key() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let [carol] = bots(&gateway, ["carol"]).await;
    let before = alice.group(&group).await;
    let node = node.stop().await;

    let path = format!("/v1/groups/{group}/members");
    let body = json!({ "members": [carol.identity] });
    let add = async |bot: &Bot, query: &str| {
        bot.api.post_once(&format!("{path}{query}"), "add", &body).await.unwrap()
    };
    for replayed in ["", "true"] {
        let pending = add(&alice, "?wait=0").await;
        assert_eq!(pending.expect(202)["state"], "pending");
        assert_eq!(pending.header("idempotency-replayed"), replayed);
    }
    let other = json!({ "members": [bob.identity] });
    let other = alice.api.post_once(&path, "add", &other).await.unwrap();
    other.expect_problem(422, "idempotency-mismatch");
    let said = alice.api.post_once(&messages(&group), "say", &text_message("x")).await.unwrap();
    let again = alice.api.post_once(&messages(&group), "say", &text_message("x")).await.unwrap();
    assert_eq!(said.expect(201)["delivery"]["state"], "queued");
    assert_eq!(again.expect(201)["message_id"], said.json()["message_id"]);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(alice.group(&group).await["epoch"], before["epoch"]);

    // Two that wait for the same are answered alike.
    let (one, two, _node) =
        tokio::join!(add(&alice, "?wait=60000"), add(&alice, "?wait=60000"), node.start());
    for answer in [one, two, add(&alice, "").await] {
        assert_eq!(answer.expect(200)["state"], "done", "{}", answer.text);
        assert_eq!(answer.header("idempotency-replayed"), "true");
    }
    let epoch = wait_for("one commit", LONG, async || {
        let seen = bob.group(&group).await;
        let members = seen["members"].as_array().unwrap().len();
        (members == 3).then_some(seen["epoch"].clone())
    })
    .await;
    assert_eq!(epoch.as_u64(), before["epoch"].as_u64().map(|epoch| epoch + 1));
}
