//! Real databases, rotated and cut off at every moment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use quicproquo_core::id::GroupId;

use super::*;
use crate::event::EventData;
use crate::model::HistoryQuery;
use crate::session::tests::world::{World, bot, heard, meet, patient, text};
use crate::store::{OutboxRecord, Owner, Store};
use crate::{Client, Suite, Sync};

/// Values that open and that do not.
async fn count(dir: &Path, sealer: &Sealer) -> (u64, u64) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("client.db"));
    let mut connection = options.connect().await.unwrap();
    let (mut open, mut shut) = (0, 0);
    let identities = Table { name: "identities", key: &[], sealed: &IDENTITY };
    for table in TABLES.iter().chain([&MLS, &identities]) {
        let sql = AssertSqlSafe(format!("SELECT * FROM {}", table.name));
        for row in sqlx::query(sql).fetch_all(&mut connection).await.unwrap() {
            let row = tables::cells(&row).unwrap();
            let row_key = match cell(&row, "owner") {
                Some(Cell::Int(owner)) => Table::row_key(*owner, &table.key_of(&row)),
                _ => match cell(&row, "identity") {
                    Some(Cell::Bytes(key)) => key.to_vec(),
                    _ => panic!("a row of {}", table.name),
                },
            };
            for spec in table.sealed {
                let Some(Cell::Bytes(value)) = cell(&row, spec.column) else { continue };
                match sealer.open(spec.label, &spec.associated(&row_key, &row), value) {
                    Ok(_) => open += 1,
                    Err(_) => shut += 1,
                }
            }
        }
    }
    connection.close().await.unwrap();
    (open, shut)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        // Uploads in progress have a folder of their own, empty when nobody has it open.
        if file.path().is_file() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

/// A database with a conversation, that nobody has open, and what it says.
async fn conversation(world: &World) -> (PathBuf, Vec<String>) {
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    alice.verify(bob.identity(), None).await.unwrap();
    for suite in Suite::ALL {
        let group = meet(suite, &alice, &[&bob]).await;
        bob.send(group.clone(), text("hello"), patient()).await.unwrap();
        heard(&alice, "hello").await;
        alice.send(group, text("hi"), patient()).await.unwrap();
    }
    let said = said(&first).await;
    assert_eq!(said.len(), 4);
    first.shutdown().await;
    second.shutdown().await;
    (world.path().join("a"), said)
}

async fn said(client: &Client) -> Vec<String> {
    let alice = &client.sessions()[0];
    let mut said = Vec::new();
    for group in alice.groups().await.unwrap() {
        let query = HistoryQuery { limit: 100, ..HistoryQuery::default() };
        let page = alice.history(&group.id, query).await.unwrap();
        said.extend(page.items.iter().map(|message| message.body["body"].to_string()));
    }
    said.sort();
    said
}

/// The nonces of sealed values, which name them.
async fn prefixes(dir: &Path) -> Vec<Vec<u8>> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("client.db"));
    let mut connection = options.connect().await.unwrap();
    let sql = "SELECT substr(content, 1, 24) FROM messages UNION ALL \
               SELECT substr(value, 1, 24) FROM mls UNION ALL \
               SELECT substr(seal, 1, 24) FROM messages WHERE seal IS NOT NULL UNION ALL \
               SELECT substr(seal, 1, 24) FROM names UNION ALL \
               SELECT substr(verified, 1, 24) FROM trust UNION ALL \
               SELECT substr(policy_seal, 1, 24) FROM identities UNION ALL \
               SELECT substr(halted_seal, 1, 24) FROM identities UNION ALL \
               SELECT substr(seed, 1, 24) FROM identities";
    let prefixes = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    prefixes
}

