//! The one place that writes to standard output and, for the last word, to standard error.

use std::io::{ErrorKind, IsTerminal, Write};
use std::time::{Duration, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::exit::Failure;
pub(crate) use table::Table;
pub(crate) use text::{printable, printable_lines};

mod table;
mod text;

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

/// Writes what a command was run for, and a line's end; answers whether somebody reads on.
pub(crate) fn print_on(text: impl std::fmt::Display) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::other(format!("standard output: {error}"))),
    }
}

/// Writes bytes as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::other(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Whether standard output shows colours: it is a terminal, and nobody has said no
/// (<https://no-color.org>).
pub(crate) fn has_colour() -> bool {
    std::io::stdout().is_terminal() && wants_colour()
}

/// Whether nobody has said no to colours.
pub(crate) fn wants_colour() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// In bold, where there are colours.
pub(crate) fn bold(text: &str) -> String {
    if has_colour() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// In the background, where there are colours.
pub(crate) fn dim(text: &str) -> String {
    if has_colour() { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
}

/// Tells people something that is no failure, on standard error.
pub(crate) fn note(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "qpq: {line}");
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
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let _ = writeln!(err, "{line}");
    }
}

/// A bar for a transfer, on standard error and only to people.
pub(crate) fn transfer(name: &str, bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes).with_finish(indicatif::ProgressFinish::AndClear);
    let form = "{msg} [{bar:30}] {bytes}/{total_bytes}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_message(printable(name))
}
