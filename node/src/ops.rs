//! What operators ask a node: metrics and health.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::clock::{Clock, Stopwatch};
use crate::delivery::waiters::Waiters;
use crate::health::store::Half;
use crate::health::{Check, Health, Problem};
use crate::metrics::Metrics;
use crate::rpc::metered;
use crate::store::QueueReads;
use crate::store::directory::DirectoryHalf;
use crate::store::lsm::Lsm;
use crate::store::plan::QueueHalf;
use crate::store::sqlite::Sqlite;
use crate::store::write::{DirectoryWrite, QueueWrite};
use crate::writer::{WeakWriter, WriteError};

/// A write that was synced so long ago still shows that the database takes writes.
const FRESH: Duration = Duration::from_secs(1);
/// How long a test write may take.
const PROBE: Duration = Duration::from_secs(2);
/// Time between two looks at what is not watched by a thread.
const UPKEEP: Duration = Duration::from_secs(1);
/// Shortest time between two counts of all queues.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// A count may take at most this part of a reader's time.
const COUNT_SHARE: u32 = 100;

/// Parts of a serving node that are looked at. They must not keep the writer going.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) queues: WeakWriter<QueueHalf<Lsm>>,
    pub(crate) directory: WeakWriter<DirectoryHalf<Sqlite>>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) handshakes: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Inner {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    started: Stopwatch,
    serving: OnceLock<Serving>,
}

/// Answers operators, as long as it is kept, also while the node shuts down. Clones are the same.
#[derive(Debug, Clone)]
pub struct Ops(Arc<Inner>);

impl Ops {
    /// Media type of [`Ops::metrics`].
    pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    pub(crate) fn new(health: Health, clock: &Clock) -> Self {
        let metrics = Metrics::new(clock, metered::methods());
        Self(Arc::new(Inner {
            health: Arc::new(health),
            metrics: Arc::new(metrics),
            started: Stopwatch::start(),
            serving: OnceLock::new(),
        }))
    }

    pub(crate) fn health(&self) -> &Arc<Health> {
        &self.0.health
    }

    pub(crate) fn counters(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// From now on the node serves.
    pub(crate) fn serves(&self, serving: Serving) {
        // A node serves once.
        let _ = self.0.serving.set(serving);
    }

    /// The page for Prometheus, in the text format of `OpenMetrics` 1.0.
    pub fn metrics(&self) -> String {
        self.sample();
        self.0.metrics.page()
    }

    /// What is wrong such that only a restart of the process helps; empty: it lives.
    pub fn live(&self) -> Vec<Problem> {
        self.0.health.stalled().into_iter().collect()
    }

    /// `ok`, or `degraded:` and the names of what is wrong, as far as it is known without asking.
    pub fn summary(&self) -> String {
        self.0.health.summary()
    }

    /// Whether the node has begun to serve.
    pub fn has_begun(&self) -> bool {
        self.0.serving.get().is_some()
    }

    /// What is wrong now; empty: the node does all of its work. Writes to the database unless
    /// something has just been written, and waits for that at most 2 s.
    pub async fn ready(&self) -> Vec<Problem> {
        let Some(serving) = self.0.serving.get() else {
            let detail = "the node does not serve yet".to_owned();
            return vec![Problem { check: Check::Starting, detail }];
        };
        let health = &self.0.health;
        let ask = async |half| {
            if health.draining.is_cancelled() || health.store(half).wrote_within(FRESH) {
                return None;
            }
            serving.probe(half).await.err()
        };
        let [queues, directory] = Half::ALL;
        let (queues, directory) = tokio::join!(ask(queues), ask(directory));
        let mut problems = health.problems();
        for detail in queues.into_iter().chain(directory) {
            problems.push(Problem { check: Check::Store, detail });
        }
        problems
    }

    /// Looks after what changes by itself, until dropped.
    pub(crate) async fn upkeep(&self, reads: &dyn QueueReads) {
        let mut wait = Duration::ZERO;
        loop {
            if wait.is_zero() {
                let started = Stopwatch::start();
                self.count_queues(reads).await;
                wait = (started.elapsed() * COUNT_SHARE).max(COUNT_EVERY);
            }
            sleep(UPKEEP).await;
            wait = wait.saturating_sub(UPKEEP);
            // Nobody may be writing: then nobody would notice that it works again.
            for half in Half::ALL {
                if self.0.health.store(half).is_failing()
                    && let Some(serving) = self.0.serving.get()
                {
                    let _ = serving.probe(half).await;
                }
            }
        }
    }

    async fn count_queues(&self, reads: &dyn QueueReads) {
        let rows = &self.0.metrics.rows;
        match reads.totals().await {
            Ok(totals) => {
                rows.queues.set(totals.queues.cast_signed());
                rows.queued.set(totals.rows.cast_signed());
                rows.queued_bytes.set(totals.bytes.cast_signed());
            }
            Err(error) => tracing::warn!(%error, "the queues cannot be counted"),
        }
    }

    /// Sets the gauges that nothing else sets.
    fn sample(&self) {
        let Inner { health, metrics, started, serving } = &*self.0;
        let process = &metrics.process;
        process.uptime.set((started.millis() / 1_000).cast_signed());
        process.ready.set(i64::from(health.problems().is_empty() && serving.get().is_some()));
        process.disk_free.set(health.disk.free().cast_signed());
        process.disk_watermark.set(health.disk.watermark().cast_signed());
        process.disk_low.set(i64::from(health.disk.is_low()));
        process.stalled.set(signed(health.pulses.stalled().len()));
        process.beat_age_seconds.clear();
        for beat in health.pulses.beats() {
            let age = beat.age.as_secs_f64();
            process.beat_age_seconds.get_or_create(&[("thread", beat.name)]).set(age);
        }
        for half in Half::ALL {
            metrics.writer(half).lag_seconds.set(health.store(half).lag().as_secs_f64());
        }
        if let Some(serving) = serving.get() {
            let open = serving.handshakes.load(Ordering::Relaxed);
            metrics.connections.handshakes.set(signed(open));
            metrics.rows.waiters.set(signed(serving.waiters.len()));
            metrics.writer(Half::Queues).backlog.set(signed(serving.queues.backlog()));
            metrics.writer(Half::Directory).backlog.set(signed(serving.directory.backlog()));
        }
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Serving {
    /// Writes something that changes nothing. The writer itself notes how it went.
    async fn probe(&self, half: Half) -> Result<(), String> {
        let write = async {
            match half {
                Half::Queues => {
                    let writer = self.queues.upgrade().ok_or(WriteError::Closed)?;
                    writer.submit(QueueWrite::Probe).await.map(|_| ())
                }
                Half::Directory => {
                    let writer = self.directory.upgrade().ok_or(WriteError::Closed)?;
                    writer.submit(DirectoryWrite::Probe).await.map(|_| ())
                }
            }
        };
        let why = match timeout(PROBE, write).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(WriteError::DiskFull)) => "a test write failed: the disk is full",
            Ok(Err(WriteError::Closed)) => "the writer has stopped",
            Ok(Err(_)) => "a test write failed; the log says why",
            Err(_) => "a test write was not answered within 2 s",
        };
        Err(format!("{}: {why}", half.name()))
    }
}
