//! How large a request may be: one byte less passes, one more does not.

use quicproquo_tests::bot::messages;
use quicproquo_tests::{Launch, pair};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

/// A JSON object of exactly so many bytes.
fn of_size(before: &str, after: &str, size: usize) -> String {
    let filler = "x".repeat(size - before.len() - after.len());
    format!("{before}{filler}{after}")
}

#[tokio::test]
async fn bodies_text_and_depth_have_limits() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, _bob, group) = pair(&up).await;
    let send = messages(&group);
    let request = |method: Method, path: &str, body: String| {
        let request = alice.api.request(method, path).header("Content-Type", "application/json");
        alice.api.send(request.body(body))
    };

    // 64 KiB of text, and 1 MiB of body with a content of almost that.
    let text = |size: usize| json!({ "type": "text", "content": { "body": "t".repeat(size) } });
    let sent = alice.api.post(&send, &text(65_536)).await.expect(201);
    alice.api.post(&send, &text(65_537)).await.expect_problem(413, "too-large");
    let path = format!("{send}/{}", sent["message_id"].as_str().unwrap());
    let edit = |size: usize| json!({ "content": { "body": "t".repeat(size) } });
    alice.api.patch(&path, &edit(65_536)).await.expect(200);
    alice.api.patch(&path, &edit(65_537)).await.expect_problem(413, "too-large");
    let custom =
        |size: usize| of_size(r#"{"type":"org.example.x","content":{"a":""#, r#""}}"#, size);
    request(Method::POST, &send, custom(1_048_576 - 400)).await.expect(201);
    request(Method::POST, &send, custom(1_048_577)).await.expect_problem(413, "too-large");

    // 64 KiB where no content is sent.
    for (method, path, before) in [
        (Method::PUT, format!("/v1/groups/{group}/typing"), r#"{"active":true"#),
        (Method::PUT, format!("/v1/groups/{group}/read"), r#"{"message_id":""#),
        (Method::PUT, format!("{path}/reactions/x"), r#"{"require":null"#),
        (Method::PATCH, format!("/v1/groups/{group}"), r#"{"name":""#),
    ] {
        let body = of_size(&format!("{before}   "), "", 65_537).replace('x', " ");
        request(method.clone(), &path, body).await.expect_problem(413, "too-large");
        let body = format!("{before}{}", " ".repeat(65_536 - before.len()));
        let answer = request(method.clone(), &path, body).await;
        assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text);
    }

    // Nesting of 32, the body itself included.
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"type":"org.example.x","content":{open}{close}}}"#)
    };
    request(Method::POST, &send, deep(31)).await.expect(201);
    request(Method::POST, &send, deep(32)).await.expect_problem(400, "json-invalid");
}
