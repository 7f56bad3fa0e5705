//! Named consumers: work shared, leases, attempts, and what is set aside.

use quicproquo_tests::bot::body_of;
use quicproquo_tests::{
    Answer, Api, Bot, LONG, Launch, SOON, Socket, Sse, bots, pair, wait_for, within,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const RECEIVED: &str = "types=message.received";

/// A frame's text and attempt.
fn heard(frame: &Value) -> (String, u64) {
    (body_of(&frame["event"]["data"]), frame["event"]["attempt"].as_u64().expect("an attempt"))
}

/// The group of a frame.
fn group_of(frame: &Value) -> String {
    frame["event"]["group_id"].as_str().expect("a group").to_owned()
}

#[tokio::test]
async fn connections_of_one_consumer_share_its_groups() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let query = format!("consumer=pool&prefetch=1&{RECEIVED}");
    let mut workers = [Socket::open(&bob.api, &query).await, Socket::open(&bob.api, &query).await];
    let mut groups = Vec::new();
    for name in ["red", "blue"] {
        let group = alice.create_group(name, &[&bob]).await;
        bob.accept(&group).await;
        groups.push(group);
    }
    for number in 1..=3 {
        for group in &groups {
            alice.say(group, &number.to_string()).await;
        }
    }
    let [first, second] = &mut workers;
    let (one, other) =
        tokio::join!(first.event("message.received"), second.event("message.received"));
    assert_ne!(group_of(&one), group_of(&other), "a group is with one worker at a time");
    assert_eq!((heard(&one).0, heard(&other).0), ("1".to_owned(), "1".to_owned()));
    // One worker is slow: the other does all of the other group, in order, and gets nothing more.
    let mut frame = one;
    for number in ["2", "3"] {
        let group = group_of(&frame);
        first.ack(&frame).await;
        frame = first.event("message.received").await;
        assert_eq!((group_of(&frame), heard(&frame).0), (group, number.to_owned()));
    }
    first.ack(&frame).await;
    first.ping().await;
    let all = bob.api.get("/v1/events/consumers").await.expect(200);
    assert_eq!(all["items"][0]["connections"], 2, "{all}");
    assert_eq!(all["items"][0]["open"], 3, "{all}");
    // Its end gives the rest to who is left.
    drop(workers.into_iter().nth(1));
    let mut left = Socket::open(&bob.api, &query).await;
    for number in ["1", "2", "3"] {
        let frame = left.event("message.received").await;
        assert_eq!(heard(&frame), (number.to_owned(), 1), "it ended at once: nothing counts");
        left.ack(&frame).await;
    }
}

#[tokio::test]
async fn another_filter_takes_the_consumer_over() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (_alice, bob, _) = pair(&up).await;
    let mut first = Socket::open(&bob.api, "consumer=only").await;
    let mut second = Sse::open(&bob.api, &format!("consumer=only&{RECEIVED}"), None).await;
    assert_eq!(first.closed().await.code, 4409);
    second.block().await.unwrap();
    let third = async {
        let path = "/v1/events?consumer=only&types=group.left&timeout=60000";
        bob.api.get(path).await.expect_problem(409, "consumer-displaced");
    };
    let fourth = async {
        let block = within("the reason", SOON, second.block()).await.unwrap();
        assert!(block.starts_with("event: problem\n"), "{block}");
        assert!(block.contains("consumer-displaced"), "{block}");
        assert_eq!(second.block().await, None);
        Socket::open(&bob.api, "consumer=only").await
    };
    tokio::join!(third, fourth);
}

#[tokio::test]
async fn a_consumer_does_not_begin_where_nothing_is() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [bob] = bots(&up, ["bob"]).await;
    let path = "/v1/events?consumer=lost&after=c1_ffffffff";
    bob.api.get(path).await.expect_problem(400, "cursor-invalid");
    let all = bob.api.get("/v1/events/consumers").await.expect(200);
    assert_eq!(all["items"], json!([]));
}

#[tokio::test]
async fn what_a_worker_hangs_on_goes_to_one_that_waits() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let query = format!("consumer=pool&lease=1000&{RECEIVED}");
    let (mut one, mut other) =
        (Socket::open(&bob.api, &query).await, Socket::open(&bob.api, &query).await);
    alice.say(&group, "hard").await;
    // Whoever gets it does nothing; nothing else happens that would wake the other.
    let (first, waiting) = tokio::select! {
        frame = one.event("message.received") => (frame, &mut other),
        frame = other.event("message.received") => (frame, &mut one),
    };
    assert_eq!(heard(&first), ("hard".to_owned(), 1));
    let frame = waiting.event("message.received").await;
    assert_eq!(heard(&frame), ("hard".to_owned(), 2));
    waiting.ack(&frame).await;
}

