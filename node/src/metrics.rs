//! What the node counts: the one home of its metrics.
//!
//! Everything is an atomic that was made at the start, so that counting takes no lock and builds
//! no text. No label is ever made of what a caller sent. The table in `docs/operations.md` is made of
//! [`metrics_example`].

pub(crate) mod calls;
pub(crate) mod histogram;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::clock::Clock;
use crate::health::store::Half;
use crate::rpc::metered;
use calls::{CallCollector, CallMetrics};
use histogram::{Histogram, REQUESTS};

/// A label and its value.
type Label = (&'static str, &'static str);

/// A gauge with a fraction.
pub(crate) type Seconds = Gauge<f64, AtomicU64>;

/// A gauge per thread.
pub(crate) type PerThread = Family<[(&'static str, String); 1], Seconds>;

/// Connections and handshakes.
#[derive(Debug)]
pub(crate) struct Connections {
    pub(crate) open: Gauge,
    pub(crate) accepted: Counter,
    pub(crate) refused: [Counter; Refused::ALL.len()],
    pub(crate) retries: Counter,
    pub(crate) handshakes: Gauge,
    pub(crate) handshake_seconds: Histogram,
}

/// Why a connection was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The worker that it was for has too many on their way.
    Busy,
    /// The handshake failed.
    Handshake,
    /// The handshake took too long.
    HandshakeTimeout,
    /// The client opened no stream.
    NoStream,
    /// Its address has too many connections.
    Address,
}

impl Refused {
    const ALL: [Label; 5] = [
        ("reason", "busy"),
        ("reason", "handshake"),
        ("reason", "handshake_timeout"),
        ("reason", "no_stream"),
        ("reason", "address"),
    ];
}

/// One connection that is served, until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Connections {
    /// Counts a connection whose handshake is done.
    pub(crate) fn open(&self) -> OpenConnection {
        self.accepted.inc();
        self.open.inc();
        OpenConnection(self.open.clone())
    }

    /// Counts a connection that is not served.
    pub(crate) fn refuse(&self, why: Refused) {
        self.refused[why as usize].inc();
    }
}

/// How rows come in: by `enqueue`, by `send`. And how read rows go out: by a fetch, by a push.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) enqueued: Counter,
    pub(crate) enqueued_bytes: Counter,
    pub(crate) sent: Counter,
    pub(crate) sent_bytes: Counter,
    pub(crate) pushed: Counter,
    pub(crate) pushed_bytes: Counter,
    pub(crate) fetched: Counter,
    pub(crate) fetched_bytes: Counter,
    pub(crate) acked: Counter,
    pub(crate) expired: Counter,
    pub(crate) gaps_full: Counter,
    pub(crate) gaps_expired: Counter,
    pub(crate) queues: Gauge,
    pub(crate) queued: Gauge,
    pub(crate) queued_bytes: Gauge,
    pub(crate) subscribers: Gauge,
    pub(crate) waiters: Gauge,
}

/// The writer of one half of the store.
#[derive(Debug)]
pub(crate) struct WriterMetrics {
    pub(crate) batch_requests: Histogram,
    pub(crate) batch_seconds: Histogram,
    pub(crate) in_place: Counter,
    pub(crate) backlog: Gauge,
    pub(crate) lag_seconds: Seconds,
    pub(crate) sweep_seconds: Histogram,
    errors: [Counter; StoreFailure::ALL.len()],
}

/// What a failure of the store hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreFailure {
    /// A write; the disk is full.
    Full,
    /// A write, for any other reason.
    Write,
    /// The removal of what has expired.
    Sweep,
}

impl StoreFailure {
    const ALL: [&str; 3] = ["full", "write", "sweep"];
}

impl WriterMetrics {
    /// Counts a failure.
    pub(crate) fn failed(&self, what: StoreFailure) {
        self.errors[what as usize].inc();
    }
}

/// Key packages.
#[derive(Debug)]
pub(crate) struct Packages {
    pub(crate) published_one_time: Counter,
    pub(crate) published_last_resort: Counter,
    pub(crate) claimed_one_time: Counter,
    pub(crate) claimed_last_resort: Counter,
    pub(crate) claimed_none: Counter,
}

