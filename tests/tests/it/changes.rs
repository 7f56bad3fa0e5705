//! Editing, deleting, reacting, reading and writing, as bots do it.

use quicproquo_tests::bot::{body_of, find_token, messages};
use quicproquo_tests::{Api, Bot, LONG, Launch, pair, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Waits until a bot sees a message as it is to be.
async fn sees(bot: &Bot, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    wait_for("a message to be as it is to be", LONG, || async {
        // It may not be here yet.
        let answer = bot.api.get(path).await;
        let message = if answer.status == 404 { return None } else { answer.expect(200) };
        is_so(&message).then_some(message)
    })
    .await
}

#[tokio::test]
async fn a_message_is_edited_reacted_to_and_deleted() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    let sent = alice.say(&group, "tpyo").await;
    bob.hears(&tail, &group, &["tpyo".to_owned()]).await;
    let path = format!("{}/{}", messages(&group), sent["message_id"].as_str().unwrap());

    let body = json!({ "content": { "body": "typo" } });
    let foreign = bob.api.patch(&path, &body).await;
    foreign.expect_problem(403, "not-your-message");
    let edited = alice.api.patch(&path, &body).await.expect(200);
    assert_eq!((body_of(&edited), &edited["type"]), ("typo".to_owned(), &json!("text")));
    assert!(edited["edited_at"].is_string() && edited["deleted_at"].is_null());
    sees(&bob, &path, |message| body_of(message) == "typo").await;
    let event = bob.event(&tail, "message.received").await;
    assert_eq!(body_of(&event["data"]), "tpyo", "an event says what was said");

    // A reaction, twice the same, and taken back.
    let reaction = format!("{path}/reactions/%F0%9F%91%8D");
    let put = bob.api.put(&reaction, &json!({})).await.expect(200);
    assert_eq!((&put["type"], &put["content"]["key"]), (&json!("reaction"), &json!("👍")));
    bob.api.send(bob.api.request(Method::PUT, &reaction)).await.expect(200);
    let seen = sees(&alice, &path, |message| message["reactions"] != json!([])).await;
    let expected = json!([{ "key": "👍", "count": 1, "by": [bob.identity] }]);
    assert_eq!(seen["reactions"], expected);
    bob.api.delete(&reaction).await.expect(200);
    sees(&alice, &path, |message| message["reactions"] == json!([])).await;

    // How far bob has read.
    let read = json!({ "message_id": sent["message_id"] });
    let tail = alice.tail().await;
    bob.api.put(&format!("/v1/groups/{group}/read"), &read).await.expect(200);
    let event = alice.event(&tail, "message.received").await;
    assert_eq!(event["data"]["type"], "read");
    assert_eq!(event["data"]["relates_to"]["message_id"], sent["message_id"]);

    bob.api.delete(&path).await.expect_problem(403, "not-your-message");
    let deleted = alice.api.delete(&path).await.expect(200);
    assert_eq!((&deleted["type"], &deleted["content"]), (&json!("deleted"), &Value::Null));
    sees(&bob, &path, |message| message["deleted_at"].is_string()).await;
    let log = bob.api.get(&messages(&group)).await;
    assert_eq!(log.expect(200)["items"].as_array().unwrap().len(), 1);
    assert!(!log.text.contains("typo") && !log.text.contains("tpyo"), "{}", log.text);
    alice.api.patch(&path, &body).await.expect_problem(409, "not-editable");
    let nothing = format!("{}/{}", messages(&group), "00".repeat(16));
    alice.api.patch(&nothing, &body).await.expect_problem(404, "message-not-found");
    alice.api.delete(&nothing).await.expect_problem(404, "message-not-found");
    alice
        .api
        .put(&format!("{nothing}/reactions/x"), &json!({}))
        .await
        .expect_problem(404, "message-not-found");
    up.stop().await;
}

