//! Bots that others have published, as they come from the registry, in a scripted conversation.
//!
//! `matrix-reminder-bot` goes on from a sync token that it keeps, uploads keys of Matrix's own
//! encryption, and speaks by the clock; `chaanbot` joins by id and keeps nothing. A bot of the
//! native API and a second Matrix client talk to both; both must hear each answer once, in order.
//! The long form goes on for ten minutes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use fastrand::Rng;
use quicproquo_tests::{Api, Bot, LONG, Launch, Running, bots, files, seed, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::crowd::waiting;
use super::{client, log_in, next, put_event, room, sync};

/// Longest pause between two rounds, in milliseconds.
const PAUSE_MS: u64 = 2_000;
/// Lines of one round.
const LINES: u64 = 6;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Reminder,
    Chaan,
}

impl Who {
    const ALL: [Self; 2] = [Self::Reminder, Self::Chaan];

    fn name(self) -> &'static str {
        match self {
            Self::Reminder => "reminder",
            Self::Chaan => "chaan",
        }
    }
}

/// What is said, who answers, and how.
fn line(rng: &mut Rng, n: u64) -> (String, Who, String) {
    match rng.u8(0..6) {
        0 => (
            "!help".to_owned(),
            Who::Reminder,
            "Hello, I am a reminder bot! Use `!help reminders` to view available commands."
                .to_owned(),
        ),
        1 => (format!("!cancel n{n}"), Who::Reminder, format!("Unknown reminder 'n{n}'.")),
        2 => (
            "!silence".to_owned(),
            Who::Reminder,
            "No alarms are currently firing in this room.".to_owned(),
        ),
        3 => ("!alive".to_owned(), Who::Chaan, "Yes.".to_owned()),
        4 => (
            format!("!hla team{n} alice carol"),
            Who::Chaan,
            format!("Added \"alice, carol\" to group \"team{n}\""),
        ),
        _ => (
            format!("!hl none{n} hello"),
            Who::Chaan,
            format!("Group \"none{n}\" does not have any members to highlight"),
        ),
    }
}

/// How what was heard differs from what is to be heard.
fn compare(expected: &[String], heard: &[String]) -> Result<(), String> {
    let same = expected.iter().zip(heard).take_while(|(one, other)| one == other).count();
    if same == expected.len() && same == heard.len() {
        return Ok(());
    }
    Err(format!("answer {same}: {:?} instead of {:?}", heard.get(same), expected.get(same)))
}

/// The programs, each in a folder of its own.
struct Programs {
    folder: PathBuf,
    running: Vec<Child>,
}

impl Programs {
    fn new(folder: &Path, url: &str, room: &str, reminder: &Bot, chaan: &Bot) -> Self {
        let write = |path: &str, text: String| {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("create a folder");
            fs::write(path, text).expect("write a configuration");
        };
        // As its sample has it.
        let config = json!({
            "command_prefix": "!",
            "matrix": {
                "user_id": "@reminder:localhost",
                "user_password": reminder.api.token(),
                "homeserver_url": url,
                "device_id": "REMINDER",
                "device_name": "reminders",
            },
            "storage": { "database": "sqlite://bot.db", "store_path": "store" },
            "reminders": { "timezone": "Etc/UTC" },
            "allowlist": { "enabled": false, "regexes": ["@nobody:localhost"] },
            "blocklist": { "enabled": false, "regexes": ["@nobody:localhost"] },
            "logging": {
                "level": "INFO",
                "file_logging": { "enabled": false, "filepath": "bot.log" },
                "console_logging": { "enabled": true },
            },
        });
        // JSON is YAML.
        write("reminder/config.yaml", config.to_string());
        let config = format!(
            "[chaanbot]\nmatrix_server_url = {url}\nuser_id = @chaan:localhost\n\
             password = {}\ndevice_name = CHAAN\nlisten_rooms = {room}\n\
             sqlite_database_location = {}\n[modules]\nenabled = alive, highlight\n",
            chaan.api.token(),
            folder.join("chaan/chaan.db").display(),
        );
        write("chaan/.config/chaanbot/chaanbot.cfg", config);
        Self { folder: folder.to_owned(), running: Vec::new() }
    }

