//! How the demo speaks.

use std::fmt::Display;

use crate::clock::Stopwatch;
use crate::output::say;

/// Counts the steps.
#[derive(Debug)]
pub(crate) struct Story {
    step: u32,
    watch: Stopwatch,
}

impl Story {
    /// The title.
    pub(crate) fn begin() -> Self {
        say(
            "Two bots talk. Everything is real, in a temporary directory that is removed at the end.",
        );
        Self { step: 0, watch: Stopwatch::start() }
    }

    /// What somebody does.
    pub(crate) fn step(&mut self, what: impl Display) {
        self.step += 1;
        say(format_args!("{:>2}. {what}", self.step));
    }

    /// The last line.
    pub(crate) fn end(self) {
        let seconds = self.watch.elapsed().as_secs_f64();
        say(format_args!("Done in {seconds:.1} s. Your turn: qpq up"));
    }
}

/// What is seen of a step.
pub(crate) fn detail(what: impl Display) {
    say(format_args!("      {what}"));
}

/// What happens underneath.
pub(crate) fn under(what: impl Display) {
    say(format_args!("      | {what}"));
}
