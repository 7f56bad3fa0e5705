//! Raw batched SQLite: one statement of many rows in each synced transaction.

use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, QueryBuilder, Sqlite, SqliteConnection};

use super::{Figures, FloorError};
use crate::clock::Stopwatch;

/// Different recipients: as many as the node is loaded with.
const RECIPIENTS: usize = 256;

/// Inserts transactions of `batch` rows of `bytes` and a 32-byte recipient with an index, for
/// `time`, into a database of its own in `dir`, which is removed. One operation is one
/// *transaction*.
pub async fn sqlite_insert(
    dir: &Path,
    time: Duration,
    batch: usize,
    bytes: usize,
) -> Result<Figures, FloorError> {
    in_database(dir, async |connection| {
        let payload = vec![0x5a; bytes];
        let clock = Stopwatch::start();
        let mut nanos = Vec::new();
        while clock.elapsed() < time {
            let started = clock.elapsed();
            insert(connection, batch, &payload, nanos.len()).await?;
            nanos.push(clock.nanos_since(started));
        }
        Ok(Figures { nanos, elapsed: clock.elapsed() })
    })
    .await
}

/// Reads and deletes the oldest `batch` rows in each transaction, for `time` or until nothing is
/// left of what was inserted for as long before. One operation is one *transaction*.
pub async fn sqlite_delete(
    dir: &Path,
    time: Duration,
    batch: usize,
    bytes: usize,
) -> Result<Figures, FloorError> {
    in_database(dir, async |connection| {
        let payload = vec![0x5a; bytes];
        let clock = Stopwatch::start();
        let mut batches = 0;
        while clock.elapsed() < time {
            insert(connection, batch, &payload, batches).await?;
            batches += 1;
        }
        let clock = Stopwatch::start();
        let mut nanos = Vec::new();
        let mut last = 0_i64;
        while clock.elapsed() < time && nanos.len() < batches {
            let started = clock.elapsed();
            let rows: Vec<(i64, Vec<u8>)> =
                sqlx::query_as("SELECT id, data FROM floor WHERE id > ? ORDER BY id LIMIT ?")
                    .bind(last)
                    .bind(i64::try_from(batch).unwrap_or(i64::MAX))
                    .fetch_all(&mut *connection)
                    .await?;
            last = rows.last().map_or(last, |(id, _)| *id);
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query("DELETE FROM floor WHERE id <= ?")
                .bind(last)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            nanos.push(clock.nanos_since(started));
        }
        Ok(Figures { nanos, elapsed: clock.elapsed() })
    })
    .await
}

async fn insert(
    connection: &mut SqliteConnection,
    batch: usize,
    payload: &[u8],
    turn: usize,
) -> Result<(), FloorError> {
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO floor (recipient, data) ");
    insert.push_values(0..batch.max(1), |mut row, number| {
        let recipient = (turn.wrapping_mul(batch) + number) % RECIPIENTS;
        let mut key = vec![0; 32];
        key[..8].copy_from_slice(&recipient.to_be_bytes());
        row.push_bind(key).push_bind(payload);
    });
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    insert.build().execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

async fn in_database(
    dir: &Path,
    work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<Figures, FloorError>,
) -> Result<Figures, FloorError> {
    let path = dir.join(format!("floor-{}.db", std::process::id()));
    let figures = async {
        let mut connection = open(&path).await?;
        let figures = work(&mut connection).await?;
        connection.close().await?;
        Ok(figures)
    }
    .await;
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    figures
}

async fn open(path: &Path) -> Result<SqliteConnection, FloorError> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging()
        .connect()
        .await?;
    sqlx::raw_sql(
        "CREATE TABLE floor (id INTEGER PRIMARY KEY, recipient BLOB NOT NULL,
             data BLOB NOT NULL) STRICT;
         CREATE INDEX floor_recipient ON floor (recipient, id);",
    )
    .execute(&mut connection)
    .await?;
    Ok(connection)
}
