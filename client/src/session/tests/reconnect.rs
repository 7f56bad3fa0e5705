//! An authentication that the node takes late is an ordinary reconnect, not another instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quicproquo_core::identity::IdentityKey;
use quicproquo_schemas::id::Instance;

use super::stranger::Stranger;
use super::world::World;
use crate::rpc::LinkEvent;

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_authentication_of_our_own_is_not_mistaken_for_an_attack() {
    let world = World::new().await;
    let mut bot = Stranger::connect(&world).await;
    let (own, attempts) = (bot.instance, Arc::clone(&bot.attempts));

    // An attempt that was given up is taken after the one that has succeeded.
    attempts.fetch_add(5, Ordering::Relaxed);
    bot.elsewhere(own, &attempts).await;
    assert_eq!(bot.event().await, LinkEvent::Down);
    assert!(matches!(bot.event().await, LinkEvent::Up { .. }), "it comes back by itself");
    let late = bot.elsewhere(own, &Arc::new(AtomicU64::new(1))).await;
    assert!(!matches!(late, LinkEvent::Up { .. }), "{late:?}");
    bot.send(&[IdentityKey::new([3; 32])], b"the link lives").await;
    assert!(bot.is_undisturbed());

    // Attempts that are taken late but in order: each of ours is followed by another one.
    for _ in 0..3 {
        let up = bot.elsewhere(own, &attempts).await;
        assert!(matches!(up, LinkEvent::Up { .. }), "{up:?}");
        assert_eq!(bot.event().await, LinkEvent::Down);
        assert!(matches!(bot.event().await, LinkEvent::Up { .. }));
    }

    // The control: another instance ends it for good.
    let other = Instance::new([9; 16]);
    let up = bot.elsewhere(other, &Arc::default()).await;
    assert!(matches!(up, LinkEvent::Up { .. }));
    assert_eq!(bot.event().await, LinkEvent::Displaced { by: other.to_string() });
}