#[tokio::test]
async fn writing_passes() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    let typing = format!("/v1/groups/{group}/typing");
    let answer = alice.api.put(&typing, &json!({ "active": true })).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    let event = bob.event(&tail, "member.typing").await;
    assert_eq!(event["data"]["sender"]["identity"], alice.identity.as_str());
    assert_eq!(event["data"]["active"], true);
    assert!(event["data"]["expires_at"].as_str() > event["occurred_at"].as_str());
    alice.api.put(&typing, &json!({ "active": false })).await.expect(204);
    alice.api.put(&typing, &json!({ "active": 1 })).await.expect_problem(400, "json-invalid");
    for query in ["", "?type=typing"] {
        let path = format!("{}{query}", messages(&group));
        assert_eq!(bob.api.get(&path).await.expect(200)["items"], json!([]));
    }
}

#[tokio::test]
async fn changes_are_sends_with_all_their_conditions() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let other = alice.create_group("other", &[]).await;
    let sent = alice.say(&group, "x").await;
    let path = format!("{}/{}", messages(&group), sent["message_id"].as_str().unwrap());
    let epoch = alice.group(&group).await["epoch"].as_u64().unwrap();

    let edit = |text: &str| json!({ "content": { "body": text } });
    let stale = alice.api.request(Method::PATCH, &path).header("If-Match", "\"999\"");
    let stale = alice.api.send(stale.json(&edit("a"))).await;
    assert_eq!(stale.expect_problem(412, "epoch-mismatch")["current_epoch"], epoch);
    let current =
        alice.api.request(Method::PATCH, &path).header("If-Match", format!("\"{epoch}\""));
    alice.api.send(current.json(&edit("a"))).await.expect(200);
    let verified = json!({ "content": { "body": "b" }, "require": { "trust": "verified" } });
    alice.api.patch(&path, &verified).await.expect_problem(412, "not-verified");
    let read = json!({ "message_id": sent["message_id"], "require": { "trust": "verified" } });
    let marker = format!("/v1/groups/{group}/read");
    alice.api.put(&marker, &read).await.expect_problem(412, "not-verified");

    // Done once, however often it is asked for.
    let once = || {
        let request = alice.api.request(Method::PATCH, &path).header("Idempotency-Key", "edit");
        alice.api.send(request.json(&edit("once")))
    };
    let (first, again) = (once().await, once().await);
    assert_eq!((first.status, again.status), (200, 200), "{}", again.text);
    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        ("", "true")
    );
    let mixed = alice.api.request(Method::DELETE, &path).header("Idempotency-Key", "edit");
    alice.api.send(mixed).await.expect_problem(422, "idempotency-mismatch");
    let edits = format!("{}?type=edit", messages(&group));
    let edits = alice.api.get(&edits).await.expect(200);
    assert_eq!(edits["items"].as_array().unwrap().len(), 2);

    // Tokens: what they may, where, and what they learn by it.
    let issue = async |body: Value| {
        let tokens = format!("/v1/bots/{}/tokens", alice.id);
        let issued = up.admin().post(&tokens, &body).await.expect(201);
        Api::new(&up.url(), find_token(&issued).unwrap())
    };
    let reader = issue(json!({ "scopes": ["messages:read"] })).await;
    let elsewhere = issue(json!({ "scopes": ["messages:send"], "groups": [other] })).await;
    for (api, slug) in [(&reader, "scope-missing"), (&elsewhere, "group-not-allowed")] {
        api.patch(&path, &edit("no")).await.expect_problem(403, slug);
        api.delete(&path).await.expect_problem(403, slug);
        api.put(&format!("{path}/reactions/x"), &json!({})).await.expect_problem(403, slug);
        api.delete(&format!("{path}/reactions/x")).await.expect_problem(403, slug);
        api.put(&marker, &json!({ "message_id": sent["message_id"] }))
            .await
            .expect_problem(403, slug);
        let typing = format!("/v1/groups/{group}/typing");
        api.put(&typing, &json!({})).await.expect_problem(403, slug);
    }
    let health = format!("/v1/groups/{group}/health");
    reader.get(&health).await.expect_problem(403, "scope-missing");
    let said =
        bob.say(&group, "a secret of others").await["message_id"].as_str().unwrap().to_owned();
    let theirs = format!("{}/{said}", messages(&group));
    sees(&alice, &theirs, |message| body_of(message) == "a secret of others").await;
    let writer = issue(json!({ "scopes": ["messages:send"] })).await;
    for answer in [
        writer.put(&format!("{theirs}/reactions/x"), &json!({})).await,
        writer.put(&marker, &json!({ "message_id": said })).await,
    ] {
        answer.expect(200);
        assert!(!answer.text.contains("a secret of others"), "{}", answer.text);
    }
    wait_for("bob to have the message", LONG, || async {
        (bob.api.get(&path).await.status == 200).then_some(())
    })
    .await;
    bob.api.put(&format!("{path}/reactions/x"), &json!({})).await.expect(200);
    sees(&alice, &path, |message| message["reactions"] != json!([])).await;
    let answer = writer.patch(&path, &edit("last")).await.expect(200);
    assert_eq!(answer["reactions"], json!([]), "who cannot read does not learn who has reacted");
}

