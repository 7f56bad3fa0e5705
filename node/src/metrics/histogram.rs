//! A histogram that is written without a lock.
//!
//! The library's own takes a mutex at each observation; every call of every connection would meet
//! there. The text is still the library's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::clock::Stopwatch;

/// Upper bounds of latencies in microseconds, from a fifth of an fdatasync to a waiting fetch.
pub(crate) const LATENCY: &[u64] = &[
    50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 409_600,
    1_638_400, 6_553_600, 26_214_400,
];
const MICROS_PER_SECOND: f64 = 1e6;

/// Upper bounds of numbers of requests.
pub(crate) const REQUESTS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];

#[derive(Debug)]
struct Inner {
    bounds: &'static [u64],
    /// Units of the bounds in one exported unit.
    per_unit: f64,
    /// One per bound, and one for what is above all of them.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// Counts observations by size. Clones are the same histogram.
#[derive(Debug, Clone)]
pub(crate) struct Histogram(Arc<Inner>);

impl Histogram {
    /// Of seconds, kept in microseconds.
    pub(crate) fn seconds() -> Self {
        Self::new(LATENCY, MICROS_PER_SECOND)
    }

    /// Of plain numbers.
    pub(crate) fn numbers(bounds: &'static [u64]) -> Self {
        Self::new(bounds, 1.0)
    }

    fn new(bounds: &'static [u64], per_unit: f64) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Inner { bounds, per_unit, counts, sum: AtomicU64::new(0) }))
    }

    /// Counts one observation, in units of the bounds.
    pub(crate) fn observe(&self, value: u64) {
        let bucket = self.0.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.0.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.0.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts how long something took.
    pub(crate) fn observe_duration(&self, took: Duration) {
        self.observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts how long it is since `start`.
    pub(crate) fn observe_since(&self, start: Stopwatch) {
        self.observe_duration(start.elapsed());
    }

    /// How many observations there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    #[expect(clippy::cast_precision_loss, reason = "the text format has floats only")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Inner { bounds, per_unit, counts, sum } = &*self.0;
        let bounds = bounds.iter().map(|bound| *bound as f64 / per_unit).chain([f64::INFINITY]);
        let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // What is told is consistent in itself, whatever is observed meanwhile.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = sum.load(Ordering::Relaxed) as f64 / per_unit;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_with_everything() {
        let histogram = Histogram::numbers(&[1, 10]);
        for value in [0, 1, 2, 10, 11] {
            histogram.observe(value);
        }
        assert_eq!(histogram.count(), 5);
        let mut registry = Registry::default();
        registry.register("h", "H", histogram);
        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        for line in [
            "h_sum 24.0",
            "h_count 5",
            "h_bucket{le=\"1.0\"} 2",
            "h_bucket{le=\"10.0\"} 4",
            "h_bucket{le=\"+Inf\"} 5",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
    }

    #[test]
    fn seconds_are_kept_in_microseconds() {
        let histogram = Histogram::seconds();
        histogram.observe_duration(Duration::from_micros(1_500));
        let mut registry = Registry::default();
        registry.register("h", "H", histogram);
        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        assert!(page.contains("h_sum 0.0015\n"), "{page}");
        assert!(page.contains("le=\"0.0008\"} 0\n") && page.contains("le=\"0.0016\"} 1\n"));
    }
}
