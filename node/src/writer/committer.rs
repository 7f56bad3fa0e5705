//! Runs transactions, on the writer's thread or on the one that asks.

use std::slice;
use std::sync::Arc;

use futures::FutureExt;

use super::in_place::InPlace;
use super::{Answer, Asked, Half, HomesOf, Outcome, SWEEP_EVERY, Watch, WriteError};
use crate::batch::{Answered, Request};
use crate::clock::{Clock, Stopwatch};
use crate::delivery::waiters::Waiters;
use crate::metrics::StoreFailure;
use crate::store::StoreError;

/// Expired records of one transaction.
const SWEEP_ROWS: u32 = 512;

/// A half of the store, for who has the lock on it.
pub(super) struct Committer<H: Half> {
    /// Away while a transaction runs; one that panics takes it along.
    half: Option<H>,
    waiters: Arc<Waiters>,
    clock: Clock,
    watch: Watch,
    homes: Arc<HomesOf<H>>,
    started: Stopwatch,
    in_place: InPlace,
    /// A transaction failed, and what it did is not known.
    unsure: bool,
}

impl<H: Half> Committer<H> {
    pub(super) fn new(
        half: H,
        waiters: Arc<Waiters>,
        clock: Clock,
        watch: Watch,
        homes: Arc<HomesOf<H>>,
    ) -> Self {
        let (started, in_place) = (Stopwatch::start(), InPlace::default());
        Self { half: Some(half), waiters, clock, watch, homes, started, in_place, unsure: false }
    }

    /// Whether a transaction has panicked.
    pub(super) fn is_cut_off(&self) -> bool {
        self.half.is_none()
    }

    /// Ends the use of the half.
    pub(super) fn take(&mut self) -> Option<H> {
        self.half.take()
    }

    /// Commits a batch of requests and answers them.
    pub(super) async fn commit(&mut self, batch: Vec<Request<Asked<H::Write>, Answer<H>>>) {
        self.watch.state().begin(batch.first().map_or(0, |oldest| oldest.write.at));
        let (writes, replies): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|Request { write, reply }| (write.write, (write.from, reply)))
            .unzip();
        match self.transaction(&writes).await {
            Ok(outcome) => {
                // First who waits for what was sent, then who sent it.
                self.waiters.wake(&outcome.woken);
                let done = writes.into_iter().zip(replies).zip(outcome.answers);
                let answered = done.map(|((write, (from, reply)), answer)| {
                    let answer = answer.map_err(WriteError::Refused);
                    (from, Answered { write, reply, answer })
                });
                self.homes.answer(answered.collect());
            }
            Err(error) if writes.len() == 1 => {
                for ((_, reply), write) in replies.into_iter().zip(&writes) {
                    reply.send(Err(self.failed(write, &error)));
                }
            }
            Err(error) => {
                tracing::warn!(%error, requests = writes.len(), "batch failed, trying one by one");
                for ((_, reply), write) in replies.into_iter().zip(&writes) {
                    reply.send(self.single(write).await);
                }
            }
        }
        self.watch.state().idle();
    }

    /// Commits one request while its caller's thread waits. None: it is not the time for that.
    pub(super) fn commit_in_place(&mut self, write: &H::Write) -> Option<Answer<H>> {
        let may = |half: &H| !self.unsure && half.may_run_in_place(write);
        if !self.in_place.may_begin(self.started.elapsed()) || !self.half.as_ref().is_some_and(may)
        {
            return None;
        }
        self.watch.state().begin(self.watch.state().now());
        // The half has promised to wait for nobody.
        let answer = self.single(write).now_or_never().unwrap_or(Err(WriteError::Failed));
        self.watch.counters().in_place.inc();
        self.watch.state().idle();
        Some(answer)
    }

    async fn single(&mut self, write: &H::Write) -> Answer<H> {
        match self.transaction(slice::from_ref(write)).await {
            Ok(mut outcome) => {
                self.waiters.wake(&outcome.woken);
                let answer = outcome.answers.pop().ok_or(WriteError::Failed)?;
                answer.map_err(WriteError::Refused)
            }
            Err(error) => Err(self.failed(write, &error)),
        }
    }

    async fn transaction(
        &mut self,
        writes: &[H::Write],
    ) -> Result<Outcome<H::Written>, StoreError> {
        let started = Stopwatch::start();
        let now = self.clock.now();
        let cut_off = || StoreError::Database("a transaction was cut off".to_owned());
        let mut half = self.half.take().ok_or_else(cut_off)?;
        let outcome = half.run(writes, now).await;
        self.half = Some(half);
        self.in_place.committed(started.elapsed(), self.started.elapsed());
        let outcome = outcome.inspect_err(|_| self.unsure = true)?;
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

    /// Forgets what has expired.
    pub(super) async fn sweep(&mut self) {
        self.watch.state().begin(self.watch.state().now());
        let started = Stopwatch::start();
        while let Some(half) = &mut self.half {
            let now = self.clock.now();
            match half.sweep(now, SWEEP_ROWS).await {
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
        self.watch.state().idle();
    }

    /// Counts and tells a write that was not done.
    fn failed(&self, write: &H::Write, error: &StoreError) -> WriteError {
        tracing::error!(%error, "a write failed");
        let (what, error) = match error {
            StoreError::Full => (StoreFailure::Full, WriteError::DiskFull),
            _ => (StoreFailure::Write, WriteError::Failed),
        };
        self.watch.failed(what);
        H::failed(write, &error);
        error
    }
}
