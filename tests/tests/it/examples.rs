//! The examples, run as a reader would run them.

mod bots;
mod echo;
mod languages;
mod program;
mod readmes;

use std::process::Stdio;

use quicproquo_tests::shell::script;
use quicproquo_tests::{LONG, Launch, files, wait_for, within};
use tempfile::TempDir;
use tokio::process::Command;

use program::{Program, python};
pub(crate) use readmes::TYPED;

/// As its page says.
#[tokio::test]
async fn the_quickstart_runs() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let page = std::fs::read_to_string(files::checkout("examples/README.md")).expect("a page");
    let script = script(&page).replace("DIR", up.field("data_dir"));
    // Twice: it must not depend on a fresh gateway.
    for _ in 0..2 {
        let run = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(files::checkout(""))
            .env("QPQ_URL", up.url())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = within("the quickstart", LONG, run).await.expect("run bash");
        let text = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{complaint}");
        assert!(text.contains("Hello from alice"), "{text}");
    }
}

/// The first block of code in a language after a heading of the README.
fn readme(heading: &str, language: &str) -> String {
    let text = std::fs::read_to_string(files::checkout("README.md")).expect("read the readme");
    let section = text.split(&format!("\n## {heading}\n")).nth(1).expect("the section is there");
    let block = section.split(&format!("```{language}\n")).nth(1).expect("a block of code");
    block.split("```").next().expect("the block ends").to_owned()
}

#[tokio::test]
async fn the_five_minutes_of_the_readme_run() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let page = std::fs::read_to_string(files::checkout("README.md")).expect("read the readme");
    let script = script(&page)
        .replace("http://127.0.0.1:8080", &up.url())
        .replace("~/.local/share/quicproquo/admin-token", up.field("admin_token_file"));
    let run = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within("the readme", LONG, run).await.expect("run bash");
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{complaint}");
    let last = text.rsplit("{\"items\":").next().unwrap_or_default();
    assert!(last.contains("hello bob"), "the last answer has the message: {text}");
}

#[tokio::test]
async fn the_ten_lines_of_the_readme_are_a_bot() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, parrot] = quicproquo_tests::bots(&up, ["alice", "parrot"]).await;
    let group = alice.create_group("birds", &[&parrot]).await;
    let script = readme("A bot in ten lines", "python");
    assert!(script.trim().lines().count() <= 10, "ten lines");
    let file = dir.path().join("parrot.py");
    std::fs::write(&file, script).unwrap();
    let mut program = Program::start(python(&file), &parrot, &dir.path().join("parrot.log"));
    program.says("listening", 1).await;
    let tail = alice.tail().await;
    // It hears what comes after it has connected, so it is spoken to until it answers.
    wait_for("the parrot", LONG, || async {
        alice.say(&group, "pretty bird").await;
        (!alice.heard(&tail, &group).await.is_empty()).then_some(())
    })
    .await;
    program.stop().await;
}
