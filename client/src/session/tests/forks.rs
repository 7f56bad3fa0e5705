//! Peers that fan out one by one: their commits reach some members and not others.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::Suite;
use quicproquo_node::{NodeConfig, Rate};

use super::stranger::Stranger;
use super::world::{World, all, bot, heard, meet, members, patient, text, until};
use crate::client::Client;
use crate::config::ClientConfig;
use crate::event::{Event, EventData};
use crate::model::{GroupState, Options};
use crate::session::Session;

static REACHED: Mutex<BTreeMap<(GroupId, IdentityKey), Vec<IdentityKey>>> =
    Mutex::new(BTreeMap::new());

/// Of the recipients of a commit those whom it reaches.
pub(crate) fn fan_out<T, I: Iterator<Item = (IdentityKey, T)>>(
    group: &GroupId,
    from: IdentityKey,
    to: I,
) -> impl Iterator<Item = (IdentityKey, T)> + use<T, I> {
    let reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    let reached = reached.get(&(group.clone(), from)).cloned();
    to.filter(move |(key, _)| reached.as_ref().is_none_or(|reached| reached.contains(key)))
}

pub(super) fn reach(group: &GroupId, from: &Session, to: &[&Session]) {
    let key = (group.clone(), from.identity());
    let to = to.iter().map(|session| session.identity()).collect();
    REACHED.lock().unwrap().insert(key, to);
}

pub(super) fn reach_all(group: &GroupId, from: &Session) {
    REACHED.lock().unwrap().remove(&(group.clone(), from.identity()));
}

async fn told(session: &Session, fits: impl Fn(&EventData) -> bool) -> bool {
    all(session).await.iter().any(|event| fits(&event.data))
}

fn is_forked(event: &EventData) -> bool {
    matches!(event, EventData::GroupForked { .. })
}

