//! An identity moves to another database.

use quicproquo_client::{
    ArchiveError, ArchiveKey, Client, DeliveryState, EventData, HistoryQuery, LinkState, Options,
    Session, SessionError, Suite, TrustState,
};
use zeroize::Zeroizing;

use crate::failures::link;
use crate::world::{World, all, bot, heard, meet, patient, text, until};

fn key(byte: u8) -> ArchiveKey {
    ArchiveKey::Key(Zeroizing::new([byte; 32]))
}

async fn import(client: &Client, archive: &[u8]) -> Session {
    let archive = client.open_archive(archive.to_vec(), key(1)).await.unwrap();
    let session = client.import(archive).await.unwrap();
    assert_eq!(session.health().stock, [], "it stands still");
    session.resume().await.unwrap();
    session
}

async fn texts_of(session: &Session) -> Vec<String> {
    let mut texts = Vec::new();
    for group in session.groups().await.unwrap() {
        let query = HistoryQuery { limit: 200, ..HistoryQuery::default() };
        let page = session.history(&group.id, query).await.unwrap();
        texts.extend(page.items.iter().map(|message| message.body["body"].to_string()));
    }
    texts.sort();
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_goes_on_elsewhere_and_the_former_place_stays_silent() {
    let world = World::new().await;
    let (first, other) = (world.client("a").await, world.client("b").await);
    // Other bots of the same database stay, and the numbers of owners differ.
    let (carol, alice) = (bot(&first, "carol").await, bot(&first, "alice").await);
    let bob = bot(&other, "bob").await;
    let mut groups = Vec::new();
    for suite in Suite::ALL {
        let group = meet(suite, &alice, &[&bob, &carol]).await;
        bob.send(group.clone(), text("to alice"), patient()).await.unwrap();
        heard(&alice, "to alice").await;
        groups.push(group);
    }
    let pending = bob.create_group(crate::world::group_of(Suite::Native, &[&alice]), patient());
    let pending = pending.await.unwrap().value.group.id;
    bob.send(pending.clone(), text("hidden"), patient()).await.unwrap();
    let invited = |event: &EventData| matches!(event, EventData::InvitationReceived(invitation) if invitation.id == pending);
    until(&alice, invited).await;
    alice.verify(bob.identity(), None).await.unwrap();
    let archive = first.export(&alice.identity(), key(1)).await.unwrap();
    let (log, said) = (all(&alice).await, texts_of(&alice).await);
    assert_eq!(alice.health().link, LinkState::Exported);

    // The former place never speaks again, not even after a restart.
    let refused = alice.send(groups[0].clone(), text("nobody"), Options::default()).await;
    assert_eq!(refused.unwrap_err(), SessionError::Exported);
    let opened = |key| first.open_archive(archive.clone(), key);
    let wrong = opened(key(2)).await;
    assert!(matches!(wrong, Err(ArchiveError::Sealed)));
    let here = first.import(opened(key(1)).await.unwrap()).await;
    assert!(matches!(here, Err(ArchiveError::Exists(_))));
    first.shutdown().await;
    let first = world.client("a").await;
    let former = first.session(&alice.identity()).unwrap();
    link(&former, LinkState::Exported).await;
    for group in &groups {
        bob.send(group.clone(), text("meanwhile"), patient()).await.unwrap();
    }

    let second = world.client("elsewhere").await;
    bot(&second, "dave").await;
    let opened = second.open_archive(archive.clone(), key(1)).await.unwrap();
    assert_eq!((opened.identity(), opened.name()), (alice.identity(), Some("alice")));
    let new = import(&second, &archive).await;
    link(&new, LinkState::Up).await;
    for (was, is) in log.iter().zip(all(&new).await) {
        assert_eq!(*was, is);
    }
    heard(&new, "meanwhile").await;
    let now = texts_of(&new).await;
    assert!(said.iter().all(|text| now.contains(text)));
    assert_eq!(new.known(&bob.identity()).await.unwrap().trust, TrustState::Verified);
    for group in &groups {
        let hello = format!("hello from {group}");
        new.send(group.clone(), text(&hello), patient()).await.unwrap();
        heard(&bob, &hello).await;
        new.update_keys(group.clone(), patient()).await.unwrap();
        let back = format!("back to {group}");
        bob.send(group.clone(), text(&back), patient()).await.unwrap();
        heard(&new, &back).await;
    }
    new.accept(pending).await.unwrap();
    heard(&new, "hidden").await;
    // Key packages came along: who invites the identity now reaches the new place.
    meet(Suite::Native, &bob, &[&new]).await;
    assert_eq!(former.health().link, LinkState::Exported);
    // Another start of the new place, with its own master key.
    second.shutdown().await;
    let second = world.client("elsewhere").await;
    let new = second.session(&alice.identity()).unwrap();
    new.send(groups[0].clone(), text("still here"), patient()).await.unwrap();
    heard(&bob, "still here").await;

    // The former place can be deleted: nothing of the identity goes at the node.
    first.delete(&alice.identity()).await.unwrap();
    assert!(first.session(&alice.identity()).is_none());
    new.send(groups[0].clone(), text("and still"), patient()).await.unwrap();
    heard(&bob, "and still").await;
    for client in [first, second, other] {
        client.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_on_its_way_arrives_once_from_the_new_place() {
    let mut world = World::new().await;
    let (first, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&other, "bob").await);
    let group = meet(Suite::Envelope, &alice, &[&bob]).await;
    for n in 0..30 {
        alice.send(group.clone(), text(&format!("sent {n}")), Options::default()).await.unwrap();
    }
    world.stop().await;
    for n in 0..10 {
        alice.send(group.clone(), text(&format!("queued {n}")), Options::default()).await.unwrap();
    }
    let archive = first.export(&alice.identity(), key(1)).await.unwrap();
    world.start().await;
    let second = world.client("elsewhere").await;
    let new = import(&second, &archive).await;
    let heard = heard(&bob, "queued 9").await;
    let sent = (0..30).map(|n| format!("sent {n}"));
    let queued = (0..10).map(|n| format!("queued {n}"));
    assert_eq!(heard, sent.chain(queued).collect::<Vec<_>>());
    let query = || HistoryQuery { limit: 100, ..HistoryQuery::default() };
    let delivered = |event: &EventData| matches!(event, EventData::MessageSent(message) if message.body["body"] == "queued 9");
    until(&new, delivered).await;
    let page = new.history(&group, query()).await.unwrap();
    assert!(page.items.iter().all(|message| message.delivery == DeliveryState::Sent));
    for client in [first, second, other] {
        client.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_archive_is_an_old_copy_and_a_lost_one_is_taken_back() {
    let world = World::new().await;
    let (first, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&other, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    let archive = first.export(&alice.identity(), key(1)).await.unwrap();
    // The archive is lost, so it says; twice is once.
    first.export(&alice.identity(), key(3)).await.unwrap();
    alice.resume().await.unwrap();
    link(&alice, LinkState::Up).await;
    alice.send(group.clone(), text("it was me"), patient()).await.unwrap();
    heard(&bob, "it was me").await;
    first.shutdown().await;
    // It is found again: its state is old, so it must be added to its groups before it speaks.
    let second = world.client("elsewhere").await;
    let old = import(&second, &archive).await;
    let stale = |event: &EventData| matches!(event, EventData::GroupNeedsReadd { reason } if reason == "old_copy");
    until(&old, stale).await;
    old.send(group, text("and me"), patient()).await.unwrap();
    until(&old, |event| matches!(event, EventData::GroupRepaired { .. })).await;
    assert_eq!(heard(&bob, "and me").await, ["it was me", "and me"]);
    second.shutdown().await;
    other.shutdown().await;
}
