//! The one task that changes the database.
//!
//! It takes what has queued up while the last transaction synced and commits it together. An
//! answer means: committed and synced.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::waiters::Waiters;
use crate::clock::Clock;
use crate::store::plan::{QueueLimits, run_batch, run_sweep};
use crate::store::write::{Write, Written};
use crate::store::{Backend, Refusal, StoreError};

/// Most requests of one transaction.
const BATCH_REQUESTS: usize = 256;
/// Payload bytes after which a transaction takes no further request.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
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

struct Request {
    write: Write,
    reply: oneshot::Sender<Result<Written, WriteError>>,
}

/// Hands requests to the writer task.
#[derive(Debug, Clone)]
pub(crate) struct Writer(mpsc::Sender<Request>);

impl Writer {
    /// Requests are done in the order of the first poll of this future. Dropping it later does
    /// not take the request back.
    pub(crate) async fn submit(&self, write: Write) -> Result<Written, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Request { write, reply }).await.map_err(|_| WriteError::Closed)?;
        answer.await.map_err(|_| WriteError::Closed)?
    }
}

/// The other end of [`Writer`]: waits to be run.
pub(crate) struct WriterTask<B> {
    backend: B,
    requests: mpsc::Receiver<Request>,
    waiters: Arc<Waiters>,
    limits: QueueLimits,
    clock: Clock,
}

impl<B> std::fmt::Debug for WriterTask<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriterTask").finish_non_exhaustive()
    }
}

impl<B: Backend> WriterTask<B> {
    pub(crate) fn new(
        backend: B,
        waiters: Arc<Waiters>,
        limits: QueueLimits,
        clock: Clock,
    ) -> (Writer, Self) {
        let (sender, requests) = mpsc::channel(BACKLOG);
        (Writer(sender), Self { backend, requests, waiters, limits, clock })
    }

    /// Runs until every [`Writer`] is gone and all their requests are done.
    pub(crate) async fn run(mut self) -> B {
        let mut ticks = interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut left_over = None;
        loop {
            // A request that did not fit goes first; ticks come through in between all the same.
            let first = tokio::select! {
                request = next(&mut left_over, &mut self.requests) => request,
                _ = ticks.tick() => {
                    self.sweep().await;
                    continue;
                }
            };
            let Some(first) = first else { return self.backend };
            let (batch, rest) = self.collect(first);
            left_over = rest;
            self.commit(batch).await;
        }
    }

    fn collect(&mut self, first: Request) -> (Vec<Request>, Option<Request>) {
        let mut bytes = first.write.size();
        let mut batch = vec![first];
        while batch.len() < BATCH_REQUESTS {
            let Ok(request) = self.requests.try_recv() else {
                break;
            };
            bytes += request.write.size();
            if bytes > BATCH_BYTES {
                return (batch, Some(request));
            }
            batch.push(request);
        }
        (batch, None)
    }

    async fn commit(&mut self, batch: Vec<Request>) {
        let (writes, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|request| (request.write, request.reply)).unzip();
        let now = self.clock.now();
        match run_batch(&mut self.backend, &writes, self.limits, now).await {
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
                    let answer = match run_batch(&mut self.backend, &single, self.limits, now).await
                    {
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
            match run_sweep(&mut self.backend, self.limits, now, SWEEP_ROWS).await {
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

/// Cancel-safe: takes the left-over request without waiting.
async fn next(
    left_over: &mut Option<Request>,
    requests: &mut mpsc::Receiver<Request>,
) -> Option<Request> {
    if left_over.is_some() {
        return left_over.take();
    }
    requests.recv().await
}

fn failure(error: &StoreError) -> WriteError {
    tracing::error!(%error, "a write failed");
    match error {
        StoreError::Full => WriteError::DiskFull,
        _ => WriteError::Failed,
    }
}
