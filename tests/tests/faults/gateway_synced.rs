//! No answer of the gateway leaves before the sync of its transaction, as its system calls show.
//!
//! One request is in flight at a time, over a connection that is kept, and nobody listens. The node
//! is gone, so that nothing else is written. An answer is the first write to a TCP connection after
//! the request.

use quicproquo_tests::bot::{messages, text_message};
use quicproquo_tests::seed::{say, setting};
use quicproquo_tests::trace::{Kind, Tracer, Window, early, now};
use quicproquo_tests::{Api, Bot, Launch, pair};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Events whose cursors a consumer acknowledges one after the other.
const EVENTS: u64 = 40;

struct Test {
    admin: Api,
    alice: Bot,
    bob: Bot,
    group: String,
    /// Of Bob's log.
    cursors: Vec<String>,
    /// The token that is deleted next.
    token: String,
}

impl Test {
    /// Makes a change; answers what it was and which sync it needs.
    async fn request(&mut self, n: u64) -> (&'static str, Kind) {
        match n % 5 {
            0 => {
                let path = format!("{}?wait=0", messages(&self.group));
                let text = text_message(&format!("{n}"));
                self.alice.api.post(&path, &text).await.expect(201);
                ("send", Kind::SyncSessions)
            }
            1 => {
                let policy = if n.is_multiple_of(2) { "all" } else { "none" };
                let change = json!({ "invite_policy": { "policy": policy } });
                self.admin.patch(&format!("/v1/bots/{}", self.bob.id), &change).await.expect(200);
                ("policy", Kind::SyncSessions)
            }
            2 => {
                let token = json!({ "label": "one", "scopes": ["messages:read"] });
                let made = self.admin.post(&self.tokens(), &token).await.expect(201);
                made["token_id"].as_str().expect("a token has an id").clone_into(&mut self.token);
                ("issue a token", Kind::SyncBots)
            }
            3 => {
                let path = format!("{}/{}", self.tokens(), self.token);
                self.admin.delete(&path).await.expect(204);
                ("delete a token", Kind::SyncBots)
            }
            _ => {
                let (round, place) = (n / 5 / EVENTS, n / 5 % EVENTS);
                let place = usize::try_from(place).expect("small");
                let consumer = format!("consumer-{round}");
                let ack = json!({ "consumer": consumer, "up_to": self.cursors[place] });
                self.bob.api.post("/v1/events/ack", &ack).await.expect(200);
                ("acknowledge", Kind::SyncBots)
            }
        }
    }

    fn tokens(&self) -> String {
        format!("/v1/bots/{}/tokens", self.bob.id)
    }

    /// Before the first request of a consumer: it begins where no event is acknowledged.
    async fn begin(&self, n: u64) {
        if n.is_multiple_of(5 * EVENTS) {
            // A poll, after which nothing more is written to its connection.
            let query =
                format!("consumer=consumer-{}&after=c1_0&timeout=0&limit=1", n / 5 / EVENTS);
            self.bob.api.get(&format!("/v1/events?{query}")).await.expect(200);
        }
    }
}

async fn run(launch: impl Fn(Launch) -> Launch, count: u64) -> (Vec<Window>, usize) {
    let dir = TempDir::new().expect("a folder");
    let node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let gateway = launch(Launch::gateway(&dir.path().join("gateway"), &node)).log("warn");
    let gateway = gateway.start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let tail = bob.tail().await;
    let mut said = Vec::new();
    for number in 0..EVENTS {
        said.push(format!("{number}"));
        alice.say(&group, &said[said.len() - 1]).await;
    }
    bob.hears(&tail, &group, &said).await;
    let cursor = |event: Value| event["cursor"].as_str().expect("a cursor").to_owned();
    let cursors = bob.events(&tail).await.into_iter().map(cursor).collect();
    node.kill().await;
    let admin = gateway.admin();
    let token = String::new();
    let mut test = Test { admin, alice, bob, group, cursors, token };
    let tracer = Tracer::attach(gateway.pid(), &dir.path().join("trace")).await;
    let mut windows = Vec::new();
    for n in 0..count {
        test.begin(n).await;
        let begin = now();
        let (what, needs) = test.request(n).await;
        windows.push(Window { begin, end: now(), what, needs });
    }
    let mut calls = tracer.finish().await;
    calls.sort_by(|a, b| a.begin.total_cmp(&b.begin));
    gateway.stop().await;
    (early(&calls, &windows, |kind| kind == Kind::Answer), windows.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_of_the_gateway_leaves_before_its_sync() {
    let count = setting("QPQ_REQUESTS", 300, 10_000);
    let (early, of) = run(|launch| launch, count).await;
    say(&format!("{} of {of} answers left before their sync", early.len()));
    assert!(early.is_empty(), "{early:?}");
}

/// The control: with commits that are synced later the trace shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_synced_commits_answers_of_the_gateway_leave_early() {
    let unsynced = |launch: Launch| launch.env("QPQ_TEST_SYNC", "none");
    let (early, of) = run(unsynced, 50).await;
    assert!(early.len() * 2 > of, "{} of {of}", early.len());
    for kind in [Kind::SyncSessions, Kind::SyncBots] {
        assert!(early.iter().any(|it| it.needs == kind), "{early:?}");
    }
}
