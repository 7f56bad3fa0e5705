//! Closed loops: so many calls under way, each slot starting the next one when its last is done.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use super::{BenchError, Measured};
use crate::clock::Stopwatch;

/// When a loop ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    /// After this time, and a fifth of it before that, which is not counted.
    Time(Duration),
    /// After so many calls.
    Count(usize),
}

/// Runs `in_flight` slots; `call` gets the number of its slot.
pub(super) async fn run<C, F>(
    in_flight: usize,
    limit: Limit,
    call: C,
) -> Result<Measured, BenchError>
where
    C: Fn(usize) -> F + 'static,
    F: Future<Output = Result<(), BenchError>> + 'static,
{
    let call = Rc::new(call);
    let clock = Stopwatch::start();
    let left = Rc::new(Cell::new(match limit {
        Limit::Time(_) => usize::MAX,
        Limit::Count(count) => count,
    }));
    let window = match limit {
        Limit::Time(time) => (time / 5, time + time / 5),
        Limit::Count(_) => (Duration::ZERO, Duration::MAX),
    };
    let slots: Vec<_> = (0..in_flight)
        .map(|slot| {
            let (call, left) = (Rc::clone(&call), Rc::clone(&left));
            tokio::task::spawn_local(async move { one(slot, clock, window, &left, &*call).await })
        })
        .collect();
    let mut nanos = Vec::new();
    for slot in slots {
        nanos.append(&mut slot.await.map_err(BenchError::new)??);
    }
    let elapsed = match limit {
        Limit::Time(time) => time,
        Limit::Count(_) => clock.elapsed(),
    };
    Ok(Measured { nanos, elapsed })
}

async fn one<F: Future<Output = Result<(), BenchError>>>(
    slot: usize,
    clock: Stopwatch,
    (from, to): (Duration, Duration),
    left: &Cell<usize>,
    call: &impl Fn(usize) -> F,
) -> Result<Vec<u64>, BenchError> {
    let mut nanos = Vec::new();
    let mut started = clock.elapsed();
    while started < to && left.get() > 0 {
        left.set(left.get() - 1);
        call(slot).await?;
        let done = clock.elapsed();
        if done >= from && done < to {
            let took = done.saturating_sub(started);
            nanos.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
        started = done;
    }
    Ok(nanos)
}
