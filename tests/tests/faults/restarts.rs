//! Soft and hard restarts under load, of both halves together and of each alone: a listener that
//! resumes where it was has no gap and nothing twice.

use std::cell::Cell;
use std::time::Duration;

use quicproquo_tests::seed::{part, say, seed, setting};
use quicproquo_tests::{Bot, Ear, LONG, Launch, Running, pair, wait_for};
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

/// What a listener of these tests hears.
const MESSAGES: &str = "message.received";

/// Nothing is missing, nothing is there twice, each lane is in order; otherwise what is wrong.
fn check(heard: &[String], sent: &[usize]) -> Result<(), String> {
    let mut next = vec![0; sent.len()];
    for text in heard {
        let (lane, number) = text.split_once('/').expect("lane/number");
        let lane: usize = lane.parse().expect("a lane");
        if number.parse() != Ok(next[lane]) {
            return Err(format!("lane {lane}: {number} came where {} was due", next[lane]));
        }
        next[lane] += 1;
    }
    if next == sent { Ok(()) } else { Err(format!("{next:?} of {sent:?} came")) }
}

/// Runs a load through restarts and answers what is wrong with what `ear` has kept. `again`
/// restarts what it likes, softly or hard.
async fn through_restarts(
    (alice, bob, group): (&Bot, &Bot, &str),
    ear: Ear,
    hard: Vec<bool>,
    rng: &mut fastrand::Rng,
    mut again: impl AsyncFnMut(bool),
) -> Result<(), String> {
    let rate = setting("QPQ_RATE", 500, 500);
    let pace = Duration::from_secs(1) * u32::try_from(LANES).expect("few")
        / u32::try_from(rate).expect("a rate");
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
            (ear.received() >= all).then_some(())
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
        "{} restarts, {all} messages in {seconds:.1} s, {} sockets, {} events came again",
        hard.len(),
        ear.connections(),
        ear.repeated()
    ));
    assert!(all > LANES, "messages were sent: {all}");
    // A connection ends with what its listener had not acknowledged yet, and not with everything.
    assert!(ear.repeated() < all, "everything came again");
    check(&ear.texts(), &sent)
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
    let bots = (&alice, &bob, group.as_str());
    let ear = Ear::after_the_newest(&bob, MESSAGES).await;
    assert_eq!(through_restarts(bots, ear, order, &mut rng, again).await, Ok(()));
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
    let bots = (&alice, &bob, group.as_str());
    let ear = Ear::after_the_newest(&bob, MESSAGES).await;
    assert_eq!(through_restarts(bots, ear, order, &mut rng, again).await, Ok(()));
}

/// A named consumer, whose place the gateway keeps: what it has not acknowledged comes again, and
/// nothing else is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_where_it_was() {
    let mut rng = part(seed("restarts of the gateway"), 0);
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).log("warn").start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let mut gateway = Some(gateway);
    let order = order(&mut rng);
    let again = async |hard| restart(&mut gateway, hard).await;
    let bots = (&alice, &bob, group.as_str());
    let ear = Ear::consumer(&bob, "main", MESSAGES).await;
    assert_eq!(through_restarts(bots, ear, order, &mut rng, again).await, Ok(()));
}

/// The control: a listener that moves on before it has kept what it heard loses by a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_moves_on_too_early_is_seen() {
    let mut rng = part(seed("restarts control"), 0);
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).log("warn").start().await;
    let (alice, bob, group) = pair(&up).await;
    let mut up = Some(up);
    let again = async |hard| restart(&mut up, hard).await;
    let bots = (&alice, &bob, group.as_str());
    let ear = Ear::careless(&bob, MESSAGES).await;
    let wrong = through_restarts(bots, ear, vec![true, false], &mut rng, again).await;
    say(&format!("{wrong:?}"));
    wrong.expect_err("the test sees no gap where there is one");
}

/// The control of the check: it sees a message that is missing, twice there, or out of order.
#[test]
fn each_wrong_history_is_seen() {
    let check = |heard: &str| {
        let heard: Vec<_> = heard.split(' ').map(str::to_owned).collect();
        check(&heard, &[3, 2])
    };
    assert_eq!(check("0/0 1/0 0/1 0/2 1/1"), Ok(()));
    for (what, heard) in [
        ("missing", "0/0 1/0 0/2 1/1"),
        ("missing at the end", "0/0 1/0 0/1 1/1"),
        ("twice", "0/0 1/0 0/1 0/1 0/2 1/1"),
        ("twice at the end", "0/0 1/0 0/1 0/2 1/1 1/1"),
        ("out of order", "0/1 1/0 0/0 0/2 1/1"),
        ("never sent", "0/0 1/0 0/1 0/2 1/1 1/2"),
    ] {
        check(heard).expect_err(what);
    }
}
