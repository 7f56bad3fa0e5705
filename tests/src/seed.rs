//! Seeds of randomised tests: printed, and taken from `QPQ_SEED` to replay a run; and whether
//! this is a long run.

use std::time::{SystemTime, UNIX_EPOCH};

/// Variable that replays a run.
const SEED: &str = "QPQ_SEED";

/// Variable that asks for the long forms.
const LONG: &str = "QPQ_LONG";

/// Seed of the short form.
const SHORT: u64 = 9420;

/// The seed of this run; says how to replay it. The short form takes the same one each time, so
/// that each change is judged by the same cases; the long form draws a new one.
#[expect(clippy::disallowed_methods, reason = "a test's only settings are these variables")]
pub fn seed(test: &str) -> u64 {
    let given = std::env::var(SEED).ok().map(|text| text.parse().expect("QPQ_SEED is a number"));
    let seed = given.unwrap_or_else(|| {
        if !is_long() {
            return SHORT;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        u64::try_from(now.as_micros()).expect("before the year 500000")
    });
    say(&format!("{test}: {SEED}={seed}"));
    seed
}

/// A generator for one part of a test, so that parts do not shift each other's numbers.
pub fn part(seed: u64, part: u64) -> fastrand::Rng {
    // Any odd constant spreads neighbouring parts; this one is 2^64 over the golden ratio.
    fastrand::Rng::with_seed(seed ^ part.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Whether `cargo xtask long` asked for the long form.
#[expect(clippy::disallowed_methods, reason = "a test's only settings are these variables")]
pub fn is_long() -> bool {
    std::env::var(LONG).is_ok_and(|value| value == "1")
}

/// The size of the form that is run.
pub fn pick<T>(fast: T, long: T) -> T {
    if is_long() { long } else { fast }
}

/// A number of a test's table: the variable, for people who want another size than the forms have.
#[expect(clippy::disallowed_methods, reason = "a test's only settings are these variables")]
pub fn setting(variable: &str, fast: u64, long: u64) -> u64 {
    let given = std::env::var(variable).ok();
    let given = given.map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}: a number")));
    given.unwrap_or_else(|| pick(fast, long))
}

/// A word of people's choice: the variable, when it is set.
#[expect(clippy::disallowed_methods, reason = "a test's only settings are these variables")]
pub fn word(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// Prints a line for people.
#[expect(clippy::print_stderr, reason = "the one place where the tests speak")]
pub fn say(line: &str) {
    eprintln!("{line}");
}
