//! Bots written for Matrix: stock libraries, and what they rely on.

mod address;
mod apart;
mod both_ways;
mod bots;
mod crowd;
mod doors;
mod fuzz;
mod leaving;
mod login;
mod places;
mod protocol;

use std::process::Stdio;

use quicproquo_tests::{Api, Bot, LONG, Launch, Running, files, wait_for, within};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// A route of Matrix.
fn client(path: &str) -> String {
    format!("/_matrix/client/v3{path}")
}

/// A group as a room.
fn room(group: &str) -> String {
    format!("!{group}:localhost")
}

/// The event of a message.
fn event_of(message: &Value) -> String {
    use base64::Engine as _;
    let id = hex::decode(message["message_id"].as_str().expect("an id")).expect("hex");
    format!("${}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id))
}

/// One answer of `/sync`.
async fn sync(api: &Api, since: &str, timeout: u64) -> Value {
    let since = if since.is_empty() { String::new() } else { format!("&since={since}") };
    api.get(&client(&format!("/sync?timeout={timeout}{since}"))).await.expect(200)
}

fn next(answer: &Value) -> String {
    answer["next_batch"].as_str().expect("a token").to_owned()
}

/// The bodies of the texts that an answer has of a room.
fn texts(answer: &Value, group: &str) -> Vec<String> {
    let events = &answer["rooms"]["join"][room(group)]["timeline"]["events"];
    let events = events.as_array().cloned().unwrap_or_default();
    let text = |event: &Value| event["content"]["body"].as_str().map(str::to_owned);
    events.iter().filter_map(text).collect()
}

/// Sends an event; answers its id.
async fn put_event(api: &Api, group: &str, kind: &str, txn: &str, content: &Value) -> String {
    let path = client(&format!("/rooms/{}/send/{kind}/{txn}", room(group)));
    let answer = api.put(&path, content).await.expect(200);
    answer["event_id"].as_str().expect("an event has an id").to_owned()
}

/// A program that speaks Matrix as one bot and the native API as another ends well.
async fn converse(up: &Running, mut program: Command) {
    let [matrix, native] = quicproquo_tests::bots(up, ["echo", "native"]).await;
    let run = program
        .env("QPQ_URL", up.url())
        .env("MATRIX_TOKEN", matrix.api.token())
        .env("NATIVE_TOKEN", native.api.token())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within("the conversation", LONG, run).await.expect("run the program");
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("all of it"), "{text}\n{complaint}");
}

fn python(environment: &str) -> Command {
    let mut python = Command::new(files::python_in(environment));
    python.arg(files::checkout("tests/matrix/nio_bot.py"));
    python
}

#[tokio::test]
async fn a_bot_on_matrix_nio_talks_with_a_native_one() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    converse(&up, python("venv-nio")).await;
}

/// It sends no token when it downloads a file.
#[tokio::test]
async fn a_bot_on_matrix_nio_0_24_does_as_well() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).arg("--matrix-open-media", "true").start().await;
    converse(&up, python("venv-nio-024")).await;
}

/// The library's own example says hello to a room, and prints what it hears.
#[tokio::test]
async fn the_basic_client_of_the_documentation_of_matrix_nio_runs_as_it_is() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = quicproquo_tests::bots(&up, ["alice", "bob"]).await;
    let group = alice.create_group("my fave room", &[&bob]).await;
    bob.accept(&group).await;
    let tail = alice.tail().await;
    let mut program = Command::new(files::python_in("venv-nio"))
        .arg(files::checkout("tests/matrix/documented.py"))
        .env("QPQ_URL", up.url())
        .env("MATRIX_USER", "@bob:localhost")
        .env("MATRIX_TOKEN", bob.api.token())
        .env("MATRIX_ROOM", room(&group))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("run the program");
    let mut lines = BufReader::new(program.stdout.take().expect("piped")).lines();
    let mut read = async |wanted: &str| {
        within(wanted, LONG, async {
            loop {
                let line = lines.next_line().await.expect("read").expect("it goes on");
                if line.contains(wanted) {
                    return;
                }
            }
        })
        .await;
    };
    read("Logged in as @bob:localhost").await;
    alice.hears(&tail, &group, &["Hello world!".to_owned()]).await;
    // Its first sync brings nothing old; it begins somewhere behind its hello.
    let admin = up.admin();
    wait_for("the bot to wait for news", LONG, async || {
        (crowd::waiting(&admin.get("/metrics").await.text) == 1).then_some(())
    })
    .await;
    alice.say(&group, "hello, example").await;
    read("Message received in room my fave room").await;
    read("alice | hello, example").await;
}

#[tokio::test]
async fn a_bot_on_matrix_bot_sdk_does_as_well() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let mut node = node("tests/matrix/bot_sdk.cjs");
    node.env("STORAGE", dir.path().join("storage.json"));
    converse(&up, node).await;
}

/// The library's own example joins where it is invited, answers `!hello`, and keeps its place.
#[tokio::test]
async fn the_quickstart_bot_of_the_documentation_of_matrix_bot_sdk_runs_as_it_is() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, hello] = quicproquo_tests::bots(&up, ["alice", "hello"]).await;
    let group = alice.create_group("talk", &[&hello]).await;
    let tail = alice.tail().await;
    let start = || {
        node("tests/matrix/documented.cjs")
            .env("QPQ_URL", up.url())
            .env("MATRIX_TOKEN", hello.api.token())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("run the program")
    };
    let mut program = start();
    wait_for("the bot to join", LONG, async || {
        let joined = hello.api.get(&client("/joined_rooms")).await.expect(200);
        (joined["joined_rooms"] == json!([room(&group)])).then_some(())
    })
    .await;
    alice.say(&group, "!hello bot").await;
    alice.say(&group, "not to you").await;
    let expected = "Hello World!".to_owned();
    alice.hears(&tail, &group, std::slice::from_ref(&expected)).await;
    let kept = dir.path().join("hello-bot.json");
    wait_for("it to keep its place", LONG, async || kept.exists().then_some(())).await;
    program.kill().await.expect("stop the bot");
    // It goes on behind what it has answered, which may be the last once more: it keeps its place a
    // moment later.
    alice.say(&group, "!hello again").await;
    let _program = start();
    wait_for("the second answer", LONG, async || {
        let heard = alice.heard(&tail, &group).await;
        assert!(heard.iter().all(|text| *text == expected), "{heard:?}");
        (heard.len() >= 2).then_some(())
    })
    .await;
}

/// A program that stands on `matrix-bot-sdk`.
fn node(program: &str) -> Command {
    let mut node = Command::new("node");
    node.arg("--require")
        .arg(files::checkout("tests/matrix/without_crypto.cjs"))
        .arg(files::checkout(program))
        .env("NODE_PATH", files::node_modules());
    node
}

/// The token of a login with a bot token as the password.
async fn log_in(up: &Running, bot: &Bot, device: &str) -> Api {
    let body = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": bot.name },
        "password": bot.api.token(),
        "device_id": device,
    });
    let answer = Api::new(&up.url(), "").post(&client("/login"), &body).await.expect(200);
    assert_eq!(answer["device_id"], device);
    Api::new(&up.url(), answer["access_token"].as_str().expect("a token"))
}
