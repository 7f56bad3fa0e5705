//! Medians of rounds, as a table or as lines of JSON.

use serde::Serialize;

use crate::commands::bench::Sample;
use crate::commands::bench::report::{middle, shown};
use crate::exit::Failure;
use crate::output::{say, say_json};

/// One round of one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure {
    /// Calls per second.
    pub(super) calls: Option<f64>,
    /// Rows, packages or answers per second: what the floor counts, too.
    pub(super) rows: Option<f64>,
    /// Median time of a call, in nanoseconds.
    pub(super) p50: f64,
    p99: f64,
}

impl Figure {
    /// Rates, and the times of single calls.
    pub(super) fn new(calls: Option<f64>, rows: Option<f64>, sample: &Sample) -> Self {
        Self { calls, rows, p50: sample.median(), p99: sample.quantile(99) }
    }
}

/// One round of what a row is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floor {
    /// Per second; none where times are compared alone.
    pub(super) rows: Option<f64>,
    /// In nanoseconds.
    pub(super) p50: f64,
}

type Round = (Figure, Option<Floor>);

/// All rounds of all rows.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<(String, Vec<Round>)>);

/// A row as it is printed. Ratios are ours against the floor: 1 is as good as the machine allows,
/// higher is better.
#[derive(Debug, Serialize)]
struct Line<'a> {
    name: &'a str,
    calls_per_second: Option<f64>,
    rows_per_second: Option<f64>,
    floor_per_second: Option<f64>,
    rate_ratio: Option<f64>,
    p50_us: Option<f64>,
    floor_p50_us: Option<f64>,
    p50_ratio: Option<f64>,
    p99_us: Option<f64>,
}

impl Table {
    /// Adds a round.
    pub(super) fn add(&mut self, name: &str, figure: Figure, floor: Option<Floor>) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, rounds)) => rounds.push((figure, floor)),
            None => self.0.push((name.to_owned(), vec![(figure, floor)])),
        }
    }

    /// Prints it.
    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if !json {
            say(format_args!(
                "{:<48} {:>9} {:>9} {:>9} {:>5} {:>9} {:>9} {:>5} {:>9}",
                "",
                "calls/s",
                "rows/s",
                "floor/s",
                "ratio",
                "p50 us",
                "floor us",
                "ratio",
                "p99 us"
            ));
        }
        for (name, rounds) in &self.0 {
            let line = line(name, rounds);
            if json {
                say_json(&line)?;
            } else {
                say(format_args!(
                    "{:<48} {:>9} {:>9} {:>9} {:>5} {:>9} {:>9} {:>5} {:>9}",
                    line.name,
                    shown(line.calls_per_second, 0),
                    shown(line.rows_per_second, 0),
                    shown(line.floor_per_second, 0),
                    shown(line.rate_ratio, 2),
                    shown(line.p50_us, 0),
                    shown(line.floor_p50_us, 0),
                    shown(line.p50_ratio, 2),
                    shown(line.p99_us, 0),
                ));
            }
        }
        Ok(())
    }
}

fn line<'a>(name: &'a str, rounds: &[Round]) -> Line<'a> {
    let middle = |pick: fn(&Round) -> Option<f64>| middle(rounds.iter().filter_map(pick));
    Line {
        name,
        calls_per_second: middle(|(figure, _)| figure.calls),
        rows_per_second: middle(|(figure, _)| figure.rows),
        floor_per_second: middle(|(_, floor)| floor.as_ref()?.rows),
        rate_ratio: middle(|(figure, floor)| Some(figure.rows? / floor.as_ref()?.rows?)),
        p50_us: middle(|(figure, _)| Some(figure.p50 / 1000.0)),
        floor_p50_us: middle(|(_, floor)| Some(floor.as_ref()?.p50 / 1000.0)),
        p50_ratio: middle(|(figure, floor)| Some(floor.as_ref()?.p50 / figure.p50)),
        p99_us: middle(|(figure, _)| Some(figure.p99 / 1000.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(rows: f64, nanos: u64) -> Figure {
        Figure::new(Some(rows), Some(rows), &Sample::from(vec![nanos; 9]))
    }

    #[test]
    fn the_median_round_counts_and_ratios_are_of_the_same_round() {
        let mut table = Table::default();
        for (rows, floor) in [(30.0, 60.0), (10.0, 40.0), (20.0, 20.0)] {
            let floor = Floor { rows: Some(floor), p50: 500.0 };
            table.add("x", figure(rows, 1000), Some(floor));
        }
        let line = line("x", &table.0[0].1);
        assert_eq!((line.rows_per_second, line.floor_per_second), (Some(20.0), Some(40.0)));
        assert_eq!((line.rate_ratio, line.p50_ratio), (Some(0.5), Some(0.5)));
    }

    #[test]
    fn what_was_not_measured_is_not_shown() {
        let mut table = Table::default();
        table.add("x", Figure { rows: None, ..figure(1.0, 1000) }, None);
        let line = line("x", &table.0[0].1);
        assert_eq!((line.rows_per_second, line.rate_ratio, line.p50_ratio), (None, None, None));
        assert_eq!((line.p50_us, line.p99_us), (Some(1.0), Some(1.0)));
    }
}
