//! Sends that the node refuses for now.

use std::time::Duration;

use futures::future::join_all;
use quicproquo_client::{DeliveryState, Options, Suite};
use quicproquo_node::{NodeConfig, Rate};

use crate::world::{World, bot, heard, meet, patient, text};

/// 256 KiB at once, and as much per second.
fn slow(config: &mut NodeConfig) {
    config.limits.kibibytes_per_sender = Rate { burst: 256, period: Duration::from_millis(4) };
}

fn large(number: usize) -> String {
    format!("{number} {}", "x".repeat(60_000))
}

/// Every third message is large, so that those behind it would fit where it does not.
fn said(number: usize) -> String {
    if number.is_multiple_of(3) { large(number) } else { format!("{number}") }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_in_order_though_the_node_refuses_some() {
    let world = World::with(slow).await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let here = meet(Suite::Native, &alice, &[&bob]).await;
    let there = meet(Suite::Envelope, &alice, &[&bob]).await;
    let sends = (0..40).map(|number| {
        let group = if number % 2 == 0 { &here } else { &there };
        alice.send(group.clone(), text(&said(number)), Options::default())
    });
    assert!(join_all(sends).await.iter().all(Result::is_ok));
    // Both groups, in the order of their own messages.
    let all = [heard(&bob, &said(38)).await, heard(&bob, &said(39)).await];
    let all = all.iter().max_by_key(|texts| texts.len()).unwrap();
    for parity in [0, 1] {
        let expected: Vec<_> = (0..40).filter(|number| number % 2 == parity).map(said).collect();
        let got = all.iter().filter(|text| expected.contains(text));
        assert_eq!(got.cloned().collect::<Vec<_>>(), expected);
    }
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_commit_that_has_lost_holds_up_nothing() {
    let world = World::with(slow).await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let busy = meet(Suite::Native, &alice, &[&bob]).await;
    let raced = meet(Suite::Native, &alice, &[&bob]).await;
    let flood =
        (0..6).map(|number| alice.send(busy.clone(), text(&large(number)), Options::default()));
    let commit = alice.update_keys(raced.clone(), Options::default());
    let (sent, commit) = tokio::join!(join_all(flood), commit);
    assert!(sent.iter().all(Result::is_ok));
    commit.unwrap();
    // The node has refused it, or is about to; the next one wins.
    bob.update_keys(raced.clone(), patient()).await.unwrap();
    for group in [&busy, &raced] {
        let last = alice.send(group.clone(), text("last"), patient()).await.unwrap();
        assert_eq!(last.value.delivery, DeliveryState::Sent);
    }
    client.shutdown().await;
    other.shutdown().await;
}
