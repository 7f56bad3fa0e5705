//! Whether the node works, and what is wrong when it does not.

pub(crate) mod disk;
pub(crate) mod pulse;
pub(crate) mod store;
pub(crate) mod watchdog;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use disk::Disk;
use pulse::Pulses;
use store::{Half, StoreState};

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The node is not serving yet.
    Starting,
    /// The node is being shut down.
    Draining,
    /// Whether the database takes writes.
    Store,
    /// How long requests wait for the writer.
    Writer,
    /// Whether every thread runs.
    Threads,
    /// Whether the disk has room for new rows.
    Disk,
}

impl Check {
    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::Store => "store",
            Self::Writer => "writer",
            Self::Threads => "threads",
            Self::Disk => "disk",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What was looked at.
    pub check: Check,
    /// What was seen, for the operator. It holds no identities.
    pub detail: String,
}

impl Problem {
    fn new(check: Check, detail: impl Into<String>) -> Self {
        Self { check, detail: detail.into() }
    }
}

/// What the node knows of its own state. Reading it waits for nothing.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) pulses: Arc<Pulses>,
    /// By [`Half`].
    stores: [Arc<StoreState>; 2],
    pub(crate) disk: Disk,
    /// Cancelled at the start of a shutdown.
    pub(crate) draining: CancellationToken,
    lag_limit: Duration,
}

impl Health {
    /// `stall`: silence after which a thread counts as stalled. Requests may wait half as long.
    pub(crate) fn new(disk: Disk, stall: Duration) -> Self {
        Self {
            pulses: Pulses::new(stall),
            stores: Half::ALL.map(|half| Arc::new(StoreState::new(half.name()))),
            disk,
            draining: CancellationToken::new(),
            lag_limit: stall / 2,
        }
    }

    /// How the writer of a half does.
    pub(crate) fn store(&self, half: Half) -> &Arc<StoreState> {
        &self.stores[half as usize]
    }

    /// Everything that is wrong, as far as it is known without asking.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.draining.is_cancelled() {
            problems.push(Problem::new(Check::Draining, "the node is shutting down"));
        }
        for store in self.stores.iter().filter(|store| store.is_failing()) {
            let detail = format!("{}: the last write failed; the log says why", store.name);
            problems.push(Problem::new(Check::Store, detail));
        }
        for store in &self.stores {
            let lag = store.lag();
            if lag >= self.lag_limit {
                let detail = format!("{}: the oldest request has waited for {lag:.1?}", store.name);
                problems.push(Problem::new(Check::Writer, detail));
            }
        }
        problems.extend(self.stalled());
        if self.disk.is_low() {
            problems.push(Problem::new(Check::Disk, self.disk.describe()));
        }
        problems
    }

    /// Stalled threads, which only a restart of the process helps.
    pub(crate) fn stalled(&self) -> Option<Problem> {
        let stalled = self.pulses.stalled();
        let names: Vec<_> =
            stalled.iter().map(|beat| format!("{} for {:.1?}", beat.name, beat.age)).collect();
        (!names.is_empty())
            .then(|| Problem::new(Check::Threads, format!("stalled: {}", names.join(", "))))
    }

    /// `ok`, or `degraded:` and the names of what is wrong.
    pub(crate) fn summary(&self) -> String {
        let problems = self.problems();
        if problems.is_empty() {
            return "ok".to_owned();
        }
        let mut names: Vec<_> = problems.iter().map(|problem| problem.check.name()).collect();
        names.dedup();
        format!("degraded: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_millis(200);

    fn health(watermark: u64) -> Health {
        let dir = tempfile::tempdir().unwrap();
        Health::new(Disk::new(dir.path(), Some(watermark)).unwrap(), STALL)
    }

    #[test]
    fn a_disk_below_the_watermark_is_told_with_figures() {
        let health = health(u64::MAX);
        assert_eq!(health.summary(), "degraded: disk");
        assert!(health.problems()[0].detail.contains("free"), "{:?}", health.problems());
    }

    #[test]
    fn what_is_wrong_comes_and_goes() {
        let health = health(0);
        assert_eq!(health.summary(), "ok");
        let store = health.store(Half::Directory);
        store.failed();
        store.begin(store.now());
        let heart = health.pulses.watch("worker");
        std::thread::sleep(STALL);
        assert_eq!(health.summary(), "degraded: store, writer, threads");
        assert!(health.stalled().unwrap().detail.contains("worker"));
        health.draining.cancel();
        assert_eq!(health.problems()[0].check, Check::Draining);
        store.wrote();
        store.idle();
        drop(heart);
        assert_eq!(health.summary(), "degraded: draining");
    }
}
