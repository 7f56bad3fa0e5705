//! Damaged rows, old payloads, old key packages: told, bounded, and never in the way of others.

use std::time::Duration;

use quicproquo_client::{EventData, GroupState, NewGroup, Session, SessionError, Suite};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::world::{World, all, bot, group_of, heard, meet, patient, text, until};

mod rows;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The database of a client that is shut down, or of the node when it is stopped.
async fn database(world: &World, path: &str) -> SqliteConnection {
    let path = world.path().join(path);
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

async fn run(database: &mut SqliteConnection, sql: &'static str, by: i64) -> u64 {
    sqlx::query(sql).bind(by).execute(database).await.unwrap().rows_affected()
}

/// Flips one bit in every MLS row, or flips it back.
async fn flip(world: &World, scopes: &[Vec<u8>]) {
    let mut database = database(world, "b/client.db").await;
    for scope in scopes {
        let rows: Vec<(Vec<u8>, Vec<u8>)> =
            sqlx::query_as("SELECT key, value FROM mls WHERE scope = ?")
                .bind(scope)
                .fetch_all(&mut database)
                .await
                .unwrap();
        assert!(!rows.is_empty());
        for (key, mut value) in rows {
            *value.last_mut().unwrap() ^= 1;
            let flipped = sqlx::query("UPDATE mls SET value = ? WHERE scope = ? AND key = ?")
                .bind(value)
                .bind(scope)
                .bind(key)
                .execute(&mut database)
                .await
                .unwrap();
            assert_eq!(flipped.rows_affected(), 1);
        }
    }
    database.close().await.unwrap();
}

/// The scopes that hold a group: packages have fewer rows.
async fn group_scopes(world: &World) -> Vec<Vec<u8>> {
    let mut database = database(world, "b/client.db").await;
    let query = "SELECT scope FROM mls GROUP BY scope HAVING COUNT(*) > 3";
    let scopes = sqlx::query_scalar(query).fetch_all(&mut database).await.unwrap();
    database.close().await.unwrap();
    scopes
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_rows_isolate_their_group_alone_and_nothing_is_lost() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let identity = bob.identity();
    let broken = meet(Suite::Native, &alice, &[&bob]).await;
    other.shutdown().await;
    let scopes = group_scopes(&world).await;
    assert_eq!(scopes.len(), 1);
    let other = world.client("b").await;
    let bob = other.session(&identity).unwrap();
    let whole = meet(Suite::Native, &alice, &[&bob]).await;
    other.shutdown().await;

    flip(&world, &scopes).await;
    let other = world.client("b").await;
    let bob = other.session(&identity).unwrap();
    for said in ["kept raw", "kept raw too"] {
        alice.send(broken.clone(), text(said), patient()).await.unwrap();
    }
    alice.send(whole.clone(), text("healthy"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "healthy").await, ["healthy"]);
    let isolated = |event: &EventData| matches!(event, EventData::GroupIsolated { .. });
    until(&bob, isolated).await;
    assert_eq!(bob.group(&broken).await.unwrap().state, GroupState::Isolated);
    let refused = bob.send(broken.clone(), text("no"), patient()).await;
    assert_eq!(refused.unwrap_err(), SessionError::GroupInactive);
    bob.send(whole.clone(), text("from bob"), patient()).await.unwrap();
    assert_eq!(heard(&alice, "from bob").await, ["from bob"]);
    other.shutdown().await;

    // The rows are put back: the group takes up where it stopped.
    flip(&world, &scopes).await;
    let other = world.client("b").await;
    let bob = other.session(&identity).unwrap();
    until(&bob, |event| matches!(event, EventData::GroupRepaired { .. })).await;
    assert_eq!(heard(&bob, "kept raw too").await, ["healthy", "kept raw", "kept raw too"]);
    assert_eq!(all(&bob).await.iter().filter(|event| isolated(&event.data)).count(), 1);
    bob.send(broken.clone(), text("back"), patient()).await.unwrap();
    assert_eq!(heard(&alice, "back").await, ["from bob", "back"]);
    client.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_welcome_waits_for_a_place_and_other_old_payloads_are_told() {
    let world = World::new().await;
    let client = world.client("a").await;
    let mut config = world.config("b");
    config.key_package_stock = 60;
    let other = quicproquo_client::Client::open(config.clone()).await.unwrap();
    let (alice, bob) = (bot(&client, "alice").await, bot(&other, "bob").await);
    let identity = bob.identity();
    stocked(&bob, 25).await;
    // One more than an inviter may have pending.
    let mut groups = Vec::new();
    for n in 0..21 {
        let new = NewGroup { name: format!("g{n}"), ..group_of(Suite::Native, &[&bob]) };
        groups.push(alice.create_group(new, patient()).await.unwrap().value.group.id);
    }
    let last = groups.last().unwrap().clone();
    alice.send(last.clone(), text("nobody is there"), patient()).await.unwrap();
    buffered(&world, 2).await;
    other.shutdown().await;

    let mut database = database(&world, "b/client.db").await;
    let aged = "UPDATE buffered SET created_at = created_at - ?";
    assert_eq!(run(&mut database, aged, 8 * DAY_MS).await, 2);
    database.close().await.unwrap();
    let other = quicproquo_client::Client::open(config).await.unwrap();
    let bob = other.session(&identity).unwrap();
    until(&bob, |event| {
        matches!(event, EventData::MessageUndecryptable { reason, .. } if reason == "expired")
    })
    .await;
    bob.accept(groups[0].clone()).await.unwrap();
    until(
        &bob,
        |event| matches!(event, EventData::InvitationReceived(invitation) if invitation.id == last),
    )
    .await;
    bob.accept(last.clone()).await.unwrap();
    alice.send(last, text("welcome"), patient()).await.unwrap();
    assert_eq!(heard(&bob, "welcome").await, ["welcome"]);
    client.shutdown().await;
    other.shutdown().await;
}

/// Waits until so many payloads wait in the database of `b`.
async fn buffered(world: &World, count: i64) {
    let mut database = database(world, "b/client.db").await;
    let wait = async {
        loop {
            let query = sqlx::query_scalar("SELECT COUNT(*) FROM buffered");
            let found: i64 = query.fetch_one(&mut database).await.unwrap();
            if found == count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
    database.close().await.unwrap();
}

/// Waits until the node has so many one-time packages of every suite.
async fn stocked(session: &Session, count: u32) {
    let enough = |session: &Session| {
        let stock = session.health().stock;
        stock.len() == Suite::ALL.len() && stock.iter().all(|(_, kept)| *kept >= count)
    };
    let wait = async {
        while !enough(session) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait).await.unwrap();
}

/// Makes everything about key packages this much older.
async fn age(world: &World, days: i64) {
    let mut node = database(world, "node/node.db").await;
    let aged = "UPDATE packages SET not_after = not_after - ?";
    assert!(run(&mut node, aged, days * 24 * 3600).await > 0);
    node.close().await.unwrap();
    let mut client = database(world, "b/client.db").await;
    let aged = "UPDATE key_packages SET created_at = created_at - ?";
    assert!(run(&mut client, aged, days * DAY_MS).await > 0);
    client.close().await.unwrap();
}

/// Packages at the node that can be claimed: fresh ones, and all of them.
async fn at_node(world: &World) -> (i64, i64) {
    let mut node = database(world, "node/node.db").await;
    let query = "SELECT SUM(not_after > unixepoch() + 60 * 86400), COUNT(*) FROM packages \
                 WHERE state = 0 AND not_after >= unixepoch() + 35 * 86400";
    let counts = sqlx::query_as(query).fetch_one(&mut node).await.unwrap();
    node.close().await.unwrap();
    counts
}

async fn private_halves(world: &World) -> (i64, i64) {
    let mut client = database(world, "b/client.db").await;
    let packages = "SELECT COUNT(*) FROM key_packages";
    let packages = sqlx::query_scalar(packages).fetch_one(&mut client).await.unwrap();
    let scopes = "SELECT COUNT(DISTINCT scope) FROM mls";
    let scopes = sqlx::query_scalar(scopes).fetch_one(&mut client).await.unwrap();
    client.close().await.unwrap();
    (packages, scopes)
}

#[tokio::test(flavor = "multi_thread")]
async fn key_packages_are_replaced_in_time_and_forgotten_in_the_end() {
    let mut world = World::new().await;
    let client = world.client("b").await;
    let bob = bot(&client, "bob").await;
    let identity = bob.identity();
    stocked(&bob, 6).await;
    client.shutdown().await;
    world.stop().await;

    // Still handed out, but soon not any more: replaced while the old ones are there.
    age(&world, 29).await;
    world.start().await;
    let client = world.client("b").await;
    stocked(&client.session(&identity).unwrap(), 12).await;
    client.shutdown().await;
    world.stop().await;
    assert_eq!(at_node(&world).await, (12, 24));

    // Not handed out any more: the stock is empty, and is filled.
    age(&world, 40).await;
    world.start().await;
    let client = world.client("b").await;
    stocked(&client.session(&identity).unwrap(), 6).await;
    client.shutdown().await;
    world.stop().await;
    assert_eq!(at_node(&world).await, (12, 12));
    // Three generations of 6 and a last resort, for two suites.
    assert_eq!(private_halves(&world).await, (42, 42));

    // The first two generations are 109 and 80 days old now.
    age(&world, 40).await;
    world.start().await;
    let client = world.client("b").await;
    stocked(&client.session(&identity).unwrap(), 6).await;
    client.shutdown().await;
    assert_eq!(private_halves(&world).await, (42, 42));
    world.stop().await;
}
