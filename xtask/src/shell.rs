//! Runs programs in the root of the workspace and prints what a task has to say.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Prints one line, the only way this program speaks.
pub(crate) fn say(line: &str) {
    // A closed pipe is no reason to stop a check.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A program that runs in the root of the workspace.
pub(crate) fn program(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(args).current_dir(crate::workspace_root());
    command
}

/// Runs a program; its output is shown.
pub(crate) fn run(name: &str, args: &[&str]) -> Result<()> {
    check(&mut program(name, args), name)
}

/// Runs a prepared program; its output is shown.
pub(crate) fn check(command: &mut Command, name: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("start {name}"))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

/// Runs a program and returns what it wrote to its standard output.
pub(crate) fn capture(name: &str, args: &[&str]) -> Result<String> {
    let output = program(name, args)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start {name}"))?;
    if !output.status.success() {
        bail!("{name} {} failed ({})", args.join(" "), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} wrote no UTF-8"))
}

/// Whether a program can be started and succeeds quietly.
pub(crate) fn succeeds(name: &str, args: &[&str]) -> bool {
    program(name, args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a shell line, shows its output (both streams, merged) and hands every line to `seen`.
/// Returns whether it succeeded.
pub(crate) fn follow(line: &str, mut seen: impl FnMut(&str)) -> Result<bool> {
    let mut child = program("sh", &["-c", &format!("exec 2>&1; {line}")])
        .stdout(Stdio::piped())
        .spawn()
        .context("start sh")?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.context("read the output of a step")?;
            say(&line);
            seen(&line);
        }
    }
    Ok(child.wait().context("wait for a step")?.success())
}
