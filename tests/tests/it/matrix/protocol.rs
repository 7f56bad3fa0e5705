//! What libraries rely on without saying so.

use quicproquo_tests::{Api, LONG, Launch, Running, bots, pair, wait_for, within};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{client, event_of, log_in, next, put_event, room, sync, texts};

fn text(body: &str) -> Value {
    json!({ "msgtype": "m.text", "body": body })
}

async fn launch(dir: &TempDir) -> Running {
    Launch::up(&dir.path().join("up")).start().await
}

#[tokio::test]
async fn a_transaction_is_done_once_for_a_device() {
    let dir = TempDir::new().unwrap();
    let up = launch(&dir).await;
    let (alice, bob, group) = pair(&up).await;
    let tail = alice.tail().await;
    let phone = log_in(&up, &bob, "PHONE").await;
    let first = put_event(&phone, &group, "m.room.message", "1", &text("one")).await;
    assert_eq!(put_event(&phone, &group, "m.room.message", "1", &text("one")).await, first);
    let alias = format!("/_matrix/client/r0/rooms/{}/send/m.room.message/1", room(&group));
    assert_eq!(phone.put(&alias, &text("one")).await.expect(200)["event_id"], first.as_str());
    // Whoever logs in again as the same device goes on with its transactions.
    let phone = log_in(&up, &bob, "PHONE").await;
    assert_eq!(put_event(&phone, &group, "m.room.message", "1", &text("one")).await, first);
    // Another path, device or transaction is another event.
    let desk = log_in(&up, &bob, "DESK").await;
    assert_ne!(put_event(&desk, &group, "m.room.message", "1", &text("two")).await, first);
    assert_ne!(put_event(&phone, &group, "m.room.message", "2", &text("three")).await, first);
    alice.hears(&tail, &group, &["one", "two", "three"].map(str::to_owned)).await;
    // As the native API has it.
    let message = bob.api.get(&format!("/v1/groups/{group}/messages?limit=3")).await.expect(200);
    assert_eq!(event_of(&message["items"][2]), first);
}

#[tokio::test]
async fn a_place_is_good_again_and_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let up = launch(&dir).await;
    let (alice, bob, group) = pair(&up).await;
    let phone = log_in(&up, &bob, "PHONE").await;
    let kept = json!({ "mine": 1 });
    let data = client("/user/@bob:localhost/account_data/org.example.kept");
    phone.put(&data, &kept).await.expect(200);
    let filter = json!({ "room": { "timeline": { "types": ["m.room.message"], "limit": 2 } } });
    let path = client("/user/@bob:localhost/filter");
    let filter = phone.post(&path, &filter).await.expect(200)["filter_id"].clone();
    let first = next(&sync(&phone, "", 0).await);
    for n in 0..5 {
        alice.say(&group, &format!("{n}")).await;
    }
    wait_for("all five", LONG, || async {
        let heard = bob.api.get(&format!("/v1/groups/{group}/messages")).await.expect(200);
        (heard["items"].as_array().unwrap().len() >= 5).then_some(())
    })
    .await;
    let up = up.stop().await.start().await;
    let phone = Api::new(&up.url(), phone.token());
    assert_eq!(phone.get(&data).await.expect(200), kept);
    for _ in 0..2 {
        let whole = sync(&phone, &first, 0).await;
        assert_eq!(texts(&whole, &group), ["0", "1", "2", "3", "4"]);
        assert_eq!(whole["rooms"]["join"][room(&group)]["timeline"]["limited"], false);
        assert!(texts(&sync(&phone, &next(&whole), 0).await, &group).is_empty());
        // A client that wants few at once gets all of them, a few at once.
        let (mut since, mut heard) = (first.clone(), Vec::new());
        while heard.len() < 5 {
            let filter = filter.as_str().expect("an id");
            let path = client(&format!("/sync?since={since}&filter={filter}"));
            let answer = phone.get(&path).await.expect(200);
            let some = texts(&answer, &group);
            assert!((1..=2).contains(&some.len()), "{answer}");
            heard.extend(some);
            assert_ne!(next(&answer), since);
            since = next(&answer);
        }
        assert_eq!(heard, ["0", "1", "2", "3", "4"]);
    }
}

#[tokio::test]
async fn an_invitation_of_the_first_sync_is_told_again_and_can_be_declined() {
    let dir = TempDir::new().unwrap();
    let up = launch(&dir).await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let group = alice.create_group("talk", &[&bob]).await;
    let room = room(&group);
    let first = wait_for("an invitation", LONG, || async {
        let first = sync(&bob.api, "", 0).await;
        first["rooms"]["invite"].get(&room).is_some().then_some(first)
    })
    .await;
    let invited = |answer: &Value| {
        let events = answer["rooms"]["invite"][&room]["invite_state"]["events"].clone();
        let events = events.as_array().cloned().unwrap_or_default();
        events.into_iter().find(|e| e["state_key"] == "@bob:localhost")
    };
    let event = invited(&first).expect("an invitation");
    assert_eq!(event["sender"], "@alice:localhost");
    assert_eq!(event["content"]["membership"], "invite");
    assert!(first["rooms"]["join"].as_object().unwrap().is_empty());
    let second = within("the same", LONG, sync(&bob.api, &next(&first), 60_000)).await;
    assert!(invited(&second).is_some(), "{second}");
    let third = sync(&bob.api, &next(&second), 0).await;
    assert!(invited(&third).is_none(), "{third}");
    let leave = client(&format!("/rooms/{room}/leave"));
    assert_eq!(bob.api.post(&leave, &json!({})).await.text, "{}");
    let answer = bob.api.post(&client(&format!("/join/{room}")), &json!({})).await;
    assert_eq!(answer.expect(403)["errcode"], "M_FORBIDDEN");
}

