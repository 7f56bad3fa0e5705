//! Cursors that lead nowhere, at every door: before what is kept, and beyond the end of the log.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use quicproquo_tests::bot::body_of;
use quicproquo_tests::target::status;
use quicproquo_tests::{
    Answer, Api, Bot, LONG, Launch, Running, SOON, Socket, Sse, Target, pair, wait_for, within,
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const BEYOND: &str = "c1_ffff";

/// What `GET /v1/events` answers to who asks for a stream.
async fn sse(api: &Api, query: &str, last_id: Option<&str>) -> Answer {
    let request = api.request(Method::GET, &format!("/v1/events?{query}"));
    let request = request.header("accept", "text/event-stream");
    let request = last_id.iter().fold(request, |request, id| request.header("last-event-id", *id));
    api.send(request).await
}

/// How a bot's WebSocket is refused before it opens.
async fn refused(api: &Api, query: &str) -> Answer {
    let mut request = api.request(Method::GET, &format!("/v1/events/ws?{query}"));
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ] {
        request = request.header(name, value);
    }
    api.send(request).await
}

/// The close code that a browser sees, and the problem before it.
async fn told(api: &Api, query: &str) -> (Option<u16>, Value) {
    let url = format!("{}/v1/events/ws?{query}", api.base().replace("http://", "ws://"));
    let mut request = url.into_client_request().unwrap();
    let offer = format!("qpq.v1, qpq.token.{}", api.token()).parse().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", offer);
    let (mut stream, _) = connect_async(request).await.unwrap();
    let mut problem = Value::Null;
    within("a close frame", SOON, async {
        loop {
            match stream.next().await.unwrap().unwrap() {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    problem = frame["problem"]["type"].clone();
                }
                Message::Close(close) => return (close.map(|close| close.code.into()), problem),
                other => panic!("not a text: {other:?}"),
            }
        }
    })
    .await
}

/// The same bot at a gateway that was started again.
fn again(up: &Running, bot: &Bot) -> Bot {
    Bot { api: Api::new(&up.url(), bot.api.token()), ..bot.clone() }
}

/// A gateway whose log begins later than a cursor, two bots and their group. Before the events that
/// are lost, `prepare` was called with the cursor.
async fn lost(
    launch: &Launch,
    prepare: impl AsyncFnOnce(&Bot, &str),
) -> (Running, Bot, Bot, String, String) {
    let up = launch.clone().arg("--retention", "1s").start().await;
    let (alice, bob, group) = pair(&up).await;
    let begin = bob.tail().await;
    prepare(&bob, &begin).await;
    alice.say(&group, "long ago").await;
    bob.hears(&begin, &group, &["long ago".to_owned()]).await;
    // What is old is deleted at the next start.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let up = up.stop().await.start().await;
    let (alice, bob) = (again(&up, &alice), again(&up, &bob));
    wait_for("the log to begin later", LONG, || async {
        let answer = bob.api.get(&format!("/v1/events?timeout=0&after={begin}")).await;
        (answer.status == 410).then_some(())
    })
    .await;
    // From now on everything is kept.
    let up = up.stop().await.arg("--retention", "1d").start().await;
    let (alice, bob) = (again(&up, &alice), again(&up, &bob));
    (up, alice, bob, group, begin)
}

fn up(dir: &Path) -> Launch {
    Launch::up(&dir.join("up"))
}

