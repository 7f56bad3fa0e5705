//! Mistakes get the right problem, never an internal text.

use quicproquo_tests::{Answer, Api, LONG, Launch, pair, wait_for};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

/// Nothing that only a Rust programmer would understand.
fn speaks_plainly(answer: &Answer) {
    const WORDS: [&str; 15] = [
        "panicked",
        "unwrap",
        "Error {",
        "Some(",
        "src/",
        "sqlx",
        "backtrace",
        "expected struct",
        "with 4 elements",
        "sequence",
        "variant",
        "in string",
        "os error",
        "(code: ",
        "u32",
    ];
    for word in WORDS {
        assert!(!answer.text.contains(word), "an answer leaks {word}: {}", answer.text);
    }
}

#[tokio::test]
async fn mistakes_get_the_right_problem() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, _bob, group) = pair(&up).await;
    let path = format!("/v1/groups/{group}");
    let send = format!("{path}/messages");
    let nowhere = "00".repeat(32);
    let api = &alice.api;

    // Who is calling.
    let nobody = Api::new(&up.url(), "");
    let answer = nobody.get("/v1/me").await;
    answer.expect_problem(401, "token-missing");
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    Api::new(&up.url(), "qpq_wrong").get("/v1/me").await.expect_problem(401, "token-invalid");
    up.admin().get("/v1/me").await.expect_problem(403, "admin-token-refused");
    api.get("/v1/bots").await.expect_problem(403, "bot-token-refused");

    // What does not exist.
    api.get("/v1/nothing").await.expect_problem(404, "route-not-found");
    api.get(&format!("/v1/groups/{nowhere}")).await.expect_problem(404, "group-not-found");
    api.get(&format!("{send}/{}", "00".repeat(16))).await.expect_problem(404, "message-not-found");
    let unknown = api.post("/v1/groups", &json!({ "name": "x", "members": ["nobody-here"] })).await;
    speaks_plainly(&unknown);
    unknown.expect_problem(404, "name-unknown");
    up.admin().get("/v1/bots/bot_0000000000000000").await.expect_problem(404, "bot-not-found");
    let answer = api.post(&format!("/v1/invitations/{nowhere}/accept"), &json!({})).await;
    answer.expect_problem(404, "invitation-not-found");

    // What is malformed.
    let malformed = |body: &'static str, kind: &'static str| {
        api.request(Method::POST, &send).header("content-type", kind).body(body)
    };
    let answer = api.send(malformed("{", "application/json")).await;
    answer.expect_problem(400, "json-invalid");
    speaks_plainly(&answer);
    let answer = api.send(malformed("{}", "text/plain")).await;
    answer.expect_problem(415, "media-type-refused");
    let relation = json!({ "type": "text", "content": { "body": "x" }, "relates_to": ["a", "b"] });
    for (body, slug) in [
        (json!({}), "json-invalid"),
        (json!([1]), "json-invalid"),
        (json!([]), "json-invalid"),
        (json!("text"), "json-invalid"),
        (json!(["text", { "body": "as a list" }, null, null]), "json-invalid"),
        (relation, "json-invalid"),
        (json!({ "type": 5 }), "json-invalid"),
        (json!({ "type": "text", "content": { "body": 5 } }), "request-invalid"),
        (json!({ "type": "text", "content": ["body"] }), "request-invalid"),
        (json!({ "type": "typing", "content": 7 }), "request-invalid"),
    ] {
        let answer = api.post(&send, &body).await;
        answer.expect_problem(400, slug);
        speaks_plainly(&answer);
    }
    let answer = up.admin().post("/v1/bots", &json!(["arraybot"])).await;
    answer.expect_problem(400, "json-invalid");
    speaks_plainly(&answer);
    api.get("/v1/groups/not-hex").await.expect_problem(404, "not-found");
    api.get("/v1/events?after=nonsense").await.expect_problem(400, "cursor-invalid");
    for query in ["limit=x", "limit=99999999999", "timeout=-1", "types=nope"] {
        let answer = api.get(&format!("/v1/events?{query}")).await;
        answer.expect_problem(400, "request-invalid");
        speaks_plainly(&answer);
    }
    let answer = api.request(Method::PUT, "/v1/me");
    let answer = api.send(answer).await;
    answer.expect_problem(405, "method-not-allowed");
    let answer = up.admin().post("/v1/bots/import", &json!({})).await;
    answer.expect_problem(400, "json-invalid");

    // What is too large.
    let text = "x".repeat(70 * 1024);
    let answer = api.post(&send, &json!({ "type": "text", "content": { "body": text } })).await;
    answer.expect_problem(413, "too-large");
    let huge = "x".repeat(3 * 1024 * 1024);
    let answer = api.post(&send, &json!({ "type": "text", "content": { "body": huge } })).await;
    answer.expect_problem(413, "too-large");

    // What has changed meanwhile.
    let stale = api.request(Method::POST, &send).header("If-Match", "\"999\"");
    let body = json!({ "type": "text", "content": { "body": "late" } });
    let answer = api.send(stale.json(&body)).await;
    answer.expect_problem(412, "epoch-mismatch");

    // After all that, the gateway is well.
    alice.say(&group, "still fine").await;
}

#[tokio::test]
async fn a_type_of_ones_own_carries_any_json_up_to_the_limit() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let send = format!("/v1/groups/{group}/messages");
    let tail = bob.tail().await;
    let large = json!({ "x": "y".repeat(900 * 1024) });
    let contents = [json!(7), json!([1, 2]), json!("text"), json!(null), json!(true), large];
    for content in &contents {
        let message = json!({ "type": "org.example.any", "content": content });
        alice.api.post(&send, &message).await.expect(201);
    }
    let received = wait_for("all of them", LONG, || async {
        let events = bob.events(&tail).await;
        let received: Vec<_> =
            events.into_iter().filter(|event| event["type"] == "message.received").collect();
        (received.len() >= contents.len()).then_some(received)
    })
    .await;
    let received: Vec<_> = received.iter().map(|event| event["data"]["content"].clone()).collect();
    assert_eq!(received, contents);
    let larger = json!({ "x": "y".repeat(1024 * 1024 - 60) });
    let answer =
        alice.api.post(&send, &json!({ "type": "org.example.any", "content": larger })).await;
    answer.expect_problem(413, "too-large");
}

#[tokio::test]
async fn other_hosts_and_other_sites_are_refused() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let api = Api::new(&up.url(), "");
    let request = api.request(Method::GET, "/health/live").header("host", "evil.example");
    let answer = api.send(request).await;
    answer.expect_problem(403, "host-refused");
    let request = api.request(Method::GET, "/health/live").header("sec-fetch-site", "cross-site");
    api.send(request).await.expect_problem(403, "origin-refused");
    let answer = api.get("/health/live").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "");
}