/// Whoever says something is heard by all in the end. A message to the other branch is lost, and
/// that is told there.
async fn come_together(sessions: &[&Session], group: &GroupId, what: &str) {
    let together = async {
        for round in 0.. {
            for (n, speaker) in sessions.iter().enumerate() {
                let said = text(&format!("{what} {round} {n}"));
                speaker.send(group.clone(), said, patient()).await.unwrap();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut heard_all = true;
            for listener in sessions {
                assert_ne!(listener.group(group).await.unwrap().state, GroupState::Isolated);
                let texts = super::world::texts(&all(listener).await);
                let from_others = sessions
                    .iter()
                    .enumerate()
                    .filter(|(_, speaker)| speaker.identity() != listener.identity());
                for (n, _) in from_others {
                    heard_all &= texts.contains(&format!("{what} {round} {n}"));
                }
            }
            if heard_all {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), together).await.expect("they come together");
}

/// Nobody joins by a last-resort package: who does commits on its own, seconds later (rule 16).
fn claims_freely(config: &mut NodeConfig) {
    config.limits.claims_per_pair = Rate { burst: 1, period: Duration::ZERO };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_told_and_mended_whoever_is_on_the_losing_side() {
    let world = World::with(claims_freely).await;
    let config = |name| ClientConfig { key_package_stock: 20, ..world.config(name) };
    let client = Client::open(config("a")).await.unwrap();
    let other = Client::open(config("b")).await.unwrap();
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let (carol, dave) = (bot(&other, "carol").await, bot(&other, "dave").await);
    let sessions = [&alice, &bob, &carol, &dave];
    // The hints decide who wins, and they are random.
    let (mut admin_lost, mut others_lost) = (0, 0);
    for round in 0..6 {
        let suite = Suite::ALL[round % 2];
        let group = meet(suite, &alice, &[&bob, &carol, &dave]).await;
        // Alice's commit reaches bob, carol's reaches dave: two branches of one epoch.
        reach(&group, &alice, &[&alice, &bob]);
        reach(&group, &carol, &[&carol, &dave]);
        alice.update_keys(group.clone(), patient()).await.unwrap();
        carol.update_keys(group.clone(), patient()).await.unwrap();
        let epochs = async |session: &Session| session.group(&group).await.unwrap().epoch;
        assert_eq!(epochs(&alice).await, epochs(&carol).await);
        reach_all(&group, &alice);
        reach_all(&group, &carol);
        come_together(&sessions, &group, &format!("round {round}")).await;
        let alike = async {
            loop {
                let mut rosters = Vec::new();
                for session in sessions {
                    let mut roster = members(session, &group).await;
                    roster.sort();
                    rosters.push((epochs(session).await, roster));
                }
                if rosters.windows(2).all(|two| two[0] == two[1]) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), alike).await.expect("all in one epoch");
        let lost = |event: &EventData| matches!(event, EventData::GroupNeedsReadd { .. });
        let mut told_here = Vec::new();
        for session in sessions {
            let log = all(session).await;
            let of = log.iter().filter(|event| event.group.as_ref() == Some(&group));
            told_here.push(of.filter(|event| lost(&event.data)).count());
        }
        admin_lost += usize::from(told_here[0] > 0);
        others_lost += usize::from(told_here[2] > 0);
        // The roles have not changed.
        alice
            .invite(group.clone(), vec![bob.identity()], Options::default())
            .await
            .expect_err("bob is there");
    }
    // Alice speaks first; whether she hears of the other branch hangs on who asks.
    assert!(told(&carol, is_forked).await);
    assert!(admin_lost + others_lost >= 6, "{admin_lost} {others_lost}");
    client.shutdown().await;
    other.shutdown().await;
}

/// A `PrivateMessage` (RFC 9420, section 6.3) as others would write it, without a hint: of this epoch, and
/// of keys that nobody has.
fn of_another_branch(group: &GroupId, epoch: u64, nth: u8) -> Vec<u8> {
    let id = group.as_bytes();
    let mut message = vec![0, 1, 0, 2, u8::try_from(id.len()).unwrap()];
    message.extend_from_slice(id);
    message.extend_from_slice(&epoch.to_be_bytes());
    // An application message, nothing authenticated beside it, the sender, the ciphertext.
    message.extend_from_slice(&[1, 0, 28]);
    message.extend_from_slice(&[nth; 28]);
    message.push(60);
    message.extend_from_slice(&[nth; 60]);
    message
}

/// Messages of other implementations do not show which state of the epoch they are of.
#[tokio::test(flavor = "multi_thread")]
async fn three_messages_without_a_hint_that_cannot_be_read_show_a_fork() {
    let world = World::with(claims_freely).await;
    let config = |name| ClientConfig { key_package_stock: 20, ..world.config(name) };
    let client = Client::open(config("a")).await.unwrap();
    let other = Client::open(config("b")).await.unwrap();
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let stranger = Stranger::connect(&world).await;
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    let say = async |session: &Session, listener: &Session, what: &str| {
        session.send(group.clone(), text(what), patient()).await.unwrap();
        heard(listener, what).await
    };
    let epoch = async || bob.group(&group).await.unwrap().epoch;

    // One or two may be broken, and in another epoch they are counted anew.
    for nth in 0..2 {
        stranger.send(&[bob.identity()], &of_another_branch(&group, epoch().await, nth)).await;
    }
    say(&alice, &bob, "before").await;
    alice.update_keys(group.clone(), patient()).await.unwrap();
    say(&alice, &bob, "between").await;
    for nth in 2..4 {
        stranger.send(&[bob.identity()], &of_another_branch(&group, epoch().await, nth)).await;
    }
    say(&alice, &bob, "still here").await;
    assert!(!told(&bob, is_forked).await);

    let forked_in = epoch().await;
    stranger.send(&[bob.identity()], &of_another_branch(&group, forked_in, 4)).await;
    let log = until(&bob, is_forked).await;
    let told_in = EventData::GroupForked { epoch: forked_in };
    assert_eq!(log.last().map(|event| &event.data), Some(&told_in));
    let unread = |event: &&Event| matches!(event.data, EventData::MessageUndecryptable { .. });
    assert_eq!(log.iter().filter(unread).count(), 5);
    let rejoined = |event: &EventData| matches!(event, EventData::GroupRepaired { reason } if reason == "rejoined");
    until(&bob, rejoined).await;
    say(&alice, &bob, "together").await;
    assert_eq!(say(&bob, &alice, "again").await, ["again"]);
    assert!(!told(&alice, is_forked).await);
    client.shutdown().await;
    other.shutdown().await;
}

/// A removed member that goes on committing in the epoch it was removed from changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_decided_epoch_is_not_reopened_by_a_removed_member() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let mallory = bot(&other, "mallory").await;
    let group = meet(Suite::Native, &alice, &[&bob, &mallory]).await;
    // It never sees the commit that removes it, so it goes on in its own branch.
    reach(&group, &alice, &[&alice, &bob]);
    alice.remove(group.clone(), vec![mallory.identity()], patient()).await.unwrap();
    reach_all(&group, &alice);
    for _ in 0..3 {
        mallory.update_keys(group.clone(), patient()).await.unwrap();
    }
    alice.send(group.clone(), text("without"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "without").await, ["without"]);
    bob.send(group.clone(), text("still here"), patient()).await.unwrap();
    assert_eq!(heard(&alice, "still here").await, ["still here"]);
    // Its requests to come back are not served: it is no member.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for session in [&alice, &bob] {
        let roster = members(session, &group).await;
        assert_eq!(roster.len(), 2);
        assert_eq!(session.group(&group).await.unwrap().epoch, 2);
    }
    until(&bob, |event| matches!(event, EventData::GroupMembersChanged { .. })).await;
    client.shutdown().await;
    other.shutdown().await;
}
