//! Shell bots: `qpq listen` into `qpq send`, while the gateway restarts.

use quicproquo_tests::{Api, LONG, Launch, Running, wait_for, within};
use tempfile::TempDir;
use tokio::process::Command;

use super::pair;

/// The bot of `qpq send --help`.
const PARROT: &str = r#"
qpq listen --json --types message.received --consumer parrot \
  | jq -c --unbuffered '{group_id, type: "text", content: {body: .data.content.body},
      reply_to: .data.message_id, idempotency_key: .cursor}' \
  | qpq send --messages"#;

/// Waits until a consumer of bob's has its place.
async fn listens(dir: &TempDir, up: &Running, consumer: &str) {
    let token = std::fs::read_to_string(dir.path().join("bob.token")).expect("a token");
    let api = Api::new(&up.url(), token.trim());
    wait_for("the consumer", LONG, || async {
        let list = api.get("/v1/events/consumers").await.expect(200);
        list.to_string().contains(consumer).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_shell_bot_answers_once_whatever_restarts() {
    let dir = TempDir::new().unwrap();
    let mut up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, _) = pair(&dir, &up).await;
    // From here on the bot has its place, and nothing that is said before it runs is lost.
    let mut first = bob.start(&[
        "listen",
        "--json",
        "--types",
        "message.received",
        "--consumer",
        "parrot",
        "-n",
        "1",
    ]);
    listens(&dir, &up, "parrot").await;
    alice.ok(&["send", "-g", "tea", "zero"]).await;
    assert_eq!(first.event().await["data"]["content"]["body"], "zero");
    assert_eq!(first.end().await.code, 0);

    let said = dir.path().join("parrot.log");
    let mut parrot = bob.script(PARROT, &said);
    let mut ear =
        alice.start(&["listen", "--json", "--types", "message.received", "--after", "c1_0"]);
    let mut expected = Vec::new();
    for round in ["one", "two", "three"] {
        alice.ok(&["send", "--group", "tea", round]).await;
        expected.push(ear.event().await["data"]["content"]["body"].as_str().unwrap().to_owned());
        assert_eq!(expected.last().unwrap(), round);
        // Both pipes and the listener live through either end of the gateway.
        let launch = if round == "one" { up.stop().await } else { up.kill().await };
        up = launch.start().await;
    }
    // A pipe that was killed and begins again goes on where it was.
    let group = format!("-{}", parrot.id().unwrap());
    Command::new("kill").args(["-KILL", "--", &group]).status().await.unwrap();
    parrot.wait().await.unwrap();
    alice.ok(&["send", "--group", "tea", "four"]).await;
    let mut parrot = bob.script(PARROT, &said);
    assert_eq!(ear.event().await["data"]["content"]["body"], "four");
    let group = format!("-{}", parrot.id().unwrap());
    Command::new("kill").args(["-INT", "--", &group]).status().await.unwrap();
    within("the pipe to end", LONG, parrot.wait()).await.unwrap();

    let messages =
        alice.json(&["listen", "--after", "c1_0", "--types", "message.received", "-n", "4"]).await;
    let bodies: Vec<_> =
        messages.iter().map(|event| event["data"]["content"]["body"].clone()).collect();
    assert_eq!(bodies, ["one", "two", "three", "four"]);
    let said = std::fs::read_to_string(&said).unwrap();
    assert!(said.contains("does not answer; trying again"), "{said}");
    assert!(said.contains("the gateway answers again"), "{said}");
}

#[tokio::test]
async fn each_line_is_a_message_and_an_outage_repeats_none() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, _) = pair(&dir, &up).await;
    let mut ear =
        bob.start(&["listen", "--json", "--types", "message.received", "--after", "c1_0"]);
    let lines = "one\n\n  two \r\nthree";
    let sent = alice.feed(&["send", "--group", "tea", "--json"], lines).await;
    assert_eq!((sent.code, sent.stdout.lines().count()), (0, 3), "{}", sent.stderr);
    for expected in ["one", "  two ", "three"] {
        assert_eq!(ear.event().await["data"]["content"]["body"], expected);
    }
    // The gateway is away when the next one begins.
    let launch = up.kill().await;
    let args = ["send", "--group", "tea", "--retry", "60s", "four"];
    let (sent, _up) = tokio::join!(alice.run(&args), launch.start());
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    assert_eq!(ear.event().await["data"]["content"]["body"], "four");

    let odd = alice.feed(&["send", "--messages"], "{}\n").await;
    assert_eq!(odd.code, 2, "{}", odd.stderr);
    let odd = alice.feed(&["send", "--messages"], "no json\n").await;
    assert_eq!((odd.code, odd.stderr.as_str()), (2, "qpq: line 1 is no JSON object\n"));
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_listener_quietly() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, _) = pair(&dir, &up).await;
    let mut ear = bob.start(&["listen", "--json", "--consumer", "head"]);
    listens(&dir, &up, "head").await;
    alice.ok(&["send", "-g", "tea", "hello"]).await;
    ear.line().await;
    ear.close();
    alice.ok(&["send", "-g", "tea", "into the void"]).await;
    let ended = ear.end().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}
