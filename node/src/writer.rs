//! The tasks that change the stores, one for each half.
//!
//! A writer takes what has queued up while the last transaction synced and commits it together.
//! An answer means: committed and synced.

use std::sync::{Arc, Weak};
use std::time::Duration;

use quicproquo_schemas::id::IdentityKey;
use tokio::time::{MissedTickBehavior, interval};

use crate::batch::{Backlog, Bounds, Closed, Request, Requests, backlog};
use crate::clock::{Clock, Stopwatch};
use crate::delivery::waiters::Waiters;
use crate::health::Health;
use crate::health::store::{self, StoreState};
use crate::metrics::{Metrics, StoreFailure, WriterMetrics};
use crate::store::plan::{Swept, Tally};
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
    /// What was done to rows.
    pub(crate) tally: Tally,
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

    /// A write was not done, and the next one has not begun.
    fn failed(write: &Self::Write, error: &WriteError) {
        let _ = (write, error);
    }

    /// Forgets at most `limit` of each kind of expired record in one transaction.
    async fn sweep(&mut self, now: u64, limit: u32) -> Result<Swept, StoreError>;
}

type Answer<H> = Result<<H as Half>::Written, WriteError>;

/// A write, and when it was asked for, on the clock of [`StoreState`].
struct Asked<W> {
    write: W,
    at: u64,
}

impl From<Closed> for WriteError {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

/// Who is told how a writer does.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) half: store::Half,
}

impl Watch {
    fn state(&self) -> &Arc<StoreState> {
        self.health.store(self.half)
    }

    fn counters(&self) -> &WriterMetrics {
        self.metrics.writer(self.half)
    }

    fn count(&self, tally: Tally) {
        let rows = &self.metrics.rows;
        rows.enqueued.inc_by(tally.enqueued.rows);
        rows.enqueued_bytes.inc_by(tally.enqueued.bytes);
        rows.sent.inc_by(tally.sent.rows);
        rows.sent_bytes.inc_by(tally.sent.bytes);
        rows.acked.inc_by(tally.acked);
        rows.gaps_full.inc_by(tally.gaps);
    }

    fn failed(&self, what: StoreFailure) {
        self.state().failed();
        self.counters().failed(what);
    }
}

/// Hands requests to the writer task.
pub(crate) struct Writer<H: Half> {
    requests: Arc<Requests<Asked<H::Write>, Answer<H>>>,
    state: Arc<StoreState>,
}

/// A [`Writer`] that does not keep the task going.
pub(crate) struct WeakWriter<H: Half> {
    requests: Weak<Requests<Asked<H::Write>, Answer<H>>>,
    state: Arc<StoreState>,
}

impl<H: Half> std::fmt::Debug for WeakWriter<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeakWriter").finish_non_exhaustive()
    }
}

impl<H: Half> WeakWriter<H> {
    /// None: the task has ended, or is about to.
    pub(crate) fn upgrade(&self) -> Option<Writer<H>> {
        let state = Arc::clone(&self.state);
        self.requests.upgrade().map(|requests| Writer { requests, state })
    }

    /// Requests that wait.
    pub(crate) fn backlog(&self) -> usize {
        self.requests.upgrade().map_or(0, |requests| requests.waiting())
    }
}

impl<H: Half> std::fmt::Debug for Writer<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl<H: Half> Writer<H> {
    pub(crate) fn downgrade(&self) -> WeakWriter<H> {
        WeakWriter { requests: Arc::downgrade(&self.requests), state: Arc::clone(&self.state) }
    }

    /// Requests are done in the order of the first poll of this future. Dropping it later does
    /// not take the request back.
    pub(crate) async fn submit(&self, write: H::Write) -> Result<H::Written, WriteError> {
        self.requests.submit(Asked { write, at: self.state.now() }).await?
    }
}

/// The other end of [`Writer`]: waits to be run.
pub(crate) struct WriterTask<H: Half> {
    half: H,
    requests: Backlog<Asked<H::Write>, Answer<H>>,
    waiters: Arc<Waiters>,
    clock: Clock,
    watch: Watch,
    /// A transaction failed, and what it did is not known.
    unsure: bool,
}

impl<H: Half> std::fmt::Debug for WriterTask<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriterTask").finish_non_exhaustive()
    }
}

