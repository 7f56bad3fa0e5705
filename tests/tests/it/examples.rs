//! The examples, run as a reader would run them.

use std::collections::HashMap;
use std::process::Stdio;

use quicproquo_tests::{Bot, LONG, Launch, files, wait_for, within};
use tempfile::TempDir;
use tokio::process::{Child, Command};

#[tokio::test]
async fn the_quickstart_runs() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    // Twice: it must not depend on a fresh gateway.
    for _ in 0..2 {
        let run = Command::new("bash")
            .arg(files::checkout("examples/quickstart.sh"))
            .env("QPQ_URL", up.url())
            .env("QPQ_ADMIN_TOKEN", up.admin().token())
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
    let script = readme("Five minutes", "bash")
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
    parrot.accept(&group).await;
    let address = up.url().replace("http", "ws");
    let script = readme("A bot in ten lines", "python").replace("ws://127.0.0.1:8080", &address);
    assert!(script.trim().lines().count() <= 10, "ten lines");
    let mut child = Command::new(files::python())
        .args(["-c", &script])
        .env("QPQ_TOKEN", parrot.api.token())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("start the bot");
    let tail = alice.tail().await;
    // It hears what comes after it has connected, so it is spoken to until it answers.
    wait_for("the parrot", LONG, || async {
        alice.say(&group, "pretty bird").await;
        (!alice.heard(&tail, &group).await.is_empty()).then_some(())
    })
    .await;
    child.kill().await.expect("kill the bot");
}

fn echo_bot(bot: &Bot, log: &std::path::Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(log).expect("open a log");
    Command::new(files::python())
        .arg(files::checkout("examples/python/echo_bot.py"))
        .env("QPQ_URL", bot.api.base())
        .env("QPQ_TOKEN", bot.api.token())
        .env("PYTHONUNBUFFERED", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("start the echo bot")
}

#[tokio::test]
async fn the_echo_bot_survives_a_killed_gateway() {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("echo.log");
    let mut up = Launch::up(&dir.path().join("up")).start().await;
    let alice = Bot::create(&up, "alice").await;
    let echo = Bot::create(&up, "echo").await;
    let mut child = echo_bot(&echo, &log);
    let connected = |count: usize| {
        let log = &log;
        async move {
            wait_for("the echo bot to listen", LONG, || async {
                let text = std::fs::read_to_string(log).unwrap_or_default();
                (text.matches("listening").count() >= count).then_some(())
            })
            .await;
        }
    };
    connected(1).await;
    // It accepts invitations by itself.
    let group = alice.create_group("echo", &[&echo]).await;
    let tail = alice.tail().await;

    let mut expected = HashMap::new();
    for round in 0..3 {
        for n in 0..10 {
            let text = format!("round {round} message {n}");
            alice.insist(&group, &format!("{round}-{n}"), &text).await;
            expected.insert(text, 1);
        }
        // The bot is in the middle of its work now; the last round kills the bot instead.
        if round < 2 {
            up = up.kill().await.start().await;
        } else {
            child.kill().await.expect("kill the echo bot");
            child = echo_bot(&echo, &log);
        }
    }
    wait_for("every echo", LONG, || async {
        (alice.heard(&tail, &group).await.len() >= expected.len()).then_some(())
    })
    .await;
    // One more round trip behind everything: whatever would be doubled has come by then.
    alice.insist(&group, "last", "last").await;
    expected.insert("last".to_owned(), 1);
    wait_for("the last echo", LONG, || async {
        alice.heard(&tail, &group).await.iter().any(|text| text.contains("last")).then_some(())
    })
    .await;
    let mut heard: HashMap<String, i32> = HashMap::new();
    for text in alice.heard(&tail, &group).await {
        *heard.entry(text).or_default() += 1;
    }
    assert_eq!(heard, expected, "each message is echoed once");
    child.kill().await.expect("kill the echo bot");
}
