//! Bots by `qpq` alone: what a person types, and what shells do with it.

mod documents;
mod life;
mod pipes;
mod refusals;

pub(crate) use documents::TYPED;

use std::path::PathBuf;

use quicproquo_tests::{Running, Shell};
use tempfile::TempDir;

/// A bot made by `qpq bot create`, and a shell with its token.
async fn bot(dir: &TempDir, up: &Running, name: &str) -> (Shell, PathBuf) {
    let file = dir.path().join(format!("{name}.token"));
    let shell = Shell::at(up);
    let said =
        shell.ok(&["bot", "create", name, "--save-token", file.to_str().expect("text")]).await;
    assert!(said.contains(name) && !said.contains("qpq_"), "{said}");
    (shell.with_token_file(&file), file)
}

/// Two bots and the group `tea` in which both are.
async fn pair(dir: &TempDir, up: &Running) -> (Shell, Shell, String) {
    let (alice, _) = bot(dir, up, "alice").await;
    let (bob, _) = bot(dir, up, "bob").await;
    let group = alice.ok(&["group", "create", "tea", "--member", "bob"]).await;
    let group = group.trim().to_owned();
    let accepted = bob.ok(&["invitation", "accept", "tea", "--wait", "60s"]).await;
    assert_eq!(accepted.trim(), group);
    (alice, bob, group)
}
