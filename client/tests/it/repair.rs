//! Groups that have gone on without a member: it is added again, and nothing is lost in silence.

use std::path::Path;

use quicproquo_client::{
    Client, ClientConfig, DeliveryState, EventData, GroupId, GroupState, IdentityKey, NewGroup,
    Options, Session, Suite,
};
use quicproquo_node::NodeConfig;

use crate::world::{World, all, bot, group_of, heard, meet, members, patient, text, texts, until};

pub(crate) fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn needs_readd(event: &EventData, why: &str) -> bool {
    matches!(event, EventData::GroupNeedsReadd { reason } if reason == why)
}

async fn repaired(session: &Session, group: &GroupId) {
    until(session, |event| matches!(event, EventData::GroupRepaired { .. })).await;
    assert_eq!(session.group(group).await.unwrap().state, GroupState::Active);
}

/// A text of each reaches all others, and they agree about who is there.
async fn all_talk(sessions: &[&Session], group: &GroupId, what: &str) {
    let keys: Vec<IdentityKey> = members(sessions[0], group).await;
    for (n, speaker) in sessions.iter().enumerate() {
        let said = format!("{what} {n}");
        speaker.send(group.clone(), text(&said), patient()).await.unwrap();
        for listener in sessions.iter().filter(|it| it.identity() != speaker.identity()) {
            assert_eq!(heard(listener, &said).await.iter().filter(|it| **it == said).count(), 1);
        }
        let mut roster = members(speaker, group).await;
        let mut expected = keys.clone();
        roster.sort();
        expected.sort();
        assert_eq!(roster, expected);
    }
}

/// The only admin comes back with an old copy of its state, which took messages before it found
/// out; a member without a role adds it again.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_state_is_added_again_and_says_everything_once() {
    for suite in Suite::ALL {
        let mut world = World::new().await;
        let (first, second) = (world.client("a").await, world.client("b").await);
        let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
        let group = meet(suite, &alice, &[&bob]).await;
        let key = alice.identity();
        first.shutdown().await;
        let (state, monday) = (world.path().join("a"), world.path().join("monday"));
        copy(&state, &monday);

        // The current state goes on, also to another epoch; then the old one takes its place,
        // without a link.
        let first = world.client("a").await;
        let alice = first.session(&key).unwrap();
        alice.send(group.clone(), text("tuesday"), patient()).await.unwrap();
        alice.update_keys(group.clone(), patient()).await.unwrap();
        alice.send(group.clone(), text("wednesday"), patient()).await.unwrap();
        heard(&bob, "wednesday").await;
        bob.send(group.clone(), text("read by the other copy"), patient()).await.unwrap();
        heard(&alice, "read by the other copy").await;
        first.shutdown().await;
        copy(&monday, &state);
        world.stop().await;
        for run in 0..2 {
            let first = world.client("a").await;
            let alice = first.session(&key).unwrap();
            for n in 0..3 {
                let said = text(&format!("old {run} {n}"));
                let said = alice.send(group.clone(), said, Options::default()).await.unwrap();
                assert_eq!(said.value.delivery, DeliveryState::Queued);
            }
            first.shutdown().await;
        }
        world.start().await;
        let first = world.client("a").await;
        let alice = first.session(&key).unwrap();
        until(&alice, |event| needs_readd(event, "old_copy")).await;
        until(&alice, |event| matches!(event, EventData::GapDetected { .. })).await;
        repaired(&alice, &group).await;
        let expected = ["tuesday", "wednesday"].map(str::to_owned).into_iter();
        let old = (0..6).map(|n| format!("old {} {}", n / 3, n % 3));
        assert_eq!(heard(&bob, "old 1 2").await, expected.chain(old).collect::<Vec<_>>());
        all_talk(&[&alice, &bob], &group, "again").await;

        // New groups work too: the key packages at the node are its own.
        let there = meet(suite, &bob, &[&alice]).await;
        all_talk(&[&bob, &alice], &there, "elsewhere").await;
        let lost = |event: &EventData| matches!(event, EventData::MessageUndecryptable { .. });
        assert!(!all(&bob).await.iter().any(|event| lost(&event.data)));
        first.shutdown().await;
        second.shutdown().await;
    }
}

/// Nobody could add whoever is alone in a group, and nobody is there to be at another state.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_a_group_without_others_goes_on_at_once() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let key = alice.identity();
    let shared = meet(Suite::Native, &alice, &[&bob]).await;
    let made = alice.create_group(group_of(Suite::Native, &[]), patient()).await.unwrap();
    let alone = made.value.group.id;
    first.shutdown().await;
    let (state, monday) = (world.path().join("a"), world.path().join("monday"));
    copy(&state, &monday);
    let first = world.client("a").await;
    first.session(&key).unwrap().send(shared.clone(), text("later"), patient()).await.unwrap();
    first.shutdown().await;
    copy(&monday, &state);

    let first = world.client("a").await;
    let alice = first.session(&key).unwrap();
    let log = until(&alice, |event| matches!(event, EventData::GroupRepaired { .. })).await;
    assert!(log.iter().any(|event| needs_readd(&event.data, "old_copy")));
    let change = alice.invite(alone.clone(), vec![bob.identity()], patient()).await.unwrap();
    assert_eq!(change.value.group.state, GroupState::Active);
    until(&bob, |event| matches!(event, EventData::InvitationReceived(it) if it.id == alone)).await;
    bob.accept(alone.clone()).await.unwrap();
    all_talk(&[&alice, &bob], &alone, "together").await;
    first.shutdown().await;
    second.shutdown().await;
}

fn small_queues(config: &mut NodeConfig) {
    config.limits.queue_rows = 24;
    config.limits.pair_rows = 24;
}

