//! What is to be deleted is gone, byte by byte, and what is not is there.

use std::path::Path;
use std::time::Duration;

use quicproquo_core::id::GroupId;
use quicproquo_core::provider::group_scope;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use super::SET_ASIDE_BYTES;
use crate::error::SessionError;
use crate::event::{Cursor, EventData};
use crate::model::{DeliveryState, GroupState, HistoryQuery, Idempotency, Options};
use crate::session::Session;
use crate::session::tests::world::{
    World, bot, group_of, heard, meet, patient, text, texts, until,
};
use crate::store::Overlay;
use crate::{Client, ClientConfig, Suite};

const LIMIT: Duration = Duration::from_secs(20);

async fn wait<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("waited for {what}"))
}

/// The nonces of the sealed values of a column, which name them in the files.
async fn nonces(dir: &Path, table: &str, column: &str) -> Vec<Vec<u8>> {
    let options = SqliteConnectOptions::new().filename(dir.join("client.db")).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let sql = format!("SELECT substr({column}, 1, 24) FROM {table} WHERE {column} IS NOT NULL");
    let nonces = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    nonces
}

/// How many of them are in the database or in its log.
fn found(dir: &Path, nonces: &[Vec<u8>]) -> usize {
    let files = ["client.db", "client.db-wal"];
    let bytes: Vec<Vec<u8>> =
        files.iter().map(|file| std::fs::read(dir.join(file)).unwrap_or_default()).collect();
    let is_there = |nonce: &Vec<u8>| bytes.iter().any(|b| b.windows(24).any(|w| w == &nonce[..]));
    nonces.iter().filter(|nonce| is_there(nonce)).count()
}