    fn start(&mut self) {
        for who in Who::ALL {
            let folder = self.folder.join(who.name());
            let log = fs::File::options().create(true).append(true).open(folder.join("log"));
            let log = log.expect("open a log");
            let python = files::python_in("venv-matrix-bots");
            let mut command = match who {
                Who::Reminder => {
                    let mut command = Command::new(python.with_file_name("matrix-reminder-bot"));
                    command.arg("config.yaml");
                    command
                }
                Who::Chaan => Command::new(python.with_file_name("chaanbot")),
            };
            command.env_remove("XDG_CONFIG_HOME").env("HOME", &folder).current_dir(&folder);
            command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
            self.running.push(command.kill_on_drop(true).spawn().expect("start a bot"));
        }
    }

    async fn stop(&mut self) {
        for mut child in self.running.drain(..) {
            assert!(
                child.try_wait().expect("look at a bot").is_none(),
                "a bot has ended by itself"
            );
            child.kill().await.expect("stop a bot");
        }
    }

    fn log(&self, who: Who) -> String {
        fs::read_to_string(self.folder.join(who.name()).join("log")).unwrap_or_default()
    }
}

/// What one listener has heard of each bot: answers in their order, and reminders.
#[derive(Debug, Default)]
struct Heard {
    place: String,
    answers: BTreeMap<Who, Vec<String>>,
    reminders: Vec<String>,
}

impl Heard {
    fn take(&mut self, sender: &str, body: &str) {
        let Some(who) = Who::ALL.into_iter().find(|who| who.name() == sender) else { return };
        if let Some(reminder) = body.split(" tea ").nth(1).filter(|_| who == Who::Reminder) {
            self.reminders.push(reminder.to_owned());
        } else {
            // The minute of a confirmation is that of the clock.
            let body = body.split(" on ").next().unwrap_or(body);
            self.answers.entry(who).or_default().push(body.to_owned());
        }
    }

    async fn native(&mut self, api: &Api) {
        let page = api.get(&format!("/v1/events?after={}&timeout=0", self.place)).await.expect(200);
        page["next"].as_str().expect("a cursor").clone_into(&mut self.place);
        for event in page["items"].as_array().into_iter().flatten() {
            let data = &event["data"];
            if event["type"] == "message.received" {
                let name = data["sender"]["name"].as_str().unwrap_or_default();
                self.take(name, data["content"]["body"].as_str().unwrap_or_default());
            }
        }
    }

    async fn matrix(&mut self, api: &Api, room: &str) {
        let answer = sync(api, &self.place, 0).await;
        self.place = next(&answer);
        let events = &answer["rooms"]["join"][room]["timeline"]["events"];
        for event in events.as_array().into_iter().flatten() {
            let sender = event["sender"].as_str().unwrap_or_default();
            let name = sender.trim_start_matches('@').trim_end_matches(":localhost");
            self.take(name, event["content"]["body"].as_str().unwrap_or_default());
        }
    }
}

struct Conversation {
    group: String,
    alice: Api,
    carol: Api,
    rng: Rng,
    said: u64,
    expected: BTreeMap<Who, Vec<String>>,
    reminders: Vec<String>,
    native: Heard,
    matrix: Heard,
}

impl Conversation {
    /// Says a line, as one or the other.
    async fn say(&mut self, text: &str) {
        let content = json!({ "msgtype": "m.text", "body": text });
        if self.said.is_multiple_of(2) {
            let path = format!("/v1/groups/{}/messages", self.group);
            let body = json!({ "type": "text", "content": { "body": text } });
            self.alice.post(&path, &body).await.expect(201);
        } else {
            let txn = format!("said-{}", self.said);
            put_event(&self.carol, &self.group, "m.room.message", &txn, &content).await;
        }
        self.said += 1;
    }

