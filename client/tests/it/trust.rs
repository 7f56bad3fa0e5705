//! Trust on first use, verification, and names that change hands.

use quicproquo_client::{
    EventData, HistoryQuery, IdentityKey, Options, Session, SessionError, Suite, TrustState,
};
use quicproquo_node::{Clock, Operator};

use crate::world::{World, all, bot, heard, meet, patient, text, until};

async fn trust(session: &Session, other: IdentityKey) -> TrustState {
    session.known(&other).await.unwrap().trust
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_travels_with_messages_and_members_and_survives() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let unmet = alice.known(&bob.identity()).await.unwrap();
    assert_eq!((unmet.trust, unmet.first_seen_ms), (TrustState::Tofu, None));
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    bob.send(group.clone(), text("before"), patient()).await.unwrap();
    heard(&alice, "before").await;
    let met = alice.known(&bob.identity()).await.unwrap();
    assert!(met.first_seen_ms.is_some() && met.verified_at_ms.is_none());
    let careful = || Options { verified_only: true, ..patient() };
    let refused = alice.send(group.clone(), text("secret"), careful()).await;
    assert_eq!(refused.unwrap_err(), SessionError::NotVerified(bob.identity()));

    let number = bob.safety_number(&alice.identity());
    assert_eq!(alice.safety_number(&bob.identity()), number);
    let wrong = alice.safety_number(&alice.identity()).to_string();
    let refused = alice.verify(bob.identity(), Some(wrong)).await;
    assert_eq!(refused.unwrap_err(), SessionError::SafetyNumberMismatch(bob.identity()));
    assert!(matches!(alice.verify(alice.identity(), None).await, Err(SessionError::Invalid(_))));
    assert_eq!(trust(&alice, bob.identity()).await, TrustState::Tofu);
    let known = alice.verify(bob.identity(), Some(number.to_string())).await.unwrap();
    assert_eq!(known.trust, TrustState::Verified);
    assert_eq!(known.first_seen_ms, met.first_seen_ms);
    alice.send(group.clone(), text("secret"), careful()).await.unwrap();
    bob.send(group.clone(), text("after"), patient()).await.unwrap();
    heard(&alice, "after").await;

    first.shutdown().await;
    let first = world.client("a").await;
    let alice = first.session(&alice.identity()).unwrap();
    assert_eq!(alice.known(&bob.identity()).await.unwrap(), known);
    let page = alice.history(&group, HistoryQuery::default()).await.unwrap();
    assert!(page.items.iter().all(|message| message.trust == TrustState::Verified));
    let received = |event: &EventData| match event {
        EventData::MessageReceived(message) => Some(message.trust),
        _ => None,
    };
    let trusts: Vec<_> = all(&alice).await.iter().filter_map(|e| received(&e.data)).collect();
    assert!(trusts.iter().all(|trust| *trust == TrustState::Verified) && !trusts.is_empty());
    let members = alice.group(&group).await.unwrap().members;
    assert!(members.iter().all(|member| member.trust == TrustState::Verified));
    assert_eq!(trust(&bob, alice.identity()).await, TrustState::Tofu, "it is the other's own");

    alice.unverify(bob.identity()).await.unwrap();
    assert_eq!(trust(&alice, bob.identity()).await, TrustState::Tofu);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_changes_hands_is_told_and_marks_its_new_key() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    assert_eq!(alice.resolve("bob").await, Ok(bob.identity()));
    alice.verify(bob.identity(), None).await.unwrap();
    second.delete(&bob.identity()).await.unwrap();
    let mut operator = Operator::open(&world.path().join("node"), Clock::system()).await.unwrap();
    assert!(operator.release_name("bob", None).await.unwrap());
    let eve = second.create(None).await.unwrap();
    eve.claim_name("eve").await.unwrap();
    alice.verify(eve.identity(), None).await.unwrap();
    eve.claim_name("bob").await.unwrap();

    assert_eq!(alice.resolve("bob").await, Ok(eve.identity()));
    let changed = |event: &EventData| {
        matches!(event, EventData::IdentityChanged { name, from, to }
            if name == "bob" && *from == bob.identity() && *to == eve.identity())
    };
    until(&alice, changed).await;
    assert_eq!(trust(&alice, eve.identity()).await, TrustState::Changed, "although verified");
    assert_eq!(trust(&alice, bob.identity()).await, TrustState::Verified, "its key is its key");
    assert!(alice.known(&bob.identity()).await.unwrap().names.is_empty());
    let group = meet(Suite::Native, &alice, &[&eve]).await;
    eve.send(group.clone(), text("it is me, bob"), patient()).await.unwrap();
    heard(&alice, "it is me, bob").await;
    let message = &alice.history(&group, HistoryQuery::default()).await.unwrap().items[0];
    assert_eq!(message.trust, TrustState::Changed);

    // Told once; the same answer again is no change.
    assert_eq!(alice.resolve("bob").await, Ok(eve.identity()));
    assert_eq!(all(&alice).await.iter().filter(|event| changed(&event.data)).count(), 1);
    let again = alice.verify(eve.identity(), None).await.unwrap();
    assert_eq!(again.trust, TrustState::Verified, "verified with the name it has now");
    let known = alice.unverify(eve.identity()).await.unwrap();
    assert_eq!(known.trust, TrustState::Changed);
    first.shutdown().await;
    let first = world.client("a").await;
    let alice = first.session(&alice.identity()).unwrap();
    assert_eq!(alice.known(&eve.identity()).await.unwrap(), known);
    first.shutdown().await;
    second.shutdown().await;
}
