//! The one writer: what queued up while the last transaction synced goes into the next.
//!
//! It has a thread and a connection of its own: a unit of work is handed over once, and statements
//! stay prepared.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quicproquo_core::identity::IdentityKey;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};

use super::identities::SealedIdentity;
use super::seal::Sealer;
use super::{Batch, Exported, Owner, StoreError, archive, identities};
use crate::config::Sync;
use crate::mark::{Commit, Mark};

const MOST: usize = 256;
const QUEUE: usize = 1024;
/// More than there are different statements.
const PREPARED: usize = 128;
/// Pages in the write-ahead log from which on they are taken into the database: 16 MiB. Most of
/// them are the same few pages again and again, each of which is taken once.
const LOG_PAGES: i32 = 4000;

thread_local! {
    /// Pages in the log after the newest commit of this thread's connection.
    static LOGGED: Cell<i32> = const { Cell::new(0) };
}

struct Job {
    work: Work,
    done: oneshot::Sender<Result<Done, StoreError>>,
}

/// What came of a job.
#[derive(Debug, Default)]
struct Done {
    /// The identity that it was about, where it was about one as a whole.
    owner: Option<Owner>,
    /// Positions of events that were ignored.
    ignored: Vec<u64>,
}

/// What the writer can do in a transaction.
enum Work {
    Batch(Batch),
    CreateIdentity {
        key: IdentityKey,
        sealed: SealedIdentity,
        now: i64,
    },
    DeleteIdentity(Owner),
    Import {
        sealer: Arc<Sealer>,
        exported: Box<Exported>,
    },
    /// Do what was accepted before, close the database, and end.
    Close,
}

/// A handle on the writer's thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Opens a connection to a database that is there, and starts the thread.
    pub(super) fn start(path: &Path, mark: Mark, sync: Sync) -> Result<Self, StoreError> {
        let connection = open(path, sync)?;
        let database = Database { connection, mark, last: None };
        let (jobs, queue) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("qpq-store".into())
            .spawn(move || run(database, queue))
            .map_err(StoreError::Thread)?;
        Ok(Self { jobs })
    }

    /// Answers the positions of events that were ignored.
    pub(super) async fn write(&self, batch: Batch) -> Result<Vec<u64>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.run(Work::Batch(batch)).await?.ignored)
    }

    pub(super) async fn create_identity(
        &self,
        key: &IdentityKey,
        sealed: SealedIdentity,
        now: i64,
    ) -> Result<Owner, StoreError> {
        self.owner(Work::CreateIdentity { key: *key, sealed, now }).await
    }

    pub(super) async fn import(
        &self,
        sealer: Arc<Sealer>,
        exported: Exported,
    ) -> Result<Owner, StoreError> {
        self.owner(Work::Import { sealer, exported: Box::new(exported) }).await
    }

    pub(super) async fn delete_identity(&self, owner: Owner) -> Result<(), StoreError> {
        self.run(Work::DeleteIdentity(owner)).await.map(drop)
    }

    async fn owner(&self, work: Work) -> Result<Owner, StoreError> {
        self.run(work).await?.owner.ok_or(StoreError::Closed)
    }

    async fn run(&self, work: Work) -> Result<Done, StoreError> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job { work, done }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Returns when what was accepted is written and the database is closed.
    pub(super) async fn close(&self) {
        let _ = self.run(Work::Close).await;
    }
}

/// The connection and the mark.
struct Database {
    connection: Connection,
    mark: Mark,
    /// The last commit; none before the first one and after one that failed.
    last: Option<Commit>,
}

fn open(path: &Path, sync: Sync) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    // As `open_files` in `store.rs` has them.
    connection.execute_batch("PRAGMA cache_size = -16384; PRAGMA secure_delete = ON")?;
    connection.execute_batch(match sync {
        Sync::Late => "PRAGMA synchronous = NORMAL",
        Sync::Full => "PRAGMA synchronous = FULL",
    })?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    // Instead of an automatic checkpoint, for which callers would wait.
    connection.wal_hook(Some(|_, pages| {
        LOGGED.set(pages);
        Ok(())
    }));
    Ok(connection)
}