#[tokio::test]
async fn a_cursor_before_what_is_kept_is_told_at_every_door() {
    let dir = TempDir::new().unwrap();
    let prepare = async |bob: &Bot, begin: &str| {
        let path = format!("/v1/events?timeout=0&consumer=worker&after={begin}");
        bob.api.get(&path).await.expect(200);
    };
    let (_up, alice, bob, group, begin) = lost(&up(dir.path()), prepare).await;
    let after = format!("after={begin}");
    let problem = bob.api.get(&format!("/v1/events?{after}")).await;
    let problem = problem.expect_problem(410, "cursor-expired");
    let [oldest, newest] = ["oldest", "newest"].map(|end| problem[end].as_str().unwrap());

    // A stream that cannot begin is answered by a problem, wherever its place came from.
    let tail = bob.tail().await;
    for (query, last_id) in [
        (after.as_str(), None),
        ("", Some(begin.as_str())),
        (&format!("after={tail}"), Some(&begin)),
        ("consumer=worker", None),
        (&format!("consumer=fresh&{after}"), None),
    ] {
        let problem = sse(&bob.api, query, last_id).await.expect_problem(410, "cursor-expired");
        assert_eq!((&problem["oldest"], &problem["newest"]), (&json!(oldest), &json!(newest)));
    }
    for query in [after.as_str(), "consumer=worker"] {
        assert_eq!(Socket::open(&bob.api, query).await.closed().await.code, 4410, "{query}");
        assert_eq!(told(&bob.api, query).await.0, Some(4410), "{query}");
    }
    // No consumer is made at a place that it cannot go on from.
    let fresh = format!("consumer=fresh&{after}");
    refused(&bob.api, &fresh).await.expect_problem(410, "cursor-expired");
    let expired = json!("urn:quicproquo:problem:cursor-expired");
    assert_eq!(told(&bob.api, &fresh).await, (Some(4410), expired));
    let names = bob.api.get("/v1/events/consumers").await.expect(200);
    assert_eq!(names["items"].as_array().map(Vec::len), Some(1), "{names}");

    // From `oldest` every door goes on, and the consumer once it is moved there.
    let ack = json!({ "consumer": "worker", "up_to": oldest });
    bob.api.post("/v1/events/ack", &ack).await.expect(200);
    let mut stream = Sse::open(&bob.api, "types=message.received", Some(oldest)).await;
    let types = "types=message.received";
    let mut socket = Socket::open(&bob.api, &format!("after={oldest}&{types}")).await;
    let mut worker = Socket::open(&bob.api, &format!("consumer=worker&{types}")).await;
    alice.say(&group, "now").await;
    assert_eq!(body_of(&stream.event().await["data"]), "now");
    for socket in [&mut socket, &mut worker] {
        let frame = socket.event("message.received").await;
        assert_eq!(body_of(&frame["event"]["data"]), "now");
    }
}

#[tokio::test]
async fn a_delivery_whose_event_grew_too_old_has_failed() {
    let dir = TempDir::new().unwrap();
    let target = Target::start(Box::new(|_| status(500))).await;
    let launch = up(dir.path()).arg("--webhook-target", &target.origin);
    let body = json!({ "url": target.origin, "types": ["message.received"] });
    let prepare = async |bob: &Bot, _: &str| {
        bob.api.post("/v1/webhooks", &body).await.expect(201);
    };
    let (_up, _alice, bob, _group, _begin) = lost(&launch, prepare).await;
    assert_eq!(body_of(&target.next().await.json()["data"]), "long ago", "it was tried");
    let found = bob.api.get("/v1/webhooks").await.expect(200)["items"][0].clone();
    let webhook = format!("/v1/webhooks/{}", found["webhook_id"].as_str().unwrap());
    for (query, many) in [("", 1), ("?state=failed", 1), ("?state=pending", 0)] {
        let shown = bob.api.get(&format!("{webhook}/deliveries{query}")).await.expect(200);
        let items = shown["items"].as_array().unwrap();
        assert_eq!(items.len(), many, "{query}: {shown}");
        for item in items {
            assert_eq!((&item["state"], &item["error"]), (&json!("failed"), &json!("status")));
            assert_eq!((&item["status"], &item["next_attempt_at"]), (&json!(500), &json!(null)));
            // What is gone does not come again.
            let by_id = json!({ "delivery_ids": [item["delivery_id"]] });
            for wanted in [json!({ "failed": true }), by_id] {
                let replayed =
                    bob.api.post(&format!("{webhook}/replay"), &wanted).await.expect(202);
                assert_eq!(replayed, json!({ "replayed": 0 }));
            }
        }
    }
}

