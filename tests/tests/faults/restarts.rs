//! Soft and hard restarts under load, of both halves together and of each alone: a listener that
//! resumes where it was has no gap and nothing twice.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use quicproquo_tests::bot::body_of;
use quicproquo_tests::seed::{part, say, seed, setting};
use quicproquo_tests::{Bot, LONG, Launch, Running, Socket, pair, wait_for};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// Requests that wait for their answers at once; each lane has an order of its own.
const LANES: usize = 16;

/// Milliseconds between two restarts.
const PAUSE: std::ops::RangeInclusive<u64> = 300..=1500;

/// Sends at a pace until told to stop, each until it is taken; answers how many.
async fn lane(bot: &Bot, group: &str, lane: usize, pace: Duration, stop: &Cell<bool>) -> usize {
    let mut ticks = interval(pace);
    // What was missed is made up for: the rate is what is offered.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = 0;
    while !stop.get() {
        ticks.tick().await;
        let text = format!("{lane}/{sent}");
        bot.insist(group, &text, &text).await;
        sent += 1;
    }
    sent
}

/// Listens, and resumes after the last event it has seen.
#[derive(Default)]
struct Ear {
    cursor: Cell<Option<String>>,
    heard: std::cell::RefCell<Vec<String>>,
    resumed: Cell<usize>,
}

impl Ear {
    async fn listen(&self, bot: &Bot) {
        loop {
            let after = self.cursor.take().expect("a cursor");
            self.cursor.set(Some(after.clone()));
            let query = format!("after={after}&types=message.received");
            if let Ok(mut socket) = Socket::try_open(&bot.api, &query).await {
                self.resumed.set(self.resumed.get() + 1);
                while let Ok(frame) = socket.next().await {
                    self.hear(&frame);
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn hear(&self, frame: &Value) {
        if frame["type"] == "event" {
            let event = &frame["event"];
            self.cursor.set(Some(event["cursor"].as_str().expect("a cursor").to_owned()));
            self.heard.borrow_mut().push(body_of(&event["data"]));
        }
    }
}

/// Nothing is missing, nothing is there twice, each lane is in order.
fn check(heard: &[String], sent: &[usize]) {
    let mut next: HashMap<usize, usize> = HashMap::new();
    for text in heard {
        let (lane, number) = text.split_once('/').expect("lane/number");
        let lane = lane.parse().expect("a lane");
        let next = next.entry(lane).or_default();
        assert_eq!(number.parse(), Ok(*next), "lane {lane}: a gap, a repetition or a wrong order");
        *next += 1;
    }
    for (lane, sent) in sent.iter().enumerate() {
        assert_eq!(next.get(&lane).copied().unwrap_or_default(), *sent, "lane {lane}");
    }
}

/// Runs a load through restarts. `again` restarts what it likes, softly or hard.
async fn through_restarts(
    alice: &Bot,
    bob: &Bot,
    group: &str,
    hard: Vec<bool>,
    rng: &mut fastrand::Rng,
    mut again: impl AsyncFnMut(bool),
) {
    let rate = setting("QPQ_RATE", 500, 500);
    let pace = Duration::from_secs(1) * u32::try_from(LANES).expect("few")
        / u32::try_from(rate).expect("a rate");
    let ear = Ear::default();
    ear.cursor.set(Some(bob.tail().await));
    let stop = Cell::new(false);
    let began = Instant::now();
    let lanes = (0..LANES).map(|number| lane(alice, group, number, pace, &stop));
    let lanes = futures::future::join_all(lanes);
    let restarts = async {
        for hard in &hard {
            sleep(Duration::from_millis(rng.u64(PAUSE))).await;
            again(*hard).await;
        }
        sleep(Duration::from_millis(300)).await;
        stop.set(true);
    };
    let work = async {
        let (sent, ()) = tokio::join!(lanes, restarts);
        let all: usize = sent.iter().sum();
        wait_for("everything to be heard", LONG, || async {
            (ear.heard.borrow().len() >= all).then_some(())
        })
        .await;
        sent
    };
    let sent = tokio::select! {
        sent = work => sent,
        () = ear.listen(bob) => unreachable!("it listens for ever"),
    };
    let all: usize = sent.iter().sum();
    let seconds = began.elapsed().as_secs_f64();
    say(&format!(
        "{} restarts, {all} messages in {seconds:.1} s, {} sockets",
        hard.len(),
        ear.resumed.get()
    ));
    check(&ear.heard.borrow(), &sent);
    assert!(all > LANES, "messages were sent: {all}");
}

/// So many soft and so many hard ones, in an order of the seed's.
fn order(rng: &mut fastrand::Rng) -> Vec<bool> {
    let each = usize::try_from(setting("QPQ_RESTARTS", 2, 20)).expect("few");
    let mut order = vec![true; each];
    order.extend(vec![false; each]);
    rng.shuffle(&mut order);
    order
}

async fn restart(running: &mut Option<Running>, hard: bool) {
    let former = running.take().expect("it runs");
    let launch = if hard { former.kill().await } else { former.stop().await };
    *running = Some(launch.start().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_halves_restart_together() {
    let mut rng = part(seed("restarts together"), 0);
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).log("warn").start().await;
    let (alice, bob, group) = pair(&up).await;
    let mut up = Some(up);
    let order = order(&mut rng);
    let again = async |hard| restart(&mut up, hard).await;
    through_restarts(&alice, &bob, &group, order, &mut rng, again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_half_restarts_alone() {
    let mut rng = part(seed("restarts apart"), 0);
    let mut which = part(seed("restarts apart, which"), 1);
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).log("warn").start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let mut halves = [Some(node), Some(gateway)];
    let order = order(&mut rng);
    let again = async |hard| restart(&mut halves[usize::from(which.bool())], hard).await;
    through_restarts(&alice, &bob, &group, order, &mut rng, again).await;
}
