//! The description of the stream is valid, and true.

use std::process::Stdio;

use quicproquo_tests::{LONG, Launch, Socket, Sse, files, pair, within};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Has Python validate; answers what it printed, or why not.
pub(crate) async fn validate(document: &Value, messages: &[Value]) -> Result<String, String> {
    let mut python = Command::new(files::python())
        .arg(files::checkout("tests/python/check_asyncapi.py"))
        .arg(files::checkout("tests/asyncapi/3.0.0.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start Python");
    let input = json!({ "document": document, "messages": messages }).to_string();
    let mut stdin = python.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).await.expect("Python reads");
    drop(stdin);
    let output = within("Python", LONG, python.wait_with_output()).await.expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn the_document_is_valid_and_describes_what_comes() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let document = bob.api.get("/asyncapi.json").await.expect(200);
    let mut messages = Vec::new();
    let mut keep = |name: &str, payload: &Value| {
        messages.push(json!({ "name": name, "payload": payload }));
    };

    // Everything that has happened to both, at each door.
    for bot in [&alice, &bob] {
        let page = bot.api.get("/v1/events?after=c1_0&limit=1000").await.expect(200);
        for event in page["items"].as_array().unwrap() {
            keep("serverSentEvent", event);
        }
    }
    let mut stream = Sse::open(&bob.api, "after=c1_0&consumer=reader", None).await;
    keep("serverSentEvent", &stream.event().await);
    let mut ear = Socket::open(&bob.api, "consumer=ear").await;
    keep("helloFrame", &ear.hello.clone());
    alice.say(&group, "hello").await;
    let event = ear.event("message.received").await;
    keep("eventFrame", &event);
    let ids = json!([event["delivery_id"]]);
    let message = json!({ "type": "text", "content": { "body": "by socket" } });
    for (name, frame) in [
        ("extendFrame", json!({ "type": "extend", "ids": ids, "lease_ms": 2_000 })),
        ("ackFrame", json!({ "type": "ack", "ids": ids })),
        ("sendFrame", json!({ "type": "send", "id": 7, "group_id": group, "message": message })),
        ("sendFrame", json!({ "type": "send", "id": 8, "group_id": "00", "message": message })),
        ("pingFrame", json!({ "type": "ping", "id": "p" })),
    ] {
        keep(name, &frame);
        ear.send(&frame).await;
    }
    ear.send(&json!({ "type": "shout" })).await;
    let mut kinds = std::collections::BTreeSet::new();
    while kinds.len() < 5 {
        let frame = ear.frame().await.unwrap();
        let kind = frame["type"].as_str().unwrap().to_owned();
        keep(&format!("{kind}Frame"), &frame);
        kinds.insert(kind);
    }
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        ["error", "event", "extended", "pong", "result"]
    );
    let count = validate(&document, &messages).await.unwrap();
    assert_eq!(count, messages.len().to_string());

    // Neither check is blind.
    let mut wrong = document.clone();
    wrong["operations"]["sendFrames"]["action"] = json!("shout");
    validate(&wrong, &[]).await.unwrap_err();
    let mut typeless = event["event"].clone();
    typeless["type"] = json!("group.left");
    let typeless = json!({ "name": "serverSentEvent", "payload": typeless });
    validate(&document, &[typeless]).await.unwrap_err();
    let mut hello = ear.hello.clone();
    hello["heartbeat_ms"] = json!("soon");
    validate(&document, &[json!({ "name": "helloFrame", "payload": hello })]).await.unwrap_err();
}