#[tokio::test]
async fn what_is_not_acknowledged_returns_after_its_lease() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let mut ear = Socket::open(&bob.api, &format!("consumer=slow&lease=1000&{RECEIVED}")).await;
    alice.say(&group, "one").await;
    alice.say(&group, "two").await;
    let one = ear.event("message.received").await;
    assert_eq!(heard(&one), ("one".to_owned(), 1));
    let two = ear.event("message.received").await;
    // More time for the first holds the whole group.
    let extend = json!({ "type": "extend", "ids": [two["delivery_id"]], "lease_ms": 60_000 });
    ear.send(&extend).await;
    let frame = ear.frame().await.unwrap();
    assert_eq!(frame, json!({ "type": "extended", "gone": [] }));
    let body = json!({ "consumer": "slow", "ids": [one["delivery_id"]], "lease_ms": 1_000 });
    bob.api.post("/v1/events/extend", &body).await.expect(200);
    let again = ear.event("message.received").await;
    assert_eq!(heard(&again), ("one".to_owned(), 2));
    let next = ear.event("message.received").await;
    assert_eq!(heard(&next), ("two".to_owned(), 1), "only the first of a group counts");
    ear.send(&extend).await;
    let gone = loop {
        let frame = ear.frame().await.unwrap();
        if frame["type"] == "extended" {
            break frame;
        }
    };
    assert_eq!(gone["gone"], json!([two["delivery_id"]]));
    // A late acknowledgement still counts.
    let ack = json!({ "type": "ack", "ids": [one["delivery_id"]] });
    ear.send(&ack).await;
    ear.ping().await;
    let at = bob.api.get("/v1/events/consumers").await.expect(200)["items"][0].clone();
    assert_eq!(at["open"], 1, "{at}");
}

#[tokio::test]
async fn an_event_that_nobody_handles_is_set_aside_and_can_be_replayed() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let query = format!("consumer=worker&lease=1000&{RECEIVED}");
    let mut ear = Socket::open(&bob.api, &query).await;
    alice.say(&group, "poison").await;
    alice.say(&group, "fine").await;
    for attempt in 1..=10 {
        let frame = ear.event("message.received").await;
        assert_eq!(heard(&frame), ("poison".to_owned(), attempt));
        // What comes after it is delivered too, and comes again with it.
        assert_eq!(heard(&ear.event("message.received").await).0, "fine");
    }
    let fine = ear.event("message.received").await;
    assert_eq!(heard(&fine), ("fine".to_owned(), 1));
    // Answered when it is durable, and with it what was set aside before.
    let ack = json!({ "consumer": "worker", "ids": [fine["delivery_id"]] });
    bob.api.post("/v1/events/ack", &ack).await.expect(200);
    drop(ear);

    // It is set aside, the place is behind it, and both survive a kill.
    let up = up.kill().await.start().await;
    let bob = Bot { api: Api::new(&up.url(), bob.api.token()), ..bob };
    let path = "/v1/events/parked?consumer=worker";
    let parked = bob.api.get(path).await.expect(200)["items"].clone();
    assert_eq!(parked.as_array().unwrap().len(), 1, "{parked}");
    let parked = &parked[0];
    assert_eq!(
        (&parked["attempts"], body_of(&parked["event"]["data"])),
        (&json!(10), "poison".into())
    );
    let id = parked["delivery_id"].as_str().unwrap();
    let replay = format!("/v1/events/parked/{id}/replay");
    let none = bob.api.post(&format!("{replay}?consumer=other"), &json!({})).await;
    none.expect_problem(404, "delivery-not-found");
    for replayed in ["", "true"] {
        let answer = bob.api.post_once(&replay, "again", &json!({})).await.unwrap();
        assert_eq!((answer.status, answer.text.as_str()), (202, ""));
        assert_eq!(answer.header("idempotency-replayed"), replayed);
    }
    assert_eq!(bob.api.get(path).await.expect(200)["items"], json!([]));

    // A replay survives a kill as well.
    let up = up.kill().await.start().await;
    let bob = Bot { api: Api::new(&up.url(), bob.api.token()), ..bob };
    let mut ear = Socket::open(&bob.api, &query).await;
    let frame = ear.event("message.received").await;
    assert_eq!(heard(&frame), ("poison".to_owned(), 1));
    assert_eq!(frame["replayed"], true, "{frame}");
    ear.ack(&frame).await;
    ear.ping().await;
    bob.api.post(&replay, &json!({})).await.expect_problem(404, "delivery-not-found");
}

