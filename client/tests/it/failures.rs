//! Failing transactions, lost links and other trouble; nothing is lost and nothing hangs.

use std::time::Duration;

use quicproquo_client::{
    DeliveryState, Event, EventData, Idempotency, LinkState, NodeAddress, Options, Session,
    SessionError, Suite,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use crate::world::{World, all, bot, group_of, heard, meet, patient, text, until};

/// A second connection to a client's database, to make its writes fail.
async fn database(world: &World, name: &str) -> SqliteConnection {
    let path = world.path().join(name).join("client.db");
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

/// Every new row of the outbox fails the transaction; `how` is ABORT or ROLLBACK.
async fn break_outbox(database: &mut SqliteConnection, how: &'static str) {
    let trigger = match how {
        "ABORT" => {
            "CREATE TRIGGER broken BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'no'); END"
        }
        _ => {
            "CREATE TRIGGER broken BEFORE INSERT ON outbox BEGIN SELECT RAISE(ROLLBACK, 'no'); END"
        }
    };
    database.execute(trigger).await.unwrap();
}

pub(crate) async fn link(session: &Session, wanted: LinkState) {
    let wait = async {
        while session.health().link != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

async fn a_failed_transaction(how: &'static str) {
    let mut world = World::new().await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    // The link is not the first one any more.
    world.stop().await;
    link(&alice, LinkState::Connecting).await;
    world.start().await;
    link(&alice, LinkState::Up).await;
    link(&bob, LinkState::Up).await;

    let mut database = database(&world, "a").await;
    break_outbox(&mut database, how).await;
    let failed = alice.send(group.clone(), text("lost"), patient()).await;
    assert_eq!(failed.unwrap_err(), SessionError::StorageUnavailable);
    database.execute("DROP TRIGGER broken").await.unwrap();
    database.close().await.unwrap();

    let wait = Options { wait: Duration::from_secs(15), ..Options::default() };
    let sent = alice.send(group.clone(), text("kept"), wait).await.unwrap().value;
    assert_eq!(sent.delivery, DeliveryState::Sent);
    assert_eq!(heard(&bob, "kept").await, ["kept"]);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_after_a_failed_transaction() {
    a_failed_transaction("ABORT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_after_the_database_rolled_back_by_itself() {
    a_failed_transaction("ROLLBACK").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_durable_send_is_not_failed_by_another_transaction() {
    let mut world = World::new().await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    world.stop().await;
    link(&alice, LinkState::Connecting).await;
    let waiting = tokio::task::spawn({
        let (alice, group) = (alice.clone(), group.clone());
        async move { alice.send(group, text("durable"), patient()).await }
    });
    while alice.health().outbox == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut database = database(&world, "a").await;
    break_outbox(&mut database, "ABORT").await;
    let failed = alice.send(group.clone(), text("lost"), patient()).await;
    assert_eq!(failed.unwrap_err(), SessionError::StorageUnavailable);
    database.execute("DROP TRIGGER broken").await.unwrap();
    world.start().await;
    let sent = waiting.await.unwrap().unwrap().value;
    assert_eq!(sent.delivery, DeliveryState::Sent);
    assert_eq!(heard(&bob, "durable").await, ["durable"]);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_at_shutdown_learns_that_the_send_is_durable() {
    let mut world = World::new().await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    world.stop().await;
    link(&alice, LinkState::Connecting).await;
    let waiting = tokio::task::spawn({
        let (alice, group) = (alice.clone(), group.clone());
        async move { alice.send(group, text("durable"), patient()).await }
    });
    while alice.health().outbox == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.shutdown().await;
    let answer = waiting.await.unwrap().unwrap().value;
    assert_eq!(answer.delivery, DeliveryState::Queued);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_without_a_place_appears_when_one_is_free() {
    let world = World::new().await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    for _ in 0..21 {
        alice.create_group(group_of(Suite::Native, &[&bob]), patient()).await.unwrap();
    }
    let invited = |event: &EventData| matches!(event, EventData::InvitationReceived(_));
    let wait = async {
        while bob.invitations().await.unwrap().len() < 20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
    // The last Welcome has arrived as well, and waits.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let first = bob.invitations().await.unwrap()[0].id.clone();
    bob.accept(first).await.unwrap();
    let wait = async {
        loop {
            let count = all(&bob).await.iter().filter(|event| invited(&event.data)).count();
            if count == 21 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), wait).await.unwrap();
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_claimed_while_the_node_is_away_is_claimed_when_it_is_back() {
    let mut world = World::new().await;
    let client = world.client("a").await;
    let alice = bot(&client, "alice").await;
    world.stop().await;
    link(&alice, LinkState::Connecting).await;
    let claim = tokio::task::spawn({
        let alice = alice.clone();
        async move { alice.claim_name("second").await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.start().await;
    assert_eq!(claim.await.unwrap(), Ok(()));
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_displaced_session_says_so_and_stays_so() {
    let world = World::new().await;
    let first = world.client("a").await;
    let (alice, bob) = (bot(&first, "alice").await, bot(&first, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    first.shutdown().await;
    drop(first);
    let (from, to) = (world.path().join("a"), world.path().join("b"));
    std::fs::create_dir(&to).unwrap();
    for file in std::fs::read_dir(&from).unwrap() {
        let file = file.unwrap();
        if file.path().is_file() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    let first = world.client("a").await;
    let old = first.session(&alice.identity()).unwrap();
    link(&old, LinkState::Up).await;
    let second = world.client("b").await;
    until(&old, |event| matches!(event, EventData::SessionDisplaced { .. })).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let refused = old.send(group.clone(), text("nobody"), patient()).await.unwrap_err();
    assert!(matches!(refused, SessionError::Displaced(_)), "{refused:?}");
    let new = second.session(&alice.identity()).unwrap();
    new.send(group.clone(), text("somebody"), patient()).await.unwrap();
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_may_leave_at_once() {
    use quicproquo_client::{ContextChange, GroupState, Role};
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    let roles = vec![(bob.identity(), Role::Admin)];
    let change = ContextChange { roles, ..ContextChange::default() };
    alice.change_context(group.clone(), change, patient()).await.unwrap();
    let changed = |event: &EventData| matches!(event, EventData::GroupMembersChanged { .. });
    until(&bob, changed).await;
    let both =
        tokio::join!(alice.leave(group.clone(), patient()), bob.leave(group.clone(), patient()),);
    assert_eq!(both.0.unwrap().value.group.state, GroupState::Left);
    assert_eq!(both.1.unwrap().value.group.state, GroupState::Left);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_two_admins_who_leave_at_once_stays_until_there_is_another() {
    use quicproquo_client::{ContextChange, GroupState, Role};
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let carol = bot(&first, "carol").await;
    let group = meet(Suite::Envelope, &alice, &[&bob, &carol]).await;
    let admin = |key| ContextChange { roles: vec![(key, Role::Admin)], ..ContextChange::default() };
    alice.change_context(group.clone(), admin(bob.identity()), patient()).await.unwrap();
    until(&bob, |event| matches!(event, EventData::GroupMembersChanged { .. })).await;

    let (one, two) =
        tokio::join!(alice.leave(group.clone(), patient()), bob.leave(group.clone(), patient()));
    let stays = match (one, two) {
        (Ok(left), Err(SessionError::LastAdmin)) => {
            assert_eq!(left.value.group.state, GroupState::Left);
            &bob
        }
        (Err(SessionError::LastAdmin), Ok(left)) => {
            assert_eq!(left.value.group.state, GroupState::Left);
            &alice
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(stays.group(&group).await.unwrap().state, GroupState::Active);
    stays.change_context(group.clone(), admin(carol.identity()), patient()).await.unwrap();
    let left = stays.leave(group.clone(), patient()).await.unwrap();
    assert_eq!(left.value.group.state, GroupState::Left);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_admins_may_add_the_same_member_at_once() {
    use quicproquo_client::{ContextChange, Role};
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    let roles = vec![(bob.identity(), Role::Admin)];
    let change = ContextChange { roles, ..ContextChange::default() };
    alice.change_context(group.clone(), change, patient()).await.unwrap();
    let changed = |event: &EventData| matches!(event, EventData::GroupMembersChanged { .. });
    until(&bob, changed).await;
    for n in 0..5 {
        let carol = bot(&first, &format!("carol{n}")).await.identity();
        let both = tokio::join!(
            alice.invite(group.clone(), vec![carol], patient()),
            bob.invite(group.clone(), vec![carol], patient()),
        );
        both.0.unwrap();
        both.1.unwrap();
    }
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_repeated_after_a_restart_is_not_done_twice() {
    let mut world = World::new().await;
    let client = world.client("a").await;
    let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
    world.stop().await;
    link(&alice, LinkState::Connecting).await;
    let keyed = || Options {
        idempotency: Some(Idempotency { key: "create".into(), fingerprint: [1; 32] }),
        ..Options::default()
    };
    let first = alice.create_group(group_of(Suite::Native, &[&bob]), keyed()).await.unwrap();
    client.shutdown().await;
    drop(client);
    world.start().await;
    let client = world.client("a").await;
    let alice = client.session(&alice.identity()).unwrap();
    let again = Options { wait: Duration::from_secs(20), ..keyed() };
    let again = alice.create_group(group_of(Suite::Native, &[&bob]), again).await.unwrap();
    assert!(again.replayed);
    assert_eq!(first.value.group.id, again.value.group.id);
    assert_eq!(alice.groups().await.unwrap().len(), 1);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_to_leave_is_committed_after_a_restart() {
    let world = World::new().await;
    let (first, second, third) =
        (world.client("a").await, world.client("b").await, world.client("c").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let carol = bot(&third, "carol").await;
    let group = meet(Suite::Native, &alice, &[&bob, &carol]).await;
    first.shutdown().await;
    let mut database = database(&world, "b").await;
    let seen = "SELECT count(*) FROM inbox";
    let before: i64 = sqlx::query_scalar(seen).fetch_one(&mut database).await.unwrap();
    carol.leave(group.clone(), Options::default()).await.unwrap();
    while sqlx::query_scalar::<_, i64>(seen).fetch_one(&mut database).await.unwrap() == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Bob's turn would come in 250 ms; the timer is gone.
    second.shutdown().await;
    drop(second);
    database.close().await.unwrap();
    let second = world.client("b").await;
    until(&carol, |event| matches!(event, EventData::GroupLeft { .. })).await;
    let bob = second.session(&bob.identity()).unwrap();
    bob.send(group, text("still here"), patient()).await.unwrap();
    second.shutdown().await;
    third.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_leaving_is_heard_although_the_group_has_gone_on() {
    use quicproquo_client::{Client, ClientConfig, ContextChange};
    for suite in [Suite::Native, Suite::Envelope] {
        let world = World::new().await;
        let (first, second) = (world.client("a").await, world.client("b").await);
        let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
        let group = meet(suite, &alice, &[&bob]).await;
        let id = bob.identity();
        second.shutdown().await;

        // Nobody answers there.
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let config = world.config("b");
        let node = NodeAddress { addr: silent.local_addr().unwrap(), ..config.node.clone() };
        let apart = Client::open(ClientConfig { node, ..config }).await.unwrap();
        let bob = apart.session(&id).unwrap();
        bob.send(group.clone(), text("goodbye"), Options::default()).await.unwrap();
        bob.leave(group.clone(), Options::default()).await.unwrap();
        apart.shutdown().await;
        let topic = Some("without bob".to_owned());
        let change = ContextChange { topic, ..ContextChange::default() };
        alice.change_context(group.clone(), change, patient()).await.unwrap();

        let second = world.client("b").await;
        let bob = second.session(&id).unwrap();
        assert_eq!(heard(&alice, "goodbye").await, ["goodbye"]);
        let log = until(&bob, |event| matches!(event, EventData::GroupLeft { .. })).await;
        let failed = |event: &Event| matches!(event.data, EventData::MessageFailed(_));
        assert!(!log.iter().any(failed), "{log:?}");
        first.shutdown().await;
        second.shutdown().await;
    }
}