    async fn ask(&mut self) {
        let (text, who, answer) = line(&mut self.rng, self.said);
        self.say(&text).await;
        self.expected.entry(who).or_default().push(answer);
    }

    async fn remind(&mut self, seconds: u64) {
        let what = format!("of {}", self.said);
        self.say(&format!("!remindme in {seconds} seconds; tea {what}")).await;
        let confirmed = "OK, I will remind you".to_owned();
        self.expected.entry(Who::Reminder).or_default().push(confirmed);
        self.reminders.push(what);
    }

    /// Listens until everything has been answered, and checks it; reminders come when they come.
    async fn settle(&mut self, reminders: bool) {
        let count = |answers: &BTreeMap<Who, Vec<String>>| answers.values().map(Vec::len).sum();
        let wanted: usize = count(&self.expected);
        let due = if reminders { self.reminders.len() } else { 0 };
        let end = Instant::now() + LONG;
        loop {
            self.native.native(&self.alice).await;
            self.matrix.matrix(&self.carol, &room(&self.group)).await;
            let all = [&self.native, &self.matrix]
                .into_iter()
                .all(|heard| count(&heard.answers) >= wanted && heard.reminders.len() >= due);
            if all || Instant::now() >= end {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        self.check();
        if reminders {
            let mut expected = self.reminders.clone();
            expected.sort();
            for heard in [&self.native, &self.matrix] {
                let mut heard = heard.reminders.clone();
                heard.sort();
                compare(&expected, &heard).expect("each reminder once");
            }
        }
    }

    fn check(&self) {
        for (whose, heard) in [("native", &self.native), ("Matrix", &self.matrix)] {
            for who in Who::ALL {
                let none = Vec::new();
                let expected = self.expected.get(&who).unwrap_or(&none);
                let heard = heard.answers.get(&who).unwrap_or(&none);
                compare(expected, heard)
                    .unwrap_or_else(|error| panic!("{who:?} to the {whose} listener: {error}"));
            }
        }
    }

    /// Rounds of lines until a time, each begun by somebody else.
    async fn talk(&mut self, until: Instant) {
        loop {
            for _ in 0..self.rng.u64(1..=LINES) {
                self.ask().await;
            }
            if self.rng.u8(0..3) == 0 {
                let seconds = self.rng.u64(1..4);
                self.remind(seconds).await;
            }
            self.settle(false).await;
            let read = self.matrix.place.clone();
            let path = client(&format!("/rooms/{}/typing/@carol:localhost", room(&self.group)));
            self.carol.put(&path, &json!({ "typing": !read.is_empty() })).await.expect(200);
            if Instant::now() >= until {
                return;
            }
            sleep(Duration::from_millis(self.rng.u64(0..=PAUSE_MS))).await;
        }
    }
}

async fn both_wait(up: &Running) {
    let admin = up.admin();
    wait_for("both bots to wait for news", LONG, || async {
        (waiting(&admin.get("/metrics").await.text) == Who::ALL.len()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn published_bots_answer_what_is_said_once_and_in_order() {
    let seconds = seed::setting("QPQ_CONVERSATION_SECONDS", 9, 600);
    let seed = seed::seed("conversation");
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, carol, reminder, chaan] = bots(&up, ["alice", "carol", "reminder", "chaan"]).await;
    let group = alice.create_group("talk", &[&carol, &reminder, &chaan]).await;
    carol.accept(&group).await;
    let carol = log_in(&up, &carol, "CAROL").await;
    let mut programs = Programs::new(dir.path(), &up.url(), &room(&group), &reminder, &chaan);
    // It joins by the id in its configuration, and asks once.
    wait_for("an invitation", LONG, || async {
        let list = chaan.api.get("/v1/invitations").await.expect(200);
        list["items"].as_array().is_some_and(|items| !items.is_empty()).then_some(())
    })
    .await;
    programs.start();
    both_wait(&up).await;
    wait_for("the reminder bot to join", LONG, || async {
        let joined = reminder.api.get(&client("/joined_rooms")).await.expect(200);
        joined["joined_rooms"].as_array().is_some_and(|rooms| !rooms.is_empty()).then_some(())
    })
    .await;
    let heard = |place: String| Heard { place, ..Heard::default() };
    let mut talk = Conversation {
        native: heard(alice.tail().await),
        matrix: heard(next(&sync(&carol, "", 0).await)),
        group,
        alice: alice.api,
        carol,
        rng: Rng::with_seed(seed),
        said: 0,
        expected: BTreeMap::new(),
        reminders: Vec::new(),
    };
    let begun = Instant::now();
    let third = Duration::from_millis(seconds * 1_000 / 3);
    talk.talk(begun + third).await;

    // The bot forgets a reminder whose time comes while it is away, but not one that comes later.
    talk.settle(true).await;
    if seed::is_long() {
        talk.remind(60).await;
        talk.settle(false).await;
    }
    programs.stop().await;
    // Questions that wait.
    for n in 0..3 {
        talk.say(&format!("!cancel away{n}")).await;
        let answer = format!("Unknown reminder 'away{n}'.");
        talk.expected.entry(Who::Reminder).or_default().push(answer);
    }
    programs.start();
    both_wait(&up).await;
    talk.talk(begun + 2 * third).await;

    // The bots come back by themselves when the gateway does; a reminder that comes while it is away
    // is not tried again.
    talk.settle(true).await;
    let up = up.stop().await.start().await;
    both_wait(&up).await;
    talk.talk(begun + 3 * third).await;
    talk.settle(true).await;
    let answered: usize = talk.expected.values().map(Vec::len).sum();
    seed::say(&format!(
        "{} s: {} lines said, {answered} answered once and in order, {} reminders given",
        begun.elapsed().as_secs(),
        talk.said,
        talk.reminders.len(),
    ));
    programs.stop().await;
    // What one of them cannot do with an answer it says in its log.
    for who in Who::ALL {
        let log = programs.log(who);
        for sign in ["Error validating response", "Traceback", "unknown error"] {
            assert!(!log.contains(sign), "{who:?} has complained:\n{log}");
        }
    }
    up.stop().await;
}

#[test]
fn answers_that_are_lost_doubled_or_swapped_are_seen() {
    let texts = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let expected = texts("a b c");
    assert!(compare(&expected, &texts("a b c")).is_ok());
    for wrong in ["a b", "a b b c", "a c b", "a b c c", "x a b c"] {
        assert!(compare(&expected, &texts(wrong)).is_err(), "{wrong}");
    }
    let mut heard = Heard::default();
    heard.take("reminder", "<a href=\"x\">@alice:localhost</a> tea of 3");
    heard.take("reminder", "OK, I will remind you on Nov 26 2026, 07:25!");
    heard.take("alice", "!help");
    assert_eq!(heard.reminders, ["of 3"]);
    assert_eq!(heard.answers[&Who::Reminder], ["OK, I will remind you"]);
}

/// The programs are those of the registry: nothing of ours is among them.
#[test]
fn both_come_from_the_registry_at_a_fixed_version() {
    let read = |path: &str| fs::read_to_string(files::checkout(path)).expect("read a list");
    let pinned: Value = read("tests/matrix/bots-constraints.txt")
        .lines()
        .filter_map(|line| line.split_once("=="))
        .map(|(name, version)| (name.to_lowercase(), version.into()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    for package in
        read("tests/matrix/bots.txt").lines().filter(|line| !line.starts_with(['#', '-']))
    {
        assert!(pinned[package].is_string(), "{package} has no fixed version");
    }
}
