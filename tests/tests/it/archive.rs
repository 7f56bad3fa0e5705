//! A bot moves from one gateway to another.

use std::time::Duration;

use quicproquo_tests::bot::find_token;
use quicproquo_tests::{Api, Bot, LONG, Launch, Running, SOON, bots, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSPHRASE: &str = "correct horse battery";

async fn state(gateway: &Running, id: &str) -> Value {
    gateway.admin().get(&format!("/v1/bots/{id}")).await.expect(200)["state"].clone()
}

#[tokio::test]
async fn a_bot_moves_to_another_gateway_and_its_former_place_is_silent() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let here = Launch::gateway(&dir.path().join("here"), &node).start().await;
    let there = Launch::gateway(&dir.path().join("there"), &node).start().await;
    let [alice] = bots(&here, ["alice"]).await;
    let [bob] = bots(&there, ["bob"]).await;
    let group = alice.create_group("tea", &[&bob]).await;
    bob.accept(&group).await;
    let tail = bob.tail().await;
    alice.say(&group, "from here").await;
    bob.hears(&tail, &group, &["from here".to_owned()]).await;

    // A consumer that has not seen everything, and failed once at an event.
    let poll = "/v1/events?timeout=0&consumer=worker&lease=1000";
    let page = alice.api.get(poll).await.expect(200);
    assert_eq!(page["items"], json!([]));
    bob.say(&group, "for the worker").await;
    wait_for("an event for the consumer", LONG, async || {
        let page = alice.api.get(poll).await.expect(200);
        let mut events = page["items"].as_array().unwrap().iter();
        let failed = |event: &Value| event["attempt"].as_u64() > Some(1);
        events.any(failed).then_some(())
    })
    .await;

    let path = format!("/v1/bots/{}/export", alice.id);
    let short = here.admin().post(&path, &json!({ "passphrase": "short" })).await;
    short.expect_problem(400, "request-invalid");
    assert_eq!(state(&here, &alice.id).await, "running");
    let body = json!({ "passphrase": PASSPHRASE });
    let exported = here.admin().post(&path, &body).await.expect(200);
    assert_eq!(
        (&exported["name"], &exported["identity"]),
        (&json!("alice"), &json!(alice.identity))
    );
    assert!(!exported.to_string().contains(PASSPHRASE));
    let say = format!("/v1/groups/{group}/messages");
    let message = json!({ "type": "text", "content": { "body": "nobody" } });
    alice.api.post(&say, &message).await.expect_problem(409, "bot-exported");
    let here = here.stop().await.start().await;
    wait_for("the bot to stand still", SOON, async || {
        (state(&here, &alice.id).await == "exported").then_some(())
    })
    .await;

    let archive = &exported["archive"];
    let import = |passphrase: &str| json!({ "archive": archive, "passphrase": passphrase });
    let admin = there.admin();
    let wrong = admin.post("/v1/bots/import", &import("another passphrase")).await;
    wrong.expect_problem(400, "archive-invalid");
    let odd = json!({ "archive": "AAAA", "passphrase": PASSPHRASE });
    admin.post("/v1/bots/import", &odd).await.expect_problem(400, "archive-invalid");
    here.admin()
        .post("/v1/bots/import", &import(PASSPHRASE))
        .await
        .expect_problem(409, "bot-exists");
    let first = admin.post_once("/v1/bots/import", "move", &import(PASSPHRASE)).await.unwrap();
    let moved = first.expect(201);
    assert_eq!((&moved["name"], &moved["identity"]), (&json!("alice"), &json!(alice.identity)));
    let again = admin.post_once("/v1/bots/import", "move", &import(PASSPHRASE)).await.unwrap();
    let again = again.expect(201);
    assert_eq!((&again["bot_id"], &again["token"]), (&moved["bot_id"], &Value::Null));
    admin.post("/v1/bots/import", &import(PASSPHRASE)).await.expect_problem(409, "bot-exists");
    let moved = Bot {
        api: Api::new(&there.url(), find_token(&moved).unwrap()),
        id: moved["bot_id"].as_str().unwrap().to_owned(),
        ..alice.clone()
    };
    let history = moved.api.get(&say).await.expect(200);
    assert_eq!(history["items"][0]["content"]["body"], "for the worker");
    let page = moved.api.get(poll).await.expect(200);
    let first = &page["items"][0];
    assert!(first["attempt"].as_u64() > Some(1), "not acknowledged, and counted on: {page}");
    assert!(page.to_string().contains("for the worker"), "{page}");
    let (tail, own) = (bob.tail().await, moved.tail().await);
    moved.say(&group, "from there").await;
    bob.hears(&tail, &group, &["from there".to_owned()]).await;
    bob.say(&group, "welcome").await;
    moved.hears(&own, &group, &["welcome".to_owned()]).await;

    // The former place can go; the bot stays.
    here.admin().delete(&format!("/v1/bots/{}", alice.id)).await.expect(204);
    let there = there.stop().await.start().await;
    let moved = Bot { api: Api::new(&there.url(), moved.api.token()), ..moved };
    let bob = Bot { api: Api::new(&there.url(), bob.api.token()), ..bob };
    let tail = bob.tail().await;
    moved.say(&group, "still there").await;
    bob.hears(&tail, &group, &["still there".to_owned()]).await;
}