impl<H: Half> WriterTask<H> {
    pub(crate) fn new(
        half: H,
        waiters: Arc<Waiters>,
        clock: Clock,
        watch: Watch,
    ) -> (Writer<H>, Self) {
        let (requests, backlog) = backlog(BACKLOG, BATCH, |asked: &Asked<_>| H::size(&asked.write));
        let requests = Arc::new(requests);
        let writer = Writer { requests, state: Arc::clone(watch.state()) };
        (writer, Self { half, requests: backlog, waiters, clock, watch, unsure: false })
    }

    /// Runs until every [`Writer`] is gone and all their requests are done.
    pub(crate) async fn run(mut self) -> H {
        // Missed when a transaction hangs, which need not hold up the thread.
        let heart = self.watch.health.pulses.watch(format!("{} store", self.watch.half.name()));
        heart.pulse().rest();
        let mut ticks = interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let batch = tokio::select! {
                batch = self.requests.take() => batch,
                _ = ticks.tick() => {
                    heart.pulse().beat();
                    self.watch.state().begin(self.watch.state().now());
                    self.sweep().await;
                    self.watch.state().idle();
                    heart.pulse().rest();
                    continue;
                }
            };
            let Some(batch) = batch else { return self.half };
            heart.pulse().beat();
            self.watch.state().begin(batch.first().map_or(0, |oldest| oldest.write.at));
            self.commit(batch).await;
            self.watch.state().idle();
            heart.pulse().rest();
        }
    }

    async fn commit(&mut self, batch: Vec<Request<Asked<H::Write>, Answer<H>>>) {
        let (writes, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|request| (request.write.write, request.reply)).unzip();
        match self.transaction(&writes).await {
            Ok(outcome) => {
                // First who waits for what was sent, then who sent it.
                self.waiters.wake(&outcome.woken);
                for (reply, answer) in replies.into_iter().zip(outcome.answers) {
                    // The caller may have gone; the write stands.
                    let _ = reply.send(answer.map_err(WriteError::Refused));
                }
            }
            Err(error) if writes.len() == 1 => {
                let error = self.failure(&error);
                for write in &writes {
                    H::failed(write, &error);
                }
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
            Err(error) => {
                tracing::warn!(%error, requests = writes.len(), "batch failed, trying one by one");
                for (write, reply) in writes.into_iter().zip(replies) {
                    let single = [write];
                    let answer = match self.transaction(&single).await {
                        Ok(mut outcome) => {
                            self.waiters.wake(&outcome.woken);
                            let answer = outcome.answers.pop();
                            answer.map_or(Err(WriteError::Failed), |answer| {
                                answer.map_err(WriteError::Refused)
                            })
                        }
                        Err(error) => {
                            let error = self.failure(&error);
                            for write in &single {
                                H::failed(write, &error);
                            }
                            Err(error)
                        }
                    };
                    let _ = reply.send(answer);
                }
            }
        }
    }

    async fn transaction(
        &mut self,
        writes: &[H::Write],
    ) -> Result<Outcome<H::Written>, StoreError> {
        let started = Stopwatch::start();
        let now = self.clock.now();
        let outcome = self.half.run(writes, now).await.inspect_err(|_| self.unsure = true)?;
        if std::mem::take(&mut self.unsure) {
            // A row of the failed transaction may be there, and its repetition adds none.
            self.waiters.wake_all();
        }
        self.watch.state().wrote();
        self.watch.counters().batch_seconds.observe_since(started);
        self.watch.counters().batch_requests.observe(writes.len() as u64);
        self.watch.count(outcome.tally);
        Ok(outcome)
    }

    async fn sweep(&mut self) {
        let started = Stopwatch::start();
        loop {
            let now = self.clock.now();
            match self.half.sweep(now, SWEEP_ROWS).await {
                Ok(swept) => {
                    self.watch.metrics.rows.expired.inc_by(swept.expired);
                    self.watch.metrics.rows.gaps_expired.inc_by(swept.gaps);
                    if !swept.more || started.elapsed() >= SWEEP_EVERY / 10 {
                        break;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "expired rows could not be removed");
                    self.watch.failed(StoreFailure::Sweep);
                    break;
                }
            }
        }
        self.watch.counters().sweep_seconds.observe_since(started);
    }

    fn failure(&self, error: &StoreError) -> WriteError {
        tracing::error!(%error, "a write failed");
        if matches!(error, StoreError::Full) {
            self.watch.failed(StoreFailure::Full);
            WriteError::DiskFull
        } else {
            self.watch.failed(StoreFailure::Write);
            WriteError::Failed
        }
    }
}
