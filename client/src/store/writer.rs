//! The one writer: what queued up while the last transaction synced goes into the next.

use std::sync::Arc;

use quicproquo_core::identity::IdentityKey;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::seal::Sealer;
use super::{Batch, Exported, Owner, StoreError, archive, identities};
use crate::mark::{Commit, Mark};

const MOST: usize = 256;
const QUEUE: usize = 1024;

struct Job {
    work: Work,
    done: oneshot::Sender<Result<Owner, StoreError>>,
}

/// What the writer can do in a transaction.
enum Work {
    Batch(Batch),
    CreateIdentity { key: IdentityKey, seed: Vec<u8>, secret: Vec<u8>, now: i64 },
    DeleteIdentity(Owner),
    Import { sealer: Arc<Sealer>, exported: Box<Exported> },
}

/// A handle on the writer task.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    tracker: TaskTracker,
    stop: tokio_util::sync::CancellationToken,
}

impl Writer {
    pub(super) fn start(connection: SqliteConnection, mark: Mark) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let tracker = TaskTracker::new();
        let stop = tokio_util::sync::CancellationToken::new();
        tracker.spawn(run(connection, mark, queue, stop.clone()));
        tracker.close();
        Self { jobs, tracker, stop }
    }

    pub(super) async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.run(Work::Batch(batch)).await.map(drop)
    }

    pub(super) async fn create_identity(
        &self,
        key: &IdentityKey,
        seed: Vec<u8>,
        secret: Vec<u8>,
        now: i64,
    ) -> Result<Owner, StoreError> {
        self.run(Work::CreateIdentity { key: *key, seed, secret, now }).await
    }

    pub(super) async fn import(
        &self,
        sealer: Arc<Sealer>,
        exported: Exported,
    ) -> Result<Owner, StoreError> {
        self.run(Work::Import { sealer, exported: Box::new(exported) }).await
    }

    pub(super) async fn delete_identity(&self, owner: Owner) -> Result<(), StoreError> {
        self.run(Work::DeleteIdentity(owner)).await.map(drop)
    }

    async fn run(&self, work: Work) -> Result<Owner, StoreError> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job { work, done }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.tracker.wait().await;
    }
}

async fn run(
    mut connection: SqliteConnection,
    mark: Mark,
    mut queue: mpsc::Receiver<Job>,
    stop: tokio_util::sync::CancellationToken,
) {
    let mut jobs = Vec::with_capacity(MOST);
    let mut marked = Marked { mark, last: None };
    loop {
        tokio::select! {
            biased;
            taken = queue.recv_many(&mut jobs, MOST) => if taken == 0 { break },
            () = stop.cancelled(), if !queue.is_closed() => { queue.close(); continue }
        }
        write_all(&mut connection, &mut marked, &mut jobs).await;
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "closing the client database");
    }
}

/// The mark, and the last commit; none before the first one and after one that failed.
struct Marked {
    mark: Mark,
    last: Option<Commit>,
}

/// All in one transaction; when that fails, each alone, so that one job cannot fail another.
async fn write_all(connection: &mut SqliteConnection, marked: &mut Marked, jobs: &mut Vec<Job>) {
    match transaction(connection, marked, jobs).await {
        Ok(owners) => {
            scrub(connection, jobs).await;
            for (job, owner) in jobs.drain(..).zip(owners) {
                let _ = job.done.send(Ok(owner));
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
                let alone = transaction(connection, marked, std::slice::from_ref(&job)).await;
                scrub(connection, std::slice::from_ref(&job)).await;
                let _ = job.done.send(alone.map(|owners| owners[0]));
            }
        }
    }
}

/// Takes what was deleted out of the write-ahead log too. While somebody reads, the next time does.
async fn scrub(connection: &mut SqliteConnection, jobs: &[Job]) {
    let scrubs = |job: &Job| match &job.work {
        Work::Batch(batch) => batch.scrubs(),
        Work::DeleteIdentity(_) => true,
        Work::CreateIdentity { .. } | Work::Import { .. } => false,
    };
    if !jobs.iter().any(scrubs) {
        return;
    }
    // Writes must not wait long for readers.
    let sql = "PRAGMA busy_timeout = 100; PRAGMA wal_checkpoint(TRUNCATE); \
               PRAGMA busy_timeout = 10000";
    if let Err(error) = connection.execute(sql).await {
        tracing::warn!(%error, "the log of the client database is not truncated");
    }
}

/// The statements are our own: after a full disk SQLite rolls back by itself, the driver's
/// transactions would go on counting that one as open, and no other could ever begin.
async fn transaction(
    connection: &mut SqliteConnection,
    marked: &mut Marked,
    jobs: &[Job],
) -> Result<Vec<Owner>, StoreError> {
    let last = match marked.last.take() {
        Some(last) => last,
        None => Commit::of(connection).await?,
    };
    let commit = last.next();
    connection.execute("BEGIN IMMEDIATE").await?;
    let result = match apply(connection, jobs).await {
        Ok(owners) => {
            // Both at once: each statement is a way to another thread.
            let commit = AssertSqlSafe(format!("{}; COMMIT", commit.statement()));
            connection.execute(commit).await.map(|_| owners).map_err(Into::into)
        }
        Err(error) => Err(error),
    };
    if result.is_ok() {
        marked.mark.set(commit);
        marked.last = Some(commit);
    }
    if result.is_err()
        && let Err(error) = connection.execute("ROLLBACK").await
    {
        tracing::debug!(%error, "the transaction was rolled back already");
    }
    result
}

async fn apply(connection: &mut SqliteConnection, jobs: &[Job]) -> Result<Vec<Owner>, StoreError> {
    let mut owners = Vec::with_capacity(jobs.len());
    for job in jobs {
        let owner = match &job.work {
            Work::Batch(batch) => {
                batch.apply(connection).await?;
                Owner(0)
            }
            Work::CreateIdentity { key, seed, secret, now } => {
                identities::insert(connection, key, seed, secret, *now).await?
            }
            Work::Import { sealer, exported } => {
                archive::insert(connection, sealer, exported).await?
            }
            Work::DeleteIdentity(owner) => {
                identities::delete(connection, *owner).await?;
                *owner
            }
        };
        owners.push(owner);
    }
    Ok(owners)
}