/// The process and its disk.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) uptime: Gauge,
    pub(crate) ready: Gauge,
    pub(crate) disk_free: Gauge,
    pub(crate) disk_watermark: Gauge,
    pub(crate) disk_low: Gauge,
    pub(crate) beat_age_seconds: PerThread,
    pub(crate) stalled: Gauge,
    pub(crate) stalls: Counter,
}

/// All metrics of one node.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: Connections,
    pub(crate) calls: Arc<CallMetrics>,
    pub(crate) rows: Rows,
    /// By [`Half`].
    writers: [WriterMetrics; 2],
    pub(crate) packages: Packages,
    pub(crate) process: Process,
}

impl Metrics {
    /// Registers everything. `methods` are the names of the RPC methods, by index.
    pub(crate) fn new(clock: &Clock, methods: impl IntoIterator<Item = &'static str>) -> Self {
        let mut registry = Registry::with_prefix("qpq_node");
        let r = &mut registry;
        let connections = connections(r);
        let in_flight: Gauge = add(r, "calls_in_flight", "RPC calls that run now");
        let calls = Arc::new(CallMetrics::new(methods, in_flight));
        r.register_collector(Box::new(CallCollector(Arc::clone(&calls))));
        let rows = rows(r);
        let writers = writers(r);
        let packages = packages(r);
        let process = process(r);
        let started: Gauge = add(r, "start_time_seconds", "Unix time of the start");
        started.set(clock.now().try_into().unwrap_or(i64::MAX));
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        r.register("build", "The program", build);
        Self { registry, connections, calls, rows, writers, packages, process }
    }

    /// The writer of a half of the store.
    pub(crate) fn writer(&self, half: Half) -> &WriterMetrics {
        &self.writers[half as usize]
    }

    /// The page for Prometheus, in the text format of `OpenMetrics` 1.0.
    pub(crate) fn page(&self) -> String {
        let mut page = String::with_capacity(64 * 1024);
        if text::encode(&mut page, &self.registry).is_err() {
            // Writing to a String does not fail.
            page.clear();
        }
        page
    }
}

/// A page of a node to which everything has happened once: every metric with all its labels, for the
/// documents.
#[must_use]
pub fn metrics_example() -> String {
    let metrics = Metrics::new(&Clock::from_fn(|| 0), metered::methods());
    metrics.process.beat_age_seconds.get_or_create(&[("thread", "endpoint".to_owned())]).set(0.0);
    metrics.calls.begin(0).end(calls::Outcome::Ok);
    metrics.page()
}

fn add<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    put(registry, name, help, M::default())
}

fn put<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// Counters of one family, all made now so that nothing is looked up later.
fn split<const N: usize>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    labels: [Label; N],
) -> [Counter; N] {
    let family = Family::<[Label; 1], Counter>::default();
    registry.register(name, help, family.clone());
    labels.map(|label| family.get_or_create(&[label]).clone())
}

fn connections(r: &mut Registry) -> Connections {
    let help = "Connections that were not served, by reason";
    Connections {
        open: add(r, "connections_open", "Connections that are open now"),
        accepted: add(r, "connections_accepted", "Connections whose handshake was completed"),
        refused: split(r, "connections_refused", help, Refused::ALL),
        retries: add(r, "retries", "Handshakes that were sent back to prove their address"),
        handshakes: add(r, "handshakes_open", "Handshakes that are under way now"),
        handshake_seconds: put(
            r,
            "handshake_seconds",
            "Time that completed handshakes took",
            Histogram::seconds(),
        ),
    }
}

fn rows(r: &mut Registry) -> Rows {
    let by = [("by", "enqueue"), ("by", "send")];
    let [enqueued, sent] = split(r, "rows_queued", "Rows put into queues, by method", by);
    let [enqueued_bytes, sent_bytes] =
        split(r, "rows_queued_bytes", "Payload bytes of rows put into queues, by method", by);
    let by = [("by", "push"), ("by", "fetch")];
    let help = "Rows given to their recipients, repetitions included";
    let [pushed, fetched] = split(r, "rows_delivered", help, by);
    let help = "Payload bytes of rows given to their recipients, repetitions included";
    let [pushed_bytes, fetched_bytes] = split(r, "rows_delivered_bytes", help, by);
    let cause = [("cause", "full"), ("cause", "expired")];
    let [gaps_full, gaps_expired] =
        split(r, "gap_marks", "Gap marks put into queues, by what was lost", cause);
    Rows {
        enqueued,
        enqueued_bytes,
        sent,
        sent_bytes,
        pushed,
        pushed_bytes,
        fetched,
        fetched_bytes,
        acked: add(r, "rows_acknowledged", "Rows removed because their recipient has them"),
        expired: add(r, "rows_expired", "Rows that expired before their recipient had them"),
        gaps_full,
        gaps_expired,
        queues: add(r, "queues", "Queues; counted every 10 s or less often"),
        queued: add(r, "queue_rows", "Rows in all queues; counted every 10 s or less often"),
        queued_bytes: add(
            r,
            "queue_bytes",
            "Payload bytes in all queues; counted every 10 s or less often",
        ),
        subscribers: add(r, "subscribers", "Sessions that rows are pushed to now"),
        waiters: add(r, "waiters", "Queues that somebody waits at now"),
    }
}

