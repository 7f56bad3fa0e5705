//! The durable state of all sessions of one process: one SQLite database.
//!
//! Reads go to a small pool and never wait for a write. Writes are [`Batch`]es: everything one
//! unit of work changes, applied in one transaction together with the batches of other sessions
//! that queued up meanwhile ([`writer`]). A batch that was answered is synced to disk.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use crate::config::{MasterKey, Sync};
use crate::error::{OpenError, SessionError};
use crate::mark::{Mark, MarkError};
use crate::pages;
use upgrade::Format;

mod archive;
mod attachments;
mod batch;
mod bound;
mod contacts;
mod damage;
mod events;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
#[cfg(test)]
pub(crate) mod fuzzing_seeds;
mod groups;
mod hybrid;
mod identities;
mod inbox;
mod intents;
mod key;
mod loaded;
mod lookup;
mod messages;
#[cfg(test)]
mod migrated;
mod mls;
mod outbox;
mod record;
mod rekey;
mod retention;
mod seal;
mod spool;
mod tables;
mod upgrade;
mod writer;

pub(crate) use archive::Exported;
pub(crate) use attachments::StoredAttachment;
pub(crate) use batch::Batch;
pub(crate) use bound::{Field, NOTHING, bind};
#[cfg(test)]
pub(crate) use contacts::TrustRow;
pub(crate) use contacts::{Handover, Names, Pin};
pub(crate) use damage::{DamagedRow, Place};
pub(crate) use groups::{Added, Damage, GroupRecord, Lost, PendingCommit};
pub(crate) use identities::{Halted, IdentityRecord, Owner, Positions};
pub(crate) use intents::{IdempotencyRecord, IdempotencyTarget, IntentRecord, IntentSpec};
pub(crate) use messages::{
    Class, DELETE, DELETED, EDIT, FILE, MessageContent, REACTION, StoredMessage, TYPING,
    can_become, is_reaction, target,
};
pub(crate) use mls::Overlay;
pub(crate) use outbox::{OutboxKind, OutboxRecord, Parcel};
pub use rekey::rekey;
pub(crate) use seal::Sealer;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The database failed, or a row in it does not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("database: {0}")]
    Write(#[from] rusqlite::Error),
    #[error("a thread for the database: {0}")]
    Thread(std::io::Error),
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

/// The file of the database in its folder.
const DATABASE: &str = "client.db";
/// Its mark.
const MARK: &str = "client.db.mark";

/// One open database.
#[derive(Debug)]
pub(crate) struct Store {
    reads: SqlitePool,
    lookup: lookup::Lookup,
    writer: writer::Writer,
    sealer: Arc<seal::Sealer>,
    loaded: loaded::Loaded,
    written: AtomicU64,
    lock: File,
    retention: Duration,
    spool: spool::Spool,
    /// Whether everything that the application keeps elsewhere is sealed.
    application_sealed: AtomicBool,
}

impl Store {
    /// Opens or creates the database in `dir` and takes its lock.
    pub(crate) async fn open(
        dir: &Path,
        key: &MasterKey,
        retention: Duration,
        loaded_bytes: usize,
        sync: Sync,
    ) -> Result<Arc<Self>, OpenError> {
        std::fs::create_dir_all(dir).map_err(|source| io(dir, source))?;
        let Opened { connection, mark, sealer, format, lock, options } =
            open_files(dir, key).await?;
        let path = dir.join(DATABASE);
        let reads = SqlitePoolOptions::new()
            .max_connections(4)
            // A connection to a file does not go away.
            .test_before_acquire(false)
            // With each commit a reader drops all it has cached; the system caches the file.
            .connect_with(options.read_only(true).pragma("cache_size", "-2048"))
            .await
            .map_err(|error| corrupt(&path, &error))?;
        connection.close().await.map_err(|error| corrupt(&path, &error))?;
        let writer = writer::Writer::start(&path, mark, sync);
        let writer = writer.map_err(|error| corrupt(&path, &error))?;
        let lookup = lookup::Lookup::open(&path).map_err(|error| corrupt(&path, &error))?;
        let spool = spool::Spool::open(dir).map_err(|source| io(dir, source))?;
        let loaded = loaded::Loaded::new(loaded_bytes);
        let (sealer, written) = (Arc::new(sealer), AtomicU64::new(0));
        Ok(Arc::new(Self {
            reads,
            lookup,
            writer,
            sealer,
            loaded,
            written,
            lock,
            retention,
            spool,
            application_sealed: AtomicBool::new(format == Format::Application),
        }))
    }

    /// How long what was decrypted is kept, in milliseconds.
    pub(crate) fn retention_ms(&self) -> u64 {
        u64::try_from(self.retention.as_millis()).unwrap_or(u64::MAX)
    }

    /// Seals what an application keeps elsewhere.
    pub(crate) fn for_application(&self) -> seal::Sealer {
        self.sealer.for_application()
    }

    /// Whether an application has said that everything it keeps elsewhere is sealed.
    pub(crate) fn is_application_sealed(&self) -> bool {
        self.application_sealed.load(Ordering::Relaxed)
    }

    /// Notes that everything the application keeps elsewhere is sealed.
    pub(crate) async fn application_sealed(&self) -> Result<(), StoreError> {
        let mut batch = self.batch();
        batch.format(Format::Application);
        self.write(batch).await?;
        self.application_sealed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// An empty unit of work.
    pub(crate) fn batch(&self) -> Batch {
        Batch::new(Arc::clone(&self.sealer))
    }

    /// Applies a batch; when this answers, it is synced. Answers the positions of events that were
    /// ignored, because their message is not there or was before.
    pub(crate) async fn write(&self, batch: Batch) -> Result<Vec<u64>, StoreError> {
        self.written.fetch_add(batch.bytes(), Ordering::Relaxed);
        self.writer.write(batch).await
    }

    /// Bytes of values that were handed over to be written since the database was opened.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Where uploads arrive.
    pub(crate) fn spool(&self) -> &spool::Spool {
        &self.spool
    }

    /// The groups in memory.
    pub(crate) fn loaded(&self) -> &loaded::Loaded {
        &self.loaded
    }

    /// Closes the files once the writes that were accepted are done. Nobody reads any more.
    pub(crate) async fn close(&self) {
        // The last connection to close takes the WAL back into the file, so it must be the writer.
        self.reads.close().await;
        self.lookup.close();
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

/// The files of a database, with their lock.
struct Opened {
    connection: SqliteConnection,
    mark: Mark,
    sealer: seal::Sealer,
    format: Format,
    lock: File,
    options: SqliteConnectOptions,
}

/// Takes the lock, opens or creates the database, and finds the key that opens it.
async fn open_files(dir: &Path, key: &MasterKey) -> Result<Opened, OpenError> {
    let lock = lock(dir)?;
    let path = dir.join(DATABASE);
    let marker = dir.join("client.created");
    let existed = marker.exists();
    if existed && !path.exists() {
        let detail = "the file is missing".to_owned();
        return Err(OpenError::Corrupt { path, detail });
    }
    let master = key::read(key, !existed)?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(!existed)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .pragma("cache_size", "-16384")
        // What is deleted is overwritten, not only marked as free.
        .pragma("secure_delete", "ON")
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(|error| corrupt(&path, &error))?;
    let mark = Mark::open(&dir.join(MARK), &mut connection).await;
    let mark = mark.map_err(|error| unmarked(&path, error))?;
    let found = pages::contradiction(&mut connection, &path).await;
    if let Some(detail) = found.map_err(|error| corrupt(&path, &error))? {
        return Err(OpenError::Corrupt { path, detail });
    }
    migrate(&path, &mut connection).await?;
    let fitting = fitting(&mut connection, key, master).await;
    let (sealer, mut format) = fitting.map_err(|error| match error {
        Unfit::Key => OpenError::WrongKey { key: key.to_string() },
        Unfit::Names => {
            let detail = "what hides the names of rows does not open".to_owned();
            OpenError::Corrupt { path: path.clone(), detail }
        }
        Unfit::Database(error) => corrupt(&path, &error),
        Unfit::Other(error) => error,
    })?;
    std::fs::write(&marker, b"").map_err(|source| io(&marker, source))?;
    let options = options.create_if_missing(false);
    if format == Format::Former {
        let upgraded = upgrade(&mut connection, &options, &sealer).await;
        upgraded.map_err(|error| corrupt(&path, &error))?;
        format = Format::Rows;
    }
    Ok(Opened { connection, mark, sealer, format, lock, options })
}

/// Seals what former versions left open, in one transaction.
async fn upgrade(
    connection: &mut SqliteConnection,
    options: &SqliteConnectOptions,
    sealer: &seal::Sealer,
) -> Result<(), StoreError> {
    tracing::info!("the rows of the client database are sealed anew, once");
    let mut reads = options.clone().read_only(true).connect().await?;
    connection.execute("BEGIN IMMEDIATE").await?;
    upgrade::upgrade(&mut reads, connection, sealer).await?;
    connection.execute("COMMIT").await?;
    reads.close().await?;
    // What was open before leaves the log too.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    Ok(())
}

enum Unfit {
    Key,
    Names,
    Database(sqlx::Error),
    Other(OpenError),
}

impl From<sqlx::Error> for Unfit {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<OpenError> for Unfit {
    fn from(error: OpenError) -> Self {
        Self::Other(error)
    }
}

/// What opens this database: `master`, or the key to come when a rotation was cut off after it had
/// sealed everything anew.
async fn fitting(
    connection: &mut SqliteConnection,
    key: &MasterKey,
    master: key::Key,
) -> Result<(seal::Sealer, Format), Unfit> {
    let sealer = seal::Sealer::new(&master);
    if sealed_meta(connection, "check").await?.is_none() {
        let text = Format::Application.text();
        sqlx::query("INSERT INTO meta (key, value) VALUES ('check', ?)")
            .bind(sealer.seal("meta", b"check", text))
            .execute(&mut *connection)
            .await?;
    }
    if let Some(fitting) = fits(connection, sealer).await? {
        if let MasterKey::File(file) = key {
            key::discard(file)?;
        }
        return Ok(fitting);
    }
    let MasterKey::File(file) = key else { return Err(Unfit::Key) };
    let next = MasterKey::Provided(key::next(file));
    let Ok(master) = key::read(&next, false) else { return Err(Unfit::Key) };
    let fitting = fits(connection, seal::Sealer::new(&master)).await?.ok_or(Unfit::Key)?;
    tracing::warn!("a rotation of the master key was cut off and is completed");
    key::replace(file)?;
    Ok(fitting)
}

/// The sealer, if it opens this database, with what hides names in it, and what is sealed there.
async fn fits(
    connection: &mut SqliteConnection,
    sealer: seal::Sealer,
) -> Result<Option<(seal::Sealer, Format)>, Unfit> {
    let check = sealed_meta(connection, "check").await?.unwrap_or_default();
    let Ok(text) = sealer.open("meta", b"check", &check) else { return Ok(None) };
    let format = Format::of(&text).unwrap_or(Format::Application);
    let Some(names) = sealed_meta(connection, "names").await? else {
        return Ok(Some((sealer, format)));
    };
    let names = sealer.open("meta", b"names", &names).map_err(|_| Unfit::Names)?;
    let names = names.as_slice().try_into().map_err(|_| Unfit::Names)?;
    Ok(Some((sealer.with_names(names), format)))
}

async fn sealed_meta(
    connection: &mut SqliteConnection,
    key: &'static str,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM meta WHERE key = ?")
        .bind(key)
        .fetch_optional(connection)
        .await
}

fn io(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Io { path: PathBuf::from(path), source }
}

fn unmarked(path: &Path, error: MarkError) -> OpenError {
    match error {
        MarkError::Io { path, source } => OpenError::Io { path, source },
        error => OpenError::Corrupt { path: path.to_owned(), detail: error.to_string() },
    }
}

fn corrupt(path: &Path, error: &dyn std::fmt::Display) -> OpenError {
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
