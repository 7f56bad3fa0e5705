//! A protocol stack that panics: its group is isolated, all others go on, and nothing is lost.
//! Payloads that wait take no more bytes than they may.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use quicproquo_core::id::GroupId;
use quicproquo_core::suite::Suite;

use crate::event::{Event, EventData};
use crate::model::{GroupState, Options};
use crate::session::Session;

mod bulk;
pub(crate) mod forks;
mod hostile;
mod large_packages;
mod leaving;
mod old_copies;
mod reconnect;
mod stranger;
#[expect(clippy::disallowed_methods, reason = "the helpers of the other tests")]
#[path = "../../tests/it/world.rs"]
pub(crate) mod world;

use world::{World, bot, group_of, heard, meet, patient, text, until};

static STRUCK: Mutex<BTreeSet<(&str, Vec<u8>)>> = Mutex::new(BTreeSet::new());

/// Panics at a place of the protocol stack, for groups and identities that a test has named.
pub(crate) fn strike(at: &'static str, whose: &[u8]) {
    let struck = STRUCK.lock().unwrap_or_else(PoisonError::into_inner);
    let hit = struck.contains(&(at, whose.to_vec()));
    drop(struck);
    assert!(!hit, "struck by a test");
}

fn break_at(at: &'static str, whose: &[u8]) {
    STRUCK.lock().unwrap().insert((at, whose.to_vec()));
}

fn mend(at: &'static str, whose: &[u8]) {
    STRUCK.lock().unwrap().remove(&(at, whose.to_vec()));
}

fn is_internal(event: &EventData) -> bool {
    matches!(event, EventData::MessageUndecryptable { reason, .. } if reason == "internal")
}

