//! SIGKILL of the gateway while a crowd of bots talks and changes its groups, again and again.

use std::time::Duration;

use quicproquo_tests::crowd::{Crowd, Spec};
use quicproquo_tests::seed::{part, pick, say, seed, setting};
use quicproquo_tests::{Launch, Running};
use tempfile::TempDir;
use tokio::time::sleep;

/// Milliseconds that a gateway lives after its first answer.
const LIFE: std::ops::RangeInclusive<u64> = 5..=1500;

/// Kills it so many times, and then lets the crowd talk until it has said enough.
async fn kill(crowd: &Crowd, gateway: Running, kills: u64, sends: u64, seed: u64) -> Running {
    let mut rng = part(seed, u64::MAX);
    let mut gateway = gateway;
    for _ in 0..kills {
        // Every second life counts from its first answer, so that the crowd gets on; the others
        // count from the start, so that kills also fall into starting.
        if rng.bool() {
            crowd.gets_on(0).await;
        }
        sleep(Duration::from_millis(rng.u64(LIFE))).await;
        gateway = gateway.kill().await.start().await;
    }
    while (crowd.answered() as u64) < sends {
        crowd.gets_on(0).await;
    }
    gateway
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_loses_doubles_and_forks_nothing() {
    let seed = seed("gateway_kill");
    let kills = setting("QPQ_KILLS", 8, 300);
    let sends = setting("QPQ_SENDS", 200, 50_000);
    let small = Spec::small(seed);
    let spec = pick(small.clone(), Spec { bots: 20, rooms: 6, members: 4, guests: 2, ..small });
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).log("warn").start().await;
    let crowd = Crowd::gather(&gateway, spec).await;
    let done = crowd.through(kill(&crowd, gateway, kills, sends, seed)).await;
    let (report, gateway) = done.unwrap_or_else(|wrong| panic!("{wrong}"));
    say(&format!("{kills} kills: {report}"));
    gateway.stop().await;
    node.stop().await;
}

/// The control: whoever takes a new key for each try says things twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_idempotency_keys_messages_are_seen_twice() {
    let seed = seed("gateway_kill control");
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).log("warn").start().await;
    let spec = Spec { careless: true, patience: Duration::from_secs(3), ..Spec::small(seed) };
    let crowd = Crowd::gather(&gateway, spec).await;
    let wrong = crowd.through(kill(&crowd, gateway, 4, 0, seed)).await;
    let wrong = wrong.err();
    say(&format!("{wrong:?}"));
    wrong.expect("the test sees nothing twice where something is");
}