fn writers(r: &mut Registry) -> [WriterMetrics; 2] {
    type Of<M> = Family<[Label; 1], M>;
    type Histograms = Family<[Label; 1], Histogram, fn() -> Histogram>;
    let requests = Histograms::new_with_constructor(|| Histogram::numbers(REQUESTS));
    r.register("batch_requests", "Requests of one transaction", requests.clone());
    let seconds = Histograms::new_with_constructor(Histogram::seconds);
    let help = "Time of one transaction, from its first read to its sync";
    r.register("batch_seconds", help, seconds.clone());
    let in_place = Of::<Counter>::default();
    let help = "Transactions that the thread did that asked for them";
    r.register("batches_in_place", help, in_place.clone());
    let sweeps = Histograms::new_with_constructor(Histogram::seconds);
    r.register("sweep_seconds", "Time of one sweep over expired records", sweeps.clone());
    let backlog = Of::<Gauge>::default();
    r.register("writer_backlog", "Requests that wait for the writer now", backlog.clone());
    let lag = Of::<Seconds>::default();
    let help = "Age of the oldest request that the writer has not answered";
    r.register("writer_lag_seconds", help, lag.clone());
    let errors = Family::<[Label; 2], Counter>::default();
    r.register("store_errors", "Failures of the store, by what they hit", errors.clone());
    Half::ALL.map(|half| {
        let store = ("store", half.name());
        let failed = |operation| errors.get_or_create(&[store, ("operation", operation)]).clone();
        WriterMetrics {
            batch_requests: requests.get_or_create(&[store]).clone(),
            batch_seconds: seconds.get_or_create(&[store]).clone(),
            in_place: in_place.get_or_create(&[store]).clone(),
            backlog: backlog.get_or_create(&[store]).clone(),
            lag_seconds: lag.get_or_create(&[store]).clone(),
            sweep_seconds: sweeps.get_or_create(&[store]).clone(),
            errors: StoreFailure::ALL.map(failed),
        }
    })
}

fn packages(r: &mut Registry) -> Packages {
    let kind = [("kind", "one_time"), ("kind", "last_resort")];
    let [published_one_time, published_last_resort] =
        split(r, "key_packages_published", "Key packages taken into store, by kind", kind);
    let kind = [("kind", "one_time"), ("kind", "last_resort"), ("kind", "none")];
    let help = "Key packages asked for, by what was handed out";
    let [claimed_one_time, claimed_last_resort, claimed_none] =
        split(r, "key_packages_claimed", help, kind);
    Packages {
        published_one_time,
        published_last_resort,
        claimed_one_time,
        claimed_last_resort,
        claimed_none,
    }
}

fn process(r: &mut Registry) -> Process {
    Process {
        uptime: add(r, "uptime_seconds", "Time since the start"),
        ready: add(r, "ready", "1 when the node is ready, 0 when something is wrong"),
        disk_free: add(r, "disk_free_bytes", "Bytes free for the node where its data is"),
        disk_watermark: add(r, "disk_watermark_bytes", "Free bytes below which rows are refused"),
        disk_low: add(r, "disk_low", "1 while the disk is below the watermark"),
        beat_age_seconds: add(
            r,
            "thread_beat_age_seconds",
            "Time since a thread has last shown that it runs",
        ),
        stalled: add(r, "threads_stalled", "Threads that are stalled now"),
        stalls: add(r, "stalls", "Times that a thread was found stalled"),
    }
}

#[cfg(test)]
mod tests;
