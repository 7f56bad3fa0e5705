//! Damaged rows beside MLS state: each concerns only what it belongs to.

use std::time::Duration;

use quicproquo_client::{
    Client, DeliveryState, Event, EventData, GroupState, HistoryQuery, Options, Session,
    SessionError, Suite,
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::{database, flip, group_scopes};
use crate::world::{World, all, bot, group_of, heard, meet, patient, text, until};

/// Flips one bit of a sealed column in the rows of `client` that fit, or flips it back; answers
/// how many rows that were.
async fn damage(world: &World, client: &str, table: &str, column: &str, fits: &str) -> usize {
    let mut database = database(world, &format!("{client}/client.db")).await;
    let found = format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL AND {fits}");
    let found: Vec<Vec<u8>> =
        sqlx::query_scalar(AssertSqlSafe(found)).fetch_all(&mut database).await.unwrap();
    for value in &found {
        let mut flipped = value.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let update = format!("UPDATE {table} SET {column} = ? WHERE {column} = ?");
        let update = sqlx::query(AssertSqlSafe(update)).bind(flipped).bind(value);
        assert_eq!(update.execute(&mut database).await.unwrap().rows_affected(), 1);
    }
    database.close().await.unwrap();
    found.len()
}

async fn execute(world: &World, client: &str, sql: &'static str) {
    let mut database = database(world, &format!("{client}/client.db")).await;
    database.execute(sql).await.unwrap();
    database.close().await.unwrap();
}

/// Waits until the database of `client` says so.
async fn counted(world: &World, client: &str, query: &'static str, count: i64) {
    let mut database = database(world, &format!("{client}/client.db")).await;
    let wait = async {
        loop {
            let found: i64 = sqlx::query_scalar(query).fetch_one(&mut database).await.unwrap();
            if found == count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
    database.close().await.unwrap();
}

async fn reopen(world: &World, client: &str, session: &Session) -> (Client, Session) {
    let client = world.client(client).await;
    let session = client.session(&session.identity()).unwrap();
    (client, session)
}

fn is_damaged(event: &EventData) -> bool {
    matches!(event, EventData::MessageUndecryptable { reason, .. } if reason == "damaged")
}

fn is_isolated(event: &EventData) -> bool {
    matches!(event, EventData::GroupIsolated { .. })
}

const SET_ASIDE: &str = "SELECT COUNT(*) FROM set_aside WHERE reason = 'damaged'";

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_read_its_database_stops_when_it_is_told_to() {
    let world = World::new().await;
    let client = world.client("b").await;
    let bob = bot(&client, "bob").await;
    client.shutdown().await;
    execute(&world, "b", "ALTER TABLE outbox RENAME TO elsewhere").await;

    let (client, bob) = reopen(&world, "b", &bob).await;
    let refused = bob.create_group(group_of(Suite::Native, &[]), patient()).await;
    assert_eq!(refused.unwrap_err(), SessionError::StorageUnavailable);
    tokio::time::timeout(Duration::from_secs(20), client.shutdown()).await.unwrap();

    execute(&world, "b", "ALTER TABLE elsewhere RENAME TO outbox").await;
    let (client, bob) = reopen(&world, "b", &bob).await;
    bob.create_group(group_of(Suite::Native, &[]), patient()).await.unwrap();
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_record_is_damaged_is_isolated_alone() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let broken = meet(Suite::Native, &alice, &[&bob]).await;
    other.shutdown().await;
    let scopes = group_scopes(&world).await;
    let (other, bob) = reopen(&world, "b", &bob).await;
    let whole = meet(Suite::Native, &alice, &[&bob]).await;
    other.shutdown().await;

    let id = format!("group_id = x'{}'", hex::encode(broken.as_bytes()));
    assert_eq!(damage(&world, "b", "groups", "record", &id).await, 1);
    let (other, bob) = reopen(&world, "b", &bob).await;
    for said in ["kept raw", "kept raw too"] {
        alice.send(broken.clone(), text(said), patient()).await.unwrap();
    }
    alice.send(whole.clone(), text("healthy"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "healthy").await, ["healthy"]);
    until(&bob, is_isolated).await;
    assert_eq!(bob.group(&broken).await.unwrap().state, GroupState::Isolated);
    assert_eq!(bob.groups().await.unwrap().len(), 2);
    let refused = bob.send(broken.clone(), text("no"), patient()).await;
    assert_eq!(refused.unwrap_err(), SessionError::GroupInactive);
    other.shutdown().await;

    // When nothing of it can be read, it is not there; all others are.
    flip(&world, &scopes).await;
    let (other, bob) = reopen(&world, "b", &bob).await;
    alice.send(whole.clone(), text("alone"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "alone").await, ["healthy", "alone"]);
    assert_eq!(bob.groups().await.unwrap().len(), 1);
    assert_eq!(bob.group(&broken).await.unwrap_err(), SessionError::StorageUnavailable);
    other.shutdown().await;

    // The rows are put back: the group takes up where it stopped.
    flip(&world, &scopes).await;
    assert_eq!(damage(&world, "b", "groups", "record", &id).await, 1);
    let (other, bob) = reopen(&world, "b", &bob).await;
    until(&bob, |event| matches!(event, EventData::GroupRepaired { .. })).await;
    let all_heard = ["healthy", "alone", "kept raw", "kept raw too"];
    assert_eq!(heard(&bob, "kept raw too").await, all_heard);
    assert_eq!(all(&bob).await.iter().filter(|event| is_isolated(&event.data)).count(), 1);
    bob.send(broken.clone(), text("back"), patient()).await.unwrap();
    assert_eq!(heard(&alice, "back").await, ["back"]);
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_send_fails_and_those_after_it_go_on() {
    let mut world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    until(&alice, |event| matches!(event, EventData::GroupJoined { .. })).await;
    client.shutdown().await;
    world.stop().await;
    let (client, alice) = reopen(&world, "a", &alice).await;
    let sent = alice.send(group.clone(), text("lost"), Options::default()).await.unwrap().value;
    client.shutdown().await;
    assert_eq!(damage(&world, "a", "outbox", "record", "1").await, 1);

    let (client, alice) = reopen(&world, "a", &alice).await;
    let events = until(&alice, |event| matches!(event, EventData::MessageFailed(_))).await;
    assert!(
        matches!(&events.last().unwrap().data, EventData::MessageFailed(it) if it.id == sent.id)
    );
    counted(&world, "a", SET_ASIDE, 1).await;
    world.start().await;
    alice.send(group, text("next"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "next").await, ["next"]);
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_rows_are_damaged_fails_and_its_group_goes_on() {
    let mut world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let sealed = meet(Suite::Native, &alice, &[&bob]).await;
    let asked = meet(Suite::Native, &alice, &[&bob]).await;
    client.shutdown().await;
    world.stop().await;
    let (client, alice) = reopen(&world, "a", &alice).await;
    // A commit that never left, and an intent that waits for key packages.
    alice.update_keys(sealed.clone(), Options::default()).await.unwrap();
    counted(&world, "a", "SELECT COUNT(*) FROM outbox", 1).await;
    let stranger = quicproquo_client::IdentityKey::from_slice(&[7; 32]).unwrap();
    alice.invite(asked.clone(), vec![stranger], Options::default()).await.unwrap();
    client.shutdown().await;
    assert_eq!(damage(&world, "a", "outbox", "record", "1").await, 1);
    let invite = format!("settled = 0 AND group_id = x'{}'", hex::encode(asked.as_bytes()));
    assert_eq!(damage(&world, "a", "intents", "record", &invite).await, 1);

    world.start().await;
    let (client, alice) = reopen(&world, "a", &alice).await;
    for group in [&sealed, &asked] {
        let wait = async {
            let is = |kind: &str, events: &[quicproquo_client::Event]| {
                let of = |event: &&quicproquo_client::Event| event.group.as_ref() == Some(group);
                events.iter().filter(of).filter(|event| event.data.kind() == kind).count()
            };
            let mut tail = alice.tail();
            loop {
                tail.borrow_and_update();
                let events = all(&alice).await;
                let kinds = ["group.isolated", "group.change_failed", "group.repaired"];
                if kinds.iter().all(|kind| is(kind, &events) == 1) {
                    break;
                }
                tail.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
        alice.send(group.clone(), text("goes on"), patient()).await.unwrap();
    }
    counted(&world, "a", "SELECT COUNT(*) FROM intents WHERE settled = 2", 1).await;
    assert_eq!(heard(&bob, "goes on").await, ["goes on"]);
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_message_is_sent_if_it_is_encrypted_and_fails_otherwise() {
    let mut world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let free = meet(Suite::Native, &alice, &[&bob]).await;
    let busy = meet(Suite::Native, &alice, &[&bob]).await;
    client.shutdown().await;
    world.stop().await;
    let (client, alice) = reopen(&world, "a", &alice).await;
    // The second one waits for a commit, and so is not encrypted.
    alice.send(free.clone(), text("encrypted"), Options::default()).await.unwrap();
    alice.update_keys(busy.clone(), Options::default()).await.unwrap();
    counted(&world, "a", "SELECT COUNT(*) FROM outbox", 2).await;
    let lost = alice.send(busy.clone(), text("not yet"), Options::default()).await.unwrap().value;
    client.shutdown().await;
    assert_eq!(damage(&world, "a", "messages", "content", "1").await, 2);

    world.start().await;
    let (client, alice) = reopen(&world, "a", &alice).await;
    assert_eq!(heard(&bob, "encrypted").await, ["encrypted"]);
    until(&alice, |event| matches!(event, EventData::MessageSent(it) if it.group == free)).await;
    until(&alice, |event| matches!(event, EventData::MessageFailed(it) if it.id == lost.id)).await;
    let history = HistoryQuery { limit: 10, ..HistoryQuery::default() };
    let kept = alice.history(&busy, history).await.unwrap().items;
    assert_eq!((kept.len(), &*kept[0].kind), (1, "quicproquo.damaged"));
    assert!(matches!(kept[0].delivery, DeliveryState::Failed { .. }));
    alice.send(busy.clone(), text("next"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "next").await, ["encrypted", "next"]);
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_payloads_that_waited_and_hidden_events_are_told() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    other.shutdown().await;
    let scopes = group_scopes(&world).await;
    flip(&world, &scopes).await;
    let (other, bob) = reopen(&world, "b", &bob).await;
    let hidden = alice.create_group(group_of(Suite::Native, &[&bob]), patient()).await.unwrap();
    let hidden = hidden.value.group.id;
    for said in ["one", "two"] {
        alice.send(group.clone(), text(said), patient()).await.unwrap();
        alice.send(hidden.clone(), text(said), patient()).await.unwrap();
    }
    counted(&world, "b", "SELECT COUNT(*) FROM buffered", 2).await;
    counted(&world, "b", "SELECT COUNT(*) FROM hidden_events", 2).await;
    other.shutdown().await;

    flip(&world, &scopes).await;
    let first = "n = (SELECT MIN(n) FROM buffered)";
    assert_eq!(damage(&world, "b", "buffered", "payload", first).await, 1);
    let first = "n = (SELECT MIN(n) FROM hidden_events)";
    assert_eq!(damage(&world, "b", "hidden_events", "data", first).await, 1);
    let (other, bob) = reopen(&world, "b", &bob).await;
    assert_eq!(heard(&bob, "two").await, ["two"]);
    bob.accept(hidden.clone()).await.unwrap();
    alice.send(hidden, text("end"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "end").await, ["two", "two", "end"]);
    assert_eq!(all(&bob).await.iter().filter(|event| is_damaged(&event.data)).count(), 2);
    counted(&world, "b", SET_ASIDE, 2).await;
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_entries_of_the_log_and_contacts_hold_up_no_page() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    for said in ["one", "two"] {
        alice.send(group.clone(), text(said), patient()).await.unwrap();
    }
    heard(&bob, "two").await;
    let before = all(&bob).await;
    other.shutdown().await;

    assert_eq!(damage(&world, "b", "events", "data", "kind = 'invitation.received'").await, 1);
    let first = "seq = (SELECT MIN(seq) FROM messages)";
    assert_eq!(damage(&world, "b", "messages", "content", first).await, 1);
    execute(&world, "b", "INSERT INTO names VALUES (1, 'short', x'00', 0, 0, x'00')").await;
    execute(&world, "b", "INSERT INTO trust VALUES (1, x'00', 0, NULL, 0)").await;
    let (other, bob) = reopen(&world, "b", &bob).await;
    let after = all(&bob).await;
    assert_eq!(after.len(), before.len());
    for (was, is) in before.iter().zip(&after) {
        assert_eq!(was.cursor, is.cursor);
        match &was.data {
            EventData::InvitationReceived(_) => assert!(is_damaged(&is.data)),
            EventData::MessageReceived(message) if message.body["body"] == "one" => {
                let EventData::MessageReceived(damaged) = &is.data else { panic!("{is:?}") };
                assert_eq!((damaged.id, &*damaged.kind), (message.id, "quicproquo.damaged"));
            }
            data => assert_eq!(data, &is.data),
        }
    }
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_message_is_lost_says_so() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    for said in ["one", "two"] {
        alice.send(group.clone(), text(said), patient()).await.unwrap();
    }
    heard(&bob, "two").await;
    until(&alice, |event| matches!(event, EventData::MessageSent(_))).await;
    let before = [all(&alice).await, all(&bob).await];
    client.shutdown().await;
    other.shutdown().await;

    let lost = "DELETE FROM messages WHERE seq = (SELECT MIN(seq) FROM messages)";
    execute(&world, "a", lost).await;
    let broken =
        "UPDATE messages SET message_id = x'01' WHERE seq = (SELECT MIN(seq) FROM messages)";
    execute(&world, "b", broken).await;
    for (name, of, before) in [("a", &alice, &before[0]), ("b", &bob, &before[1])] {
        let (client, again) = reopen(&world, name, of).await;
        let after = all(&again).await;
        assert_eq!(after.len(), before.len());
        let told = before.iter().zip(&after).filter(|(was, is)| was.data != is.data);
        let told: Vec<_> = told.collect();
        let [(was, is)] = told[..] else { panic!("{told:?}") };
        let place = |event: &Event| (event.cursor, event.occurred_at_ms, event.group.clone());
        assert_eq!(place(was), place(is));
        assert!(is_damaged(&is.data), "{told:?}");
        client.shutdown().await;
    }
}
