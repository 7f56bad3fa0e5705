//! The ordinary life of groups.

use quicproquo_client::{
    ContextChange, DeliveryState, EventData, GroupState, HistoryQuery, Idempotency, Options,
    Outgoing, Role, SessionError, Suite,
};
use serde_json::json;

use crate::world::{World, all, bot, group_of, heard, meet, members, patient, text, texts, until};

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_of_one_database_talk_in_both_suites() {
    let world = World::new().await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    for suite in Suite::ALL {
        let group = meet(suite, &alice, &[&bob]).await;
        let hello = format!("hello {suite:?}");
        let sent = alice.send(group.clone(), text(&hello), patient()).await.unwrap().value;
        assert_eq!(sent.delivery, DeliveryState::Sent);
        assert_eq!(sent.recipients, 1);
        heard(&bob, &hello).await;
        let back = format!("hi {suite:?}");
        bob.send(group.clone(), text(&back), patient()).await.unwrap();
        heard(&alice, &back).await;
        let message = &bob.history(&group, HistoryQuery::default()).await.unwrap().items[0];
        assert_eq!(message.suite, suite);
    }
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_sent_before_the_invitation_is_accepted_appears_after_it() {
    let world = World::new().await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let made = alice.create_group(group_of(Suite::Envelope, &[&bob]), patient()).await.unwrap();
    let group = made.value.group.id;
    alice.send(group.clone(), text("early"), patient()).await.unwrap();
    until(&bob, |event| matches!(event, EventData::InvitationReceived(_))).await;
    assert_eq!(bob.group(&group).await, Err(SessionError::GroupNotFound));
    assert!(texts(&all(&bob).await).is_empty());
    let invitation = &bob.invitations().await.unwrap()[0];
    assert_eq!(invitation.inviter, alice.identity());
    assert_eq!(invitation.group_name, "room");
    bob.accept(group.clone()).await.unwrap();
    let events = until(&bob, |event| matches!(event, EventData::MessageReceived(_))).await;
    assert_eq!(texts(&events), ["early"]);
    let kinds: Vec<_> = events.iter().map(|event| event.data.kind()).collect();
    assert_eq!(kinds, ["invitation.received", "group.joined", "message.received"]);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_go_and_rename() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let carol = bot(&second, "carol").await;
    let group = meet(Suite::Native, &alice, &[&bob]).await;

    let added = alice.invite(group.clone(), vec![carol.identity()], patient()).await.unwrap().value;
    assert_eq!(added.group.members.len(), 3);
    until(&carol, |event| matches!(event, EventData::InvitationReceived(_))).await;
    carol.accept(group.clone()).await.unwrap();
    bob.send(group.clone(), text("all three"), patient()).await.unwrap();
    heard(&carol, "all three").await;
    heard(&alice, "all three").await;

    let refused = bob.remove(group.clone(), vec![carol.identity()], patient()).await;
    assert_eq!(refused, Err(SessionError::NotAdmin));
    let change = ContextChange { name: Some("den".into()), ..ContextChange::default() };
    alice.change_context(group.clone(), change, patient()).await.unwrap();
    until(&bob, |event| matches!(event, EventData::GroupRenamed { name, .. } if name == "den"))
        .await;

    alice.remove(group.clone(), vec![carol.identity()], patient()).await.unwrap();
    until(
        &carol,
        |event| matches!(event, EventData::GroupLeft { reason, .. } if reason == "removed"),
    )
    .await;
    alice.send(group.clone(), text("without carol"), patient()).await.unwrap();
    heard(&bob, "without carol").await;
    assert!(!texts(&all(&carol).await).contains(&"without carol".to_owned()));
    let sent = carol.send(group.clone(), text("still here?"), patient()).await;
    assert_eq!(sent.unwrap_err(), SessionError::GroupInactive);

    let alone = alice.leave(group.clone(), patient()).await;
    assert_eq!(alone, Err(SessionError::LastAdmin));
    let roles = vec![(bob.identity(), Role::Admin)];
    let change = ContextChange { roles, ..ContextChange::default() };
    alice.change_context(group.clone(), change, patient()).await.unwrap();
    let left = alice.leave(group.clone(), patient()).await.unwrap().value;
    assert_eq!(left.group.state, GroupState::Left);
    until(&bob, |event| {
        matches!(event, EventData::GroupMembersChanged { removed, .. } if removed == &[alice.identity()])
    })
    .await;
    assert_eq!(members(&bob, &group).await, [bob.identity()]);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offline_session_gets_everything_in_order() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let group = meet(Suite::Envelope, &alice, &[&bob]).await;
    second.shutdown().await;
    drop(second);
    let wanted: Vec<String> = (0..100).map(|n| format!("message {n}")).collect();
    for body in &wanted {
        alice.send(group.clone(), text(body), Options::default()).await.unwrap();
    }
    let second = world.client("b").await;
    let bob = second.session(&bob.identity()).unwrap();
    assert_eq!(heard(&bob, "message 99").await, wanted);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_survive_a_restart_of_the_node() {
    let mut world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let group = meet(Suite::Envelope, &alice, &[&bob]).await;
    world.stop().await;
    let queued = alice.send(group.clone(), text("one"), Options::default()).await.unwrap().value;
    assert_eq!(queued.delivery, DeliveryState::Queued);
    alice.send(group.clone(), text("two"), Options::default()).await.unwrap();
    world.start().await;
    alice.send(group.clone(), text("three"), Options::default()).await.unwrap();
    assert_eq!(heard(&bob, "three").await, ["one", "two", "three"]);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_waited_for_a_change_tells_its_epoch_and_recipients() {
    let mut world = World::new().await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let carol = bot(&client, "carol").await;
    let group = meet(Suite::Native, &alice, &[&bob, &carol]).await;
    world.stop().await;
    alice.remove(group.clone(), vec![carol.identity()], Options::default()).await.unwrap();
    let waits = alice.send(group.clone(), text("without her"), Options::default()).await.unwrap();
    assert_eq!((waits.value.epoch, waits.value.recipients), (1, 2));
    world.start().await;
    let is_sent = |event: &EventData| matches!(event, EventData::MessageSent(_));
    let log = until(&alice, is_sent).await;
    let EventData::MessageSent(sent) = &log.last().unwrap().data else { unreachable!() };
    assert_eq!((sent.epoch, sent.recipients), (2, 1));
    assert_eq!(alice.message(&group, &sent.id).await.unwrap().epoch, 2);
    assert_eq!(heard(&bob, "without her").await, ["without her"]);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_commits_at_one_epoch_converge() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let group = meet(Suite::Envelope, &alice, &[&bob]).await;
    for _ in 0..10 {
        let both = tokio::join!(
            alice.update_keys(group.clone(), patient()),
            bob.update_keys(group.clone(), patient()),
        );
        both.0.unwrap();
        both.1.unwrap();
    }
    alice.send(group.clone(), text("still one group"), patient()).await.unwrap();
    heard(&bob, "still one group").await;
    let epochs = (alice.group(&group).await.unwrap().epoch, bob.group(&group).await.unwrap().epoch);
    assert_eq!(epochs, (21, 21));
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_send_is_one_message() {
    let world = World::new().await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let group = meet(Suite::Envelope, &alice, &[&bob]).await;
    let keyed = |fingerprint| Options {
        idempotency: Some(Idempotency { key: "k".into(), fingerprint: [fingerprint; 32] }),
        ..patient()
    };
    let first = alice.send(group.clone(), text("once"), keyed(1)).await.unwrap();
    let again = alice.send(group.clone(), text("once"), keyed(1)).await.unwrap();
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.value.id, again.value.id);
    let other = alice.send(group.clone(), text("other"), keyed(2)).await;
    assert_eq!(other, Err(SessionError::IdempotencyMismatch));
    alice.send(group.clone(), text("end"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "end").await, ["once", "end"]);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_one_database_is_refused() {
    let world = World::new().await;
    let client = world.client("a").await;
    let second = quicproquo_client::Client::open(world.config("a")).await;
    let error = second.unwrap_err().to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    client.shutdown().await;
    drop(client);
    let again = world.client("a").await;
    again.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_foreign_database_is_not_replaced() {
    let world = World::new().await;
    world.client("a").await.shutdown().await;
    let dir = world.path().join("a");
    std::fs::rename(dir.join("client.db"), dir.join("elsewhere")).unwrap();
    let error = quicproquo_client::Client::open(world.config("a")).await.unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    std::fs::rename(dir.join("elsewhere"), dir.join("client.db")).unwrap();
    std::fs::write(dir.join("master.key"), "00".repeat(32)).unwrap();
    let error = quicproquo_client::Client::open(world.config("a")).await.unwrap_err();
    assert!(matches!(error, quicproquo_client::OpenError::WrongKey { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_said_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    let outgoing = |kind: &str, body| Outgoing { kind: kind.to_owned(), body, relates_to: None };
    let kind = |len: usize| format!("a.{}", "b".repeat(len - 2));

    // With the limit, where one is exceeded.
    let refused = [
        (outgoing("", json!({})), None),
        (outgoing(&kind(256), json!({})), None),
        (outgoing("poll", json!([1])), None),
        (outgoing("text", json!({})), None),
        (outgoing("text", json!({ "body": 1 })), None),
        (text(""), None),
        (text(&"x".repeat(65_537)), Some(65_536)),
        (outgoing("a.b", json!("x".repeat(1_048_576))), Some(1_048_576)),
    ];
    for (message, expected) in refused {
        let what = (message.kind.clone(), message.body.to_string().len());
        match (alice.send(group.clone(), message, patient()).await, expected) {
            (Err(SessionError::Invalid(_)), None) => {}
            (Err(SessionError::TooLarge { limit, .. }), Some(most)) => assert_eq!(limit, most),
            (other, _) => panic!("{what:?}: {other:?}"),
        }
    }
    let epoch = alice.group(&group).await.unwrap().epoch;
    let another = Options { if_epoch: Some(epoch + 1), ..patient() };
    let error = alice.send(group.clone(), text("for others"), another).await.unwrap_err();
    assert_eq!(error, SessionError::EpochMismatch { current: epoch });

    // As far as it goes.
    let this = Options { if_epoch: Some(epoch), ..patient() };
    let longest = "x".repeat(65_536);
    alice.send(group.clone(), text(&longest), this).await.unwrap();
    alice.send(group.clone(), outgoing(&kind(255), json!([1])), patient()).await.unwrap();
    alice.send(group.clone(), outgoing("poll", json!({})), patient()).await.unwrap();
    let query = HistoryQuery { limit: 10, ..HistoryQuery::default() };
    let own = alice.history(&group, query).await.unwrap().items;
    let mut kinds: Vec<_> = own.iter().map(|message| message.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [kind(255).as_str(), "poll", "text"]);
    until(&bob, |event| matches!(event, EventData::MessageReceived(it) if it.kind == "poll")).await;
    assert_eq!(texts_of(&bob).await, [longest]);
    client.shutdown().await;
}

/// The texts that a session has received.
async fn texts_of(session: &quicproquo_client::Session) -> Vec<String> {
    let mut events = all(session).await;
    events.retain(|event| {
        matches!(&event.data, EventData::MessageReceived(message) if message.kind == "text")
    });
    texts(&events)
}
