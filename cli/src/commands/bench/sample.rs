//! Times of one round.

use quicproquo_client::bench::Measured;
use quicproquo_node::floor::Figures;

/// Times of one round, in nanoseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<u64>);

impl From<Vec<u64>> for Sample {
    fn from(nanos: Vec<u64>) -> Self {
        Self(nanos)
    }
}

impl From<Figures> for Sample {
    fn from(figures: Figures) -> Self {
        Self(figures.nanos)
    }
}

impl From<Measured> for Sample {
    fn from(measured: Measured) -> Self {
        Self(measured.nanos)
    }
}

impl Sample {
    /// Of nanoseconds with fractions.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times")]
    pub(crate) fn of(nanos: Vec<f64>) -> Self {
        Self(nanos.into_iter().map(|nanos| nanos as u64).collect())
    }

    /// Adds a time.
    pub(crate) fn push(&mut self, nanos: u64) {
        self.0.push(nanos);
    }

    /// The middle, in nanoseconds.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(50)
    }

    /// The time that so many of a hundred are below, in nanoseconds.
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of seconds fit")]
    pub(crate) fn quantile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        if sorted.is_empty() {
            return f64::NAN;
        }
        let (_, value, _) = sorted.select_nth_unstable(at);
        *value as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_sample() {
        let sample = Sample::from((1..=100).rev().collect::<Vec<_>>());
        assert!((sample.median() - 51.0).abs() < f64::EPSILON);
        assert!((sample.quantile(99) - 100.0).abs() < f64::EPSILON);
        assert!(Sample::default().median().is_nan());
    }
}
