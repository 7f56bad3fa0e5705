//! `If-Match`: what was meant for another roster is not done.

use quicproquo_tests::bot::{messages, text_message};
use quicproquo_tests::described::{Operation, Things, operations};
use quicproquo_tests::{Bot, LONG, Launch, Socket, bots, pair, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two active members, the second an admin where the first is to leave, and what the operation
/// needs, of which both know; answers what there is.
async fn stage(operation: &str, alice: &Bot, bob: &Bot, carol: &Bot) -> Value {
    let group = alice.create_group("staged", &[bob]).await;
    bob.accept(&group).await;
    let tail = bob.tail().await;
    let message = alice.say(&group, "staged").await["message_id"].clone();
    if operation.ends_with("/leave") {
        let role = format!("/v1/groups/{group}/members/{}", bob.identity);
        alice.api.patch(&role, &json!({ "role": "admin" })).await.expect(200);
    }
    let key = "%F0%9F%91%8D";
    if operation.starts_with("DELETE") && operation.contains("/reactions/") {
        let id = message.as_str().expect("an id");
        let reaction = format!("{}/{id}/reactions/{key}", messages(&group));
        alice.api.put(&reaction, &json!({})).await.expect(200);
    }
    alice.say(&group, "ready").await;
    wait_for("bob to know it", LONG, async || {
        let heard = bob.heard(&tail, &group).await;
        heard.iter().any(|text| text == "ready").then_some(())
    })
    .await;
    json!({
        "group_id": group, "message_id": message, "identity": bob.identity, "key": key,
        "members": [carol.identity], "require": null,
    })
}

/// What the caller has of the group, and the messages that are not markers.
async fn state(bot: &Bot, group: &str) -> Value {
    let page = bot.api.get(&messages(group)).await.expect(200);
    let mut items = page["items"].as_array().expect("a list").clone();
    items.retain(|item| item["content"]["body"] != "marker");
    // How far a message is on its way, and the names of others, come by themselves.
    for item in &mut items {
        item["delivery"] = Value::Null;
    }
    let mut seen = bot.group(group).await;
    for member in seen["members"].as_array_mut().expect("a list") {
        member["name"] = Value::Null;
    }
    json!([seen, items])
}

fn guarded(operation: &Operation, bot: &Bot, epoch: &Value) -> reqwest::RequestBuilder {
    let request = operation.request(&bot.api).header("Idempotency-Key", &operation.name);
    request.header("If-Match", format!("\"{epoch}\""))
}

#[tokio::test]
async fn every_operation_that_takes_an_epoch_refuses_another_and_does_nothing() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob, carol] = bots(&up, ["alice", "bob", "carol"]).await;
    let document = alice.api.get("/openapi.json").await.expect(200);
    let takes = |operation: &Operation| operation.headers.iter().any(|name| name == "If-Match");
    let described = |things: &Value| {
        let all = operations(&document, &Things::new(things)).into_iter();
        all.filter(takes).collect::<Vec<_>>()
    };
    let names: Vec<_> = described(&json!({})).into_iter().map(|one| one.name).collect();
    assert!(names.len() >= 13, "{names:?}");
    for name in names {
        let things = stage(&name, &alice, &bob, &carol).await;
        let operation = described(&things).into_iter().find(|one| one.name == name).unwrap();
        let group = things["group_id"].as_str().unwrap();
        let before = state(&alice, group).await;
        let epoch = &before[0]["epoch"];
        let told = bob.tail().await;
        for stale in [json!(epoch.as_u64().unwrap() - 1), json!(999)] {
            let refused = alice.api.send(guarded(&operation, &alice, &stale)).await;
            assert_eq!(refused.status, 412, "{name}: {}", refused.text);
            let refused = refused.expect_problem(412, "epoch-mismatch");
            assert_eq!(refused["current_epoch"], *epoch, "{name}");
        }
        let malformed = guarded(&operation, &alice, &json!("x"));
        alice.api.send(malformed).await.expect_problem(400, "request-invalid");
        // What the others would have been told comes before this.
        alice.say(group, "marker").await;
        bob.hears(&told, group, &["marker".to_owned()]).await;
        let events = bob.events(&told).await.into_iter();
        let of_group = events.filter(|event| event["group_id"] == group);
        let kinds: Vec<_> = of_group.map(|event| event["type"].clone()).collect();
        assert_eq!(kinds, ["message.received"], "{name}");
        assert_eq!(state(&alice, group).await, before, "{name}");

        // The control: with the epoch that is, the same request is done, and can be seen.
        let told = bob.tail().await;
        let done = alice.api.send(guarded(&operation, &alice, epoch)).await;
        assert!((200..=204).contains(&done.status), "{name}: {} {}", done.status, done.text);
        assert_eq!(done.header("idempotency-replayed"), "", "{name}");
        wait_for("bob to be told", LONG, async || {
            let events = bob.events(&told).await;
            let changed = state(&alice, group).await != before;
            (changed || !events.is_empty()).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_epoch_guards_a_send_by_socket_and_a_star_guards_nothing() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, _bob, group) = pair(&up).await;
    let epoch = alice.group(&group).await["epoch"].as_u64().unwrap();
    let mut socket = Socket::open(&alice.api, "").await;
    let mut result = async |epoch: u64| {
        let message = text_message("by socket");
        let send = json!({
            "type": "send", "id": epoch, "group_id": group, "message": message, "if_epoch": epoch,
        });
        socket.send(&send).await;
        loop {
            let frame = socket.frame().await.expect("the stream is open");
            if frame["type"] == "result" && frame["id"] == epoch {
                return frame;
            }
        }
    };
    let refused = result(999).await;
    assert_eq!(refused["status"], 412, "{refused}");
    assert_eq!(refused["problem"]["type"], "urn:quicproquo:problem:epoch-mismatch");
    assert_eq!(refused["problem"]["current_epoch"], epoch);
    assert_eq!(alice.api.get(&messages(&group)).await.expect(200)["items"], json!([]));
    assert_eq!(result(epoch).await["status"], 201);
    let star = alice.api.request(Method::POST, &messages(&group)).header("If-Match", "*");
    alice.api.send(star.json(&text_message("in any case"))).await.expect(201);
    let page = alice.api.get(&messages(&group)).await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
}
