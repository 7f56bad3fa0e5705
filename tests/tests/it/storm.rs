//! Node and gateway are killed again and again while three bots talk and two of them change the
//! group: everything that was taken is heard once by everybody, in its sender's order, and all
//! end in the same epoch. `STORM_SEED` repeats a run's decisions, `STORM_SECONDS` lengthens it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quicproquo_tests::seed::say;
use quicproquo_tests::{Bot, LONG, Launch, bots, wait_for};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Small and repeatable (`SplitMix64`, Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.roll() % (to - from))
    }
}

#[expect(clippy::disallowed_methods, reason = "who runs the test says how")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[expect(clippy::disallowed_methods, reason = "any seed will do, and it is printed")]
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or_default()
}

/// Sends until the storm is over; answers what was taken.
async fn talk(bot: &Bot, group: &str, over: &AtomicBool) -> Vec<String> {
    let mut said = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let text = format!("{}-{}", bot.name, said.len());
        bot.insist(group, &text, &text).await;
        said.push(text);
        sleep(Duration::from_millis(20)).await;
    }
    said
}

/// Changes the group until the storm is over; answers how often.
async fn change(bot: &Bot, group: &str, over: &AtomicBool) -> usize {
    let mut n = 0;
    while !over.load(Ordering::SeqCst) {
        let key = format!("{}-change-{n}", bot.name);
        wait_for("a change to be taken", LONG, || async {
            let path = format!("/v1/groups/{group}");
            let request = if n % 3 == 0 {
                bot.api.request(Method::PATCH, &path).json(&json!({ "topic": key }))
            } else {
                let path = format!("{path}/update-keys");
                bot.api.request(Method::POST, &path).json(&json!({}))
            };
            match bot.api.try_send(request.header("Idempotency-Key", &key)).await {
                Ok(answer) if (200..=202).contains(&answer.status) => Some(()),
                Ok(answer) if answer.status == 409 || answer.status >= 500 => None,
                Ok(answer) => panic!("the answer was {}: {}", answer.status, answer.text),
                Err(_) => None,
            }
        })
        .await;
        n += 1;
        sleep(Duration::from_millis(100)).await;
    }
    n
}

#[tokio::test]
async fn everything_taken_in_a_storm_is_heard_once_by_all() {
    let seed = number("STORM_SEED").unwrap_or_else(fresh_seed);
    let length = Duration::from_secs(number("STORM_SECONDS").unwrap_or(10));
    say(&format!("STORM_SEED={seed}"));
    let mut dice = Dice(seed);

    let dir = TempDir::new().unwrap();
    let mut node = Launch::node(&dir.path().join("node")).start().await;
    let mut gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let all = bots(&gateway, ["alice", "bob", "carol"]).await;
    let [alice, bob, carol] = &all;
    let group = alice.create_group("storm", &[bob, carol]).await;
    bob.accept(&group).await;
    carol.accept(&group).await;
    let role = format!("/v1/groups/{group}/members/{}", bob.identity);
    alice.api.patch(&role, &json!({ "role": "admin" })).await.expect(200);
    wait_for("bob to be an admin", LONG, || async {
        let of = |group: serde_json::Value| group["epoch"].clone();
        (of(bob.group(&group).await) == of(alice.group(&group).await)).then_some(())
    })
    .await;
    let tails = [alice.tail().await, bob.tail().await, carol.tail().await];

    let over = AtomicBool::new(false);
    let storm = async {
        let end = Instant::now() + length;
        let mut kills = 0;
        while Instant::now() < end {
            sleep(dice.millis(200, 1200)).await;
            let away = Duration::from_millis(if dice.roll().is_multiple_of(3) { 500 } else { 0 });
            if dice.roll().is_multiple_of(2) {
                let launch = node.kill().await;
                sleep(away).await;
                node = launch.start().await;
            } else {
                let launch = gateway.kill().await;
                sleep(away).await;
                gateway = launch.start().await;
            }
            kills += 1;
        }
        over.store(true, Ordering::SeqCst);
        (kills, node, gateway)
    };
    let (storm, a, b, c, by_alice, by_bob) = tokio::join!(
        storm,
        talk(alice, &group, &over),
        talk(bob, &group, &over),
        talk(carol, &group, &over),
        change(alice, &group, &over),
        change(bob, &group, &over),
    );
    let (kills, _node, _gateway) = storm;
    say(&format!("{kills} kills, {} changes", by_alice + by_bob));
    let said = BTreeMap::from([("alice", a), ("bob", b), ("carol", c)]);
    assert!(kills > 3 && by_alice > 0 && by_bob > 0);
    assert!(said.values().all(|said| !said.is_empty()), "all have spoken: {said:?}");

    for (listener, tail) in all.iter().zip(&tails) {
        let others = said.iter().filter(|(name, _)| **name != listener.name);
        let expected: usize = others.clone().map(|(_, said)| said.len()).sum();
        wait_for("everything to be heard", LONG, || async {
            (listener.heard(tail, &group).await.len() >= expected).then_some(())
        })
        .await;
        let heard = listener.heard(tail, &group).await;
        for (name, said) in others {
            let from = |text: &&String| text.starts_with(&format!("{name}-"));
            let heard: Vec<_> = heard.iter().filter(from).collect();
            assert_eq!(heard, said.iter().collect::<Vec<_>>(), "{} of {name}", listener.name);
        }
        for event in listener.events(tail).await {
            let kind = event["type"].as_str().unwrap_or_default();
            let trouble = ["message.failed", "message.undecryptable", "gap.detected"];
            assert!(!trouble.contains(&kind) && kind != "group.isolated", "{event}");
        }
    }
    wait_for("all to be in the same epoch", LONG, || async {
        let mut seen = Vec::new();
        for bot in &all {
            let group = bot.group(&group).await;
            seen.push((group["epoch"].clone(), group["topic"].clone()));
        }
        seen.windows(2).all(|two| two[0] == two[1]).then_some(())
    })
    .await;
}
