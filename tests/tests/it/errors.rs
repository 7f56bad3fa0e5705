//! Mistakes get the right problem, never an internal text.

use quicproquo_tests::{Answer, Api, Launch, pair};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

/// Nothing that only a Rust programmer would understand.
fn speaks_plainly(answer: &Answer) {
    for word in ["panicked", "unwrap", "Error {", "Some(", "src/", "sqlx", "backtrace"] {
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
    api.get("/v1/nothing").await.expect_problem(404, "not-found");
    api.get(&format!("/v1/groups/{nowhere}")).await.expect_problem(404, "group-not-found");
    api.get(&format!("{send}/{}", "00".repeat(16))).await.expect_problem(404, "message-not-found");
    let unknown = api.post("/v1/groups", &json!({ "name": "x", "members": ["nobody-here"] })).await;
    speaks_plainly(&unknown);
    assert!((404..=422).contains(&unknown.status), "{}", unknown.text);
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
    for body in [json!({}), json!({ "type": "text", "content": { "body": 5 } }), json!([1])] {
        let answer = api.post(&send, &body).await;
        assert!([400, 422].contains(&answer.status), "{body}: {}", answer.text);
        speaks_plainly(&answer);
    }
    let answer = api.get("/v1/groups/not-hex").await;
    assert!([400, 404].contains(&answer.status), "{}", answer.text);
    let answer = api.get("/v1/events?after=nonsense").await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    let answer = api.request(Method::PUT, "/v1/me");
    let answer = api.send(answer).await;
    answer.expect_problem(405, "method-not-allowed");

    // What is too large.
    let text = "x".repeat(70 * 1024);
    let answer = api.post(&send, &json!({ "type": "text", "content": { "body": text } })).await;
    assert!([413, 422].contains(&answer.status), "{}", answer.text);
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
async fn other_hosts_and_other_sites_are_refused() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let api = Api::new(&up.url(), "");
    let request = api.request(Method::GET, "/health/live").header("host", "evil.example");
    let answer = api.send(request).await;
    assert!([400, 403, 421].contains(&answer.status), "{}: {}", answer.status, answer.text);
    let request = api.request(Method::GET, "/health/live").header("sec-fetch-site", "cross-site");
    assert_eq!(api.send(request).await.status, 403);
    let answer = api.get("/health/live").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "");
}
