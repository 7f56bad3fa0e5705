//! `qpq demo` and the other commands that a newcomer types first.

use std::process::Stdio;
use std::time::Duration;

use quicproquo_tests::{Launch, files, within};
use tempfile::TempDir;
use tokio::process::Command;

/// Runs `qpq` to its end and answers its exit code and what it printed.
async fn qpq(args: &[&str], limit: Duration) -> (i32, String) {
    let run =
        Command::new(files::qpq()).args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = within("qpq to end", limit, run).await.expect("run qpq");
    let stdout = String::from_utf8(output.stdout).expect("qpq prints UTF-8");
    (output.status.code().unwrap_or(-1), stdout)
}

#[tokio::test]
async fn the_demo_fits_on_one_screen() {
    let (code, text) = qpq(&["demo"], Duration::from_mins(1)).await;
    assert_eq!(code, 0, "{text}");
    let lines = text.lines().count();
    assert!((20..=50).contains(&lines), "{lines} lines:\n{text}");
    for word in ["POST /v1/bots", "POST /v1/groups", "key package", "epoch", "message.received"] {
        assert!(text.contains(word), "the demo speaks of {word}:\n{text}");
    }
}

#[tokio::test]
async fn health_and_config_check_speak() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (code, text) = qpq(&["health", "--url", &up.url()], Duration::from_secs(20)).await;
    assert_eq!(code, 0, "{text}");
    let url = up.url();
    let told = async |listen: &str| {
        let asked =
            Command::new(files::qpq()).arg("health").env("QPQ_HTTP_LISTEN", listen).output();
        let asked = within("qpq to end", Duration::from_secs(20), asked).await.unwrap();
        (asked.status.code(), String::from_utf8_lossy(&asked.stderr).into_owned())
    };
    let (code, text) = told(url.trim_start_matches("http://")).await;
    assert_eq!(code, Some(0), "the variable of the gateway says where it is: {text}");
    let (code, text) = told("nowhere").await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--http-listen") && text.lines().count() == 1, "{text}");
    up.stop().await;
    let (code, _) = qpq(&["health", "--url", &url], Duration::from_secs(20)).await;
    assert_ne!(code, 0, "nothing is there");

    let (code, text) = qpq(&["config", "check"], Duration::from_secs(20)).await;
    assert_eq!(code, 0);
    assert!(text.contains("[http]") && text.contains("127.0.0.1:8080"), "{text}");
}
