//! The one place that writes to standard output and, for the last word, to standard error.

use std::io::{ErrorKind, Write};
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use crate::exit::Failure;

/// Writes one line. A reader that has gone away is no failure.
pub(crate) fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Writes what a command was run for, and a line's end. A reader that has gone away is no failure;
/// a full disk is.
pub(crate) fn print(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::other(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes one line of JSON.
pub(crate) fn say_json(value: &impl Serialize) -> Result<(), Failure> {
    print(serde_json::to_string(value).map_err(Failure::other)?)
}

/// A moment in unix seconds as RFC 3339.
pub(crate) fn date(seconds: u64) -> String {
    // humantime has none beyond the year 9999.
    let at = UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799));
    humantime::format_rfc3339_seconds(at).to_string()
}

/// The last word of a command that failed.
pub(crate) fn complain(failure: &Failure) {
    let _ = writeln!(std::io::stderr(), "qpq: {failure}");
}

/// Shows how far something long has come, on standard error and only to people.
pub(crate) fn progress(line: impl std::fmt::Display) {
    use std::io::IsTerminal;
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let _ = writeln!(err, "{line}");
    }
}
