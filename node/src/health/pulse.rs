//! Threads that show that they run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::clock::Stopwatch;

/// Of a thread that has nothing to do.
const AT_REST: u64 = u64::MAX;

/// Shortest and longest time between two beats.
const BEAT: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(1);

/// One thread's sign of life.
#[derive(Debug)]
pub(crate) struct Pulse {
    name: String,
    started: Stopwatch,
    /// Milliseconds since `started`.
    last: AtomicU64,
    /// What the watchdog has said last.
    stalled: AtomicBool,
}

impl Pulse {
    /// Shows that the thread runs.
    pub(crate) fn beat(&self) {
        self.last.store(self.started.millis(), Ordering::Relaxed);
    }

    /// Shows that there is nothing to do: silence is no stall until the next beat.
    pub(crate) fn rest(&self) {
        self.last.store(AT_REST, Ordering::Relaxed);
    }

    fn age(&self) -> Duration {
        let last = self.last.load(Ordering::Relaxed);
        Duration::from_millis(self.started.millis().saturating_sub(last))
    }
}

/// How a thread does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) name: String,
    pub(crate) age: Duration,
}

/// A change that the watchdog has noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Stalled(Beat),
    Recovered(String),
}

/// All threads of a node.
#[derive(Debug)]
pub(crate) struct Pulses {
    pulses: Mutex<Vec<Arc<Pulse>>>,
    /// Silence after which a thread is stalled.
    limit: Duration,
}

/// Takes the pulse out when its thread ends as it should.
#[derive(Debug)]
pub(crate) struct Heart {
    pulses: Arc<Pulses>,
    pulse: Arc<Pulse>,
}

impl Heart {
    /// The pulse.
    pub(crate) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Beats for as long as the thread's tasks get their turns. Never ends.
    pub(crate) async fn beat_on(self) {
        let every = self.pulses.interval();
        loop {
            self.pulse.beat();
            sleep(every).await;
        }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.pulses.lock().retain(|pulse| !Arc::ptr_eq(pulse, &self.pulse));
    }
}

impl Pulses {
    pub(crate) fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self { pulses: Mutex::default(), limit })
    }

    /// Watches one more thread, from now on.
    pub(crate) fn watch(self: &Arc<Self>, name: impl Into<String>) -> Heart {
        let pulse = Arc::new(Pulse {
            name: name.into(),
            started: Stopwatch::start(),
            last: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
        });
        self.lock().push(Arc::clone(&pulse));
        Heart { pulses: Arc::clone(self), pulse }
    }

    /// Time between two beats: a stalled thread has missed many.
    pub(crate) fn interval(&self) -> Duration {
        (self.limit / 10).clamp(*BEAT.start(), *BEAT.end())
    }

    /// How all threads do.
    pub(crate) fn beats(&self) -> Vec<Beat> {
        let pulses = self.lock();
        pulses.iter().map(|pulse| Beat { name: pulse.name.clone(), age: pulse.age() }).collect()
    }

    /// Those that are stalled now.
    pub(crate) fn stalled(&self) -> Vec<Beat> {
        let mut beats = self.beats();
        beats.retain(|beat| beat.age >= self.limit);
        beats
    }

    /// What has changed since the last call.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let pulses = self.lock();
        let changes = pulses.iter().filter_map(|pulse| {
            let age = pulse.age();
            let stalled = age >= self.limit;
            if pulse.stalled.swap(stalled, Ordering::Relaxed) == stalled {
                return None;
            }
            let name = pulse.name.clone();
            Some(if stalled {
                Change::Stalled(Beat { name, age })
            } else {
                Change::Recovered(name)
            })
        });
        changes.collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Pulse>>> {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    #[test]
    fn silence_is_a_stall_told_once_and_an_end_is_none() {
        let pulses = Pulses::new(LIMIT);
        let (a, b) = (pulses.watch("a"), pulses.watch("b"));
        assert!(pulses.stalled().is_empty() && pulses.changes().is_empty());
        std::thread::sleep(LIMIT);
        b.pulse().beat();
        let stalled = pulses.stalled();
        assert_eq!(stalled.len(), 1);
        assert_eq!(stalled[0].name, "a");
        assert!(matches!(pulses.changes().as_slice(), [Change::Stalled(beat)] if beat.name == "a"));
        assert!(!pulses.changes().contains(&Change::Recovered("a".into())));
        a.pulse().rest();
        assert_eq!(pulses.changes(), [Change::Recovered("a".into())]);
        std::thread::sleep(LIMIT);
        assert!(pulses.stalled().iter().all(|beat| beat.name == "b"), "a rests");
        a.pulse().beat();
        std::thread::sleep(LIMIT);
        drop((a, b));
        assert!(pulses.stalled().is_empty() && pulses.changes().is_empty());
    }

    #[tokio::test]
    async fn a_blocked_thread_misses_its_beats() {
        let pulses = Pulses::new(LIMIT);
        let heart = pulses.watch("worker");
        let local = tokio::task::LocalSet::new();
        local.spawn_local(heart.beat_on());
        local.run_until(sleep(LIMIT * 2)).await;
        assert!(pulses.stalled().is_empty());
        local.run_until(async { std::thread::sleep(LIMIT) }).await;
        assert_eq!(pulses.stalled().len(), 1);
        local.run_until(sleep(LIMIT)).await;
        assert!(pulses.stalled().is_empty());
    }
}
