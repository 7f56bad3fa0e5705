//! Members and strangers that keep to no rules: sessions refuse what they send, say so, and go on.

use std::collections::BTreeSet;
use std::time::Duration;

use quicproquo_core::content::{Content, Version};
use quicproquo_core::envelope::seal_v2;
use quicproquo_core::group::{Forgery, Group, GroupParams, RepairRequest, Role};
use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::Identity;
use quicproquo_core::kem::HybridSecret;
use quicproquo_core::suite::{Profile, Suite};
use sha2::{Digest as _, Sha256};

use super::large_packages::key_package;
use super::stranger::Stranger;
use super::told;
use super::world::{self, World, bot, group_of, heard, meet, members, patient, text, until};
use crate::clock::now_secs;
use crate::config::ClientConfig;
use crate::error::SessionError;
use crate::event::EventData;
use crate::model::{ContextChange, GroupState, NewGroup};
use crate::session::Session;
use crate::session::foul::stolen;

fn set_aside(why: &str) -> impl Fn(&EventData) -> bool {
    move |event| matches!(event, EventData::MessageUndecryptable { reason, .. } if reason == why)
}

/// Waits until a session has set aside so many payloads for this reason.
async fn refused(session: &Session, why: &str, count: usize) {
    let mut tail = session.tail();
    let wait = async {
        while told(session, set_aside(why)).await < count {
            tail.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
    waited.unwrap_or_else(|_| panic!("{why} is not told {count} times"));
    assert_eq!(told(session, set_aside(why)).await, count);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_has_its_way_with_no_forbidden_commit() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let mallory = bot(&other, "mallory").await;
    let friend = bot(&other, "friend").await;
    let group = meet(Suite::Native, &alice, &[&bob, &mallory]).await;
    let accomplice = Stranger::connect(&world).await;
    let package = accomplice.package(friend.identity(), Suite::Native).await;
    let (mut mls, own) = stolen(&mallory, &group).await.unwrap();
    let admins = BTreeSet::from([own.key()]);
    let now = now_secs();
    let parts = [
        vec![Forgery::Add(package.clone(), now)],
        vec![Forgery::Remove(bob.identity())],
        vec![Forgery::Remove(alice.identity())],
        vec![Forgery::Admins(admins.clone())],
        vec![Forgery::Plain],
        vec![Forgery::Hybrid(None)],
        vec![Forgery::Hybrid(Some(vec![1, 2, 3]))],
        vec![Forgery::Remove(alice.identity()), Forgery::Admins(admins)],
    ];
    let mut payloads = Vec::new();
    for part in &parts {
        payloads.push(mls.forge(&own, part).unwrap().0);
    }
    payloads.push(mls.forge_identity(&own, &Identity::generate()).unwrap());
    payloads.push(mls.forge_in_the_clear(&own).unwrap());
    payloads.push(mls.forge_removal(&own, &bob.identity()).unwrap());
    let before = members(&alice, &group).await;
    for (n, payload) in payloads.iter().enumerate() {
        accomplice.send(&[alice.identity(), bob.identity()], payload).await;
        for honest in [&alice, &bob] {
            refused(honest, "unauthorized", n + 1).await;
        }
    }
    // Who was to be added that way does not join.
    let welcome = mls.forge(&own, &parts[0]).unwrap().1.unwrap();
    accomplice.send(&[friend.identity()], &welcome).await;
    refused(&friend, "welcome_refused", 1).await;
    assert!(friend.invitations().await.unwrap().is_empty());

    // The group is as it was, and goes on, the hostile member included.
    for session in [&alice, &bob, &mallory] {
        let group = session.group(&group).await.unwrap();
        assert_eq!((group.state, group.epoch), (GroupState::Active, 1));
        assert_eq!(members(session, &group.id).await, before);
    }
    alice.send(group.clone(), text("still here"), patient()).await.unwrap();
    for session in [&bob, &mallory] {
        assert_eq!(heard(session, "still here").await, ["still here"]);
    }
    mallory.send(group.clone(), text("so am I"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "so am I").await, ["still here", "so am I"]);

    // The control: the same parts, by an admin, do what they say.
    let roles = vec![(mallory.identity(), Role::Admin)];
    let change = ContextChange { roles, ..ContextChange::default() };
    alice.change_context(group.clone(), change, patient()).await.unwrap();
    until(&mallory, |event| matches!(event, EventData::GroupMembersChanged { epoch: 2, .. })).await;
    let (mut mls, own) = stolen(&mallory, &group).await.unwrap();
    let removal = mls.forge(&own, &[Forgery::Remove(bob.identity())]).unwrap().0;
    accomplice.send(&[alice.identity(), bob.identity()], &removal).await;
    until(&bob, |event| matches!(event, EventData::GroupLeft { .. })).await;
    client.shutdown().await;
    other.shutdown().await;
}

/// Who was removed by a commit that never came is not left to ask for ever without a word.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_in_vain_is_told_and_can_leave() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let carol = bot(&other, "carol").await;
    let group = meet(Suite::Native, &alice, &[&bob, &carol]).await;
    super::forks::reach(&group, &alice, &[&alice, &bob]);
    alice.remove(group.clone(), vec![carol.identity()], patient()).await.unwrap();
    super::forks::reach_all(&group, &alice);
    until(&bob, |event| matches!(event, EventData::GroupMembersChanged { .. })).await;
    // Something of the new epoch reaches her by chance.
    let (mut mls, own) = stolen(&bob, &group).await.unwrap();
    let payload = mls.encrypt(&own, b"\x02{}").unwrap();
    // Nobody is there who could tell her that she was removed.
    client.shutdown().await;
    Stranger::connect(&world).await.send(&[carol.identity()], &payload).await;
    let needs = |why: &'static str| move |event: &EventData| matches!(event, EventData::GroupNeedsReadd { reason } if reason == why);
    until(&carol, needs("missed_commit")).await;
    until(&carol, needs("unanswered")).await;
    assert_eq!(carol.group(&group).await.unwrap().state, GroupState::NeedsReadd);
    carol.leave(group.clone(), patient()).await.unwrap();
    until(&carol, |event| matches!(event, EventData::GroupLeft { .. })).await;
    assert_eq!(carol.group(&group).await.unwrap().state, GroupState::Left);
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_added_again_is_told_to_those_who_could() {
    let world = World::new().await;
    let client = world.client("a").await;
    let alice = bot(&client, "alice").await;
    let carol = Stranger::connect(&world).await;
    carol.publish(Suite::Native).await;
    let member = carol.identity.key();
    let new = NewGroup { members: vec![member], ..world::group_of(Suite::Native, &[]) };
    let group = alice.create_group(new, patient()).await.unwrap().value.group.id;
    // Her only package is used.
    let request = RepairRequest::sign(&carol.identity, &group, 1, None);
    carol.send(&[alice.identity()], request.as_bytes()).await;
    let failed = |event: &EventData| matches!(event, EventData::GroupChangeFailed { reason } if reason.contains(&member.to_string()));
    until(&alice, failed).await;
    // The group goes on.
    alice.send(group.clone(), text("anyway"), patient()).await.unwrap();
    assert_eq!(alice.group(&group).await.unwrap().state, GroupState::Active);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_group_has_no_use_for_is_set_aside_and_changes_nothing() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let group = meet(Suite::Envelope, &alice, &[&bob]).await;
    let (_, own) = stolen(&bob, &group).await.unwrap();
    let stranger = Stranger::connect(&world).await;
    // A key package, as an `MLSMessage` (RFC 9420, section 6), where a message is expected.
    let package = stranger.package(bob.identity(), Suite::Envelope).await;
    let message = [&[0, 1, 0, 5][..], &package].concat();
    stranger.send(&[alice.identity()], &message).await;
    refused(&alice, "malformed", 1).await;
    // Requests that are cut short, and that nobody has signed like this.
    let request = RepairRequest::sign(&own, &group, 1, None);
    stranger.send(&[alice.identity()], &request.as_bytes()[..20]).await;
    refused(&alice, "malformed", 2).await;
    let mut turned = request.as_bytes().to_vec();
    *turned.last_mut().unwrap() ^= 1;
    stranger.send(&[alice.identity()], &turned).await;
    refused(&alice, "malformed", 3).await;
    // A request as it should be, but for its envelope.
    stranger.send(&[alice.identity()], request.as_bytes()).await;
    refused(&alice, "downgrade", 1).await;

    let before = members(&alice, &group).await;
    bob.send(group.clone(), text("as before"), patient()).await.unwrap();
    assert_eq!(heard(&alice, "as before").await, ["as before"]);
    let now = alice.group(&group).await.unwrap();
    assert_eq!((now.state, now.epoch), (GroupState::Active, 1));
    assert_eq!(members(&alice, &group).await, before);

    // The control: in its envelope a request leads to a commit.
    let request = RepairRequest::sign(&own, &group, 1, None);
    stranger.send(&[alice.identity()], &resealed(&alice, request.as_bytes()).await).await;
    let added_again = async {
        while alice.group(&group).await.unwrap().epoch == 1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), added_again).await.expect("a commit");
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_cannot_be_made_leaves_nothing_behind() {
    let world = World::new().await;
    let client = world.client("a").await;
    let alice = bot(&client, "alice").await;
    let stranger = Stranger::connect(&world).await;
    let member = stranger.identity.key();
    let with_stranger = || NewGroup { members: vec![member], ..group_of(Suite::Envelope, &[]) };
    // The package of somebody who supports nothing that a group needs.
    stranger.publish_these(vec![key_package(&stranger.identity, 0)]).await;
    let made = alice.create_group(with_stranger(), patient()).await;
    assert!(made.is_err(), "{made:?}");
    assert!(alice.groups().await.unwrap().is_empty());
    let joined = |event: &EventData| matches!(event, EventData::GroupJoined { .. });
    assert_eq!(told(&alice, joined).await, 0);
    // The control: a package as it should be.
    stranger.publish(Suite::Envelope).await;
    alice.create_group(with_stranger(), patient()).await.unwrap();
    assert_eq!(told(&alice, joined).await, 1);
    let key = alice.identity();
    client.shutdown().await;
    let client = world.client("a").await;
    assert_eq!(client.session(&key).unwrap().groups().await.unwrap().len(), 1);
    client.shutdown().await;
}

/// A peer that knows only the published formats, and has published no hybrid key.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_added_for_whom_nothing_can_be_sealed() {
    let world = World::new().await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let peer = Stranger::connect(&world).await;
    let member = peer.identity.key();
    let with_peer = || NewGroup {
        name: String::new(),
        members: vec![member],
        profile: Profile::Plain,
        ..group_of(Suite::Envelope, &[])
    };
    peer.publish_these(vec![key_package(&peer.identity, 0), key_package(&peer.identity, 1)]).await;
    let refused = alice.create_group(with_peer(), patient()).await.unwrap_err();
    let why = format!("{member} has no hybrid key");
    assert!(matches!(&refused, SessionError::Invalid(text) if *text == why), "{refused:?}");
    // Nothing of it is left, not even in the database.
    assert!(alice.groups().await.unwrap().is_empty());
    let joined = |event: &EventData| matches!(event, EventData::GroupJoined { .. });
    assert_eq!(told(&alice, joined).await, 0);
    // The control: who asks for the key when it is there.
    peer.publish_hybrid_key().await;
    let group = bob.create_group(with_peer(), patient()).await.unwrap().value.group;
    assert_eq!(members(&bob, &group.id).await.len(), 2);
    client.shutdown().await;
}

/// A group of a stranger's own, under an id that it chooses, with somebody invited to it.
fn lure(stranger: &Stranger, id: &GroupId, suite: Suite, package: &[u8]) -> Vec<u8> {
    let hybrid = HybridSecret::generate().unwrap();
    let params = GroupParams {
        group_id: id.clone(),
        suite,
        profile: Profile::Standard,
        name: "room",
        topic: "",
        hybrid: hybrid.public(),
        now: now_secs(),
    };
    let mut group = Group::create(&stranger.identity, params).unwrap();
    let staged = group.add(&stranger.identity, &[package.to_vec()], now_secs()).unwrap();
    staged.welcome.unwrap()
}

/// Seals a payload anew, so that it is not known by the hash of its payload.
async fn resealed(bob: &Session, payload: &[u8]) -> Vec<u8> {
    let key = bob.identity();
    let keys = bob.store.hybrid_keys(bob.owner, key.as_bytes()).await.unwrap();
    let sealed = seal_v2(&[keys[0].public()], payload).unwrap();
    [sealed.prefixes[0].as_slice(), &sealed.body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_or_hijacking_welcome_changes_nothing() {
    let world = World::new().await;
    let client = world.client("a").await;
    // Nothing but its last-resort packages, whose private halves stay.
    let config = ClientConfig { key_package_stock: 0, ..world.config("b") };
    let other = crate::client::Client::open(config).await.unwrap();
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let eve = Stranger::connect(&world).await;
    let suite = Suite::Envelope;
    let group = meet(suite, &alice, &[&bob]).await;
    alice.send(group.clone(), text("before"), patient()).await.unwrap();
    heard(&bob, "before").await;

    // A hijack: another group under the id of one that bob is in.
    let package = eve.package(bob.identity(), suite).await;
    let hijack = lure(&eve, &group, suite, &package);
    eve.send(&[bob.identity()], &resealed(&bob, &hijack).await).await;
    refused(&bob, "welcome_refused", 1).await;

    // A group of eve's that bob joins, and whose Welcome comes again and again.
    let id = GroupId::random();
    let package = eve.package(bob.identity(), suite).await;
    let welcome = lure(&eve, &id, suite, &package);
    eve.send(&[bob.identity()], &resealed(&bob, &welcome).await).await;
    let invited =
        |event: &EventData| matches!(event, EventData::InvitationReceived(it) if it.id == id);
    until(&bob, invited).await;
    eve.send(&[bob.identity()], &resealed(&bob, &welcome).await).await;
    refused(&bob, "welcome_refused", 2).await;
    bob.accept(id.clone()).await.unwrap();
    eve.send(&[bob.identity()], &resealed(&bob, &welcome).await).await;
    refused(&bob, "welcome_refused", 3).await;
    assert_eq!(told(&bob, invited).await, 1);

    // Alice's group has noticed nothing.
    assert_eq!(members(&bob, &group).await.len(), 2);
    alice.send(group.clone(), text("after"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "after").await, ["before", "after"]);
    bob.send(group.clone(), text("yes"), patient()).await.unwrap();
    assert_eq!(heard(&alice, "yes").await, ["yes"]);

    // Nor does an old Welcome bring back whoever was removed.
    alice.remove(group.clone(), vec![bob.identity()], patient()).await.unwrap();
    until(&bob, |event| matches!(event, EventData::GroupLeft { .. })).await;
    eve.send(&[bob.identity()], &resealed(&bob, &hijack).await).await;
    refused(&bob, "welcome_refused", 4).await;
    assert_eq!(bob.group(&group).await.unwrap().state, GroupState::Removed);
    assert!(world::all(&alice).await.iter().all(|event| !set_aside("mls")(&event.data)));
    client.shutdown().await;
    other.shutdown().await;
}

/// A member has the bytes that others get in their envelopes. It sends them bare and ahead, and
/// once more in an envelope of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_heard_once_whatever_it_comes_in() {
    let world = World::new().await;
    let client = world.client("a").await;
    let (bob, mallory) = (bot(&client, "bob").await, bot(&client, "mallory").await);
    let group = meet(Suite::Envelope, &mallory, &[&bob]).await;
    let eve = Stranger::connect(&world).await;
    let (mut mls, own) = stolen(&mallory, &group).await.unwrap();
    let mut said = |body: &str| {
        let content = Content {
            id: MessageId::at(now_secs() * 1000),
            kind: "text".to_owned(),
            body: serde_json::json!({"body": body}),
            relates_to: None,
            sent_at_ms: Some(now_secs() * 1000),
        };
        mls.encrypt(&own, &content.encode(Version::V2).unwrap()).unwrap()
    };
    let (first, former, last) = (said("once"), said("known before"), said("last"));
    let to = [bob.identity()];
    eve.send(&to, &first).await;
    refused(&bob, "downgrade", 1).await;
    eve.send(&to, &resealed(&bob, &first).await).await;
    heard(&bob, "once").await;
    eve.send(&to, &resealed(&bob, &first).await).await;
    let known = resealed(&bob, &former).await;
    eve.send(&to, &known).await;
    heard(&bob, "known before").await;
    // As a former version has noted it: by its envelope.
    let mut name: [u8; 32] = Sha256::digest(&former).into();
    name[31] ^= 1;
    let database = rusqlite::Connection::open(world.path().join("a").join("client.db")).unwrap();
    let noted = "UPDATE inbox SET hash = ? WHERE hash = ?";
    let rows = database.execute(noted, (&Sha256::digest(&known)[..], &name[..])).unwrap();
    assert_eq!(rows, 1);
    eve.send(&to, &known).await;
    eve.send(&to, &resealed(&bob, &last).await).await;
    assert_eq!(heard(&bob, "last").await, ["once", "known before", "last"]);
    assert_eq!(told(&bob, set_aside("mls")).await, 0);
    client.shutdown().await;
}
