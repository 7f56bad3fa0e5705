//! One batch is one transaction.

use quicproquo_schemas::id::IdentityKey;

use super::wanted::shares_wanted;
use super::{Planner, QueueLimits, Wanted};
use crate::store::write::{Write, Written};
use crate::store::{Backend, Refusal, StoreError};

/// What a committed batch came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// One per request, in order.
    pub(crate) answers: Vec<Result<Written, Refusal>>,
    /// Whose queue has new rows.
    pub(crate) woken: Vec<IdentityKey>,
}

/// Runs requests in one transaction, in order, and returns when it is durable.
pub(crate) async fn run_batch<B: Backend>(
    backend: &mut B,
    batch: &[Write],
    limits: QueueLimits,
    now: u64,
) -> Result<Outcome, StoreError> {
    backend.begin().await?;
    let outcome = match work(backend, batch, limits, now).await {
        Ok(outcome) => backend.commit().await.map(|()| outcome),
        Err(error) => Err(error),
    };
    if outcome.is_err() {
        backend.rollback().await;
    }
    outcome
}

async fn work<B: Backend>(
    backend: &mut B,
    batch: &[Write],
    limits: QueueLimits,
    now: u64,
) -> Result<Outcome, StoreError> {
    let wanted = Wanted::of(batch);
    let mut answers = Vec::with_capacity(batch.len());
    let mut woken = Vec::new();
    if wanted.is_empty() {
        for write in batch {
            answers.push(direct(backend, write).await?);
        }
        return Ok(Outcome { answers, woken });
    }

    let loaded = backend.load(&wanted).await?;
    let share_keys = shares_wanted(batch, &loaded, limits);
    let shares = if share_keys.is_empty() {
        super::Shares::default()
    } else {
        backend.load_shares(&share_keys).await?
    };
    let mut ids = *backend.ids();
    let mut planner = Planner::new(loaded, shares, &mut ids, limits, now);
    let planned: Vec<_> = batch.iter().map(|write| planner.run(write)).collect();
    let effects = planner.finish();
    *backend.ids() = ids;
    woken.extend(effects.woken.iter().copied());
    if !effects.is_empty() {
        backend.apply(effects).await?;
    }
    for (write, planned) in batch.iter().zip(planned) {
        answers.push(match planned {
            Some(answer) => answer,
            None => direct(backend, write).await?,
        });
    }
    Ok(Outcome { answers, woken })
}

/// Requests that touch neither queues nor fences.
async fn direct<B: Backend>(
    backend: &mut B,
    write: &Write,
) -> Result<Result<Written, Refusal>, StoreError> {
    Ok(match write {
        Write::Publish(publish) => backend.publish(publish).await?.map(Written::Stock),
        Write::Claim(claim) => Ok(Written::Claimed(backend.claim(claim).await?)),
        Write::PutHybridKey(put) => {
            backend.put_hybrid_key(put).await?;
            Ok(Written::Done)
        }
        Write::ClaimName(claim) => backend.claim_name(claim).await?.map(|()| Written::Done),
        Write::Authenticate(_)
        | Write::Enqueue(_)
        | Write::Multicast(_)
        | Write::Ack(_)
        | Write::Remove(_) => Ok(Written::Done),
    })
}

/// Turns expired rows into gaps and forgets expired records, at most `limit` of each kind, in one
/// transaction. Returns whether there may be more.
pub(crate) async fn run_sweep<B: Backend>(
    backend: &mut B,
    limits: QueueLimits,
    now: u64,
    limit: u32,
) -> Result<bool, StoreError> {
    backend.begin().await?;
    let swept = match sweep(backend, limits, now, limit).await {
        Ok(more) => backend.commit().await.map(|()| more),
        Err(error) => Err(error),
    };
    if swept.is_err() {
        backend.rollback().await;
    }
    swept
}

async fn sweep<B: Backend>(
    backend: &mut B,
    limits: QueueLimits,
    now: u64,
    limit: u32,
) -> Result<bool, StoreError> {
    let loaded = backend.load_expired(now, limit).await?;
    let more = loaded.expired.len() >= limit as usize;
    if !loaded.expired.is_empty() {
        let mut ids = *backend.ids();
        let mut planner = Planner::new(loaded, super::Shares::default(), &mut ids, limits, now);
        planner.sweep();
        let effects = planner.finish();
        *backend.ids() = ids;
        backend.apply(effects).await?;
    }
    backend.purge(now, limit).await?;
    Ok(more)
}
