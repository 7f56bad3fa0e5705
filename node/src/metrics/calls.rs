//! RPC calls by method and outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::Gauge;
use quicproquo_schemas::code::ErrorCode;

use super::histogram::Histogram;
use crate::clock::Stopwatch;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With an answer.
    Ok,
    /// With a coded error.
    Code(ErrorCode),
    /// With an error of the RPC layer, most likely parameters that cannot be read.
    Malformed,
    /// The caller, or its connection, has gone before the answer.
    Cancelled,
}

/// Outcomes beside the error codes.
const OTHERS: [&str; 3] = ["OK", "MALFORMED", "CANCELLED"];

impl Outcome {
    fn index(self) -> usize {
        match self {
            Self::Ok => 0,
            Self::Malformed => 1,
            Self::Cancelled => 2,
            Self::Code(code) => {
                let known = ErrorCode::ALL.iter().position(|one| *one == code);
                known.map_or(1, |index| OTHERS.len() + index)
            }
        }
    }

    fn labels() -> impl Iterator<Item = &'static str> {
        OTHERS.into_iter().chain(ErrorCode::ALL.iter().map(|code| code.name()))
    }
}

#[derive(Debug)]
struct PerMethod {
    name: &'static str,
    seconds: Histogram,
    /// One per outcome.
    ended: Box<[AtomicU64]>,
}

/// Everything about calls.
#[derive(Debug)]
pub(crate) struct CallMetrics {
    methods: Box<[PerMethod]>,
    in_flight: Gauge,
}

impl CallMetrics {
    /// Methods are named by their index from here on.
    pub(super) fn new(methods: impl IntoIterator<Item = &'static str>, in_flight: Gauge) -> Self {
        let methods = methods.into_iter().map(|name| PerMethod {
            name,
            seconds: Histogram::seconds(),
            ended: Outcome::labels().map(|_| AtomicU64::new(0)).collect(),
        });
        Self { methods: methods.collect(), in_flight }
    }

    /// Counts a call from here until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, method: usize) -> CallTimer {
        self.in_flight.inc();
        CallTimer {
            calls: Arc::clone(self),
            method,
            started: Stopwatch::start(),
            outcome: Outcome::Cancelled,
        }
    }

    fn end(&self, method: usize, outcome: Outcome, started: Stopwatch) {
        self.in_flight.dec();
        let Some(method) = self.methods.get(method) else { return };
        if let Some(count) = method.ended.get(outcome.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        method.seconds.observe_since(started);
    }
}

/// A call under way; cancelled unless an outcome is set.
#[derive(Debug)]
pub(crate) struct CallTimer {
    calls: Arc<CallMetrics>,
    method: usize,
    started: Stopwatch,
    outcome: Outcome,
}

impl CallTimer {
    /// Ends the call.
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for CallTimer {
    fn drop(&mut self) {
        self.calls.end(self.method, self.outcome, self.started);
    }
}

/// Writes the counters; those that are zero are left out, apart from `OK`.
#[derive(Debug)]
pub(super) struct CallCollector(pub(super) Arc<CallMetrics>);

impl Collector for CallCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut family = encoder.encode_descriptor(
            "calls",
            "RPC calls that have ended, by method and outcome: OK, an error code, CANCELLED (the caller \
             has gone), MALFORMED (parameters that cannot be read)",
            None,
            MetricType::Counter,
        )?;
        for method in &self.0.methods {
            for (code, count) in Outcome::labels().zip(&method.ended) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 || code == OTHERS[0] {
                    let labels = [("method", method.name), ("code", code)];
                    ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        let mut family = encoder.encode_descriptor(
            "call_seconds",
            "Time from the start of an RPC call to its end, by method",
            None,
            MetricType::Histogram,
        )?;
        for method in &self.0.methods {
            let labels = [("method", method.name)];
            method.seconds.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_place_of_its_own() {
        let labels: Vec<_> = Outcome::labels().collect();
        assert_eq!(labels[Outcome::Ok.index()], "OK");
        assert_eq!(labels[Outcome::Malformed.index()], "MALFORMED");
        assert_eq!(labels[Outcome::Cancelled.index()], "CANCELLED");
        for code in ErrorCode::ALL {
            assert_eq!(labels[Outcome::Code(*code).index()], code.name());
        }
    }

    #[test]
    fn a_call_that_is_dropped_was_cancelled() {
        let calls = Arc::new(CallMetrics::new(["m"], Gauge::default()));
        let call = calls.begin(0);
        assert_eq!(calls.in_flight.get(), 1);
        drop(call);
        calls.begin(0).end(Outcome::Ok);
        calls.begin(0).end(Outcome::Code(ErrorCode::QueueFull));
        let count =
            |outcome: Outcome| calls.methods[0].ended[outcome.index()].load(Ordering::Relaxed);
        assert_eq!(count(Outcome::Cancelled), 1);
        assert_eq!(count(Outcome::Ok), 1);
        assert_eq!(count(Outcome::Code(ErrorCode::QueueFull)), 1);
        assert_eq!(calls.in_flight.get(), 0);
        assert_eq!(calls.methods[0].seconds.count(), 3);
    }
}
