//! Tables that migrations have made anew.

use sqlx::migrate::Migration;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};

use super::MIGRATIONS;
use super::mls::PUT;
use super::tables::{Cell, cells};

/// The migration that made messages and outbox ordinary tables.
const ANEW: i64 = 8;
/// The migration that lays together what a message changes for all its receivers.
const BY_TIME: i64 = 10;
/// The migration that makes a received message its own entry of the log.
const RECEIVED: i64 = 11;
/// The migration that makes MLS state an ordinary table.
const MLS: i64 = 12;
/// Bytes of the sealed content of a message of 1 KiB.
const CONTENT: usize = 1150;

async fn before() -> SqliteConnection {
    older_than(ANEW).await
}

async fn older_than(version: i64) -> SqliteConnection {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    for migration in MIGRATIONS.iter().filter(|migration| migration.version < version) {
        apply(&mut connection, migration).await;
    }
    connection
}

async fn apply(connection: &mut SqliteConnection, migration: &Migration) {
    let sql = AssertSqlSafe(migration.sql.as_str().to_owned());
    connection.execute(sqlx::raw_sql(sql)).await.unwrap();
}

async fn migrate(connection: &mut SqliteConnection) {
    migrate_to(ANEW, connection).await;
}

async fn migrate_to(version: i64, connection: &mut SqliteConnection) {
    let migration = MIGRATIONS.iter().find(|migration| migration.version == version).unwrap();
    apply(connection, migration).await;
}

async fn fill(connection: &mut SqliteConnection, owner: i64, rows: i64) {
    for seq in 1..=rows {
        sqlx::query(
            "INSERT INTO messages VALUES (?, ?, x'01', x'02', CAST(? AS BLOB), 3, 4, 5, 'state', \
             randomblob(?), 1, x'06', x'07', 8, x'09')",
        )
        .bind(owner)
        .bind(seq)
        .bind(seq.to_string())
        .bind(i64::try_from(CONTENT).unwrap())
        .execute(&mut *connection)
        .await
        .unwrap();
        sqlx::query("INSERT INTO outbox VALUES (?, ?, 9, randomblob(?))")
            .bind(owner)
            .bind(seq)
            .bind(i64::try_from(CONTENT).unwrap())
            .execute(&mut *connection)
            .await
            .unwrap();
    }
}

async fn all(connection: &mut SqliteConnection, query: &'static str) -> Vec<Vec<(String, Cell)>> {
    let rows: Vec<SqliteRow> = sqlx::query(query).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| cells(row).unwrap()).collect()
}

async fn pages(connection: &mut SqliteConnection) -> i64 {
    sqlx::query("PRAGMA page_count").fetch_one(connection).await.unwrap().get(0)
}

#[tokio::test]
async fn rows_and_indexes_are_as_before() {
    let mut connection = before().await;
    for owner in [2, 1] {
        fill(&mut connection, owner, 3).await;
    }
    let queries = [
        "SELECT * FROM messages ORDER BY owner, seq",
        "SELECT * FROM outbox ORDER BY owner, counter",
        "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name",
    ];
    let mut kept = Vec::new();
    for query in queries {
        kept.push(all(&mut connection, query).await);
    }
    assert_eq!((kept[0].len(), kept[1].len()), (6, 6));
    migrate(&mut connection).await;
    for (query, kept) in queries.into_iter().zip(kept) {
        assert_eq!(all(&mut connection, query).await, kept, "{query}");
    }
    let twice = "INSERT INTO outbox VALUES (1, 1, 9, x'00')";
    assert!(connection.execute(twice).await.is_err(), "the key is one still");
}

#[tokio::test]
async fn a_content_of_a_kilobyte_takes_no_page_of_its_own() {
    let rows = 100;
    let mut connection = before().await;
    fill(&mut connection, 1, rows).await;
    assert!(pages(&mut connection).await > 2 * rows, "what it was like");
    let mut connection = before().await;
    migrate(&mut connection).await;
    let empty = pages(&mut connection).await;
    fill(&mut connection, 1, rows).await;
    assert!(pages(&mut connection).await - empty < rows);
}

