//! Sessions that stand still until an operator says otherwise.

use quicproquo_client::{EventData, LinkState, SessionError, Suite};

use crate::failures::link;
use crate::repair::copy;
use crate::world::{World, bot, heard, meet, patient, text, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_displaced_session_stays_so_after_a_restart_until_it_is_resumed() {
    let world = World::new().await;
    let (first, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&other, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    let key = alice.identity();
    first.shutdown().await;
    copy(&world.path().join("a"), &world.path().join("copy"));
    let first = world.client("a").await;
    link(&first.session(&key).unwrap(), LinkState::Up).await;
    let second = world.client("copy").await;
    let new = second.session(&key).unwrap();
    let displaced = |event: &EventData| matches!(event, EventData::SessionDisplaced { .. });
    until(&first.session(&key).unwrap(), displaced).await;
    link(&new, LinkState::Up).await;
    first.shutdown().await;

    // Without this the two would take the identity from each other at every restart.
    let first = world.client("a").await;
    let old = first.session(&key).unwrap();
    let refused = old.send(group.clone(), text("nobody"), patient()).await.unwrap_err();
    assert!(matches!(refused, SessionError::Displaced(_)), "{refused:?}");
    assert!(matches!(old.health().link, LinkState::Displaced(_)));
    new.update_keys(group.clone(), patient()).await.unwrap();
    assert_eq!(new.health().link, LinkState::Up, "nobody has displaced the other");
    second.shutdown().await;

    // The other has ended; it has encrypted, so this one must be added again.
    old.resume().await.unwrap();
    old.resume().await.unwrap();
    let stale = |event: &EventData| matches!(event, EventData::GroupNeedsReadd { reason } if reason == "old_copy");
    until(&old, stale).await;
    until(&old, |event| matches!(event, EventData::GroupRepaired { .. })).await;
    old.send(group.clone(), text("somebody"), patient()).await.unwrap();
    heard(&bob, "somebody").await;
    first.shutdown().await;
    other.shutdown().await;
}
