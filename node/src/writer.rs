//! The tasks that change the stores, one for each half.
//!
//! A writer takes what has queued up while the last transaction synced and commits it together.
//! An answer means: committed and synced. While there is little to do and the disk is fast, the
//! thread that asks commits by itself (`in_place.rs`).

mod committer;
mod homes;
mod in_place;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};
use std::time::Duration;

use quicproquo_schemas::id::IdentityKey;
use tokio::sync::Mutex;
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval};

use crate::batch::{Answered, Backlog, Bounds, Closed, Requests, backlog};
use crate::clock::Clock;
use crate::delivery::waiters::Waiters;
use crate::health::Health;
use crate::health::store::{self, StoreState};
use crate::metrics::{Metrics, StoreFailure, WriterMetrics};
use crate::store::plan::{Swept, Tally};
use crate::store::{Refusal, StoreError};
use committer::Committer;
use homes::{Homes, Place};

/// Bounds of one transaction; bytes are those of payloads.
const BATCH: Bounds = Bounds { requests: 256, bytes: 8 * 1024 * 1024 };
/// Requests that wait for the writer.
const BACKLOG: usize = 1024;
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

    /// Whether the thread that asks may run this request: it is small, [`Self::run`] ends at its
    /// first poll, and nothing has to be repaired first.
    fn may_run_in_place(&self, write: &Self::Write) -> bool {
        let _ = write;
        false
    }

    /// A write was not done, and the next one has not begun.
    fn failed(write: &Self::Write, error: &WriteError) {
        let _ = (write, error);
    }

    /// Forgets at most `limit` of each kind of expired record in one transaction.
    async fn sweep(&mut self, now: u64, limit: u32) -> Result<Swept, StoreError>;
}

type Answer<H> = Result<<H as Half>::Written, WriteError>;

/// A write.
struct Asked<W> {
    write: W,
    /// When it was asked for, on the clock of [`StoreState`].
    at: u64,
    /// Where its answer is taken.
    from: Option<Place>,
}

type HomesOf<H> = Homes<<H as Half>::Write, Answer<H>>;

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
    committer: Arc<Mutex<Committer<H>>>,
    homes: Arc<HomesOf<H>>,
    state: Arc<StoreState>,
}

/// A [`Writer`] that does not keep the task going.
pub(crate) struct WeakWriter<H: Half> {
    requests: Weak<Requests<Asked<H::Write>, Answer<H>>>,
    committer: Arc<Mutex<Committer<H>>>,
    homes: Arc<HomesOf<H>>,
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
        let requests = self.requests.upgrade()?;
        Some(Writer {
            requests,
            committer: Arc::clone(&self.committer),
            homes: Arc::clone(&self.homes),
            state: Arc::clone(&self.state),
        })
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
        WeakWriter {
            requests: Arc::downgrade(&self.requests),
            committer: Arc::clone(&self.committer),
            homes: Arc::clone(&self.homes),
            state: Arc::clone(&self.state),
        }
    }

    /// Takes the answers of this thread, until it is dropped.
    pub(crate) async fn take_answers(&self) {
        let mut post = self.homes.open();
        while let Some(answers) = post.recv().await {
            answers.into_iter().for_each(Answered::deliver);
        }
    }

    /// Requests of one thread are done in the order of the first poll of this future. Dropping it
    /// later does not take the request back.
    pub(crate) async fn submit(&self, write: H::Write) -> Result<H::Written, WriteError> {
        if let Some(answer) = self.commit_in_place(&write) {
            // Who waits for what was sent goes first.
            yield_now().await;
            return answer;
        }
        let asked = Asked { write, at: self.state.now(), from: self.homes.here() };
        self.requests.submit(asked).await?
    }

    /// Commits on this thread, which waits for the disk meanwhile and for nobody else. None: the
    /// writer task has to do it.
    fn commit_in_place(&self, write: &H::Write) -> Option<Answer<H>> {
        if !self.requests.is_idle() {
            return None;
        }
        self.committer.try_lock().ok()?.commit_in_place(write)
    }
}

/// The other end of [`Writer`]: waits to be run.
pub(crate) struct WriterTask<H: Half> {
    requests: Backlog<Asked<H::Write>, Answer<H>>,
    committer: Arc<Mutex<Committer<H>>>,
    watch: Watch,
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
        let homes = Arc::<HomesOf<H>>::default();
        let committer = Committer::new(half, waiters, clock, watch.clone(), Arc::clone(&homes));
        let committer = Arc::new(Mutex::new(committer));
        let writer = Writer {
            requests: Arc::new(requests),
            committer: Arc::clone(&committer),
            homes,
            state: Arc::clone(watch.state()),
        };
        (writer, Self { requests: backlog, committer, watch })
    }

    /// Runs until every [`Writer`] is gone and all their requests are done. None: a commit has
    /// panicked on the thread that asked for it, and the store is not to be used any more.
    pub(crate) async fn run(mut self) -> Option<H> {
        // Missed when a transaction hangs, which need not hold up the thread.
        let heart = self.watch.health.pulses.watch(format!("{} store", self.watch.half.name()));
        heart.pulse().rest();
        let mut ticks = interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let batch = tokio::select! {
                batch = self.requests.take() => Some(batch),
                _ = ticks.tick() => None,
            };
            heart.pulse().beat();
            let mut committer = self.committer.lock().await;
            if committer.is_cut_off() {
                tracing::error!("a transaction was cut off");
                return None;
            }
            match batch {
                Some(Some(batch)) => committer.commit(batch).await,
                Some(None) => return committer.take(),
                None => committer.sweep().await,
            }
            drop(committer);
            heart.pulse().rest();
        }
    }
}