#[tokio::test]
async fn the_inbox_knows_what_it_knew_and_is_swept_by_age() {
    let mut connection = older_than(BY_TIME).await;
    connection
        .execute("INSERT INTO inbox VALUES (2, x'07', 5), (1, x'07', 4), (1, x'03', 6)")
        .await
        .unwrap();
    let query = "SELECT owner, hash, seen_at FROM inbox ORDER BY owner, hash";
    let kept = all(&mut connection, query).await;
    assert_eq!(kept.len(), 3);
    migrate_to(BY_TIME, &mut connection).await;
    assert_eq!(all(&mut connection, query).await, kept);
    let twice = "INSERT INTO inbox VALUES (x'07', 2, 9)";
    assert!(connection.execute(twice).await.is_err(), "the key is one still");

    let plans = [
        ("DELETE FROM inbox WHERE owner = 1 AND seen_at < 5", "inbox_by_age (seen_at<?)"),
        ("SELECT 1 FROM inbox WHERE owner = 1 AND hash = x'07'", "(hash=? AND owner=?)"),
        (
            "SELECT 1 FROM messages WHERE owner = 1 AND group_id = x'01' AND message_id = x'02'",
            "messages_by_id (message_id=? AND group_id=? AND owner=?)",
        ),
    ];
    for (query, by) in plans {
        let plan = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
        let plan = sqlx::query(plan).fetch_one(&mut connection).await.unwrap();
        let plan: String = plan.get("detail");
        assert!(plan.contains(by), "{query}: {plan}");
    }
}

#[tokio::test]
async fn a_received_message_is_its_own_event_and_a_lost_one_keeps_its_own() {
    let mut connection = older_than(RECEIVED).await;
    fill(&mut connection, 1, 3).await;
    connection
        .execute(
            "INSERT INTO events (owner, seq, kind, occurred_at, message, data) VALUES \
             (1, 1, 'message.received', 4, 1, NULL), (1, 3, 'message.received', 4, 3, NULL), \
             (1, 4, 'message.sent', 4, 2, NULL), (1, 5, 'message.received', 4, 5, NULL), \
             (1, 6, 'group.joined', 4, NULL, x'00'), (2, 1, 'message.received', 4, 1, NULL)",
        )
        .await
        .unwrap();
    migrate_to(RECEIVED, &mut connection).await;
    let left = sqlx::query("SELECT owner, seq FROM events ORDER BY owner, seq");
    let left: Vec<(i64, i64)> = left
        .fetch_all(&mut connection)
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    assert_eq!(left, [(1, 4), (1, 5), (1, 6), (2, 1)]);
}

#[tokio::test]
async fn mls_state_is_as_before_and_a_row_keeps_its_place() {
    let mut connection = older_than(MLS).await;
    connection
        .execute(
            "INSERT INTO mls VALUES (2, x'01', x'03', x'07'), (1, x'02', x'04', x'08'), \
             (1, x'01', x'05', randomblob(100000)), (1, x'01', x'04', zeroblob(0))",
        )
        .await
        .unwrap();
    let query = "SELECT * FROM mls ORDER BY owner, scope, key";
    let kept = all(&mut connection, query).await;
    assert_eq!(kept.len(), 4);
    migrate_to(MLS, &mut connection).await;
    assert_eq!(all(&mut connection, query).await, kept);
    let twice = "INSERT INTO mls VALUES (2, x'01', x'03', x'07')";
    assert!(connection.execute(twice).await.is_err(), "the key is one still");

    let place =
        "SELECT rowid, length(value) FROM mls WHERE owner = 1 AND scope = x'01' AND key = x'05'";
    let row: (i64, i64) = sqlx::query_as(place).fetch_one(&mut connection).await.unwrap();
    assert_eq!(row.1, 100_000);
    let put = sqlx::query(PUT).bind(1).bind(&[1][..]).bind(&[5][..]).bind(&[9][..]);
    put.execute(&mut connection).await.unwrap();
    let again: (i64, i64) = sqlx::query_as(place).fetch_one(&mut connection).await.unwrap();
    assert_eq!(again, (row.0, 1));
}