async fn told(session: &Session, fits: impl Fn(&EventData) -> bool) -> usize {
    world::all(session).await.iter().filter(|event| fits(&event.data)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_isolates_its_group_alone_until_it_is_well_again() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let broken = meet(Suite::Native, &alice, &[&bob]).await;
    let whole = meet(Suite::Native, &alice, &[&bob]).await;

    break_at("process", broken.as_bytes());
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
    let isolated = |event: &&Event| matches!(event.data, EventData::GroupIsolated { .. });
    assert_eq!(log.iter().filter(isolated).count(), 1);
    other.shutdown().await;

    mend("process", broken.as_bytes());
    let other = world.client("b").await;
    let bob = other.session(&identity).unwrap();
    alice.send(broken.clone(), text("third"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "third").await, ["elsewhere", "again", "first", "second", "third"]);
    until(&bob, |event| matches!(event, EventData::GroupRepaired { .. })).await;
    assert_eq!(bob.group(&broken).await.unwrap().state, GroupState::Active);
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_on_which_the_stack_panics_is_set_aside_and_the_session_lives_on() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let identity = bob.identity();
    let group = meet(Suite::Envelope, &alice, &[&bob]).await;
    let mut expected = Vec::new();
    for (n, at) in ["envelope", "frame", "content", "welcome", "peek", "join"].iter().enumerate() {
        break_at(at, identity.as_bytes());
        if n < 3 {
            alice.send(group.clone(), text("poison"), patient()).await.unwrap();
        } else {
            alice.create_group(group_of(Suite::Native, &[&bob]), patient()).await.unwrap();
        }
        let mut tail = bob.tail();
        let wait = async {
            while told(&bob, is_internal).await <= n {
                tail.changed().await.unwrap();
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.expect(at);
        mend(at, identity.as_bytes());
        expected.push((*at).to_owned());
        alice.send(group.clone(), text(at), patient()).await.unwrap();
        assert_eq!(heard(&bob, at).await, expected);
        assert_eq!(told(&bob, is_internal).await, n + 1);
    }
    // None of these rows comes again.
    other.shutdown().await;
    let other = world.client("b").await;
    let bob = other.session(&identity).unwrap();
    alice.send(group.clone(), text("end"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "end").await.len(), expected.len() + 1);
    assert_eq!(told(&bob, is_internal).await, expected.len());
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_state_panics_is_isolated_alone() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let identity = bob.identity();
    let broken = meet(Suite::Native, &alice, &[&bob]).await;
    let whole = meet(Suite::Native, &alice, &[&bob]).await;
    other.shutdown().await;

    break_at("load", broken.as_bytes());
    let other = world.client("b").await;
    let bob = other.session(&identity).unwrap();
    alice.send(broken.clone(), text("kept"), patient()).await.unwrap();
    alice.send(whole.clone(), text("elsewhere"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "elsewhere").await, ["elsewhere"]);
    until(&bob, |event| matches!(event, EventData::GroupIsolated { .. })).await;
    other.shutdown().await;

    mend("load", broken.as_bytes());
    let other = world.client("b").await;
    let bob = other.session(&identity).unwrap();
    assert_eq!(heard(&bob, "kept").await, ["elsewhere", "kept"]);
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_after_messages_were_encrypted_makes_no_key_be_used_twice() {
    let mut world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let identity = alice.identity();
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    alice.send(group.clone(), text("before"), patient()).await.unwrap();

    // Both wait for the commit, so that one unit encrypts them.
    world.stop().await;
    alice.update_keys(group.clone(), Options::default()).await.unwrap();
    for said in ["first", "second"] {
        alice.send(group.clone(), text(said), Options::default()).await.unwrap();
    }
    break_at("flush", group.as_bytes());
    world.start().await;
    until(&alice, |event| matches!(event, EventData::GroupIsolated { .. })).await;
    client.shutdown().await;

    mend("flush", group.as_bytes());
    let client = world.client("a").await;
    let alice = client.session(&identity).unwrap();
    until(&alice, |event| matches!(event, EventData::GroupRepaired { .. })).await;
    alice.send(group.clone(), text("third"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "third").await, ["before", "first", "second", "third"]);
    let lost = told(&bob, |event| matches!(event, EventData::MessageUndecryptable { .. })).await;
    assert_eq!(lost, 0);
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_commit_that_does_not_merge_is_kept_and_merged_later() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let carol = bot(&other, "carol").await;
    let identity = alice.identity();
    let group = meet(Suite::Native, &alice, &[&bob]).await;

    break_at("merge", group.as_bytes());
    let invited = vec![carol.identity()];
    alice.invite(group.clone(), invited, Options::default()).await.unwrap();
    until(&alice, |event| matches!(event, EventData::GroupIsolated { .. })).await;
    // The others have merged it and go on in the new epoch.
    until(&bob, |event| matches!(event, EventData::GroupMembersChanged { .. })).await;
    bob.send(group.clone(), text("after"), patient()).await.unwrap();
    client.shutdown().await;

    mend("merge", group.as_bytes());
    let client = world.client("a").await;
    let alice = client.session(&identity).unwrap();
    assert_eq!(heard(&alice, "after").await, ["after"]);
    until(&alice, |event| matches!(event, EventData::GroupRepaired { .. })).await;
    until(&carol, |event| matches!(event, EventData::InvitationReceived(_))).await;
    carol.accept(group.clone()).await.unwrap();
    alice.send(group.clone(), text("all"), patient()).await.unwrap();
    assert_eq!(heard(&carol, "all").await.last().unwrap(), "all");
    assert_eq!(heard(&bob, "all").await, ["all"]);
    client.shutdown().await;
    other.shutdown().await;
}

/// Sends texts of 20,000 letters; what is kept is far below 24 KiB each.
async fn send_large(from: &Session, group: &GroupId, texts: &[&str]) {
    for said in texts {
        from.send(group.clone(), text(&large(said)), patient()).await.unwrap();
    }
}

fn large(said: &str) -> String {
    format!("{said}{}", "x".repeat(20_000))
}

/// Waits until so many payloads were set aside because too many bytes wait, and no more.
async fn turned_away(session: &Session, count: usize) {
    let seen = RefCell::new(BTreeSet::new());
    until(session, |event| {
        if let EventData::MessageUndecryptable { reason, payload_hash } = event
            && reason == "buffer_full"
        {
            seen.borrow_mut().insert(payload_hash.clone());
        }
        seen.borrow().len() == count
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_ours_makes_us_keep_so_many_bytes_and_no_more() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let broken = meet(Suite::Native, &alice, &[&bob]).await;
    break_at("process", broken.as_bytes());
    // 96 KiB.
    send_large(&alice, &broken, &["1", "2", "3", "4"]).await;
    let identity = bob.identity();
    until(&bob, |event| matches!(event, EventData::GroupIsolated { .. })).await;
    send_large(&alice, &broken, &["5"]).await;
    turned_away(&bob, 1).await;
    other.shutdown().await;
    let other = world.client("b").await;
    let bob = other.session(&identity).unwrap();
    send_large(&alice, &broken, &["6"]).await;
    turned_away(&bob, 2).await;
    other.shutdown().await;

    mend("process", broken.as_bytes());
    let other = world.client("b").await;
    let bob = other.session(&identity).unwrap();
    alice.send(broken.clone(), text("small"), patient()).await.unwrap();
    let kept = heard(&bob, "small").await;
    assert_eq!(kept, [large("1"), large("2"), large("3"), large("4"), "small".to_owned()]);
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_unknown_groups_together_make_us_keep_so_many_bytes_and_no_more() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let identity = bob.identity();
    // Two more than an inviter may have pending: their Welcomes wait, their groups are unknown.
    let mut groups = Vec::new();
    for _ in 0..22 {
        let new = group_of(Suite::Envelope, &[&bob]);
        groups.push(alice.create_group(new, patient()).await.unwrap().value.group.id);
    }
    let [one, two] = [&groups[20], &groups[21]];
    // 64 KiB.
    send_large(&alice, one, &["1", "2"]).await;
    send_large(&alice, two, &["1", "2"]).await;
    turned_away(&bob, 1).await;
    other.shutdown().await;
    let other = world.client("b").await;
    let bob = other.session(&identity).unwrap();
    send_large(&alice, one, &["3"]).await;
    turned_away(&bob, 2).await;

    // What was kept comes with the place for its group.
    bob.accept(groups[0].clone()).await.unwrap();
    until(&bob, |event| matches!(event, EventData::InvitationReceived(new) if new.id == *one))
        .await;
    bob.accept(one.clone()).await.unwrap();
    alice.send(one.clone(), text("small"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "small").await, [large("1"), large("2"), "small".to_owned()]);
    client.shutdown().await;
    other.shutdown().await;
}