#[tokio::test]
async fn pollers_share_the_work_and_lose_nothing_to_a_kill() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let path = format!("/v1/events?consumer=worker&limit=2&{RECEIVED}");
    let tail = bob.tail().await;
    bob.api.get(&path).await.expect(200);
    for number in 1..=3 {
        alice.say(&group, &number.to_string()).await;
    }
    bob.hears(&tail, &group, &["1", "2", "3"].map(str::to_owned)).await;
    let texts = |page: &Value| {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| body_of(&item["data"])).collect::<Vec<_>>()
    };
    let page = bob.api.get(&path).await.expect(200);
    assert_eq!(texts(&page), ["1", "2"]);
    // The group is being worked on: another poller gets nothing of it.
    assert_eq!(texts(&bob.api.get(&path).await.expect(200)), [] as [String; 0]);
    // `up_to` a delivery is about its own answer only.
    let ack = json!({ "consumer": "worker", "up_to": page["items"][0]["delivery_id"] });
    let at = bob.api.post("/v1/events/ack", &ack).await.expect(200)["cursor"].clone();
    let up = up.kill().await.start().await;
    let bob = Bot { api: Api::new(&up.url(), bob.api.token()), ..bob };
    let all = bob.api.get("/v1/events/consumers").await.expect(200);
    assert_eq!((&all["items"][0]["name"], &all["items"][0]["cursor"]), (&json!("worker"), &at));
    let page = within("what was not acknowledged", LONG, async {
        bob.api.get(&format!("{path}&timeout=20000")).await.expect(200)
    })
    .await;
    assert_eq!(texts(&page), ["2", "3"]);
    bob.api.delete("/v1/events/consumers/worker").await.expect(204);
    let ack = json!({ "consumer": "worker", "up_to": at });
    bob.api.post("/v1/events/ack", &ack).await.expect_problem(404, "consumer-not-found");
    wait_for("the consumer to be gone", SOON, async || {
        let all = bob.api.get("/v1/events/consumers").await.expect(200);
        (all["items"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_consumer_belongs_to_the_limits_it_was_made_with() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let mut groups = Vec::new();
    for name in ["open", "secret"] {
        let group = alice.create_group(name, &[&bob]).await;
        bob.accept(&group).await;
        groups.push(group);
    }
    let body = json!({ "label": "limited", "groups": [groups[0]] });
    let token = up.admin().post(&format!("/v1/bots/{}/tokens", bob.id), &body).await.expect(201);
    let limited = Api::new(&up.url(), token["token"].as_str().unwrap());

    // One that was made without limits, with an event of the other group under way.
    let mut ear = Socket::open(&bob.api, &format!("consumer=all&{RECEIVED}")).await;
    let (mut own, start) = (
        Socket::open(&limited, &format!("consumer=own&{RECEIVED}")).await,
        bob.api.get("/v1/events/consumers").await.expect(200)["items"].clone(),
    );
    alice.say(&groups[1], "secret").await;
    let secret = ear.event("message.received").await;
    let id = secret["delivery_id"].as_str().unwrap();
    let refused = async |answer: Answer| {
        answer.expect_problem(403, "group-not-allowed");
    };
    let tail = bob.tail().await;
    for ack in [json!({ "up_to": tail }), json!({ "ids": [id] })] {
        let mut ack = ack;
        ack["consumer"] = json!("all");
        refused(limited.post("/v1/events/ack", &ack).await).await;
    }
    let extend = json!({ "consumer": "all", "ids": [id] });
    refused(limited.post("/v1/events/extend", &extend).await).await;
    refused(limited.get("/v1/events?consumer=all").await).await;
    refused(limited.get("/v1/events/parked?consumer=all").await).await;
    refused(limited.delete("/v1/events/consumers/all").await).await;
    // Nor may one without limits put other groups' events into a limited one.
    refused(bob.api.get("/v1/events?consumer=own").await).await;
    let all = bob.api.get("/v1/events/consumers").await.expect(200);
    assert_eq!(
        (&all["items"][0]["cursor"], &all["items"][0]["open"]),
        (&start[0]["cursor"], &json!(1))
    );
    let seen = limited.get("/v1/events/consumers").await.expect(200);
    assert_eq!(seen["items"].as_array().unwrap().len(), 1, "{seen}");

    // Its own one serves it, and that survives a kill.
    alice.say(&groups[0], "open").await;
    let frame = own.event("message.received").await;
    assert_eq!(heard(&frame), ("open".to_owned(), 1));
    drop((own, ear));
    let up = up.kill().await.start().await;
    let (bob, limited) = (
        Bot { api: Api::new(&up.url(), bob.api.token()), ..bob },
        Api::new(&up.url(), limited.token()),
    );
    refused(bob.api.get("/v1/events?consumer=own").await).await;
    let page = limited.get(&format!("/v1/events?consumer=own&timeout=20000&{RECEIVED}")).await;
    assert_eq!(body_of(&page.expect(200)["items"][0]["data"]), "open");
    limited.delete("/v1/events/consumers/own").await.expect(204);
}
