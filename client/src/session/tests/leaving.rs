//! Who leaves has said before what was accepted before.

use quicproquo_core::suite::Suite;

use super::world::{World, all, bot, heard, meet, patient, text, until};
use crate::event::EventData;
use crate::model::{GroupState, Options};

/// More than is encrypted at once waits, and then the bot leaves.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_room_is_said_before_the_proposal_to_leave() {
    for suite in Suite::ALL {
        let mut world = World::new().await;
        let (first, second) = (world.client("a").await, world.client("b").await);
        let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
        let group = meet(suite, &alice, &[&bob]).await;
        let body = |n: usize| format!("{n} {}", "x".repeat(8_000));
        let bodies: Vec<_> = (0..20).map(body).collect();
        // Its backlog is read then; no leave begins before that.
        bob.send(group.clone(), text(&bodies[0]), patient()).await.unwrap();
        world.stop().await;
        for body in &bodies[1..] {
            bob.send(group.clone(), text(body), Options::default()).await.unwrap();
        }
        let left = bob.leave(group.clone(), Options::default()).await.unwrap();
        assert_eq!(left.value.group.state, GroupState::Leaving);
        world.start().await;
        assert_eq!(heard(&alice, bodies.last().unwrap()).await, bodies);
        until(&bob, |event| matches!(event, EventData::GroupLeft { .. })).await;
        let failed = |event: &EventData| matches!(event, EventData::MessageFailed(_));
        assert!(!all(&bob).await.iter().any(|event| failed(&event.data)));
        first.shutdown().await;
        second.shutdown().await;
    }
}
