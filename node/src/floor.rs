//! What the machine can do at all: floors for `qpq bench` to compare the node with.
//!
//! Each returns nanoseconds per operation.

mod echo;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, QueryBuilder, Sqlite};

use crate::clock::Stopwatch;
pub use echo::quic_echo;

/// A floor could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// A file or a socket.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The database.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// QUIC or TLS.
    #[error("QUIC: {0}")]
    Quic(String),
}

/// Appends `bytes` to a file in `dir` and syncs its data, `rounds` times. Blocks; the file is
/// removed.
pub fn fsync_loop(dir: &Path, rounds: usize, bytes: usize) -> Result<Vec<u64>, FloorError> {
    let path = dir.join(format!("floor-{}.sync", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let block = vec![0x5a; bytes];
    let mut times = Vec::with_capacity(rounds);
    let mut measure = || -> io::Result<()> {
        for _ in 0..rounds {
            let watch = Stopwatch::start();
            file.write_all(&block)?;
            file.sync_data()?;
            times.push(watch.nanos());
        }
        Ok(())
    };
    let measured = measure();
    std::fs::remove_file(&path)?;
    measured?;
    Ok(times)
}

/// Inserts `batch` rows of `bytes` in one statement and one synced transaction, `rounds` times,
/// into a database of its own in `dir`, which is removed. Returns nanoseconds per *transaction*.
pub async fn sqlite_insert(
    dir: &Path,
    rounds: usize,
    batch: usize,
    bytes: usize,
) -> Result<Vec<u64>, FloorError> {
    let path = dir.join(format!("floor-{}.db", std::process::id()));
    let times = inserts(&path, rounds, batch, bytes).await;
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    times
}

async fn inserts(
    path: &Path,
    rounds: usize,
    batch: usize,
    bytes: usize,
) -> Result<Vec<u64>, FloorError> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging()
        .connect()
        .await?;
    sqlx::query("CREATE TABLE floor (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT")
        .execute(&mut connection)
        .await?;
    let payload = vec![0x5a; bytes];
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let watch = Stopwatch::start();
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO floor (data) ");
        insert.push_values(0..batch.max(1), |mut row, _| {
            row.push_bind(payload.as_slice());
        });
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        insert.build().execute(&mut *transaction).await?;
        transaction.commit().await?;
        times.push(watch.nanos());
    }
    connection.close().await?;
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_floor_gives_one_time_per_round_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(fsync_loop(dir.path(), 3, 4096).unwrap().len(), 3);
        assert_eq!(sqlite_insert(dir.path(), 3, 32, 1024).await.unwrap().len(), 3);
        assert_eq!(quic_echo(10, 256).await.unwrap().len(), 10);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