fn found(dir: &Path, prefixes: &[Vec<u8>]) -> usize {
    let mut found = 0;
    for file in ["client.db", "client.db-wal"] {
        let bytes = std::fs::read(dir.join(file)).unwrap_or_default();
        found += prefixes.iter().filter(|p| bytes.windows(24).any(|w| w == &p[..])).count();
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_cut_off_leaves_the_former_key_or_the_new_one() {
    let world = World::new().await;
    let (dir, told) = conversation(&world).await;
    let moments = [Moment::KeyMade, Moment::Sealed, Moment::Committed, Moment::Cleaned];
    for (n, moment) in moments.into_iter().enumerate() {
        let name = format!("cut-{n}");
        let cut = world.path().join(&name);
        copy(&dir, &cut);
        let file = cut.join("master.key");
        let former = std::fs::read_to_string(&file).unwrap();
        let from = MasterKey::File(file.clone());
        let old = Sealer::new(&key::read(&from, false).unwrap());
        let (all, shut) = count(&cut, &old).await;
        assert!(all > 30 && shut == 0, "{all} values, {shut} of them shut");
        run(&cut, &from, None, &mut |at| at != moment).await.unwrap_err();
        // Never half: every value opens with one of the two.
        let (open, shut) = count(&cut, &old).await;
        let is_new = matches!(moment, Moment::Committed | Moment::Cleaned);
        assert_eq!((open, shut), if is_new { (0, all) } else { (all, 0) }, "{moment:?}");
        let client = Client::open(world.config(&name)).await.unwrap();
        assert_eq!(said(&client).await, told, "{moment:?}");
        client.shutdown().await;
        assert_eq!(std::fs::read_to_string(&file).unwrap() != former, is_new, "{moment:?}");
        assert!(!key::next(&file).exists(), "{moment:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_database_goes_on_and_holds_nothing_under_the_former_key() {
    let world = World::new().await;
    let (dir, told) = conversation(&world).await;
    let file = dir.join("master.key");
    let from = MasterKey::File(file.clone());
    let former = std::fs::read_to_string(&file).unwrap();
    let before = prefixes(&dir).await;
    assert_eq!(found(&dir, &before), before.len(), "the search finds what is there");
    assert!(rekey(&dir, &from, None).await.unwrap() > 30);
    assert_eq!(found(&dir, &before), 0);

    // What was drawn from the first key is needed too.
    let damaged = world.path().join("damaged");
    copy(&dir, &damaged);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(damaged.join("client.db"));
    let mut connection = options.connect().await.unwrap();
    connection.execute("UPDATE meta SET value = x'00' WHERE key = 'names'").await.unwrap();
    connection.close().await.unwrap();
    let error = Client::open(world.config("damaged")).await.unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");

    // To a key that others provide, and back into the file.
    let given = MasterKey::text("a variable", "5a".repeat(32));
    rekey(&dir, &from, Some(&given)).await.unwrap();
    let error = Client::open(world.config("a")).await.unwrap_err();
    assert!(matches!(error, OpenError::WrongKey { .. }), "{error}");
    let error = rekey(&dir, &given, None).await.unwrap_err();
    assert!(matches!(error, OpenError::KeyElsewhere { .. }), "{error}");
    std::fs::remove_file(&file).unwrap();
    rekey(&dir, &given, Some(&from)).await.unwrap();
    assert_ne!(std::fs::read_to_string(&file).unwrap(), former);

    let (first, second) = (world.client("a").await, world.client("b").await);
    assert_eq!(said(&first).await, told);
    let error = rekey(&dir, &from, None).await.unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    let (alice, bob) = (&first.sessions()[0], &second.sessions()[0]);
    assert_eq!(alice.known(&bob.identity()).await.unwrap().trust, crate::TrustState::Verified);
    for group in alice.groups().await.unwrap() {
        let after = format!("after {}", group.id);
        alice.send(group.id.clone(), text(&after), patient()).await.unwrap();
        heard(bob, &after).await;
        let back = format!("back {}", group.id);
        bob.send(group.id, text(&back), patient()).await.unwrap();
        heard(alice, &back).await;
    }
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test]
async fn every_table_is_on_the_list_with_its_row_key() {
    let dir = tempfile::tempdir().unwrap();
    let from = MasterKey::File(dir.path().join("master.key"));
    let store =
        Store::open(dir.path(), &from, std::time::Duration::MAX, 0, Sync::Full).await.unwrap();
    let (owner, group) = (Owner(7), GroupId::random());
    let mut batch = store.batch();
    batch.hidden_event(
        owner,
        &group,
        1,
        2,
        &EventData::GroupRepaired { reason: "rejoined".into() },
    );
    batch.outbox(owner, 3, &OutboxRecord::lost(group.clone(), 1, 0));
    batch.buffer(owner, group.as_bytes(), 4, 5, b"payload");
    batch.set_aside(owner, [6; 32], "mls", 7, b"payload");
    batch.event(owner, 8, None, 9, &EventData::GroupRepaired { reason: "rejoined".into() });
    let scope = b"scope".as_slice();
    batch.mls(owner, [(scope, b"key".as_slice(), Some(b"value".as_slice()))].into_iter());
    store.write(batch).await.unwrap();
    store.close().await;
    rekey(dir.path(), &from, None).await.unwrap();
    let sealer = Sealer::new(&key::read(&from, false).unwrap());
    assert_eq!(count(dir.path(), &sealer).await, (6, 0));

    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.path().join("client.db"));
    let mut connection = options.connect().await.unwrap();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%owner%'";
    let found: BTreeSet<String> =
        sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap().into_iter().collect();
    let listed = TABLES.iter().chain([&MLS]).map(|table| table.name).chain(["hybrid_keys"]);
    assert_eq!(found, listed.map(str::to_owned).collect());
}

#[tokio::test]
async fn nothing_is_made_where_there_is_no_database() {
    let dir = tempfile::tempdir().unwrap();
    let from = MasterKey::File(dir.path().join("master.key"));
    rekey(dir.path(), &from, None).await.unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
