//! What the gateway counts: the one home of its metrics.
//!
//! No label is made of anything a caller sends: a route is its template, and nobody is named. The
//! table in `docs/operations.md` is made of [`metrics_example`].

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};
use quicproquo_client::clock::now_ms;
use quicproquo_client::{Cursor, LinkState};

use crate::door::DoorCounts;
use crate::state::AppState;
use crate::webhooks;

/// The media type of a page.
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Upper bounds of latencies, in seconds: from a read to a long poll.
const LATENCY: [f64; 15] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0];
/// The same with the pauses between attempts, which can be hours.
const DELAY: [f64; 12] =
    [0.005, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0];

/// States of a bot's link, and how many have it.
const LINKS: [(&str, i64); 5] =
    [("up", 0), ("connecting", 0), ("refused", 0), ("halted", 0), ("stopped", 0)];

/// How events reach a bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Door {
    /// `GET /v1/events/ws`.
    WebSocket,
    /// `GET /v1/events` as server-sent events.
    Sse,
    /// `GET /v1/events` as a long poll.
    Poll,
    /// `GET /_matrix/client/v3/sync`.
    Matrix,
}

impl EncodeLabelValue for Door {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        let name = match self {
            Self::WebSocket => "websocket",
            Self::Sse => "sse",
            Self::Poll => "poll",
            Self::Matrix => "matrix",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AtDoor {
    door: Door,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempted {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Link {
    link: &'static str,
}

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    answers: Family<Answered, Counter>,
    in_flight: Gauge,
    streams: Family<AtDoor, Gauge>,
    deliveries: Family<AtDoor, Histogram, fn() -> Histogram>,
    attempts: Family<Attempted, Histogram, fn() -> Histogram>,
    webhook_deliveries: Histogram,
    webhook_failures: Counter,
    /// Connections.
    pub(crate) door: DoorCounts,
    bots: Family<Link, Gauge>,
    outbox: Gauge,
    consumers: Gauge,
    lag: Gauge,
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let latency: fn() -> Histogram = || Histogram::new(LATENCY);
        let mut metrics = Self {
            registry: Registry::with_prefix("qpq_gateway"),
            seconds: Family::new_with_constructor(latency),
            answers: Family::default(),
            in_flight: Gauge::default(),
            streams: Family::default(),
            deliveries: Family::new_with_constructor(latency),
            attempts: Family::new_with_constructor(latency),
            webhook_deliveries: Histogram::new(DELAY),
            webhook_failures: Counter::default(),
            door: DoorCounts::default(),
            bots: Family::default(),
            outbox: Gauge::default(),
            consumers: Gauge::default(),
            lag: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let DoorCounts { open, accepted, crowded, handshakes_failed } = self.door.clone();
        self.add("connections_open", "Connections that are open now, streams included", open);
        self.add("connections_accepted", "Connections that were accepted", accepted);
        let text = "Connections that were closed because their address had too many";
        self.add("connections_crowded", text, crowded);
        let text = "TLS handshakes that failed or took too long";
        self.add("handshakes_failed", text, handshakes_failed);
        let seconds = self.seconds.clone();
        self.add("request_seconds", "Time from a request's headers to its answer", seconds);
        self.add("requests", "Requests that were answered, by status", self.answers.clone());
        let text = "Requests that are being answered now";
        self.add("requests_in_flight", text, self.in_flight.clone());
        self.add(
            "streams_open",
            "Readers of the event log that are connected now",
            self.streams.clone(),
        );
        let text = "Time from the writing of an event to its handing over, where somebody waited";
        self.add("delivery_seconds", text, self.deliveries.clone());
        let text = "Time from the beginning of an attempt of a webhook to its outcome";
        self.add("webhook_attempt_seconds", text, self.attempts.clone());
        let text = "Time from the writing of an event to its delivery by a webhook, attempts that \
                    failed included";
        self.add("webhook_delivery_seconds", text, self.webhook_deliveries.clone());
        let text = "Events of webhooks of which every attempt failed";
        self.add("webhook_events_failed", text, self.webhook_failures.clone());
        self.add(
            "bots",
            "Bots, by the state of their link to the node; halted: displaced or exported",
            self.bots.clone(),
        );
        let text = "Payloads of all bots that the node has not confirmed yet";
        self.add("outbox_payloads", text, self.outbox.clone());
        self.add("consumers", "Named consumers of all bots", self.consumers.clone());
        let text = "Positions of the log that the consumer furthest behind has not acknowledged";
        self.add("consumer_lag_events", text, self.lag.clone());
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        self.add("build", "The program", version);
        let start: Gauge = Gauge::default();
        start.set(signed(now_ms() / 1000));
        self.add("start_time_seconds", "Unix time of the start", start);
    }

    fn add(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.registry.register(name, help, metric);
    }

    /// Counts a request until it is answered.
    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, method: &http::Method, route: &str, status: u16, took: Duration) {
        let (method, route) = (known(method), route.to_owned());
        self.answers.get_or_create(&Answered { method, route: route.clone(), status }).inc();
        self.seconds.get_or_create(&Route { method, route }).observe(took.as_secs_f64());
    }

    /// Counts a reader of the log until it has gone.
    pub(crate) fn reader(&self, door: Door) -> ReaderCounts {
        let open = self.streams.get_or_create_owned(&AtDoor { door });
        open.inc();
        let deliveries = self.deliveries.get_or_create_owned(&AtDoor { door });
        ReaderCounts { _open: InFlight(open), deliveries }
    }

    /// Counts an attempt of a webhook; the outcome is one of its words.
    pub(crate) fn attempted(&self, outcome: &'static str, took: Duration) {
        self.attempts.get_or_create(&Attempted { outcome }).observe(took.as_secs_f64());
    }

    /// Counts an event that a webhook's target has taken.
    pub(crate) fn webhook_delivered(&self, occurred_at_ms: u64) {
        self.webhook_deliveries.observe(since(occurred_at_ms).as_secs_f64());
    }

    /// Counts an event of which every attempt failed.
    pub(crate) fn webhook_failed(&self) {
        self.webhook_failures.inc();
    }

    /// The page, in the text format of `OpenMetrics` 1.0.
    pub(crate) fn page(&self, state: &AppState) -> String {
        self.look(state);
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut page, &self.registry);
        page
    }