#[tokio::test]
async fn a_webhook_that_lost_events_says_so_and_goes_on() {
    let dir = TempDir::new().unwrap();
    let target = Target::start(Box::new(|_| status(204))).await;
    let launch = up(dir.path()).arg("--webhook-target", &target.origin);
    let body = json!({ "url": target.origin, "types": ["message.received"] });
    let prepare = async |bob: &Bot, _: &str| {
        let webhook = bob.api.post("/v1/webhooks", &body).await.expect(201);
        let path = format!("/v1/webhooks/{}", webhook["webhook_id"].as_str().unwrap());
        bob.api.patch(&path, &json!({ "state": "disabled" })).await.expect(200);
    };
    let (up, alice, bob, group, begin) = lost(&launch, prepare).await;
    let found = bob.api.get("/v1/webhooks").await.expect(200)["items"][0].clone();
    assert_eq!((&found["state"], &found["reason"]), (&json!("disabled"), &json!(null)));
    let path = format!("/v1/webhooks/{}", found["webhook_id"].as_str().unwrap());
    let enable = json!({ "state": "enabled" });
    bob.api.patch(&path, &enable).await.expect(200);
    alice.say(&group, "now").await;
    let delivered = target.next().await.json();
    assert_eq!(body_of(&delivered["data"]), "now", "what is lost is not delivered: {delivered}");
    let shown = bob.api.get(&path).await.expect(200);
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("enabled"), &json!("events_expired")));
    let log = String::from_utf8_lossy(&up.log()).into_owned();
    assert!(log.contains("events are too old to be delivered"), "the operator sees it as well");

    // It stays until its owner has seen it.
    let up = up.stop().await.start().await;
    let (alice, bob) = (again(&up, &alice), again(&up, &bob));
    assert_eq!(bob.api.get(&path).await.expect(200)["reason"], "events_expired");
    assert_eq!(bob.api.patch(&path, &enable).await.expect(200)["reason"], json!(null));
    alice.say(&group, "later").await;
    let later = async || loop {
        let delivered = target.next().await.json();
        // At least once: the first may come again after a restart.
        if body_of(&delivered["data"]) != "now" {
            return delivered;
        }
    };
    assert_eq!(body_of(&later().await["data"]), "later");
    assert_eq!(bob.api.get(&path).await.expect(200)["reason"], json!(null));
    // A new one that would begin there is not made.
    let begun = json!({ "url": target.origin, "after": begin });
    let gone = bob.api.post("/v1/webhooks", &begun).await.expect_problem(410, "cursor-expired");
    assert!(gone["oldest"].is_string() && gone["newest"].is_string(), "{gone}");
}

#[tokio::test]
async fn a_cursor_beyond_the_log_is_refused_at_every_door() {
    let dir = TempDir::new().unwrap();
    let target = Target::start(Box::new(|_| status(204))).await;
    let up = up(dir.path()).arg("--webhook-target", &target.origin).start().await;
    let (_alice, bob, _) = pair(&up).await;
    let invalid = json!("urn:quicproquo:problem:cursor-invalid");
    for query in [format!("after={BEYOND}"), format!("after={BEYOND}&consumer=fresh")] {
        let path = format!("/v1/events?timeout=0&{query}");
        bob.api.get(&path).await.expect_problem(400, "cursor-invalid");
        sse(&bob.api, &query, None).await.expect_problem(400, "cursor-invalid");
        refused(&bob.api, &query).await.expect_problem(400, "cursor-invalid");
        // A browser sees no HTTP answer.
        assert_eq!(told(&bob.api, &query).await, (Some(1008), invalid.clone()), "{query}");
    }
    sse(&bob.api, "", Some(BEYOND)).await.expect_problem(400, "cursor-invalid");
    let begun = json!({ "url": target.origin, "after": BEYOND });
    bob.api.post("/v1/webhooks", &begun).await.expect_problem(400, "cursor-invalid");
    assert_eq!(bob.api.get("/v1/events/consumers").await.expect(200)["items"], json!([]));

    // Nor is a consumer moved there; one that has its place does not look at `after`.
    let own = "/v1/events?timeout=0&consumer=worker";
    bob.api.get(own).await.expect(200);
    let ack = json!({ "consumer": "worker", "up_to": BEYOND });
    bob.api.post("/v1/events/ack", &ack).await.expect_problem(400, "cursor-invalid");
    bob.api.get(&format!("{own}&after={BEYOND}")).await.expect(200);
    Socket::open(&bob.api, &format!("consumer=worker&after={BEYOND}")).await.ping().await;
}