#[tokio::test]
async fn an_exported_bot_can_be_taken_back_and_exported_again() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let here = Launch::gateway(&dir.path().join("here"), &node).start().await;
    let [alice, bob] = bots(&here, ["alice", "bob"]).await;
    let group = alice.create_group("tea", &[&bob]).await;
    bob.accept(&group).await;
    let body = json!({ "passphrase": PASSPHRASE });
    let path = format!("/v1/bots/{}", alice.id);
    let exported = here.admin().post(&format!("{path}/export"), &body).await.expect(200);
    here.admin()
        .patch(&path, &json!({ "state": "stopped" }))
        .await
        .expect_problem(400, "json-invalid");
    here.admin().patch(&path, &json!({ "state": "running" })).await.expect(200);
    wait_for("the bot to run again", LONG, async || {
        (state(&here, &alice.id).await == "running").then_some(())
    })
    .await;
    let tail = bob.tail().await;
    alice.say(&group, "I am back").await;
    bob.hears(&tail, &group, &["I am back".to_owned()]).await;
    let again = here.admin().post(&format!("{path}/export"), &body).await.expect(200);
    assert_ne!(again["archive"], exported["archive"]);
    assert_eq!(state(&here, &alice.id).await, "exported");

    // A late repetition stops nobody who goes on since; before that it brings the archive again.
    let export = format!("{path}/export");
    let once = async || here.admin().post_once(&export, "backup", &body).await.unwrap();
    once().await.expect(200);
    let repeated = once().await;
    assert!(repeated.expect(200)["archive"].is_string());
    assert_eq!(repeated.header("idempotency-replayed"), "true");
    here.admin().patch(&path, &json!({ "state": "running" })).await.expect(200);
    once().await.expect_problem(422, "idempotency-mismatch");
    wait_for("the bot to run on", LONG, async || {
        (state(&here, &alice.id).await == "running").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_is_killed_in_an_import_has_the_bot_once_or_not_at_all() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let home = Launch::gateway(&dir.path().join("home"), &node).start().await;
    let [bob] = bots(&home, ["bob"]).await;
    let mut from = Launch::gateway(&dir.path().join("a"), &node).start().await;
    let mut to = Launch::gateway(&dir.path().join("b"), &node).start().await;
    let [mut alice] = bots(&from, ["alice"]).await;
    let group = alice.create_group("tea", &[&bob]).await;
    bob.accept(&group).await;
    for round in 0..6_u64 {
        let path = format!("/v1/bots/{}", alice.id);
        let body = json!({ "passphrase": PASSPHRASE });
        let exported = from.admin().post(&format!("{path}/export"), &body).await.expect(200);
        let import = json!({ "archive": exported["archive"], "passphrase": PASSPHRASE });
        let admin = to.admin();
        let key = format!("move {round}");
        let request = admin.post_once("/v1/bots/import", &key, &import);
        // Somewhere between the request and its answer.
        let _ = tokio::time::timeout(Duration::from_millis(60 + 40 * round), request).await;
        to = to.kill().await.start().await;
        to.admin().post_once("/v1/bots/import", &key, &import).await.unwrap().expect(201);
        let list = to.admin().get("/v1/bots").await.expect(200);
        let [bot] = list["items"].as_array().unwrap().as_slice() else {
            panic!("round {round}: {list}");
        };
        let id = bot["bot_id"].as_str().unwrap().to_owned();
        // When the kill came between its row and its start, it stands still.
        let running = json!({ "state": "running" });
        to.admin().patch(&format!("/v1/bots/{id}"), &running).await.expect(200);
        let token = to.admin().post(&format!("/v1/bots/{id}/tokens"), &json!({})).await.expect(201);
        alice = Bot { api: Api::new(&to.url(), find_token(&token).unwrap()), id, ..alice };
        let tail = bob.tail().await;
        let said = format!("round {round}");
        alice.say(&group, &said).await;
        bob.hears(&tail, &group, &[said]).await;
        from.admin().delete(&path).await.expect(204);
        std::mem::swap(&mut from, &mut to);
    }
}