async fn reopen(world: &World, name: &str, retention: Duration) -> (Client, Session) {
    let config = ClientConfig { retention, ..world.config(name) };
    let client = Client::open(config).await.unwrap();
    let session = client.sessions()[0].clone();
    (client, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_gone_after_its_retention() {
    let mut world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    let canary = "canary-51e0 ".repeat(300);
    for _ in 0..3 {
        alice.send(group.clone(), text(&canary), patient()).await.unwrap();
    }
    alice.send(group.clone(), text("last"), patient()).await.unwrap();
    heard(&bob, "last").await;
    world.stop().await;
    let queued = bob.send(group.clone(), text("later"), Options::default()).await.unwrap().value;
    assert_eq!(queued.delivery, DeliveryState::Queued);
    let before = bob.tail().borrow().0;
    second.shutdown().await;
    let dir = world.path().join("b");
    let queued_row = "messages WHERE state = '{\"state\":\"queued\"}' AND content NOT NULL --";
    let kept = nonces(&dir, queued_row, "content").await;
    let mut old = nonces(&dir, "messages", "content").await;
    old.extend(nonces(&dir, "events", "data").await);
    old.retain(|nonce| !kept.contains(nonce));
    assert_eq!((kept.len(), found(&dir, &kept)), (1, 1));
    assert!(old.len() >= 6 && found(&dir, &old) == old.len(), "the search finds what is there");

    // Control: rows that are only deleted stay in the file.
    let control = world.path().join("control");
    std::fs::create_dir(&control).unwrap();
    std::fs::copy(dir.join("client.db"), control.join("client.db")).unwrap();
    let options = SqliteConnectOptions::new().filename(control.join("client.db"));
    let mut connection = options.connect().await.unwrap();
    connection.execute("PRAGMA secure_delete = OFF; DELETE FROM messages").await.unwrap();
    connection.close().await.unwrap();
    assert!(found(&control, &old) > 0);

    // A long retention deletes nothing.
    let (second, bob) = reopen(&world, "b", Duration::from_hours(1)).await;
    assert_eq!(bob.oldest().await.unwrap(), Cursor(0));
    assert_eq!(texts(&bob.events(Cursor(0), 1000).await.unwrap().items).len(), 4);
    second.shutdown().await;

    let (second, bob) = reopen(&world, "b", Duration::ZERO).await;
    wait("old rows to leave the files", async || (found(&dir, &old) == 0).then_some(())).await;
    let oldest = bob.oldest().await.unwrap();
    assert!(oldest > Cursor(0) && oldest.0 <= before);
    assert_eq!(bob.events(Cursor(0), 10).await.unwrap_err(), SessionError::CursorExpired);
    assert_eq!(texts(&bob.events(oldest, 10).await.unwrap().items), Vec::<String>::new());
    let page = bob.history(&group, HistoryQuery { limit: 10, ..Default::default() }).await.unwrap();
    let left: Vec<_> = page.items.iter().map(|message| message.id).collect();
    assert_eq!(left, [queued.id], "what is still to be sent is kept");
    world.start().await;
    heard(&alice, "later").await;
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_a_group_end_with_it() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let rows = async |session: &Session, group: &GroupId| {
        let scope = group_scope(group.as_bytes());
        let (store, owner) = (&session.store, session.owner);
        store.mls_scope(owner, &scope, &Overlay::default()).await.unwrap().len()
    };
    let gone = async |session: &Session, group: &GroupId| {
        let look = async || (rows(session, group).await == 0).then_some(());
        wait("the rows of a group to be deleted", look).await;
    };
    for suite in Suite::ALL {
        let [left, removed, declined] = [
            meet(suite, &alice, &[&bob]).await,
            meet(suite, &alice, &[&bob]).await,
            alice.create_group(group_of(suite, &[&bob]), patient()).await.unwrap().value.group.id,
        ];
        let is_it = |event: &EventData| matches!(event, EventData::InvitationReceived(invitation) if invitation.id == declined);
        until(&bob, is_it).await;
        for group in [&left, &removed, &declined] {
            assert!(rows(&bob, group).await > 0);
        }
        bob.leave(left.clone(), patient()).await.unwrap();
        alice.remove(removed.clone(), vec![bob.identity()], patient()).await.unwrap();
        bob.decline(declined.clone()).await.unwrap();
        for group in [&left, &removed, &declined] {
            gone(&bob, group).await;
            assert!(rows(&alice, group).await > 0, "the other side goes on");
        }
        // Alone: nobody else has to commit it.
        alice.leave(left.clone(), patient()).await.unwrap();
        gone(&alice, &left).await;
        assert_eq!(alice.group(&left).await.unwrap().state, GroupState::Left);
        // What comes late is for nobody, and a new invitation is another membership.
        alice.send(removed.clone(), text("late"), patient()).await.unwrap();
        alice.invite(removed.clone(), vec![bob.identity()], patient()).await.unwrap();
        let again = |event: &EventData| matches!(event, EventData::InvitationReceived(invitation) if invitation.id == removed && invitation.known_group);
        until(&bob, again).await;
        bob.accept(removed.clone()).await.unwrap();
        let hello = format!("hello again {suite:?}");
        alice.send(removed.clone(), text(&hello), patient()).await.unwrap();
        heard(&bob, &hello).await;
    }
    let identity = bob.identity();
    second.shutdown().await;
    let second = world.client("b").await;
    let bob = second.session(&identity).unwrap();
    let isolated = |event: &&crate::Event| matches!(event.data, EventData::GroupIsolated { .. });
    let log = bob.events(Cursor(0), 1000).await.unwrap().items;
    assert_eq!(log.iter().find(isolated), None);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_group_takes_so_many_bytes_and_tells_what_it_lost() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let mut groups = Vec::new();
    for _ in 0..2 {
        let made = alice.create_group(group_of(Suite::Native, &[&bob]), patient()).await.unwrap();
        groups.push(made.value.group.id);
    }
    let [loud, quiet] = groups.try_into().unwrap();
    alice.send(quiet.clone(), text("quiet"), patient()).await.unwrap();
    for n in 0..40 {
        let body = format!("{n} {}", "x".repeat(4_000));
        alice.send(loud.clone(), text(&body), patient()).await.unwrap();
    }
    let position = async || bob.store.positions(bob.owner).await.unwrap().received_up_to;
    wait("everything to arrive", async || (position().await >= 43).then_some(())).await;
    // Another start finds the same.
    second.shutdown().await;
    let (second, bob) = reopen(&world, "b", Duration::from_hours(1)).await;
    bob.accept(loud).await.unwrap();
    bob.accept(quiet).await.unwrap();
    let is_quiet = |event: &EventData| matches!(event, EventData::MessageReceived(message) if message.body["body"] == "quiet");
    let events = until(&bob, is_quiet).await;
    let heard: Vec<String> =
        texts(&events).iter().map(|text| text.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(heard.last().map(String::as_str), Some("quiet"), "who is loud loses");
    let count = heard.len() - 1;
    assert!((5..=16).contains(&count), "{count}");
    let newest: Vec<String> = (40 - count..40).map(|n| n.to_string()).collect();
    assert_eq!(&heard[..count], newest, "the oldest were dropped");
    let lost = events.iter().filter_map(|event| match event.data {
        EventData::GapDetected { lost } => Some(lost as usize),
        _ => None,
    });
    assert_eq!(lost.collect::<Vec<_>>(), [40 - count]);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_set_aside_take_so_many_bytes() {
    let world = World::new().await;
    let client = world.client("a").await;
    let session = bot(&client, "alice").await;
    let (store, owner) = (&session.store, session.owner);
    let payload = vec![7; 10_000];
    for n in 0..20_u8 {
        let mut batch = store.batch();
        batch.set_aside(owner, [n; 32], "mls", 1_000 + u64::from(n), &payload);
        store.write(batch).await.unwrap();
    }
    let mut batch = store.batch();
    batch.forget_set_aside(owner, 1_002, SET_ASIDE_BYTES);
    store.write(batch).await.unwrap();
    let left = nonces(&world.path().join("a"), "set_aside", "payload").await.len();
    assert_eq!(left, usize::try_from(SET_ASIDE_BYTES).unwrap() / 10_040);
    let mut batch = store.batch();
    batch.forget_set_aside(owner, 1_019, SET_ASIDE_BYTES);
    store.write(batch).await.unwrap();
    assert_eq!(nonces(&world.path().join("a"), "set_aside", "payload").await.len(), 1);
    client.shutdown().await;
}

/// The answers that an identity still knows by their keys.
async fn asked(dir: &Path) -> i64 {
    let options = SqliteConnectOptions::new().filename(dir.join("client.db")).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let sql = "SELECT count(*) FROM idempotency";
    let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

/// Makes everything that was asked for so many hours older.
async fn age(dir: &Path, hours: i64) {
    let options = SqliteConnectOptions::new().filename(dir.join("client.db"));
    let mut connection = options.connect().await.unwrap();
    for sql in [
        "UPDATE idempotency SET created_at = created_at - ?",
        "UPDATE intents SET created_at = created_at - ?",
    ] {
        sqlx::query(sql).bind(hours * 3_600_000).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// Two days, of which one is promised.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_is_known_by_its_key_for_two_days() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let group = meet(Suite::Native, &alice, &[&bob]).await;
    let keyed = |key: &str| {
        let idempotency = Some(Idempotency { key: key.to_owned(), fingerprint: [7; 32] });
        Options { idempotency, ..patient() }
    };
    let said = alice.send(group.clone(), text("once"), keyed("message")).await.unwrap();
    let changed = alice.update_keys(group.clone(), keyed("intent")).await.unwrap();
    assert!(!said.replayed && !changed.replayed);
    let epoch = changed.value.group.epoch;
    first.shutdown().await;
    let dir = world.path().join("a");
    assert_eq!(asked(&dir).await, 2);

    // Of both ages there is something when the old ones are looked for.
    age(&dir, 2).await;
    let (first, alice) = reopen(&world, "a", Duration::from_hours(1000)).await;
    alice.send(group.clone(), text("later"), keyed("younger")).await.unwrap();
    first.shutdown().await;
    age(&dir, 47).await;
    let (first, alice) = reopen(&world, "a", Duration::from_hours(1000)).await;
    wait("the older keys to be gone", async || (asked(&dir).await == 1).then_some(())).await;
    let later = alice.send(group.clone(), text("later"), keyed("younger")).await.unwrap();
    assert!(later.replayed, "47 hours are not two days");
    let again = alice.send(group.clone(), text("once"), keyed("message")).await.unwrap();
    assert!(!again.replayed && again.value.id != said.value.id, "49 hours are more");
    let changed = alice.update_keys(group.clone(), keyed("intent")).await.unwrap();
    assert!(!changed.replayed && changed.value.group.epoch == epoch + 1);
    first.shutdown().await;
    second.shutdown().await;
}
