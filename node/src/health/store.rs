//! How the writer does: whether it writes, and how long its oldest request waits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Stopwatch;

/// The halves of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// Rows, counters, fences.
    Queues,
    /// Key packages, names, tokens.
    Directory,
}

impl Half {
    /// Both, by index.
    pub(crate) const ALL: [Self; 2] = [Self::Queues, Self::Directory];

    /// Its name for operators.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queues => "queues",
            Self::Directory => "directory",
        }
    }
}

/// Nobody waits.
const IDLE: u64 = u64::MAX;

/// What the writer says of itself. Times are milliseconds since the start.
#[derive(Debug)]
pub(crate) struct StoreState {
    /// Whose writer it is.
    pub(crate) name: &'static str,
    started: Stopwatch,
    /// When the oldest request under way was asked for, or the writer began what it does now.
    since: AtomicU64,
    /// When something was written and synced last, plus one.
    written: AtomicU64,
    failing: AtomicBool,
}

impl StoreState {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            started: Stopwatch::start(),
            since: AtomicU64::new(IDLE),
            written: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        }
    }

    /// The time that requests are stamped with.
    pub(crate) fn now(&self) -> u64 {
        self.started.millis()
    }

    /// The writer begins; the oldest request was asked for at `since`.
    pub(crate) fn begin(&self, since: u64) {
        self.since.store(since, Ordering::Relaxed);
    }

    /// The writer has done what it began.
    pub(crate) fn idle(&self) {
        self.since.store(IDLE, Ordering::Relaxed);
    }

    /// A transaction was synced.
    pub(crate) fn wrote(&self) {
        self.written.store(self.now() + 1, Ordering::Relaxed);
        self.failing.store(false, Ordering::Relaxed);
    }

    /// The database has failed.
    pub(crate) fn failed(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    /// Whether the last write failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Whether something was written within `time`, and nothing has failed since.
    pub(crate) fn wrote_within(&self, time: Duration) -> bool {
        let written = self.written.load(Ordering::Relaxed);
        !self.is_failing()
            && written > 0
            && u128::from((self.now() + 1).saturating_sub(written)) <= time.as_millis()
    }

    /// How long the oldest request waits.
    pub(crate) fn lag(&self) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            IDLE => Duration::ZERO,
            since => Duration::from_millis(self.now().saturating_sub(since)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_the_age_of_what_is_under_way() {
        let state = StoreState::new("queues");
        assert_eq!(state.lag(), Duration::ZERO);
        let asked = state.now();
        std::thread::sleep(Duration::from_millis(20));
        state.begin(asked);
        assert!(state.lag() >= Duration::from_millis(20));
        state.idle();
        assert_eq!(state.lag(), Duration::ZERO);
    }

    #[test]
    fn a_failure_counts_until_something_is_written() {
        let state = StoreState::new("queues");
        let minute = Duration::from_mins(1);
        assert!(!state.wrote_within(minute) && !state.is_failing());
        state.wrote();
        assert!(state.wrote_within(minute));
        state.failed();
        assert!(!state.wrote_within(minute) && state.is_failing());
        state.wrote();
        assert!(state.wrote_within(minute));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!state.wrote_within(Duration::from_millis(10)));
    }
}