fn run(mut database: Database, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(MOST);
    let mut closing = None;
    while let Some(job) = queue.blocking_recv() {
        let mut next = Some(job);
        while let Some(Job { work, done }) = next.take() {
            if matches!(work, Work::Close) {
                queue.close();
                closing = Some(done);
            } else {
                jobs.push(Job { work, done });
            }
            if jobs.len() < MOST {
                next = queue.try_recv().ok();
            }
        }
        if !jobs.is_empty() {
            write_all(&mut database, &mut jobs);
            checkpoint(&database.connection);
        }
    }
    if let Err((_, error)) = database.connection.close() {
        tracing::warn!(%error, "closing the client database");
    }
    if let Some(done) = closing {
        let _ = done.send(Ok(Done::default()));
    }
}

/// Takes a long log into the database. While somebody reads an old state, a part of it.
fn checkpoint(connection: &Connection) {
    if LOGGED.get() < LOG_PAGES {
        return;
    }
    LOGGED.set(0);
    if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)") {
        tracing::warn!(%error, "the log of the client database is not taken into it");
    }
}

/// All in one transaction; when that fails, each alone, so that one job cannot fail another.
fn write_all(database: &mut Database, jobs: &mut Vec<Job>) {
    match transaction(database, jobs) {
        Ok(all) => {
            scrub(&database.connection, jobs);
            for (job, done) in jobs.drain(..).zip(all) {
                let _ = job.done.send(Ok(done));
            }
        }
        Err(error) => {
            if jobs.len() == 1
                && let Some(job) = jobs.pop()
            {
                let _ = job.done.send(Err(error));
                return;
            }
            for job in jobs.drain(..) {
                let alone = transaction(database, std::slice::from_ref(&job));
                scrub(&database.connection, std::slice::from_ref(&job));
                let _ = job.done.send(alone.map(|mut all| all.pop().unwrap_or_default()));
            }
        }
    }
}

/// Takes what was deleted out of the write-ahead log too. While somebody reads, the next time does.
fn scrub(connection: &Connection, jobs: &[Job]) {
    let scrubs = |job: &Job| match &job.work {
        Work::Batch(batch) => batch.scrubs(),
        Work::DeleteIdentity(_) => true,
        Work::CreateIdentity { .. } | Work::Import { .. } | Work::Close => false,
    };
    if !jobs.iter().any(scrubs) {
        return;
    }
    // Writes must not wait long for readers.
    let sql = "PRAGMA busy_timeout = 100; PRAGMA wal_checkpoint(TRUNCATE); \
               PRAGMA busy_timeout = 10000";
    if let Err(error) = connection.execute_batch(sql) {
        tracing::warn!(%error, "the log of the client database is not truncated");
    }
}

/// After a full disk SQLite rolls back by itself.
fn transaction(database: &mut Database, jobs: &[Job]) -> Result<Vec<Done>, StoreError> {
    let Database { connection, mark, last } = database;
    let commit = match last.take() {
        Some(last) => last.next(),
        None => Commit::last(connection)?.next(),
    };
    execute(connection, "BEGIN IMMEDIATE")?;
    let result = apply(connection, jobs).and_then(|all| {
        connection.execute_batch(&commit.statement())?;
        execute(connection, "COMMIT")?;
        Ok(all)
    });
    if result.is_ok() {
        mark.set(commit);
        *last = Some(commit);
    } else if !connection.is_autocommit()
        && let Err(error) = execute(connection, "ROLLBACK")
    {
        tracing::error!(%error, "a failed transaction is not rolled back");
    }
    result
}

fn execute(connection: &Connection, sql: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn apply(connection: &Connection, jobs: &[Job]) -> Result<Vec<Done>, StoreError> {
    let mut all = Vec::with_capacity(jobs.len());
    for job in jobs {
        let mut done = Done::default();
        match &job.work {
            Work::Batch(batch) => done.ignored = batch.apply(connection)?,
            Work::CreateIdentity { key, sealed, now } => {
                done.owner = Some(identities::insert(connection, key, sealed, *now)?);
            }
            Work::Import { sealer, exported } => {
                done.owner = Some(archive::insert(connection, sealer, exported)?);
            }
            Work::DeleteIdentity(owner) => identities::delete(connection, *owner)?,
            Work::Close => {}
        }
        all.push(done);
    }
    Ok(all)
}
