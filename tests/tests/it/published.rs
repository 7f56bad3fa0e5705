//! Clients that know only the published interface: their code is generated from a copy of the
//! eight signatures, their tokens come from `qpq node token issue`.

mod client;
mod foreign;
mod keys;
mod leases;
mod plain;
mod tokens;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use quicproquo_tests::{SOON, files, within};
use serde_json::Value;
use tokio::process::Command;

use client::Client;

const NOT: Duration = Duration::ZERO;
/// Far longer than a test may take.
const LONG: Duration = Duration::from_mins(1);

/// A test of Cap'n Proto clients, which live on one thread.
fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, within("the test", LONG, test));
}

/// `qpq node token ARGS` on a data directory.
async fn token_command(dir: &Path, args: &[&str]) -> Output {
    let command = Command::new(files::qpq())
        .args(["node", "token"])
        .args(args)
        .arg("--data-dir")
        .arg(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    within("qpq node token", SOON, command).await.expect("run qpq")
}

/// The lines of JSON that it prints when all goes well.
async fn token_lines(dir: &Path, args: &[&str]) -> Vec<Value> {
    let output = token_command(dir, args).await;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "qpq node token {args:?}: {complaint}");
    let text = String::from_utf8(output.stdout).expect("qpq prints UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// A token that the operator vouches for.
async fn token_for(dir: &Path, identity: &[u8; 32]) -> Vec<u8> {
    let identity = hex::encode(identity);
    let args = ["issue", "--operator", "--json", "--identity", &identity];
    let lines = token_lines(dir, &args).await;
    hex::decode(lines[0]["token"].as_str().expect("a token")).expect("hexadecimal digits")
}

/// The code of a refusal: `E0NN`.
fn code<T: std::fmt::Debug>(answer: Result<T, capnp::Error>) -> String {
    let text = answer.expect_err("a refusal").extra;
    let at = text.find("E0").unwrap_or_else(|| panic!("no code in {text}"));
    text[at..].chars().take(4).collect()
}
