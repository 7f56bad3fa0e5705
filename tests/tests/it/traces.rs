//! Traces: a request and what it makes the node do, at a collector.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use quicproquo_tests::files::contains;
use quicproquo_tests::target::status;
use quicproquo_tests::{LONG, Launch, Socket, Target, bots, pair, wait_for};
use serde_json::json;
use tempfile::TempDir;

const TEXT: &str = "canary text 5b1e";

fn attribute<'a>(span: &'a Span, key: &str) -> &'a str {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}

#[tokio::test]
async fn a_request_is_traced_to_the_node_and_names_nobody() {
    let dir = TempDir::new().unwrap();
    let collector = Target::start(Box::new(|_| status(200))).await;
    let up = Launch::up(&dir.path().join("up"));
    let up = up.arg("--otlp-endpoint", &collector.origin).start().await;
    let (alice, _, group) = pair(&up).await;
    let path = format!("/v1/groups/{group}/messages?wait=10000");
    let body = json!({ "type": "text", "content": { "body": TEXT } });
    let answer = alice.api.post(&path, &body).await;
    let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(answer.expect(201)["delivery"]["state"], "sent");
    // The rest is sent at the end.
    up.stop().await;

    let spans = exported(&collector, &[TEXT, &alice.identity, alice.api.token(), &group]);
    assert_eq!(sends_below(&spans, &id), ("POST /v1/groups/{group_id}/messages".into(), 1));
}

#[tokio::test]
async fn changes_of_groups_are_traced_to_the_node() {
    let dir = TempDir::new().unwrap();
    let collector = Target::start(Box::new(|_| status(200))).await;
    let up = Launch::up(&dir.path().join("up"));
    let up = up.arg("--otlp-endpoint", &collector.origin).start().await;
    let [alice, bob, carol] = bots(&up, ["alice", "bob", "carol"]).await;
    let made = alice.api.post("/v1/groups", &json!({ "members": [bob.identity] })).await;
    let group = made.expect(201)["group_id"].as_str().unwrap().to_owned();
    bob.accept(&group).await;
    let path = format!("/v1/groups/{group}");
    let members = json!({ "members": [carol.identity] });
    let added = alice.api.post(&format!("{path}/members"), &members).await;
    carol.accept(&group).await;
    let renamed = alice.api.patch(&path, &json!({ "name": "renamed" })).await;
    let is_known = || async { (bob.group(&group).await["name"] == "renamed").then_some(()) };
    wait_for("the name", LONG, is_known).await;
    let left = bob.api.post(&format!("{path}/leave"), &json!({})).await;
    let is_gone = || async {
        let members = alice.group(&group).await["members"].as_array().map_or(0, Vec::len);
        (members == 2).then_some(())
    };
    wait_for("the leave", LONG, is_gone).await;
    up.stop().await;

    let spans = exported(&collector, &[]);
    // A Welcome; a commit and a Welcome; a commit; a proposal.
    let expected = [(made, 1), (added, 2), (renamed, 1), (left, 1)];
    for (answer, sends) in expected {
        assert!((200..300).contains(&answer.status), "{}", answer.text);
        let id = answer.headers["x-request-id"].to_str().unwrap();
        let (name, found) = sends_below(&spans, id);
        // A race may make it send again.
        assert!(found >= sends, "{name}: {found}");
    }
}

#[tokio::test]
async fn a_send_of_a_socket_and_a_webhooks_reply_are_traced_to_the_node() {
    let dir = TempDir::new().unwrap();
    let collector = Target::start(Box::new(|_| status(200))).await;
    let reply = json!({ "message": { "type": "text", "content": { "body": TEXT } } });
    let target = Target::start(Box::new(move |_| quicproquo_tests::target::json(&reply))).await;
    let up = Launch::up(&dir.path().join("up"))
        .log("debug")
        .arg("--otlp-endpoint", &collector.origin)
        .arg("--webhook-target", &target.origin)
        .start()
        .await;
    let (alice, bob, group) = pair(&up).await;
    let url = format!("{}/hook", target.origin);
    let hook = json!({ "url": url, "types": ["message.received"], "replies": true });
    bob.api.post("/v1/webhooks", &hook).await.expect(201);
    let mut socket = Socket::open(&alice.api, "").await;
    let session = socket.hello["session"].as_str().unwrap().to_owned();
    let message = json!({ "type": "text", "content": { "body": TEXT } });
    let mut send = json!({
        "type": "send", "id": 1, "group_id": group, "message": message, "wait": 10_000,
    });
    socket.send(&send).await;
    assert_eq!(result(&mut socket).await["status"], 201);
    socket.event("message.received").await;
    send["group_id"] = json!("00");
    socket.send(&send).await;
    let refused = result(&mut socket).await;
    assert_eq!(refused["status"], 404, "{refused}");
    let delivery = target.next().await.header("webhook-id").to_owned();
    up.stop().await;

    let canaries = [TEXT, &alice.identity, &bob.identity, alice.api.token(), &group];
    let spans = exported(&collector, &canaries);
    let of_socket: Vec<_> =
        spans.iter().filter(|span| attribute(span, "session") == session).collect();
    let ids: Vec<_> = of_socket.iter().map(|span| attribute(span, "id")).collect();
    assert_eq!(ids.len(), 2, "{of_socket:?}");
    let instance = refused["problem"]["instance"].as_str().unwrap();
    let failed = instance.trim_start_matches("urn:uuid:");
    assert!(ids.contains(&failed), "{failed} is not among {ids:?}");
    for id in ids {
        let sends = usize::from(id != failed);
        assert_eq!(sends_below(&spans, id), ("websocket send".into(), sends));
    }
    assert!(of_socket.iter().all(|span| span.parent_span_id.is_empty()), "{of_socket:?}");
    assert_eq!(sends_below(&spans, &delivery), ("webhook reply".into(), 1));
}

/// The next result.
async fn result(socket: &mut Socket) -> serde_json::Value {
    loop {
        let frame = socket.frame().await.expect("the stream is open");
        if frame["type"] == "result" {
            return frame;
        }
    }
}

/// What has come to the collector; none of the canaries is in it.
fn exported(collector: &Target, canaries: &[&str]) -> Vec<Span> {
    let mut spans = Vec::new();
    while let Some(delivered) = collector.try_next() {
        for canary in canaries {
            assert!(!contains(&delivered.bytes, canary.as_bytes()), "{canary} is in a trace");
        }
        let request = ExportTraceServiceRequest::decode(&*delivered.bytes).expect("a trace");
        let scopes = request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
        spans.extend(scopes.flat_map(|scope| scope.spans));
    }
    spans
}

/// The name of a request's span, and how many sends to the node are below it.
fn sends_below(spans: &[Span], request_id: &str) -> (String, usize) {
    let request = spans.iter().find(|span| attribute(span, "id") == request_id);
    let request = request.expect("the request");
    let below = |span: &&Span| span.parent_span_id == request.span_id && span.name == "node.send";
    (request.name.clone(), spans.iter().filter(below).count())
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up"));
    // On a machine without roots of trust, which `http` needs none of.
    let up = up.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    let up = up.arg("--otlp-endpoint", "http://127.0.0.1:9").start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    alice.say(&group, TEXT).await;
    bob.hears(&tail, &group, &[TEXT.to_owned()]).await;
    up.stop().await;
}