    /// Takes what is not counted but looked up.
    fn look(&self, state: &AppState) {
        let mut links = LINKS;
        let (mut outbox, mut consumers, mut lag) = (0, 0, 0);
        for bot in state.bots.all() {
            let session = state.client.session(&bot.identity);
            let health = session.as_ref().map(quicproquo_client::Session::health);
            let link = match health.as_ref().map(|health| &health.link) {
                Some(LinkState::Up) => 0,
                Some(LinkState::Connecting) => 1,
                Some(LinkState::Refused(_)) => 2,
                Some(LinkState::Displaced(_) | LinkState::Exported) => 3,
                None => 4,
            };
            links[link].1 += 1;
            outbox += health.map_or(0, |health| health.outbox);
            let tail = session.map_or(Cursor::default(), |session| *session.tail().borrow());
            for standing in state.consumers.of_bot(&bot.bot_id).into_values() {
                consumers += 1;
                lag = lag.max(tail.since(standing.cursor));
            }
        }
        for (link, count) in links {
            self.bots.get_or_create(&Link { link }).set(count);
        }
        self.outbox.set(signed(outbox));
        self.consumers.set(consumers);
        self.lag.set(signed(lag));
    }
}

/// A page of a gateway to which everything has happened once: every metric with all its labels, for
/// the documents.
#[must_use]
pub fn metrics_example() -> String {
    let metrics = Metrics::new();
    metrics.answered(&http::Method::GET, "/v1/me", 200, Duration::ZERO);
    for door in [Door::WebSocket, Door::Sse, Door::Poll, Door::Matrix] {
        metrics.reader(door).delivered(now_ms());
    }
    for outcome in webhooks::outcomes() {
        metrics.attempted(outcome, Duration::ZERO);
    }
    for (link, _) in LINKS {
        metrics.bots.get_or_create(&Link { link }).set(0);
    }
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode(&mut page, &metrics.registry);
    page
}

/// Something that is going on, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A reader of the log, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct ReaderCounts {
    _open: InFlight,
    deliveries: Histogram,
}

impl ReaderCounts {
    /// Counts an event that is handed to a reader who was waiting for it.
    pub(crate) fn delivered(&self, occurred_at_ms: u64) {
        self.deliveries.observe(since(occurred_at_ms).as_secs_f64());
    }
}

fn since(occurred_at_ms: u64) -> Duration {
    Duration::from_millis(now_ms().saturating_sub(occurred_at_ms))
}

/// Callers can make methods up.
fn known(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        _ => "other",
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(metrics: &Metrics) -> String {
        let mut page = String::new();
        text::encode(&mut page, &metrics.registry).unwrap();
        page
    }

    #[test]
    fn made_up_methods_are_one_label() {
        let metrics = Metrics::new();
        let made_up: http::Method = "BREW".parse().unwrap();
        let in_flight = metrics.begin();
        metrics.answered(&made_up, "unmatched", 404, Duration::ZERO);
        let text = page(&metrics);
        let line =
            "qpq_gateway_requests_total{method=\"other\",route=\"unmatched\",status=\"404\"} 1";
        assert!(text.contains(line) && text.contains("qpq_gateway_requests_in_flight 1"), "{text}");
        drop(in_flight);
        assert!(page(&metrics).contains("qpq_gateway_requests_in_flight 0"));
    }
}
