//! Counts tests from what the test runners print.

use std::fmt;

/// How many tests passed and failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    failed: u64,
    /// Passed at the second attempt only.
    flaky: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.flaky > 0 {
            write!(f, "; {} only at the second attempt: to be mended", self.flaky)?;
        }
        Ok(())
    }
}

impl Tally {
    /// Reads a line of `cargo nextest run`; only its summary counts.
    pub(crate) fn nextest(&mut self, line: &str) {
        if line.trim_start().starts_with("Summary") {
            self.passed += count(line, "passed");
            self.failed += count(line, "failed") + count(line, "timed");
            self.flaky += count(line, "flaky");
        }
    }

    /// Reads a line of `cargo test`; one summary per test binary counts.
    pub(crate) fn cargo(&mut self, line: &str) {
        if line.starts_with("test result:") {
            self.passed += count(line, "passed");
            self.failed += count(line, "failed");
        }
    }
}

/// The number in front of a word.
fn count(line: &str, word: &str) -> u64 {
    let words: Vec<&str> =
        line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    words
        .windows(2)
        .find(|pair| pair[1] == word)
        .and_then(|pair| pair[0].parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_runners() {
        let mut tally = Tally::default();
        tally.nextest(
            "     Summary [  12.345s] 30 tests run: 28 passed (1 slow, 3 flaky), 2 failed, 0 skipped",
        );
        assert_eq!(tally, Tally { passed: 28, failed: 2, flaky: 3 });
        tally.cargo("test result: ok. 5 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!(tally, Tally { passed: 33, failed: 3, flaky: 3 });
        tally.cargo("running 5 tests");
        let told = "33 passed, 3 failed; 3 only at the second attempt: to be mended";
        assert_eq!(tally.to_string(), told);
    }
}
