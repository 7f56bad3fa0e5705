//! The disk of the gateway fills up, again and again: whoever wants something kept is told so,
//! reading goes on, nothing is lost, and nobody needs to start anything again.

use std::time::Duration;

use quicproquo_tests::bot::{messages, text_message};
use quicproquo_tests::disk::{self, Disk};
use quicproquo_tests::seed::{say, seed, setting};
use quicproquo_tests::{Answer, Api, Bot, Ear, LONG, Launch, Running, pair, wait_for};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const MIB: u64 = 48;

/// What is left at the beginning of a cycle.
const ROOM: [u64; 3] = [3 * 1024 * 1024, 256 * 1024, 0];

/// How long the gateway may take to notice that there is room again.
const BACK: Duration = Duration::from_secs(5);

/// More messages than fit, so that a disk that never fills up ends the test.
const FAR_TOO_MANY: u64 = 2_000;

/// Requests that are refused before the disk counts as full.
const REFUSALS: u64 = 3;

struct Test<'a> {
    gateway: &'a Running,
    alice: &'a Bot,
    bob: &'a Bot,
    group: &'a str,
    said: Vec<String>,
    number: u64,
    refused: u64,
    /// Takes a refused message for a kept one.
    careless: bool,
}

impl Test<'_> {
    async fn send(&self, text: &str) -> Answer {
        let (path, body) = (format!("{}?wait=0", messages(self.group)), text_message(text));
        let key = text.split(' ').next().unwrap_or_default();
        self.alice.api.post_once(&path, key, &body).await.expect("the gateway is alive")
    }

    /// Says the next thing; `false`: it is refused for want of room, and is to be said again.
    async fn try_say(&mut self, bytes: usize) -> bool {
        let text = format!("{} {}", self.number, "x".repeat(bytes));
        let answer = self.send(&text).await;
        let taken = answer.status == 201;
        if !taken {
            let problem = answer.expect_problem(503, "storage-unavailable");
            assert_eq!(problem["retryable"], true, "{problem}");
            self.refused += 1;
        }
        if taken || self.careless {
            self.said.push(text);
            self.number += 1;
        }
        taken
    }

    /// Says large and then small things until the gateway says that it cannot keep them.
    async fn fill(&mut self) {
        for bytes in [60_000, 10] {
            let (mut tries, mut refused) = (0, 0);
            while refused < REFUSALS {
                tries += 1;
                assert!(tries < FAR_TOO_MANY, "the disk does not fill up");
                refused += u64::from(!self.try_say(bytes).await);
            }
        }
    }

    /// Everything that needs no room.
    async fn reads(&self) {
        Api::new(&self.gateway.url(), "").get("/health/live").await.expect(200);
        for bot in [self.alice, self.bob] {
            let group = format!("/v1/groups/{}", self.group);
            for path in ["/v1/me", &group, &messages(self.group), "/v1/events?after=c1_0"] {
                let answer = bot.api.get(path).await;
                assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            }
        }
    }

    /// An operator's change, which is kept in another database: it works or is refused for now.
    async fn token(&self) -> bool {
        let path = format!("/v1/bots/{}/tokens", self.bob.id);
        let scopes = json!({ "label": "more", "scopes": ["messages:read"] });
        let answer = self.gateway.admin().post(&path, &scopes).await;
        if answer.status != 201 {
            answer.expect_problem(503, "storage-unavailable");
        }
        answer.status == 201
    }

    /// Waits until things are taken again.
    async fn comes_back(&mut self) -> Duration {
        let freed = Instant::now();
        while !(self.try_say(10).await && self.token().await) {
            assert!(freed.elapsed() < BACK, "there is room again, and the gateway does not notice");
            sleep(Duration::from_millis(20)).await;
        }
        freed.elapsed()
    }
}

async fn run(cycles: u64, careless: bool) -> Result<String, String> {
    let dir = TempDir::new().unwrap();
    let disk = Disk::new(MIB);
    let node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let gateway = Launch::gateway(&disk.path().join("gateway"), &node).log("warn");
    // What messages take is free again in every cycle.
    let gateway = gateway.log_file(&dir.path().join("gateway.log")).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let ear = Ear::after_the_newest(&bob, "message.received").await;
    let mut slowest = Duration::ZERO;
    let mut test = Test {
        gateway: &gateway,
        alice: &alice,
        bob: &bob,
        group: &group,
        said: Vec::new(),
        number: 0,
        refused: 0,
        careless,
    };
    let work = async {
        for cycle in 0..cycles {
            let filler = disk.fill(ROOM[usize::try_from(cycle % 3).expect("small")]);
            test.fill().await;
            test.token().await;
            test.reads().await;
            drop(filler);
            slowest = slowest.max(test.comes_back().await);
        }
        let all = test.said.len();
        let everything = wait_for("everything to be heard", LONG, async || {
            let late = careless && test.refused > 0;
            (ear.received() >= all || late).then_some(())
        });
        everything.await;
    };
    tokio::select! {
        () = work => {}
        () = ear.listen(&bob) => unreachable!("it listens for ever"),
    }
    let (heard, refused, said) = (ear.texts(), test.refused, test.said);
    let number = |text: &String| text.split(' ').next().unwrap_or_default().to_owned();
    if let Some(place) = (0..said.len()).find(|place| heard.get(*place) != Some(&said[*place])) {
        let came = heard.get(place).map(number);
        return Err(format!("{came:?} came where {} was due", number(&said[place])));
    }
    if heard.len() > said.len() {
        return Err(format!("{} more than were said", heard.len() - said.len()));
    }
    gateway.stop().await;
    node.stop().await;
    Ok(format!(
        "{cycles} cycles, {} messages, {refused} refusals; back after {slowest:?} at most",
        said.len(),
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_the_gateway_refuses_what_it_cannot_keep_and_nothing_else() {
    if !disk::usable("gateway_disk") {
        return;
    }
    seed("gateway_disk");
    let done = run(setting("QPQ_CYCLES", 3, 20), false).await;
    say(&done.unwrap_or_else(|wrong| panic!("{wrong}")));
}

/// The control: what a sender does not say again after a refusal is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_that_takes_a_refusal_for_an_answer_is_seen() {
    if !disk::usable("gateway_disk control") {
        return;
    }
    let wrong = run(1, true).await;
    say(&format!("{wrong:?}"));
    wrong.expect_err("the test sees no loss where there is one");
}
