//! What goes both ways and no conversation of the libraries has.

use quicproquo_tests::bot::messages;
use quicproquo_tests::{Api, LONG, Launch, bots, pair, wait_for, within};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{client, event_of, log_in, next, put_event, room, sync};

/// The next event of a room that is wanted; what comes before it is skipped.
async fn event(
    api: &Api,
    since: &mut String,
    group: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    within("an event", LONG, async {
        loop {
            let answer = sync(api, since, 1_000).await;
            *since = next(&answer);
            let room = &answer["rooms"]["join"][room(group)];
            let timeline = room["timeline"]["events"].as_array().into_iter().flatten();
            let passing = room["ephemeral"]["events"].as_array().into_iter().flatten();
            if let Some(found) = timeline.chain(passing).find(|event| wanted(event)) {
                return found.clone();
            }
        }
    })
    .await
}

/// The next message of a type after a cursor.
async fn message(api: &Api, after: &mut String, kind: &str) -> Value {
    within("a message", LONG, async {
        loop {
            let path = format!("/v1/events?after={after}&timeout=1000&limit=1");
            let page = api.get(&path).await.expect(200);
            page["next"].as_str().expect("a cursor").clone_into(after);
            let data = &page["items"][0]["data"];
            if page["items"][0]["type"] == "message.received" && data["type"] == kind {
                return data.clone();
            }
        }
    })
    .await
}

#[tokio::test]
async fn notices_formatted_texts_and_threads() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let mut since = next(&sync(&bob.api, "", 0).await);
    let mut tail = alice.tail().await;
    let content = json!({
        "msgtype": "m.notice",
        "body": "*so*",
        "format": "org.matrix.custom.html",
        "formatted_body": "<i>so</i>",
    });
    // As a Matrix client says it, and as a native bot does.
    put_event(&bob.api, &group, "m.room.message", "1", &content).await;
    assert_eq!(message(&alice.api, &mut tail, "text").await["content"], content);
    let body = json!({ "type": "text", "content": content });
    let said = alice.api.post(&messages(&group), &body).await.expect(201);
    let is_so =
        |event: &Value| event["content"]["body"] == "*so*" && event["sender"] != "@bob:localhost";
    let heard = event(&bob.api, &mut since, &group, is_so).await;
    assert_eq!((&heard["type"], &heard["content"]), (&json!("m.room.message"), &content));
    // Formatted, without a word of what format it is.
    let bare = json!({ "body": "bare", "formatted_body": "<b>bare</b>" });
    alice
        .api
        .post(&messages(&group), &json!({ "type": "text", "content": bare }))
        .await
        .expect(201);
    let heard =
        event(&bob.api, &mut since, &group, |event| event["content"]["body"] == "bare").await;
    assert_eq!(heard["content"]["msgtype"], "m.text");
    assert_eq!(heard["content"]["format"], "org.matrix.custom.html");

    // A thread is a relation like any other.
    let relation =
        json!({ "rel_type": "m.thread", "event_id": event_of(&said), "is_falling_back": true });
    let content = json!({ "msgtype": "m.text", "body": "in it", "m.relates_to": relation });
    put_event(&bob.api, &group, "m.room.message", "2", &content).await;
    let got = message(&alice.api, &mut tail, "text").await;
    assert_eq!(got["relates_to"], json!({ "rel": "m.thread", "message_id": said["message_id"] }));
    let body = json!({
        "type": "text",
        "content": { "body": "in it too" },
        "relates_to": { "rel": "m.thread", "message_id": said["message_id"] },
    });
    alice.api.post(&messages(&group), &body).await.expect(201);
    let heard =
        event(&bob.api, &mut since, &group, |event| event["content"]["body"] == "in it too").await;
    let relation = &heard["content"]["m.relates_to"];
    assert_eq!(relation["rel_type"], "m.thread");
    assert_eq!(relation["event_id"], event_of(&said));
}

#[tokio::test]
async fn images_are_images_to_both() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let mut since = next(&sync(&bob.api, "", 0).await);
    let mut tail = alice.tail().await;
    let bytes = "\u{89}PNG, as far as anybody here looks";
    let upload = |api: &Api, path: &str| {
        api.request(Method::POST, path).header("content-type", "image/png").body(bytes)
    };
    let native =
        alice.api.send(upload(&alice.api, "/v1/attachments?filename=a.png")).await.expect(201);
    let body = json!({ "type": "file", "content": { "attachment_id": native["attachment_id"] } });
    alice.api.post(&messages(&group), &body).await.expect(201);
    let heard =
        event(&bob.api, &mut since, &group, |event| event["content"]["body"] == "a.png").await;
    assert_eq!(heard["content"]["msgtype"], "m.image");
    assert_eq!(heard["content"]["info"]["mimetype"], "image/png");
    assert_eq!(heard["content"]["info"]["size"], bytes.len());
    let url = heard["content"]["url"].as_str().unwrap().strip_prefix("mxc://").unwrap();
    let file = bob.api.get(&format!("/_matrix/client/v1/media/download/{url}")).await;
    file.expect(200);
    assert_eq!((file.text.as_str(), file.header("content-type")), (bytes, "image/png"));

    let uploaded = bob.api.send(upload(&bob.api, "/_matrix/media/v3/upload?filename=b.png")).await;
    let url = uploaded.expect(200)["content_uri"].clone();
    let content =
        json!({ "msgtype": "m.image", "body": "b.png", "url": url, "info": { "w": 3, "h": 4 } });
    put_event(&bob.api, &group, "m.room.message", "1", &content).await;
    let got = message(&alice.api, &mut tail, "file").await;
    assert_eq!(got["content"]["name"], "b.png");
    assert_eq!(got["content"]["mime"], "image/png");
    let id = got["content"]["attachment_id"].as_str().unwrap();
    let file = alice.api.get(&format!("/v1/attachments/{id}")).await;
    file.expect(200);
    assert_eq!(file.text, bytes);
}

