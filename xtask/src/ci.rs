//! The gate: the steps, in the order in which they are cheapest to fail.

mod tally;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{
    book, codegen, install, isolated, openapi, problems, reference, sdk, shell, sources, tidy,
};
use tally::Tally;

/// Runs every step, stops at the first that fails, and prints how long each took. The last line
/// of a green gate is the count of tests.
pub(crate) fn run(install: bool) -> Result<()> {
    let mut gate = Gate { times: Vec::new() };
    gate.step("tools", || install::ensure(install))?;
    gate.step("format", || shell::run("cargo", &["fmt", "--all", "--check"]))?;
    gate.step("tidy", tidy::run)?;
    gate.step("examples", examples)?;
    gate.step("codegen", || codegen::run(true))?;
    gate.step("clippy", clippy)?;
    gate.step("build", || shell::run("cargo", &["build", "--package", "quicproquo-cli"]))?;
    gate.step("openapi", || openapi::run(true))?;
    gate.step("sdk", || sdk::run(true))?;
    gate.step("reference", || reference::run(true))?;
    gate.step("problems", || problems::run(true))?;
    gate.step("docs", docs)?;
    gate.step("book", book::run)?;
    gate.step("loom", isolated::loom)?;
    let tally = gate.step("tests", tests)?;
    gate.report();
    shell::say(&tally.to_string());
    Ok(())
}

struct Gate {
    times: Vec<(&'static str, Duration)>,
}

impl Gate {
    fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        shell::say(&format!("==> {name}"));
        let started = clock();
        let result = work().with_context(|| format!("step `{name}`"))?;
        self.times.push((name, started.elapsed()));
        Ok(result)
    }

    fn report(&self) {
        let total: Duration = self.times.iter().map(|(_, time)| *time).sum();
        for (name, time) in &self.times {
            shell::say(&format!("{name:>10} {:>7.1} s", time.as_secs_f64()));
        }
        shell::say(&format!("{:>10} {:>7.1} s", "all", total.as_secs_f64()));
    }
}

#[expect(clippy::disallowed_methods, reason = "a development tool that times its own steps")]
fn clock() -> Instant {
    Instant::now()
}

fn clippy() -> Result<()> {
    shell::run(
        "cargo",
        &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"],
    )
}

fn docs() -> Result<()> {
    let mut command =
        shell::program("cargo", &["doc", "--quiet", "--no-deps", "--workspace", "--locked"]);
    shell::check(command.env("RUSTDOCFLAGS", "-D warnings"), "cargo doc")
}

/// Scripts parse; the tests run them.
fn examples() -> Result<()> {
    for source in sources::with_extension("sh")? {
        let path = source.path.to_string_lossy().into_owned();
        shell::run("bash", &["-n", &path])?;
    }
    for source in sources::with_extension("py")? {
        let path = source.path.to_string_lossy().into_owned();
        let check = "import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])";
        shell::run("python3", &["-c", check, &path])?;
    }
    Ok(())
}

/// All tests, through nextest when it is installed, through `cargo test` otherwise.
fn tests() -> Result<Tally> {
    let mut tally = Tally::default();
    let green = if shell::succeeds("cargo", &["nextest", "--version"]) {
        let line = "cargo nextest run --workspace --no-fail-fast --color never";
        shell::follow(line, |line| tally.nextest(line))?
    } else {
        let line = "cargo test --workspace --lib --bins --tests --no-fail-fast --color never";
        shell::follow(line, |line| tally.cargo(line))?
    };
    let green = green && {
        !sources::have_doctests()?
            || shell::follow("cargo test --workspace --doc --color never", |line| {
                tally.cargo(line);
            })?
    };
    if !green {
        bail!("{tally}");
    }
    if tally.passed == 0 {
        bail!("no test ran");
    }
    Ok(tally)
}
