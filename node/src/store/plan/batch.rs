//! One batch is one transaction.

use std::sync::Arc;

use quicproquo_schemas::code::ErrorCode;

use super::tally::Mark;
use super::wanted::{shares_wanted, strangers_wanted};
use super::{Planner, QueueLimits, Shares, Strangers, Swept, Tally, Wanted};
use crate::store::tails::{Fresh, Tails};
use crate::store::write::{QueueWrite, QueueWritten};
use crate::store::{QueueBackend, StoreError};
use crate::writer::{Half, Outcome, WriteError};

/// Records of a deleted identity that are removed at once.
const FORGET: u32 = 4_096;

/// The queues, as their writer sees them.
#[derive(Debug)]
pub(crate) struct QueueHalf<B> {
    pub(crate) backend: B,
    pub(crate) limits: QueueLimits,
    /// Who is handed what is committed.
    pub(crate) tails: Arc<Tails>,
}

impl<B: QueueBackend> Half for QueueHalf<B> {
    type Write = QueueWrite;
    type Written = QueueWritten;

    fn size(write: &QueueWrite) -> usize {
        write.size()
    }

    async fn run(
        &mut self,
        batch: &[QueueWrite],
        now: u64,
    ) -> Result<Outcome<QueueWritten>, StoreError> {
        run_batch(self, batch, now).await
    }

    fn may_run_in_place(&self, write: &QueueWrite) -> bool {
        write.is_small_delivery() && self.backend.is_steady()
    }

    fn failed(write: &QueueWrite, error: &WriteError) {
        if let QueueWrite::Multicast(send) = write {
            send.turn.fail(match error {
                WriteError::DiskFull => ErrorCode::StorageFull,
                _ => ErrorCode::Internal,
            });
        }
    }

    async fn sweep(&mut self, now: u64, limit: u32) -> Result<Swept, StoreError> {
        run_sweep(&mut self.backend, self.limits, now, limit).await
    }
}

async fn run_batch<B: QueueBackend>(
    half: &mut QueueHalf<B>,
    batch: &[QueueWrite],
    now: u64,
) -> Result<Outcome<QueueWritten>, StoreError> {
    let QueueHalf { backend, limits, tails } = half;
    backend.begin().await?;
    let done = match work(backend, batch, *limits, tails, now).await {
        Ok(done) => backend.commit().await.map(|()| done),
        Err(error) => Err(error),
    };
    match done {
        Ok((outcome, fresh)) => {
            tails.hand_over(&outcome.woken, fresh);
            Ok(outcome)
        }
        Err(error) => {
            backend.rollback().await;
            // Some of it may turn out to be there.
            tails.stop_all();
            Err(error)
        }
    }
}

/// What a batch comes to, and the rows that followers want.
async fn work<B: QueueBackend>(
    backend: &mut B,
    batch: &[QueueWrite],
    limits: QueueLimits,
    tails: &Tails,
    now: u64,
) -> Result<(Outcome<QueueWritten>, Fresh), StoreError> {
    let loaded = backend.load(&Wanted::of(batch), now).await?;
    let share_keys = shares_wanted(batch, &loaded, limits);
    let shares = if share_keys.is_empty() {
        Shares::default()
    } else {
        backend.load_shares(&share_keys).await?
    };
    let senders = strangers_wanted(batch, &loaded);
    let strangers = if senders.is_empty() {
        Strangers::default()
    } else {
        backend.load_strangers(&senders).await?
    };
    let mut ids = *backend.ids();
    let mut planner = Planner::new(loaded, shares, strangers, &mut ids, limits, now);
    let mut answers = Vec::with_capacity(batch.len());
    let mut tally = Tally::default();
    for write in batch {
        let before = Mark::of(&planner.effects);
        answers.push(planner.run(write));
        tally.note(write, &planner.effects, before);
    }
    let effects = planner.finish();
    *backend.ids() = ids;
    let woken = effects.woken.iter().copied().collect();
    let fresh = tails.pick(&effects);
    if !effects.is_empty() {
        backend.apply(effects).await?;
    }
    if batch.iter().any(|write| matches!(write, QueueWrite::Probe)) {
        backend.probe().await?;
    }
    for (write, answer) in batch.iter().zip(&mut answers) {
        if let (QueueWrite::Delete(delete), Ok(done)) = (write, answer) {
            let more = backend.forget_kept(&delete.identity, FORGET).await?;
            *done = QueueWritten::Deleted { more };
        }
    }
    Ok((Outcome { answers, woken, tally }, fresh))
}

/// Turns expired rows into gaps and forgets expired records, at most `limit` of each kind, in one
/// transaction.
pub(crate) async fn run_sweep<B: QueueBackend>(
    backend: &mut B,
    limits: QueueLimits,
    now: u64,
    limit: u32,
) -> Result<Swept, StoreError> {
    backend.begin().await?;
    let swept = match sweep(backend, limits, now, limit).await {
        Ok(swept) => backend.commit().await.map(|()| swept),
        Err(error) => Err(error),
    };
    if swept.is_err() {
        backend.rollback().await;
    }
    swept
}

async fn sweep<B: QueueBackend>(
    backend: &mut B,
    limits: QueueLimits,
    now: u64,
    limit: u32,
) -> Result<Swept, StoreError> {
    let loaded = backend.load_expired(now, limit).await?;
    let expired = loaded.expired.len() as u64;
    let mut swept = Swept { more: expired >= u64::from(limit), expired, gaps: 0 };
    if !loaded.expired.is_empty() {
        let mut ids = *backend.ids();
        let (shares, strangers) = (Shares::default(), Strangers::default());
        let mut planner = Planner::new(loaded, shares, strangers, &mut ids, limits, now);
        planner.sweep();
        let effects = planner.finish();
        *backend.ids() = ids;
        swept.gaps = effects.gaps.len() as u64;
        backend.apply(effects).await?;
    }
    backend.purge(now, limit).await?;
    Ok(swept)
}
