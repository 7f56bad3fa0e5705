//! Medians of rounds, as a table or as lines of JSON.

use serde::Serialize;

use super::Sample;
use crate::exit::Failure;
use crate::output::{say, say_json};

/// One round of one measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    unit: &'static str,
    value: f64,
    p99: Option<f64>,
    floor: Option<f64>,
    /// Ours against the floor; 1 is as good as the machine allows, higher is better.
    ratio: Option<f64>,
}

impl Row {
    /// A time; the floor in nanoseconds.
    pub(super) fn time(sample: &Sample, floor: Option<f64>) -> Self {
        let micros = |nanos: f64| nanos / 1000.0;
        Self {
            unit: "us",
            value: micros(sample.median()),
            p99: Some(micros(sample.quantile(99))),
            floor: floor.map(micros),
            ratio: floor.map(|floor| floor / sample.median()),
        }
    }

    /// A count or a size, with nothing to compare it to.
    pub(super) fn plain(unit: &'static str, value: f64) -> Self {
        Self { unit, value, p99: None, floor: None, ratio: None }
    }

    /// A rate per second.
    pub(super) fn rate(rate: f64, floor: f64) -> Self {
        let ratio = Some(rate / floor);
        Self { unit: "1/s", value: rate, p99: None, floor: Some(floor), ratio }
    }
}

/// All rounds of all measurements.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<(String, Vec<Row>)>);

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
    pub(super) fn add(&mut self, name: &str, row: Row) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, rows)) => rows.push(row),
            None => self.0.push((name.to_owned(), vec![row])),
        }
    }

    /// Prints it.
    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if !json {
            say(format_args!(
                "{:<42} {:>4} {:>10} {:>10} {:>10} {:>6}",
                "", "unit", "median", "p99", "floor", "ratio"
            ));
        }
        for (name, rows) in &self.0 {
            let line = line(name, rows);
            if json {
                say_json(&line)?;
            } else {
                say(format_args!(
                    "{:<42} {:>4} {:>10.1} {:>10} {:>10} {:>6}",
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
    let middle = |pick: fn(&Row) -> Option<f64>| middle(rows.iter().filter_map(pick));
    Line {
        name,
        unit: rows.first().map_or("", |row| row.unit),
        median: middle(|row| Some(row.value)).unwrap_or(f64::NAN),
        p99: middle(|row| row.p99),
        floor: middle(|row| row.floor),
        ratio: middle(|row| row.ratio),
    }
}

/// The median, to three digits behind the point.
pub(super) fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).map(|value| (value * 1000.0).round() / 1000.0)
}

/// A cell of a table.
pub(super) fn shown(value: Option<f64>, digits: usize) -> String {
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
}
