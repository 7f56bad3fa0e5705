//! The one place that writes to standard output and, for the last word, to standard error.

use std::io::Write;

use serde::Serialize;

use crate::exit::Failure;

/// Writes one line. A reader that has gone away is no failure.
pub(crate) fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Writes one line of JSON.
pub(crate) fn say_json(value: &impl Serialize) -> Result<(), Failure> {
    say(serde_json::to_string(value).map_err(Failure::other)?);
    Ok(())
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
