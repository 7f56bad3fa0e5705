//! Traces: a request and what it makes the node do, at a collector.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use quicproquo_tests::files::contains;
use quicproquo_tests::target::status;
use quicproquo_tests::{Launch, Target, pair};
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
    let body = serde_json::json!({ "type": "text", "content": { "body": TEXT } });
    let answer = alice.api.post(&path, &body).await;
    let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(answer.expect(201)["delivery"]["state"], "sent");
    // The rest is sent at the end.
    up.stop().await;

    let mut spans = Vec::new();
    while let Some(delivered) = collector.try_next() {
        for canary in [TEXT, &alice.identity, alice.api.token(), &group] {
            assert!(!contains(&delivered.bytes, canary.as_bytes()), "{canary} is in a trace");
        }
        let request = ExportTraceServiceRequest::decode(&*delivered.bytes).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
        spans.extend(scopes.flat_map(|scope| scope.spans));
    }
    let request = spans.iter().find(|span| attribute(span, "id") == id).expect("the request");
    assert_eq!(request.name, "POST /v1/groups/{group_id}/messages");
    let below = |span: &&Span| span.parent_span_id == request.span_id && span.name == "node.send";
    assert_eq!(spans.iter().filter(below).count(), 1, "{spans:#?}");
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up"));
    let up = up.arg("--otlp-endpoint", "http://127.0.0.1:9").start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    alice.say(&group, TEXT).await;
    bob.hears(&tail, &group, &[TEXT.to_owned()]).await;
    up.stop().await;
}
