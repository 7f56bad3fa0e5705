//! The clock of this machine beside the node's.

use quicproquo_client::EventData;
use quicproquo_node::{Clock, NodeConfig};

use crate::world::{World, all, bot, until};

fn quarter_of_an_hour_late(config: &mut NodeConfig) {
    let right = Clock::system();
    config.clock = Clock::from_fn(move || right.now() - 900);
}

fn off(event: &EventData) -> Option<i64> {
    match event {
        EventData::ClockOff { ahead_secs } => Some(*ahead_secs),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_are_told_once() {
    let mut world = World::with(quarter_of_an_hour_late).await;
    let client = world.client("a").await;
    let alice = bot(&client, "alice").await;
    let log = until(&alice, |event| off(event).is_some()).await;
    let ahead = log.iter().find_map(|event| off(&event.data)).unwrap();
    assert!((880..=920).contains(&ahead), "{ahead}");
    assert!((880..=920).contains(&alice.health().clock_ahead_secs));
    // Not with every link.
    world.stop().await;
    world.start().await;
    alice.claim_name("again").await.unwrap();
    let told = all(&alice).await.iter().filter(|event| off(&event.data).is_some()).count();
    assert_eq!(told, 1);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_agree_are_not_worth_a_word() {
    let world = World::new().await;
    let client = world.client("a").await;
    let alice = bot(&client, "alice").await;
    assert_eq!(alice.health().clock_ahead_secs, 0);
    assert!(all(&alice).await.iter().all(|event| off(&event.data).is_none()));
    client.shutdown().await;
}
