//! The durable state of all sessions of one process: one SQLite database.
//!
//! Reads go to a small pool and never wait for a write. Writes are [`Batch`]es: everything one
//! unit of work changes, applied in one transaction together with the batches of other sessions
//! that queued up meanwhile ([`writer`]). A batch that was answered is synced to disk.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

use crate::error::{OpenError, SessionError};

mod batch;
mod contacts;
mod damage;
mod events;
mod groups;
mod identities;
mod inbox;
mod intents;
mod loaded;
mod messages;
mod mls;
mod outbox;
mod record;
pub(crate) mod seal;
mod writer;

pub(crate) use batch::Batch;
pub(crate) use contacts::{Contact, Names};
pub(crate) use damage::{DamagedRow, Place};
pub(crate) use groups::{Damage, GroupRecord, Lost, PendingCommit};
pub(crate) use identities::{IdentityRecord, Owner, Positions};
pub(crate) use intents::{IdempotencyRecord, IdempotencyTarget, IntentRecord, IntentSpec};
pub(crate) use messages::{MessageContent, StoredMessage};
pub(crate) use mls::Overlay;
pub(crate) use outbox::{OutboxKind, OutboxRecord, Parcel};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The database failed, or a row in it does not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("row of {0}: {1}")]
    Row(&'static str, String),
    #[error(transparent)]
    Seal(#[from] seal::SealError),
    #[error("the store is closed")]
    Closed,
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Closed => Self::Stopped,
            error => {
                tracing::error!(%error, "the client database failed");
                Self::StorageUnavailable
            }
        }
    }
}

/// One open database.
#[derive(Debug)]
pub(crate) struct Store {
    reads: SqlitePool,
    writer: writer::Writer,
    sealer: Arc<seal::Sealer>,
    loaded: loaded::Loaded,
    written: AtomicU64,
    lock: File,
}

impl Store {
    /// Opens or creates the database in `dir` and takes its lock.
    pub(crate) async fn open(
        dir: &Path,
        key: &Path,
        loaded_bytes: usize,
    ) -> Result<Arc<Self>, OpenError> {
        std::fs::create_dir_all(dir).map_err(|source| io(dir, source))?;
        let lock = lock(dir)?;
        let path = dir.join("client.db");
        let marker = dir.join("client.created");
        let existed = marker.exists();
        if existed && !path.exists() {
            let detail = "the file is missing".to_owned();
            return Err(OpenError::Corrupt { path, detail });
        }
        let sealer = Arc::new(seal::Sealer::new(&*seal::master_key(key, !existed)?));
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(!existed)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", "-16384")
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(|error| corrupt(&path, &error))?;
        migrate(&path, &mut connection).await?;
        check_key(&mut connection, &sealer, key, &path).await?;
        std::fs::write(&marker, b"").map_err(|source| io(&marker, source))?;
        let reads = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(|error| corrupt(&path, &error))?;
        let writer = writer::Writer::start(connection);
        let loaded = loaded::Loaded::new(loaded_bytes);
        Ok(Arc::new(Self { reads, writer, sealer, loaded, written: AtomicU64::new(0), lock }))
    }

    /// An empty unit of work.
    pub(crate) fn batch(&self) -> Batch {
        Batch::new(Arc::clone(&self.sealer))
    }

    /// Applies a batch; when this answers, it is synced.
    pub(crate) async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.written.fetch_add(batch.bytes(), Ordering::Relaxed);
        self.writer.write(batch).await
    }

    /// Bytes of values that were handed over to be written since the database was opened.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// The groups in memory.
    pub(crate) fn loaded(&self) -> &loaded::Loaded {
        &self.loaded
    }

    /// Closes the files once the writes that were accepted are done. Nobody reads any more.
    pub(crate) async fn close(&self) {
        // The last connection to close takes the WAL back into the file, so it must be the writer.
        self.reads.close().await;
        self.writer.close().await;
        // Handles on sessions may live on; the database is free.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "unlocking the client database");
        }
    }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("client.lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|source| io(&path, source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim().to_owned();
            return Err(OpenError::InUse { path: dir.to_owned(), holder });
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(io(&path, source)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|source| io(&path, source))?;
    Ok(file)
}

async fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), OpenError> {
    use sqlx::migrate::MigrateError;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    match MIGRATIONS.run(connection).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => {
            Err(OpenError::Newer { path: path.to_owned(), found, known })
        }
        Err(error) => Err(OpenError::Corrupt { path: path.to_owned(), detail: error.to_string() }),
    }
}

async fn check_key(
    connection: &mut SqliteConnection,
    sealer: &seal::Sealer,
    key: &Path,
    path: &Path,
) -> Result<(), OpenError> {
    let database = |error: sqlx::Error| corrupt(path, &error);
    let kept: Option<Vec<u8>> = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'check'")
        .fetch_optional(&mut *connection)
        .await
        .map_err(database)?;
    if let Some(sealed) = kept {
        return match sealer.open("meta", b"check", &sealed) {
            Ok(_) => Ok(()),
            Err(_) => Err(OpenError::WrongKey { path: key.to_owned() }),
        };
    }
    sqlx::query("INSERT INTO meta (key, value) VALUES ('check', ?)")
        .bind(sealer.seal("meta", b"check", b"quicproquo"))
        .execute(connection)
        .await
        .map_err(database)?;
    Ok(())
}

fn io(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Io { path: PathBuf::from(path), source }
}

fn corrupt(path: &Path, error: &sqlx::Error) -> OpenError {
    OpenError::Corrupt { path: path.to_owned(), detail: error.to_string() }
}

/// SQLite integers are signed; all our counters stay far below the edge.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The way back of [`int`].
pub(crate) fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
