//! Events that the gateway delivers by itself.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quicproquo_tests::bot::body_of;
use quicproquo_tests::target::{Delivered, json as answer, status};
use quicproquo_tests::{
    Api, Bot, LONG, Launch, Running, SOON, Target, files, pair, wait_for, within,
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A gateway that delivers to a target.
fn launch(dir: &Path, targets: &str) -> Launch {
    Launch::up(&dir.join("up")).arg("--webhook-target", targets).arg("--webhook-retries", "1s,1s")
}

async fn make(bot: &Bot, target: &Target, more: &Value) -> Value {
    let mut body =
        json!({ "url": format!("{}/hook", target.origin), "types": ["message.received"] });
    let fields = more.as_object().expect("fields").clone();
    body.as_object_mut().expect("an object").extend(fields);
    bot.api.post("/v1/webhooks", &body).await.expect(201)
}

fn path_of(webhook: &Value) -> String {
    format!("/v1/webhooks/{}", webhook["webhook_id"].as_str().expect("an id"))
}

fn text_of(delivered: &Delivered) -> String {
    body_of(&delivered.json()["data"])
}

/// The same bot at a gateway that was started again.
fn again(up: &Running, bot: &Bot) -> Bot {
    Bot { api: Api::new(&up.url(), bot.api.token()), ..bot.clone() }
}

/// The next delivery with an id; what a kill made come again is skipped.
async fn again_under(target: &Target, id: &Value) -> Delivered {
    loop {
        let delivered = target.next().await;
        if delivered.header("webhook-id") == id {
            return delivered;
        }
    }
}

/// The deliveries in a state, once there are `count` of them.
async fn listed(bot: &Bot, webhook: &Value, state: &str, count: usize) -> Vec<Value> {
    let path = format!("{}/deliveries?state={state}", path_of(webhook));
    wait_for("the deliveries to be listed", LONG, || async {
        let list = bot.api.get(&path).await.expect(200);
        let items = list["items"].as_array().expect("a list").clone();
        (items.len() == count).then_some(items)
    })
    .await
}

#[tokio::test]
async fn a_delivery_is_verified_by_the_official_library() {
    let dir = TempDir::new().unwrap();
    let target = Target::start(Box::new(|_| status(204))).await;
    let up = launch(dir.path(), &target.origin).start().await;
    let (alice, bob, group) = pair(&up).await;
    let webhook = make(&bob, &target, &json!({})).await;
    let secret = webhook["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    alice.say(&group, "hello").await;
    let delivered = target.next().await;
    assert_eq!(text_of(&delivered), "hello");
    let body = delivered.json();
    assert_eq!((&body["type"], &body["attempt"]), (&json!("message.received"), &json!(1)));
    assert_eq!((&body["bot_id"], &body["timestamp"]), (&json!(bob.id), &body["occurred_at"]));
    let headers: serde_json::Map<_, _> =
        delivered.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let input = json!({
        "secret": secret,
        "public_key": webhook["public_key"],
        "headers": headers,
        "body": delivered.body,
    });
    let mut python = Command::new(files::python())
        .arg(files::checkout("tests/python/verify_webhook.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(input.to_string().as_bytes()).await.unwrap();
    let output = within("the library", LONG, python.wait_with_output()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let listed = listed(&bob, &webhook, "delivered", 1).await;
    assert_eq!(listed[0]["status"], 204);
    assert_eq!(listed[0]["delivery_id"], delivered.header("webhook-id"));
    // The secret is never shown again, and not on the disk in clear.
    let shown = bob.api.get(&path_of(&webhook)).await.expect(200);
    assert!(shown.get("secret").is_none() && !shown.to_string().contains(secret), "{shown}");
    let _launch = up.stop().await;
    for (path, bytes) in files::contents(dir.path()) {
        let secret = secret.trim_start_matches("whsec_").as_bytes();
        assert!(!files::contains(&bytes, secret), "{}", path.display());
    }
}

#[tokio::test]
async fn a_failing_target_is_tried_again_and_keeps_the_order_of_a_group() {
    let dir = TempDir::new().unwrap();
    let healthy = Arc::new(AtomicBool::new(false));
    let inside = Arc::clone(&healthy);
    let target = Target::start(Box::new(move |delivered| {
        let bad = text_of(delivered) == "bad" && !inside.load(Ordering::Acquire);
        status(if bad { 500 } else { 200 })
    }))
    .await;
    let up = launch(dir.path(), &target.origin).start().await;
    let (alice, bob, group) = pair(&up).await;
    let other = alice.create_group("other", &[&bob]).await;
    bob.accept(&other).await;
    let webhook = make(&bob, &target, &json!({})).await;
    alice.say(&group, "bad").await;
    alice.say(&group, "behind").await;
    assert_eq!(text_of(&target.next().await), "bad");
    // Another group does not wait for it.
    alice.say(&other, "aside").await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(last, _)| last != "behind") {
        let delivered = target.next().await;
        seen.push((text_of(&delivered), delivered.json()["attempt"].as_u64().unwrap()));
    }
    let aside = seen.iter().position(|(text, _)| text == "aside");
    assert_eq!(seen.remove(aside.expect("it came meanwhile")).1, 1);
    let expected = [("bad", 2), ("bad", 3), ("behind", 1)];
    assert_eq!(seen, expected.map(|(text, attempt)| (text.to_owned(), attempt)));
    let failed = listed(&bob, &webhook, "failed", 1).await;
    assert_eq!((&failed[0]["attempts"], &failed[0]["status"]), (&json!(3), &json!(500)));
    assert_eq!(failed[0]["error"], "status");

    // What failed survives a kill and can be delivered again, under the same id.
    let up = up.kill().await.start().await;
    let bob = again(&up, &bob);
    healthy.store(true, Ordering::Release);
    let replay = format!("{}/replay", path_of(&webhook));
    let replayed = bob.api.post(&replay, &json!({ "failed": true })).await.expect(202);
    assert_eq!(replayed["replayed"], 1);
    let delivered = again_under(&target, &failed[0]["delivery_id"]).await;
    assert_eq!((text_of(&delivered), &delivered.json()["replayed"]), ("bad".into(), &json!(true)));
    // So can what was delivered.
    let one = listed(&bob, &webhook, "delivered", 3).await[0].clone();
    let ids = json!({ "delivery_ids": [one["delivery_id"]] });
    bob.api.post(&replay, &ids).await.expect(202);
    again_under(&target, &one["delivery_id"]).await;
    let unknown = json!({ "delivery_ids": ["msg_0"] });
    bob.api.post(&replay, &unknown).await.expect_problem(404, "delivery-not-found");
}

#[tokio::test]
async fn a_delivery_that_is_not_wanted_any_more_has_failed() {
    let dir = TempDir::new().unwrap();
    let target = Target::start(Box::new(|_| status(500))).await;
    let up = Launch::up(&dir.path().join("up")).arg("--webhook-target", &target.origin);
    let up = up.arg("--webhook-retries", "1h").start().await;
    let (alice, bob, group) = pair(&up).await;
    let webhook = make(&bob, &target, &json!({})).await;
    alice.say(&group, "in vain").await;
    assert_eq!(text_of(&target.next().await), "in vain");
    let waits = listed(&bob, &webhook, "pending", 1).await[0].clone();
    assert!(waits["next_attempt_at"].is_string(), "{waits}");
    let types = json!({ "types": ["group.left"] });
    bob.api.patch(&path_of(&webhook), &types).await.expect(200);
    let failed = listed(&bob, &webhook, "failed", 1).await[0].clone();
    assert_eq!(failed["delivery_id"], waits["delivery_id"]);
    assert_eq!((&failed["error"], &failed["next_attempt_at"]), (&json!("status"), &json!(null)));
}

#[tokio::test]
async fn an_answer_can_speak_in_the_group_once() {
    let dir = TempDir::new().unwrap();
    let target = Target::start(Box::new(|delivered| {
        let text = format!("you said {}", text_of(delivered));
        answer(&json!({ "message": { "type": "text", "content": { "body": text } } }))
    }))
    .await;
    let up = launch(dir.path(), &target.origin).start().await;
    let (alice, bob, group) = pair(&up).await;
    let webhook = make(&bob, &target, &json!({})).await;
    assert_eq!(webhook["replies"], true);
    let tail = alice.tail().await;
    alice.say(&group, "hi").await;
    alice.hears(&tail, &group, &["you said hi".to_owned()]).await;
    let delivered = listed(&bob, &webhook, "delivered", 1).await;
    let reply = delivered[0]["reply_id"].clone();
    assert!(reply.is_string(), "{delivered:?}");
    // Delivered again, it says nothing twice.
    let ids = json!({ "delivery_ids": [delivered[0]["delivery_id"]] });
    target.next().await;
    bob.api.post(&format!("{}/replay", path_of(&webhook)), &ids).await.expect(202);
    target.next().await;
    alice.say(&group, "and now").await;
    alice.hears(&tail, &group, &["you said hi".to_owned(), "you said and now".to_owned()]).await;
    // A token that may not send makes no webhook that does.
    let tokens = format!("/v1/bots/{}/tokens", bob.id);
    let scopes = json!({ "scopes": ["webhooks:manage", "messages:read"] });
    let token = up.admin().post(&tokens, &scopes).await.expect(201);
    let narrow = Api::new(&up.url(), token["token"].as_str().unwrap());
    let body = json!({ "url": target.origin, "replies": true });
    narrow.post("/v1/webhooks", &body).await.expect_problem(403, "scope-missing");
    let body = json!({ "url": target.origin });
    assert_eq!(narrow.post("/v1/webhooks", &body).await.expect(201)["replies"], false);
}

#[tokio::test]
async fn a_target_that_is_gone_disables_its_webhook() {
    let dir = TempDir::new().unwrap();
    let gone = Arc::new(AtomicBool::new(true));
    let inside = Arc::clone(&gone);
    let target = Target::start(Box::new(move |_| {
        status(if inside.load(Ordering::Acquire) { 410 } else { 200 })
    }))
    .await;
    let up = launch(dir.path(), &target.origin).start().await;
    let (alice, bob, group) = pair(&up).await;
    let webhook = make(&bob, &target, &json!({})).await;
    alice.say(&group, "one").await;
    assert_eq!(text_of(&target.next().await), "one");
    let path = path_of(&webhook);
    wait_for("the webhook to be disabled", SOON, || async {
        let shown = bob.api.get(&path).await.expect(200);
        (shown["state"] == "disabled" && shown["reason"] == "gone").then_some(())
    })
    .await;
    alice.say(&group, "two").await;
    // Also after a restart. Enabled again, it misses nothing.
    let up = up.stop().await.start().await;
    let bob = again(&up, &bob);
    assert_eq!(bob.api.get(&path).await.expect(200)["state"], "disabled");
    gone.store(false, Ordering::Release);
    assert!(target.try_next().is_none());
    bob.api.patch(&path, &json!({ "state": "enabled" })).await.expect(200);
    for text in ["one", "two"] {
        assert_eq!(text_of(&target.next().await), text);
    }
    // Done once, however often it is asked for.
    let delete = || {
        let request = bob.api.request(Method::DELETE, &path).header("Idempotency-Key", "away");
        bob.api.send(request)
    };
    let (first, again) = (delete().await, delete().await);
    assert_eq!((first.status, again.status), (204, 204), "{}", again.text);
    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        ("", "true")
    );
    bob.api.delete(&path).await.expect_problem(404, "webhook-not-found");
    bob.api.get(&path).await.expect_problem(404, "webhook-not-found");
    assert_eq!(bob.api.get("/v1/events/consumers").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn targets_need_an_entry_and_redirects_are_not_followed() {
    let dir = TempDir::new().unwrap();
    let inner = Target::start(Box::new(|_| status(200))).await;
    let elsewhere = inner.origin.clone();
    let target = Target::start(Box::new(move |_| {
        Some(format!(
            "HTTP/1.1 307 X\r\nlocation: {elsewhere}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        ))
    }))
    .await;
    // `localhost` has an entry; the address it leads to has none at that port.
    let port = inner.origin.rsplit(':').next().unwrap().to_owned();
    let entries = format!("{},http://localhost:{port}", target.origin);
    let up = launch(dir.path(), &entries).start().await;
    let (alice, bob, group) = pair(&up).await;
    for url in [
        inner.origin.as_str(),
        "http://169.254.169.254/latest/",
        "https://example.org/",
        "file:///etc/passwd",
    ] {
        let refused = bob.api.post("/v1/webhooks", &json!({ "url": url })).await;
        let problem = refused.expect_problem(403, "webhook-target-refused");
        assert_eq!(problem["errors"][0]["pointer"], "/url", "{url}");
    }
    let redirected = make(&bob, &target, &json!({})).await;
    let url = json!({ "url": format!("http://localhost:{port}/") });
    let named = make(&bob, &target, &url).await;
    alice.say(&group, "secret").await;
    target.next().await;
    let failed = listed(&bob, &redirected, "failed", 1).await;
    assert_eq!((&failed[0]["error"], &failed[0]["status"]), (&json!("status"), &json!(307)));
    let failed = listed(&bob, &named, "failed", 1).await;
    assert_eq!(failed[0]["error"], "target_refused", "{failed:?}");
    assert!(inner.try_next().is_none(), "nothing went inside");

    // An entry that is taken away stops what was allowed before.
    let port = target.origin.rsplit(':').next().unwrap().to_owned();
    let launch = up.stop().await.arg("--webhook-target", &format!("https://127.0.0.1:{port}"));
    let up = launch.start().await;
    let (alice, bob) = (again(&up, &alice), again(&up, &bob));
    while target.try_next().is_some() {}
    alice.say(&group, "more").await;
    let failed = listed(&bob, &redirected, "failed", 2).await;
    assert_eq!(failed[0]["error"], "target_refused", "{failed:?}");
    assert!(target.try_next().is_none());
    // With the entry the name is let through: the check of addresses is what stopped it.
    let open = "http://localhost,http://127.0.0.1";
    let up = up.stop().await.arg("--webhook-target", open).start().await;
    let bob = again(&up, &bob);
    bob.api
        .post(&format!("{}/replay", path_of(&named)), &json!({ "failed": true }))
        .await
        .expect(202);
    inner.next().await;
}

#[tokio::test]
async fn a_limited_token_gets_nothing_of_other_groups() {
    let dir = TempDir::new().unwrap();
    let broken = Target::start(Box::new(|_| status(500))).await;
    let sound = Target::start(Box::new(|_| status(204))).await;
    let up = launch(dir.path(), "http://127.0.0.1").start().await;
    let (alice, bob, secret) = pair(&up).await;
    let open = alice.create_group("open", &[&bob]).await;
    bob.accept(&open).await;
    let webhook = make(&bob, &broken, &json!({})).await;
    alice.say(&secret, "secret").await;
    listed(&bob, &webhook, "failed", 1).await;
    let body = json!({ "label": "limited", "groups": [open] });
    let token = up.admin().post(&format!("/v1/bots/{}/tokens", bob.id), &body).await.expect(201);
    let limited = Api::new(&up.url(), token["token"].as_str().unwrap());
    let path = path_of(&webhook);
    let (replay, failed) = (format!("{path}/replay"), json!({ "failed": true }));
    for answer in [
        limited.get(&path).await,
        limited.get(&format!("{path}/deliveries")).await,
        limited.patch(&path, &json!({ "groups": [open] })).await,
        limited.post(&replay, &failed).await,
        limited.delete(&path).await,
    ] {
        answer.expect_problem(403, "group-not-allowed");
    }
    assert_eq!(limited.get("/v1/webhooks").await.expect(200)["items"], json!([]));

    // Narrowed to its group the webhook is within its reach; what was set aside before is not.
    bob.api.patch(&path, &json!({ "groups": [open] })).await.expect(200);
    let url = json!({ "url": format!("{}/hook", sound.origin) });
    limited.patch(&path, &url).await.expect(200);
    limited.post(&replay, &failed).await.expect(202);
    alice.say(&open, "open").await;
    assert_eq!(text_of(&sound.next().await), "open");
    assert!(sound.try_next().is_none());
    // A change before the answer is noted would have it delivered again.
    listed(&bob, &webhook, "delivered", 1).await;
    bob.api.patch(&path, &json!({ "groups": [open, secret] })).await.expect(200);
    bob.api.post(&replay, &failed).await.expect(202);
    assert_eq!(text_of(&sound.next().await), "secret");
}
