//! What goes wrong is told in one line, with a code of its own.

use quicproquo_tests::{Launch, Shell};
use tempfile::TempDir;

use super::{bot, pair};

/// Exit codes as `qpq --help` documents them.
const USAGE: i32 = 2;
const UNREACHABLE: i32 = 6;
const REFUSED: i32 = 8;
const NOT_FOUND: i32 = 9;

async fn refused(shell: &Shell, args: &[&str], code: i32, word: &str) {
    let ended = shell.run(args).await;
    assert_eq!(ended.code, code, "{args:?}: {}", ended.stderr);
    assert_eq!(ended.stdout, "", "{args:?}");
    let line = ended.stderr.trim_end();
    assert!(line.starts_with("qpq: ") && line.lines().count() == 1, "one line: {line}");
    assert!(line.contains(word), "{args:?}: {line}");
}

#[tokio::test]
async fn every_refusal_has_its_code() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, _, group) = pair(&dir, &up).await;
    let nobody = Shell::at(&up);
    refused(&nobody, &["group", "list"], USAGE, "QPQ_TOKEN").await;
    let wrong = nobody.with("QPQ_TOKEN", "qpq_wrong");
    for args in [["group", "list"].as_slice(), &["listen"], &["send", "-g", "tea", "x"]] {
        refused(&wrong, args, REFUSED, "token").await;
    }
    // Each kind of token opens its own doors.
    let token = dir.path().join("alice.token");
    let token = token.to_str().unwrap();
    refused(&nobody, &["bot", "list", "--token-file", token], REFUSED, "admin").await;
    refused(&nobody, &["bot", "list", "--token-file", "/nonexistent"], USAGE, "/nonexistent").await;

    refused(&alice, &["send", "-g", "coffee", "x"], NOT_FOUND, "there is no group \"coffee\"")
        .await;
    refused(&alice, &["listen", "--group", "coffee"], NOT_FOUND, "coffee").await;
    refused(&alice, &["invitation", "accept", "tea"], NOT_FOUND, "invitation").await;
    refused(&alice, &["group", "remove", "tea", "nobody"], NOT_FOUND, "nobody").await;
    refused(&nobody, &["bot", "show", "zoe"], NOT_FOUND, "zoe").await;
    let other = alice.ok(&["group", "create", "tea"]).await;
    refused(&alice, &["send", "-g", "tea", "x"], NOT_FOUND, other.trim()).await;
    alice.ok(&["send", "-g", &group, "an id is never ambiguous"]).await;

    refused(&nobody, &["bot", "delete", "alice"], USAGE, "--yes").await;
    refused(&nobody, &["bot", "create", "alice"], 1, "taken").await;
    refused(&alice, &["send", "-g", &group, "--file", "/nonexistent"], USAGE, "/nonexistent").await;
    refused(&alice, &["listen", "--after", "nonsense"], 1, "cursor").await;
    let late = alice.run(&["send", "-g", &group, "--reply-to", "zz", "x"]).await;
    assert_eq!(late.code, 1, "{}", late.stderr);

    let launch = up.stop().await;
    refused(&alice, &["group", "list"], UNREACHABLE, "does not answer").await;
    refused(&alice, &["listen"], UNREACHABLE, "does not answer").await;
    drop(launch);
}

#[tokio::test]
async fn no_token_is_left_behind_by_a_refusal() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (_, file) = bot(&dir, &up, "alice").await;
    let shell = Shell::at(&up);
    let again = dir.path().join("again.token");
    let args = ["bot", "create", "alice", "--save-token", again.to_str().unwrap()];
    refused(&shell, &args, 1, "taken").await;
    assert!(!again.exists());
    let args = ["bot", "create", "zoe", "--save-token", file.to_str().unwrap()];
    refused(&shell, &args, USAGE, "alice.token").await;
    refused(&shell, &["bot", "show", "zoe"], NOT_FOUND, "zoe").await;
}

#[tokio::test]
async fn shells_and_manuals_know_every_command() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let shell = Shell::at(&up);
    for kind in ["bash", "zsh", "fish"] {
        let script = shell.ok(&["completions", kind]).await;
        assert!(script.contains("invitation") && script.contains("save-token"), "{kind}");
    }
    let bash = dir.path().join("qpq.bash");
    std::fs::write(&bash, shell.ok(&["completions", "bash"]).await).unwrap();
    let checked = shell.program("bash").arg("-n").arg(&bash).status().await.unwrap();
    assert!(checked.success());
    assert!(shell.ok(&["man"]).await.contains(".TH qpq 1"));
    let pages = dir.path().join("man1");
    shell.ok(&["man", pages.to_str().unwrap()]).await;
    for page in ["qpq.1", "qpq-bot-token-issue.1", "qpq-listen.1"] {
        assert!(pages.join(page).exists(), "{page}");
    }
    for command in ["bot", "group", "invitation", "send", "listen", "identity"] {
        let help = shell.ok(&[command, "--help"]).await;
        assert!(help.contains("Examples:") && !help.contains('\x1b'), "{help}");
    }
}
