//! A protocol stack that panics: its group is isolated, all others go on, and nothing is lost.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use quicproquo_core::id::GroupId;
use quicproquo_core::suite::Suite;

use crate::event::EventData;
use crate::model::GroupState;

#[expect(
    dead_code,
    clippy::disallowed_methods,
    reason = "the helpers of the other tests, of which some are used here"
)]
#[path = "../../tests/it/world.rs"]
mod world;

use world::{World, bot, heard, meet, patient, text, until};

static STRUCK: Mutex<BTreeSet<GroupId>> = Mutex::new(BTreeSet::new());

/// Panics inside the protocol stack, for groups that a test has named.
pub(super) fn strike(group: &GroupId) {
    let struck = STRUCK.lock().unwrap_or_else(PoisonError::into_inner).contains(group);
    assert!(!struck, "struck by a test");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_isolates_its_group_alone_until_it_is_well_again() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let broken = meet(Suite::Native, &alice, &[&bob]).await;
    let whole = meet(Suite::Native, &alice, &[&bob]).await;

    STRUCK.lock().unwrap().insert(broken.clone());
    for said in ["first", "second"] {
        alice.send(broken.clone(), text(said), patient()).await.unwrap();
    }
    alice.send(whole.clone(), text("elsewhere"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "elsewhere").await, ["elsewhere"]);
    until(&bob, |event| matches!(event, EventData::GroupIsolated { .. })).await;
    assert_eq!(bob.group(&broken).await.unwrap().state, GroupState::Isolated);

    // Another start tries again: still broken, and nothing is told twice.
    let identity = bob.identity();
    other.shutdown().await;
    let other = world.client("b").await;
    let bob = other.session(&identity).unwrap();
    alice.send(whole.clone(), text("again"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "again").await, ["elsewhere", "again"]);
    let log = world::all(&bob).await;
    let isolated = |event: &&crate::Event| matches!(event.data, EventData::GroupIsolated { .. });
    assert_eq!(log.iter().filter(isolated).count(), 1);
    other.shutdown().await;

    STRUCK.lock().unwrap().remove(&broken);
    let other = world.client("b").await;
    let bob = other.session(&identity).unwrap();
    alice.send(broken.clone(), text("third"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "third").await, ["elsewhere", "again", "first", "second", "third"]);
    until(&bob, |event| matches!(event, EventData::GroupRepaired {})).await;
    assert_eq!(bob.group(&broken).await.unwrap().state, GroupState::Active);
    client.shutdown().await;
    other.shutdown().await;
}