#[tokio::test]
async fn names_topics_and_members_are_state_and_typing_stops() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let [carol] = bots(&up, ["carol"]).await;
    let mut since = next(&sync(&bob.api, "", 0).await);
    let of = |kind: &'static str| move |event: &Value| event["type"] == kind;
    // By the native API, heard as state.
    let change = json!({ "name": "new name", "topic": "new topic" });
    alice.api.patch(&format!("/v1/groups/{group}"), &change).await.expect(200);
    let before = since.clone();
    let named = event(&bob.api, &mut since, &group, of("m.room.name")).await;
    assert_eq!((&named["content"]["name"], &named["state_key"]), (&json!("new name"), &json!("")));
    assert_eq!(named["sender"], "@alice:localhost");
    since = before;
    let topic = event(&bob.api, &mut since, &group, of("m.room.topic")).await;
    assert_eq!(topic["content"], json!({ "topic": "new topic" }));
    alice.add(&group, &[&carol]).await;
    let member = event(&bob.api, &mut since, &group, of("m.room.member")).await;
    assert_eq!(member["state_key"], "@carol:localhost");
    assert_eq!(member["content"]["membership"], "join");
    let path = format!("/v1/groups/{group}/members/{}", bob.identity);
    alice.api.patch(&path, &json!({ "role": "admin" })).await.expect(200);
    let levels = event(&bob.api, &mut since, &group, of("m.room.power_levels")).await;
    let users = json!({ "@alice:localhost": 100, "@bob:localhost": 100 });
    assert_eq!(levels["content"]["users"], users);
    // As state, seen by the native API.
    for (kind, field) in [("m.room.name", "name"), ("m.room.topic", "topic")] {
        let path = client(&format!("/rooms/{}/state/{kind}/", room(&group)));
        let answer = bob.api.put(&path, &json!({ field: format!("bob's {field}") })).await;
        assert!(answer.expect(200)["event_id"].is_string());
        wait_for(field, LONG, async || {
            (alice.group(&group).await[field] == format!("bob's {field}")).then_some(())
        })
        .await;
    }

    // Writing begins and stops.
    for (active, users) in [(true, json!(["@alice:localhost"])), (false, json!([]))] {
        let path = format!("/v1/groups/{group}/typing");
        alice.api.put(&path, &json!({ "active": active })).await.expect(204);
        let typing = event(&bob.api, &mut since, &group, of("m.typing")).await;
        assert_eq!(typing["content"]["user_ids"], users);
    }
    let mut tail = alice.tail().await;
    for active in [true, false] {
        let path = client(&format!("/rooms/{}/typing/@bob:localhost", room(&group)));
        bob.api.put(&path, &json!({ "typing": active, "timeout": 30_000 })).await.expect(200);
        let told = alice.event(&tail, "member.typing").await;
        assert_eq!(told["data"]["active"], active);
        told["cursor"].as_str().unwrap().clone_into(&mut tail);
    }
}

/// The store of the idempotency keys of the native API: it outlives a restart, and its own keys
/// cannot be met with those of a transaction.
#[tokio::test]
async fn a_transaction_outlives_a_restart_and_is_no_key_of_the_native_api() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = alice.tail().await;
    let text = |body: &str| json!({ "msgtype": "m.text", "body": body });
    let native = |body: &str| json!({ "type": "text", "content": { "body": body } });
    let phone = log_in(&up, &bob, "PHONE").await;
    let first = put_event(&phone, &group, "m.room.message", "one", &text("by Matrix")).await;
    let path = messages(&group);
    let keyed = bob.api.post_once(&path, "one", &native("by the API")).await.unwrap().expect(201);
    assert_ne!(event_of(&keyed), first);
    let up = up.stop().await.start().await;
    let phone = Api::new(&up.url(), phone.token());
    let again = put_event(&phone, &group, "m.room.message", "one", &text("another")).await;
    assert_eq!(again, first);
    // The control: another transaction is another message.
    let second = put_event(&phone, &group, "m.room.message", "two", &text("two")).await;
    assert_ne!(second, first);
    let api = Api::new(&up.url(), bob.api.token());
    let replayed = api.post_once(&path, "one", &native("by the API")).await.unwrap().expect(201);
    assert_eq!(replayed["message_id"], keyed["message_id"]);
    let alice = quicproquo_tests::Bot { api: Api::new(&up.url(), alice.api.token()), ..alice };
    let expected = ["by Matrix", "by the API", "two"].map(str::to_owned);
    alice.hears(&tail, &group, &expected).await;
}