/// Its queue was full when the commits came.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_missed_commits_is_added_again() {
    for suite in Suite::ALL {
        let world = World::with(small_queues).await;
        let (first, second) = (world.client("a").await, world.client("b").await);
        let (alice, bob) = (bot(&first, "alice").await, bot(&first, "bob").await);
        let carol = bot(&second, "carol").await;
        let dave = bot(&first, "dave").await;
        let key = carol.identity();
        let group = meet(suite, &alice, &[&bob, &carol]).await;
        all_talk(&[&alice, &bob, &carol], &group, "hello").await;
        second.shutdown().await;

        for n in 0..30 {
            let sent = alice.send(group.clone(), text(&format!("{n}")), patient()).await.unwrap();
            let expected = if n < 12 { 2..=2 } else { 1..=2 };
            assert!(expected.contains(&sent.value.recipients), "{n}: {}", sent.value.recipients);
        }
        // It did not go to carol, whose queue is full.
        let last = alice.send(group.clone(), text("the last"), patient()).await.unwrap();
        assert_eq!((last.value.delivery, last.value.recipients), (DeliveryState::Sent, 1));
        alice.invite(group.clone(), vec![dave.identity()], patient()).await.unwrap();
        until(&dave, |event| matches!(event, EventData::InvitationReceived(_))).await;
        dave.accept(group.clone()).await.unwrap();

        let second = world.client("b").await;
        let carol = second.session(&key).unwrap();
        until(&carol, |event| matches!(event, EventData::GapDetected { .. })).await;
        // Until somebody speaks nothing shows that the others have gone on.
        carol.send(group.clone(), text("am I alone?"), patient()).await.unwrap();
        bob.send(group.clone(), text("where is carol?"), patient()).await.unwrap();
        until(&carol, |event| needs_readd(event, "missed_commit")).await;
        repaired(&carol, &group).await;
        until(&carol, |event| {
            matches!(event, EventData::GroupMembersChanged { added, .. } if added == &[dave.identity()])
        })
        .await;
        all_talk(&[&alice, &bob, &carol, &dave], &group, "all").await;
        first.shutdown().await;
        second.shutdown().await;
    }
}

/// Reconnecting late, again and again, with messages that wait, is no reason to be added again.
#[tokio::test(flavor = "multi_thread")]
async fn ordinary_life_is_not_taken_for_a_fork() {
    let mut world = World::new().await;
    let (first, mut second) = (world.client("a").await, world.client("b").await);
    let (alice, mut bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let group = meet(Suite::Envelope, &alice, &[&bob]).await;
    let key = bob.identity();
    for round in 0..3 {
        // Bob sleeps with messages in its outbox; alice goes on to other epochs.
        world.stop().await;
        for n in 0..3 {
            let said = text(&format!("{round} {n}"));
            bob.send(group.clone(), said, Options::default()).await.unwrap();
        }
        second.shutdown().await;
        world.start().await;
        alice.update_keys(group.clone(), patient()).await.unwrap();
        alice.update_keys(group.clone(), patient()).await.unwrap();
        second = world.client("b").await;
        bob = second.session(&key).unwrap();
        assert_eq!(heard(&alice, &format!("{round} 2")).await.len(), 3 * (round + 1) + round);
        all_talk(&[&alice, &bob], &group, &format!("round {round}")).await;
        for session in [&alice, &bob] {
            let log = all(session).await;
            let alarmed = log.iter().any(|event| {
                matches!(
                    event.data,
                    EventData::GroupForked { .. }
                        | EventData::GroupNeedsReadd { .. }
                        | EventData::GapDetected { .. }
                        | EventData::MessageUndecryptable { .. }
                )
            });
            assert!(!alarmed, "{log:#?}");
        }
        assert_eq!(texts(&all(&bob).await).len(), round + 1);
    }
    first.shutdown().await;
    second.shutdown().await;
}

/// Without one-time packages everybody invites by the one last-resort package.
#[tokio::test(flavor = "multi_thread")]
async fn several_welcomes_on_one_last_resort_package_are_all_joined() {
    let world = World::new().await;
    let first = world.client("a").await;
    let config = ClientConfig { key_package_stock: 0, ..world.config("b") };
    let second = Client::open(config.clone()).await.unwrap();
    let bob = bot(&second, "bob").await;
    let key = bob.identity();
    second.shutdown().await;
    let mut invited = Vec::new();
    for n in 0..4 {
        let inviter = bot(&first, &format!("inviter{n}")).await;
        for suite in Suite::ALL {
            let new = NewGroup { members: vec![key], ..group_of(suite, &[]) };
            let made = inviter.create_group(new, patient()).await.unwrap();
            inviter.send(made.value.group.id.clone(), text("welcome"), patient()).await.unwrap();
            invited.push((inviter.clone(), made.value.group.id));
        }
    }
    let second = Client::open(config).await.unwrap();
    let bob = second.session(&key).unwrap();
    for (inviter, group) in &invited {
        let here = |event: &EventData| matches!(event, EventData::InvitationReceived(invitation) if invitation.id == *group);
        until(&bob, here).await;
        bob.accept(group.clone()).await.unwrap();
        // Its keys in the group are replaced at once: others may hold the same package.
        let said = format!("hello {group}");
        bob.send(group.clone(), text(&said), patient()).await.unwrap();
        heard(inviter, &said).await;
        assert!(inviter.group(group).await.unwrap().epoch >= 2);
    }
    assert_eq!(texts(&all(&bob).await), vec!["welcome"; invited.len()]);
    first.shutdown().await;
    second.shutdown().await;
}
