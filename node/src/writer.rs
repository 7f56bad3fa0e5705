//! The tasks that change the stores, one for each half.
//!
//! A writer takes what has queued up while the last transaction synced and commits it together.
//! An answer means: committed and synced.

use std::sync::Arc;
use std::time::Duration;

use quicproquo_schemas::id::IdentityKey;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::batch::{Backlog, Bounds, Closed, Request, Requests, backlog};
use crate::clock::Clock;
use crate::delivery::waiters::Waiters;
use crate::store::{Refusal, StoreError};

/// Bounds of one transaction; bytes are those of payloads.
const BATCH: Bounds = Bounds { requests: 256, bytes: 8 * 1024 * 1024 };
/// Requests that wait for the writer.
const BACKLOG: usize = 1024;
/// Expired records of one transaction.
const SWEEP_ROWS: u32 = 512;
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A write was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Refused(Refusal),
    #[error("the disk is full")]
    DiskFull,
    #[error("the database failed")]
    Failed,
    #[error("the writer has stopped")]
    Closed,
}

/// What a committed batch came to.
#[derive(Debug)]
pub(crate) struct Outcome<A> {
    /// One per request, in order.
    pub(crate) answers: Vec<Result<A, Refusal>>,
    /// Whose queue has new rows.
    pub(crate) woken: Vec<IdentityKey>,
}

/// One half of the store, as its writer sees it.
pub(crate) trait Half {
    /// A request.
    type Write;
    /// An answer.
    type Written;

    /// Bytes that a request brings into a batch.
    fn size(write: &Self::Write) -> usize;

    /// Runs requests in one transaction, in order, and returns when it is durable.
    async fn run(
        &mut self,
        batch: &[Self::Write],
        now: u64,
    ) -> Result<Outcome<Self::Written>, StoreError>;

    /// Forgets at most `limit` of each kind of expired record in one transaction. Returns whether
    /// there may be more.
    async fn sweep(&mut self, now: u64, limit: u32) -> Result<bool, StoreError>;
}

type Answer<H> = Result<<H as Half>::Written, WriteError>;

impl From<Closed> for WriteError {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

/// Hands requests to the writer task.
pub(crate) struct Writer<H: Half>(Requests<H::Write, Answer<H>>);

impl<H: Half> std::fmt::Debug for Writer<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl<H: Half> Writer<H> {
    /// Requests are done in the order of the first poll of this future. Dropping it later does
    /// not take the request back.
    pub(crate) async fn submit(&self, write: H::Write) -> Result<H::Written, WriteError> {
        self.0.submit(write).await?
    }
}

/// The other end of [`Writer`]: waits to be run.
pub(crate) struct WriterTask<H: Half> {
    half: H,
    requests: Backlog<H::Write, Answer<H>>,
    waiters: Arc<Waiters>,
    clock: Clock,
}

impl<H: Half> std::fmt::Debug for WriterTask<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriterTask").finish_non_exhaustive()
    }
}

impl<H: Half> WriterTask<H> {
    pub(crate) fn new(half: H, waiters: Arc<Waiters>, clock: Clock) -> (Writer<H>, Self) {
        let (sender, requests) = backlog(BACKLOG, BATCH, H::size);
        (Writer(sender), Self { half, requests, waiters, clock })
    }

    /// Runs until every [`Writer`] is gone and all their requests are done.
    pub(crate) async fn run(mut self) -> H {
        let mut ticks = interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let batch = tokio::select! {
                batch = self.requests.take() => batch,
                _ = ticks.tick() => {
                    self.sweep().await;
                    continue;
                }
            };
            let Some(batch) = batch else { return self.half };
            self.commit(batch).await;
        }
    }

    async fn commit(&mut self, batch: Vec<Request<H::Write, Answer<H>>>) {
        let (writes, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|request| (request.write, request.reply)).unzip();
        let now = self.clock.now();
        match self.half.run(&writes, now).await {
            Ok(outcome) => {
                for (reply, answer) in replies.into_iter().zip(outcome.answers) {
                    // The caller may have gone; the write stands.
                    let _ = reply.send(answer.map_err(WriteError::Refused));
                }
                self.waiters.wake(&outcome.woken);
            }
            Err(error) if writes.len() == 1 => {
                let error = failure(&error);
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
            Err(error) => {
                tracing::warn!(%error, requests = writes.len(), "batch failed, trying one by one");
                for (write, reply) in writes.into_iter().zip(replies) {
                    let single = [write];
                    let answer = match self.half.run(&single, now).await {
                        Ok(mut outcome) => {
                            self.waiters.wake(&outcome.woken);
                            let answer = outcome.answers.pop();
                            answer.map_or(Err(WriteError::Failed), |answer| {
                                answer.map_err(WriteError::Refused)
                            })
                        }
                        Err(error) => Err(failure(&error)),
                    };
                    let _ = reply.send(answer);
                }
            }
        }
    }

    async fn sweep(&mut self) {
        let started = Instant::now();
        loop {
            let now = self.clock.now();
            match self.half.sweep(now, SWEEP_ROWS).await {
                Ok(true) if started.elapsed() < SWEEP_EVERY / 10 => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::error!(%error, "expired rows could not be removed");
                    return;
                }
            }
        }
    }
}

fn failure(error: &StoreError) -> WriteError {
    tracing::error!(%error, "a write failed");
    match error {
        StoreError::Full => WriteError::DiskFull,
        _ => WriteError::Failed,
    }
}