#[tokio::test]
async fn a_group_says_how_it_does() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    alice.say(&group, "x").await;
    let path = format!("/v1/groups/{group}/health");
    let health = wait_for("the group to be well", LONG, || async {
        let health = alice.api.get(&path).await.expect(200);
        (health["healthy"] == true && health["queued"] == 0).then_some(health)
    })
    .await;
    assert_eq!((&health["state"], &health["members"]), (&json!("active"), &json!(2)));
    assert_eq!(health["unverified"], 1);
    assert!(health["last_message_at"].is_string());
    alice.remove(&group, &bob).await;
    let gone = wait_for("bob to be out", LONG, || async {
        let health = bob.api.get(&path).await.expect(200);
        (health["healthy"] == false).then_some(health)
    })
    .await;
    assert_eq!(gone["state"], "removed");
    let nowhere = format!("/v1/groups/{}/health", "00".repeat(32));
    alice.api.get(&nowhere).await.expect_problem(404, "group-not-found");
}

#[tokio::test]
async fn history_is_searched_page_by_page() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let path = messages(&group);
    let tail = bob.tail().await;
    let mut said = Vec::new();
    for n in 0..6 {
        let custom = json!({ "type": "com.example.move", "content": { "n": n } });
        alice.api.post(&path, &custom).await.expect(201);
        alice.say(&group, &format!("text {n}")).await;
        said.extend([String::new(), format!("text {n}")]);
    }
    alice.say(&group, "end").await;
    said.push("end".to_owned());
    bob.hears(&tail, &group, &said).await;

    let all = bob.api.get(&format!("{path}?limit=200")).await.expect(200);
    let all = all["items"].as_array().unwrap().clone();
    assert_eq!(all.len(), 13);
    let first = all.last().unwrap()["received_at"].as_str().unwrap();
    let mut next = format!("{path}?limit=2&type=com.example.move&since={first}");
    let mut found = Vec::new();
    while !next.is_empty() {
        let page = bob.api.get(&next).await;
        let items = page.expect(200)["items"].as_array().unwrap().clone();
        assert!(items.len() <= 2);
        found.extend(items.iter().map(|item| item["content"]["n"].as_u64().unwrap()));
        // The header leads on with all that was asked for.
        let link = page.header("link").to_owned();
        assert_eq!(link.is_empty(), page.json()["next"].is_null());
        let target = link.split(['<', '>']).nth(1).unwrap_or_default();
        assert!(target.is_empty() || target.contains("type=com.example.move"), "{link}");
        target.clone_into(&mut next);
    }
    assert_eq!(found, [5, 4, 3, 2, 1, 0]);
    for (query, count) in [
        ("type=text,com.example.move&limit=200".to_owned(), 13),
        (format!("until={first}"), 0),
        ("since=2000-01-01T00:00:00Z&limit=200".to_owned(), 13),
        ("since=2000-01-01T02:00:00%2B02:00&until=2000-01-02T00:00:00Z".to_owned(), 0),
        ("type=reaction".to_owned(), 0),
    ] {
        let page = bob.api.get(&format!("{path}?{query}")).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
    for bad in ["since=yesterday", "until=1", "type=", "type=a..b", "typ=text", "limit=201"] {
        let answer = bob.api.get(&format!("{path}?{bad}")).await;
        answer.expect_problem(400, "request-invalid");
    }
}
