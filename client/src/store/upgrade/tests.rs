//! Databases of the version before rows were bound, made of real ones.

use std::path::Path;

use quicproquo_core::identity::IdentityKey;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use super::*;
use crate::config::MasterKey;
use crate::model::{HistoryQuery, InvitePolicy, Message, TrustState};
use crate::session::tests::world::{World, bot, heard, meet, patient, text};
use crate::store::key;
use crate::{Client, EventPage, Idempotency, Options, Suite};

async fn open(dir: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(dir.join("client.db")).connect().await.unwrap()
}

/// Puts a database that nobody has open back to the schema and the seals of version 6.
async fn set_back(dir: &Path) {
    let from = MasterKey::File(dir.join("master.key"));
    let sealer = Sealer::new(&key::read(&from, false).unwrap());
    let mut database = open(dir).await;
    for table in TABLES.iter().filter(|table| table.sealed.iter().any(|s| s.label != table.name)) {
        let select = AssertSqlSafe(format!("SELECT * FROM {}", table.name));
        for row in sqlx::query(select).fetch_all(&mut database).await.unwrap() {
            let mut row = tables::cells(&row).unwrap();
            let Some(Cell::Int(owner)) = cell(&row, "owner").cloned() else { panic!() };
            let key = table.key_of(&row);
            let row_key = Table::row_key(owner, &key);
            assert!(tables::open(&sealer, table.sealed, &row_key, &mut row), "{}", table.name);
            for spec in table.sealed {
                let value = match (spec.label, cell(&row, spec.column)) {
                    (FINGERPRINT, Some(Cell::Bytes(clear))) => Cell::Bytes(clear.clone()),
                    (_, Some(Cell::Bytes(plain))) if **plain == *NOTHING || **plain == *NONE => {
                        Cell::Null
                    }
                    (_, Some(Cell::Bytes(plain))) => {
                        Cell::Bytes(sealer.seal(table.name, &row_key, plain).into())
                    }
                    _ => Cell::Null,
                };
                let by = table.key.join(" = ? AND ");
                let (name, column) = (table.name, spec.column);
                let sql = format!("UPDATE {name} SET {column} = ? WHERE owner = ? AND {by} = ?");
                let cells: Vec<Cell> =
                    [value, Cell::Int(owner)].into_iter().chain(key.clone()).collect();
                tables::execute(&mut database, sql, &cells).await.unwrap();
            }
        }
    }
    sqlx::query("UPDATE meta SET value = ? WHERE key = 'check'")
        .bind(sealer.seal("meta", b"check", Format::Former.text()))
        .execute(&mut database)
        .await
        .unwrap();
    for sql in [
        "ALTER TABLE messages DROP COLUMN seal",
        "ALTER TABLE names DROP COLUMN seal",
        "ALTER TABLE trust DROP COLUMN took_over",
        "ALTER TABLE identities DROP COLUMN policy_seal",
        "ALTER TABLE identities DROP COLUMN halted_seal",
        "DELETE FROM _sqlx_migrations WHERE version = 7",
    ] {
        database.execute(sql).await.unwrap();
    }
    database.close().await.unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Everything that the rows in question say.
async fn told(
    client: &Client,
    others: &[IdentityKey],
) -> (Vec<Message>, EventPage, Vec<TrustState>) {
    let alice = &client.sessions()[0];
    assert_eq!(alice.invite_policy().await.unwrap(), InvitePolicy::All);
    let mut messages = Vec::new();
    for group in alice.groups().await.unwrap() {
        let query = HistoryQuery { limit: 100, ..HistoryQuery::default() };
        messages.extend(alice.history(&group.id, query).await.unwrap().items);
    }
    let events = alice.events(crate::Cursor(0), 100).await.unwrap();
    let mut trust = Vec::new();
    for other in others {
        trust.push(alice.known(other).await.unwrap().trust);
    }
    (messages, events, trust)
}

fn once() -> Options {
    let request =
        Idempotency { key: "a key".to_owned(), fingerprint: *b"a canary among the fingerprints!" };
    Options { idempotency: Some(request), ..patient() }
}

fn contains(dir: &Path, what: &[u8]) -> bool {
    ["client.db", "client.db-wal"].iter().any(|file| {
        let bytes = std::fs::read(dir.join(file)).unwrap_or_default();
        bytes.windows(what.len()).any(|window| window == what)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_former_version_is_bound_once_and_says_the_same() {
    let world = World::new().await;
    let (first, second) = (world.client("a").await, world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let carol = bot(&second, "carol").await;
    alice.set_invite_policy(InvitePolicy::All).await.unwrap();
    alice.verify(bob.identity(), None).await.unwrap();
    let group = meet(Suite::Native, &alice, &[&bob, &carol]).await;
    let said = alice.send(group.clone(), text("hi"), once()).await.unwrap().value;
    bob.send(group.clone(), text("hello"), patient()).await.unwrap();
    heard(&alice, "hello").await;
    let others = [bob.identity(), carol.identity()];
    let before = told(&first, &others).await;
    assert_eq!(before.2, [TrustState::Verified, TrustState::Tofu]);
    let canary = once().idempotency.unwrap().fingerprint;
    let dir = world.path().join("a");
    first.shutdown().await;
    assert!(!contains(&dir, &canary));

    set_back(&dir).await;
    assert!(contains(&dir, &canary), "the former version wrote it in the open");
    copy(&dir, &world.path().join("control"));
    let first = world.client("a").await;
    assert!(!first.is_application_sealed());
    assert_eq!(told(&first, &others).await, before);
    let again = first.sessions()[0].send(group.clone(), text("hi"), once()).await.unwrap();
    assert!(again.replayed && again.value.id == said.id);
    first.application_sealed().await.unwrap();
    first.shutdown().await;
    assert!(!contains(&dir, &canary));

    // From now on what is not bound was not written by us.
    let mut database = open(&dir).await;
    database.execute("UPDATE names SET seal = NULL").await.unwrap();
    database.execute("UPDATE messages SET epoch = epoch + 1").await.unwrap();
    database.close().await.unwrap();
    let first = world.client("a").await;
    assert!(first.is_application_sealed());
    let (messages, _, trust) = told(&first, &others).await;
    assert!(messages.iter().all(|message| message.kind == "quicproquo.damaged"));
    assert_eq!(trust, [TrustState::Changed, TrustState::Changed]);
    first.shutdown().await;

    // The control: what was changed where nothing is bound yet is not noticed.
    let mut database = open(&world.path().join("control")).await;
    database.execute("UPDATE messages SET epoch = epoch + 1").await.unwrap();
    database.close().await.unwrap();
    let control = world.client("control").await;
    let (messages, _, trust) = told(&control, &others).await;
    assert!(messages.len() == 2 && messages.iter().all(|message| message.kind == "text"));
    assert_eq!(trust, before.2);
    control.shutdown().await;
    second.shutdown().await;
}
