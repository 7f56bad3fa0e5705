//! Medians of rounds, as a table or as lines of JSON.

use serde::Serialize;

use crate::exit::Failure;
use crate::output::{say, say_json};

/// Times of one round, in nanoseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<u64>);

impl From<Vec<u64>> for Sample {
    fn from(nanos: Vec<u64>) -> Self {
        Self(nanos)
    }
}

impl Sample {
    /// Adds a time.
    pub(crate) fn push(&mut self, nanos: u64) {
        self.0.push(nanos);
    }

    /// The middle, in nanoseconds.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(50)
    }

    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of seconds fit")]
    fn quantile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = sorted.len() * percent / 100;
        sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(f64::NAN, |n| *n as f64)
    }
}

/// One round of one measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    unit: &'static str,
    value: f64,
    p99: Option<f64>,
    floor: Option<f64>,
    /// Ours against the floor; 1 is as good as the machine allows, higher is better.
    ratio: Option<f64>,
}

impl Row {
    /// A time; the floor in nanoseconds.
    pub(crate) fn time(sample: &Sample, floor: Option<f64>) -> Self {
        let micros = |nanos: f64| nanos / 1000.0;
        Self {
            unit: "us",
            value: micros(sample.median()),
            p99: Some(micros(sample.quantile(99))),
            floor: floor.map(micros),
            ratio: floor.map(|floor| floor / sample.median()),
        }
    }

    /// A rate per second.
    pub(crate) fn rate(rate: f64, floor: f64) -> Self {
        let ratio = Some(rate / floor);
        Self { unit: "1/s", value: rate, p99: None, floor: Some(floor), ratio }
    }
}

/// All rounds of all measurements.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<(String, Vec<Row>)>);

/// The result of one measurement.
#[derive(Debug, Serialize)]
struct Line<'a> {
    name: &'a str,
    unit: &'static str,
    median: f64,
    p99: Option<f64>,
    floor: Option<f64>,
    ratio: Option<f64>,
}

impl Report {
    /// Adds a round.
    pub(crate) fn add(&mut self, name: &str, row: Row) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, rows)) => rows.push(row),
            None => self.0.push((name.to_owned(), vec![row])),
        }
    }

    /// Prints it.
    pub(crate) fn print(&self, json: bool) -> Result<(), Failure> {
        if !json {
            say(format_args!(
                "{:<34} {:>4} {:>10} {:>10} {:>10} {:>6}",
                "", "unit", "median", "p99", "floor", "ratio"
            ));
        }
        for (name, rows) in &self.0 {
            let line = line(name, rows);
            if json {
                say_json(&line)?;
            } else {
                say(format_args!(
                    "{:<34} {:>4} {:>10.1} {:>10} {:>10} {:>6}",
                    line.name,
                    line.unit,
                    line.median,
                    shown(line.p99, 1),
                    shown(line.floor, 1),
                    shown(line.ratio, 2),
                ));
            }
        }
        Ok(())
    }
}

fn line<'a>(name: &'a str, rows: &[Row]) -> Line<'a> {
    let middle = |pick: fn(&Row) -> Option<f64>| middle(rows.iter().filter_map(pick).collect());
    Line {
        name,
        unit: rows.first().map_or("", |row| row.unit),
        median: middle(|row| Some(row.value)).unwrap_or(f64::NAN),
        p99: middle(|row| row.p99),
        floor: middle(|row| row.floor),
        ratio: middle(|row| row.ratio),
    }
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).map(|value| (value * 1000.0).round() / 1000.0)
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_higher_when_ours_is_better() {
        let sample = || Sample::from(vec![2000; 100]);
        let row = Row::time(&sample(), Some(1000.0));
        assert_eq!((row.value, row.ratio), (2.0, Some(0.5)));
        assert_eq!(Row::rate(50.0, 100.0).ratio, Some(0.5));
    }

    #[test]
    fn the_median_round_counts() {
        let mut report = Report::default();
        for value in [30.0, 10.0, 20.0] {
            report.add("x", Row::rate(value, 40.0));
        }
        let line = line("x", &report.0[0].1);
        assert_eq!((line.median, line.ratio), (20.0, Some(0.5)));
    }

    #[test]
    fn quantiles_of_a_sample() {
        let sample = Sample::from((1..=100).rev().collect::<Vec<_>>());
        assert!((sample.median() - 51.0).abs() < f64::EPSILON);
        assert!((sample.quantile(99) - 100.0).abs() < f64::EPSILON);
        assert!(Sample::default().median().is_nan());
    }
}
