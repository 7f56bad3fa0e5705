//! Raw batched rows in SQLite and in fjall, called without a layer in between. Blocks the caller.

use std::io;
use std::path::Path;
use std::time::Duration;

use fjall::{Database, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use rusqlite::{Connection, TransactionBehavior, params};

use super::{Figures, FloorError};
use crate::clock::Stopwatch;

/// Different recipients: as many as the node is loaded with.
const RECIPIENTS: usize = 256;
const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE floor (id INTEGER PRIMARY KEY, recipient BLOB NOT NULL, data BLOB NOT NULL) STRICT;
CREATE INDEX floor_recipient ON floor (recipient, id);
";

/// Inserts transactions of `batch` rows of `bytes` and a 32-byte recipient with an index, for
/// `time`, into a database of its own in `dir`, which is removed. One operation is one
/// *transaction*.
pub fn sqlite_insert(
    dir: &Path,
    time: Duration,
    batch: usize,
    bytes: usize,
) -> Result<Figures, FloorError> {
    in_database(dir, |connection| {
        let payload = vec![0x5a; bytes];
        let clock = Stopwatch::start();
        let mut nanos = Vec::new();
        while clock.elapsed() < time {
            let started = clock.elapsed();
            insert(connection, batch, &payload)?;
            nanos.push(clock.nanos_since(started));
        }
        Ok(Figures { nanos, elapsed: clock.elapsed() })
    })
}

/// Reads and deletes the oldest `batch` rows in each transaction, for `time` or until nothing is
/// left of what was inserted for as long before. One operation is one *transaction*.
pub fn sqlite_delete(
    dir: &Path,
    time: Duration,
    batch: usize,
    bytes: usize,
) -> Result<Figures, FloorError> {
    in_database(dir, |connection| {
        let payload = vec![0x5a; bytes];
        let clock = Stopwatch::start();
        let mut batches = 0;
        while clock.elapsed() < time {
            insert(connection, batch, &payload)?;
            batches += 1;
        }
        let clock = Stopwatch::start();
        let mut nanos = Vec::new();
        while clock.elapsed() < time && nanos.len() < batches {
            let started = clock.elapsed();
            delete(connection, batch)?;
            nanos.push(clock.nanos_since(started));
        }
        Ok(Figures { nanos, elapsed: clock.elapsed() })
    })
}

/// The same inserts into a log-structured store: payloads in one keyspace, recipients in another.
pub fn fjall_insert(
    dir: &Path,
    time: Duration,
    batch: usize,
    bytes: usize,
) -> Result<Figures, FloorError> {
    let path = dir.join(format!("floor-{}.fjall", std::process::id()));
    let figures = fjall_in(&path, time, batch, bytes);
    std::fs::remove_dir_all(&path)?;
    Ok(figures?)
}

fn fjall_in(path: &Path, time: Duration, batch: usize, bytes: usize) -> fjall::Result<Figures> {
    let database = Database::builder(path).worker_threads(1).open()?;
    let rows = database.keyspace("rows", || {
        KeyspaceCreateOptions::default().with_kv_separation(Some(KvSeparationOptions::default()))
    })?;
    let recipients = database.keyspace("recipients", KeyspaceCreateOptions::default)?;
    let payload = vec![0x5a; bytes];
    let clock = Stopwatch::start();
    let (mut nanos, mut id) = (Vec::new(), 0_u64);
    while clock.elapsed() < time {
        let started = clock.elapsed();
        let mut all = database.batch().durability(Some(PersistMode::SyncData));
        for number in 0..batch.max(1) {
            let mut key = [0; 40];
            key[..8].copy_from_slice(&(number % RECIPIENTS).to_be_bytes());
            key[32..].copy_from_slice(&id.to_be_bytes());
            all.insert(&rows, id.to_be_bytes(), payload.as_slice());
            all.insert(&recipients, key, []);
            id += 1;
        }
        all.commit()?;
        nanos.push(clock.nanos_since(started));
    }
    Ok(Figures { nanos, elapsed: clock.elapsed() })
}

fn insert(connection: &mut Connection, batch: usize, payload: &[u8]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let sql = "INSERT INTO floor (recipient, data) VALUES (?, ?)";
        let mut statement = transaction.prepare_cached(sql)?;
        for number in 0..batch.max(1) {
            let mut recipient = [0; 32];
            recipient[..8].copy_from_slice(&(number % RECIPIENTS).to_be_bytes());
            statement.execute(params![recipient.as_slice(), payload])?;
        }
    }
    transaction.commit()
}

fn delete(connection: &mut Connection, batch: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let sql = "SELECT id, data FROM floor ORDER BY id LIMIT ?";
        let mut read = transaction.prepare_cached(sql)?;
        let mut rows = read.query([batch])?;
        let (mut last, mut taken) = (0, Vec::with_capacity(batch));
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            taken.push(row.get::<_, Vec<u8>>(1)?);
        }
        let last: i64 = last;
        transaction.prepare_cached("DELETE FROM floor WHERE id <= ?")?.execute([last])?;
    }
    transaction.commit()
}

fn in_database(
    dir: &Path,
    work: impl FnOnce(&mut Connection) -> rusqlite::Result<Figures>,
) -> Result<Figures, FloorError> {
    let path = dir.join(format!("floor-{}.db", std::process::id()));
    let figures = Connection::open(&path).and_then(|mut connection| {
        connection.execute_batch(SCHEMA)?;
        work(&mut connection)
    });
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(figures?)
}
