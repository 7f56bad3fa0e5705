//! Single sentences of the API's promise that no other test is about.

use quicproquo_tests::bot::{body_of, messages};
use quicproquo_tests::{Api, Bot, LONG, Launch, Socket, Sse, bots, pair, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

fn texts(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("a list").iter();
    // An event has the message inside.
    items.map(|item| body_of(item.get("data").unwrap_or(item))).collect()
}

#[tokio::test]
async fn many_are_added_by_one_commit_and_each_is_told_by_whom() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob, carol, dave] = bots(&up, ["alice", "bob", "carol", "dave"]).await;
    let group = alice.create_group("ops", &[]).await;
    let before = alice.group(&group).await["epoch"].as_u64().unwrap();
    assert_eq!(alice.add(&group, &[&bob, &carol]).await, before + 1);
    let members = alice.api.get(&format!("/v1/groups/{group}/members")).await.expect(200);
    let members = members["items"].as_array().unwrap();
    for one in [&bob, &carol] {
        assert!(members.iter().any(|member| member["identity"] == one.identity), "{members:?}");
    }
    for one in [&bob, &carol] {
        let invitation = wait_for("the invitation", LONG, async || {
            let list = one.api.get("/v1/invitations").await.expect(200);
            // Names are asked for when they are needed.
            list["items"].get(0).filter(|one| one["inviter"]["name"] == "alice").cloned()
        })
        .await;
        assert_eq!(invitation["inviter"]["identity"], alice.identity, "{invitation}");
        assert_eq!(
            (&invitation["group_name"], &invitation["member_count"]),
            (&json!("ops"), &json!(3))
        );
    }
    // The control: one more is one commit more.
    assert_eq!(alice.add(&group, &[&dave]).await, before + 2);
}

#[tokio::test]
async fn who_wants_no_invitations_declines_them_all() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let policy = json!({ "invite_policy": { "policy": "none" } });
    let path = format!("/v1/bots/{}", bob.id);
    up.admin().patch(&path, &policy).await.expect(200);
    let group = alice.create_group("unwanted", &[&bob]).await;
    wait_for("bob to have declined", LONG, async || {
        let members = alice.group(&group).await["members"].as_array().unwrap().len();
        (members == 1).then_some(())
    })
    .await;
    assert_eq!(bob.api.get("/v1/invitations").await.expect(200)["items"], json!([]));
    bob.api.get(&messages(&group)).await.expect_problem(404, "group-not-found");
}

#[tokio::test]
async fn history_is_read_on_from_a_cursor() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    let said = ["one", "two", "three", "four"].map(str::to_owned);
    for text in &said {
        alice.say(&group, text).await;
    }
    bob.hears(&tail, &group, &said).await;
    let events = bob.events(&tail).await;
    let cursor = |text: &str| {
        let event = events.iter().find(|event| body_of(&event["data"]) == text);
        event.expect("it came")["cursor"].as_str().expect("a cursor").to_owned()
    };
    let path = messages(&group);
    for (query, expected) in [
        (format!("after={}", cursor("two")), &["four", "three"] as &[_]),
        (format!("after={}", cursor("four")), &[]),
        (format!("after={}&before={}", cursor("one"), cursor("four")), &["three", "two"]),
        (format!("after={tail}"), &["four", "three", "two", "one"]),
    ] {
        let page = bob.api.get(&format!("{path}?{query}")).await.expect(200);
        assert_eq!(texts(&page), expected, "{query}");
    }
}

#[tokio::test]
async fn one_frame_acknowledges_all_before_it() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let query = "consumer=worker&types=message.received";
    let mut ear = Socket::open(&bob.api, query).await;
    let mut frames = Vec::new();
    for text in ["one", "two", "three"] {
        alice.say(&group, text).await;
        frames.push(ear.event("message.received").await);
    }
    let ack = json!({ "type": "ack", "up_to": frames[1]["delivery_id"] });
    ear.send(&ack).await;
    ear.ping().await;
    let all = bob.api.get("/v1/events/consumers").await.expect(200);
    assert_eq!(all["items"][0]["cursor"], frames[1]["event"]["cursor"]);
    drop(ear);
    let mut ear = Socket::open(&bob.api, query).await;
    let next = ear.event("message.received").await;
    assert_eq!(body_of(&next["event"]["data"]), "three");
}

#[tokio::test]
async fn every_door_shows_the_groups_that_were_asked_for() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, first) = pair(&up).await;
    let second = alice.create_group("second", &[&bob]).await;
    bob.accept(&second).await;
    let tail = bob.tail().await;
    let query = format!("types=message.received&groups={second}");
    let mut stream = Sse::open(&bob.api, &query, None).await;
    let mut socket = Socket::open(&bob.api, &query).await;
    let poll = format!("/v1/events?after={tail}&timeout=20000&{query}");
    let (page, ()) = tokio::join!(bob.api.get(&poll), async {
        alice.say(&first, "aside").await;
        alice.say(&second, "meant").await;
    });
    assert_eq!(texts(&page.expect(200)), ["meant"]);
    assert_eq!(body_of(&stream.event().await["data"]), "meant");
    let frame = socket.event("message.received").await;
    assert_eq!(body_of(&frame["event"]["data"]), "meant");
    // The control: without the filter both are there.
    bob.hears(&tail, &first, &["aside".to_owned()]).await;
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice] = bots(&up, ["alice"]).await;
    let post = |coding: &'static str| {
        let request =
            alice.api.request(Method::POST, "/v1/groups").header("Content-Encoding", coding);
        alice.api.send(request.json(&json!({ "name": "ops" })))
    };
    post("gzip").await.expect_problem(415, "media-type-refused");
    assert_eq!(alice.api.get("/v1/groups").await.expect(200)["items"], json!([]));
    post("identity").await.expect(201);
}

/// Every page that describes, but the console, which asks for a token itself.
const PAGES: [&str; 6] =
    ["/", "/docs/", "/openapi.json", "/asyncapi.json", "/problems", "/problems/token-missing"];

async fn looks(docs: &str, check: impl AsyncFn(&Api, &Bot, &Api)) {
    let dir = TempDir::new().expect("a folder");
    let up = Launch::up(&dir.path().join("up")).arg("--http-docs", docs).start().await;
    let [alice] = bots(&up, ["alice"]).await;
    check(&Api::new(&up.url(), ""), &alice, &up.admin()).await;
}

#[tokio::test]
async fn the_description_is_shown_to_whom_the_operator_lets() {
    looks("open", async |nobody, _, _| {
        for path in PAGES.into_iter().chain(["/console"]) {
            assert_eq!(nobody.get(path).await.status, 200, "{path}");
        }
    })
    .await;
    looks("admin", async |nobody, alice, admin| {
        for path in PAGES {
            nobody.get(path).await.expect_problem(401, "token-missing");
            alice.api.get(path).await.expect_problem(403, "bot-token-refused");
            assert_eq!(admin.get(path).await.status, 200, "{path}");
        }
        assert_eq!(nobody.get("/console").await.status, 200);
    })
    .await;
    looks("closed", async |_, _, admin| {
        for path in PAGES.into_iter().chain(["/console"]) {
            admin.get(path).await.expect_problem(404, "route-not-found");
        }
    })
    .await;
}