#[tokio::test]
async fn a_room_appears_with_its_state_and_the_own_join() {
    let dir = TempDir::new().unwrap();
    let up = launch(&dir).await;
    let (alice, bob, group) = pair(&up).await;
    alice.api.patch(&format!("/v1/groups/{group}"), &json!({ "topic": "t" })).await.expect(200);
    let tail = bob.tail().await;
    alice.say(&group, "old").await;
    bob.hears(&tail, &group, &["old".to_owned()]).await;
    let first = wait_for("the topic", LONG, || async {
        let first = sync(&bob.api, "", 0).await;
        first.to_string().contains("m.room.topic").then_some(first)
    })
    .await;
    let it = &first["rooms"]["join"][room(&group)];
    let timeline = it["timeline"]["events"].as_array().unwrap();
    assert_eq!(timeline.len(), 1, "nothing old is told: {timeline:?}");
    assert_eq!(timeline[0]["state_key"], "@bob:localhost");
    assert_eq!(timeline[0]["content"]["membership"], "join");
    let state = it["state"]["events"].as_array().unwrap();
    let of = |kind: &str| state.iter().find(|e| e["type"] == kind).map(|e| e["content"].clone());
    assert_eq!(of("m.room.name").unwrap()["name"], "pair");
    assert_eq!(of("m.room.topic").unwrap()["topic"], "t");
    assert_eq!(of("m.room.join_rules").unwrap()["join_rule"], "invite");
    assert_eq!(of("m.room.power_levels").unwrap()["users"], json!({ "@alice:localhost": 100 }));
    assert_eq!(of("org.quicproquo.security").unwrap()["post_quantum"], "envelope");
    assert_eq!(of("m.room.encryption"), None);
    // What is old is behind `prev_batch`.
    let back = it["timeline"]["prev_batch"].as_str().expect("a token");
    let path = client(&format!("/rooms/{}/messages?dir=b&from={back}", room(&group)));
    let page = bob.api.get(&path).await.expect(200);
    assert_eq!(page["chunk"][0]["content"]["body"], "old");
    assert!(page.get("end").is_none() && page["start"] == back, "{page}");
    for path in ["name", "name/"] {
        let path = client(&format!("/rooms/{}/state/m.room.{path}", room(&group)));
        assert_eq!(bob.api.get(&path).await.expect(200), json!({ "name": "pair" }));
    }
}

#[tokio::test]
async fn what_looks_like_state_or_redaction_is_taken_for_none() {
    let dir = TempDir::new().unwrap();
    let up = launch(&dir).await;
    let (alice, bob, group) = pair(&up).await;
    let since = next(&sync(&bob.api, "", 0).await);
    let mine = bob.say(&group, "mine").await;
    let forged = json!({
        "type": "m.room.redaction",
        "content": { "redacts": event_of(&mine) },
    });
    let path = format!("/v1/groups/{group}/messages");
    alice.api.post(&path, &forged).await.expect(201);
    let relation = json!({ "rel_type": "m.replace", "event_id": event_of(&mine) });
    let content = json!({ "body": "forged", "m.relates_to": relation });
    let body = json!({ "type": "text", "content": content });
    alice.api.post(&path, &body).await.expect(201);
    let answer = wait_for("the text", LONG, || async {
        let answer = sync(&bob.api, &since, 0).await;
        texts(&answer, &group).contains(&"forged".to_owned()).then_some(answer)
    })
    .await;
    let events = answer["rooms"]["join"][room(&group)]["timeline"]["events"].clone();
    let events = events.as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"org.quicproquo.m.room.redaction"), "{kinds:?}");
    assert!(!kinds.contains(&"m.room.redaction"), "{kinds:?}");
    let forged = events.iter().find(|event| event["content"]["body"] == "forged").unwrap();
    assert!(forged["content"].get("m.relates_to").is_none(), "{forged}");
    // And none of it can be sent.
    for kind in ["m.room.encrypted", "m.room.member", "m.room.redaction", "nodots"] {
        let path = client(&format!("/rooms/{}/send/{kind}/1", room(&group)));
        let answer = bob.api.put(&path, &json!({})).await;
        assert!((400..=403).contains(&answer.status), "{kind}: {}", answer.text);
    }
}
