//! Flipped bits, overwritten and truncated files of the gateway: it refuses to start with a clear
//! message, or says what it has lost. It never loses anything silently, shows nothing else than
//! was there, never panics, and never starts with an empty database in place of a damaged one.
//!
//! The gateway is read without a node, so that each case starts from the same state.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use quicproquo_tests::bot::{body_of, find_token, messages, text_message};
use quicproquo_tests::process::Ended;
use quicproquo_tests::seed::{part, say, seed, setting};
use quicproquo_tests::{Api, Bot, Launch, Running, Socket, bots, files, harm};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::damage::Outcome;

/// Exit codes of `qpq` for a failure that it explains, an unusable setting and damaged data.
const EXPLAINED: [i32; 3] = [1, 2, 5];

const MESSAGES: usize = 12;

/// Events by which a bot learns that something of it is damaged.
const TOLD: [&str; 3] = ["message.undecryptable", "group.isolated", "group.change_failed"];

/// The type of a message whose content does not read any more.
const DAMAGED: &str = "quicproquo.damaged";

/// A data directory to damage copies of, and what must be in it.
struct Original {
    dir: TempDir,
    node: String,
    fingerprint: String,
    bots: Vec<Bot>,
    groups: Vec<String>,
    revoked: String,
    acknowledged: String,
    /// What each bot and the operator see when all is well.
    view: View,
}

/// What is seen by whom: answers by bot and path, and the events of each bot.
#[derive(Debug, Default, Clone, PartialEq)]
struct View {
    answers: BTreeMap<(usize, String), Value>,
    events: Vec<Vec<Value>>,
}

impl Original {
    /// Of a gateway that was stopped, or killed so that its logs are full.
    async fn make(killed: bool) -> Self {
        let dir = TempDir::new().expect("a folder");
        let node = Launch::node(&dir.path().join("node")).log("warn").start().await;
        let data = dir.path().join("gateway");
        let gateway = Launch::gateway(&data, &node).log("warn").start().await;
        let [alice, bob, carol] = bots(&gateway, ["alice", "bob", "carol"]).await;
        let first = alice.create_group("first", &[&bob, &carol]).await;
        let second = bob.create_group("second", &[&alice]).await;
        bob.accept(&first).await;
        alice.accept(&second).await;
        // Carol's invitation into the first stays.
        let tail = bob.tail().await;
        let mut said = Vec::new();
        for number in 0..MESSAGES {
            said.push(format!("{number}"));
            alice.say(&first, &said[number]).await;
            bob.say(&second, "of the second").await;
        }
        bob.hears(&tail, &first, &said).await;
        let admin = gateway.admin();
        let tokens = format!("/v1/bots/{}/tokens", alice.id);
        let scopes = json!({ "label": "old", "scopes": ["messages:read"] });
        let revoked = admin.post(&tokens, &scopes).await.expect(201);
        let acknowledged = bob.tail().await;
        let mut socket = Socket::open(&bob.api, "consumer=main&after=c1_0").await;
        socket.ping().await;
        let ack = json!({ "consumer": "main", "up_to": acknowledged });
        bob.api.post("/v1/events/ack", &ack).await.expect(200);
        drop(socket);
        let id = revoked["token_id"].as_str().expect("a token has an id");
        admin.delete(&format!("{tokens}/{id}")).await.expect(204);
        let mut original = Self {
            node: node.field("node").to_owned(),
            fingerprint: node.field("node_fingerprint").to_owned(),
            bots: vec![alice, bob, carol],
            groups: vec![first, second],
            revoked: find_token(&revoked).expect("a token").to_owned(),
            acknowledged,
            view: View::default(),
            dir,
        };
        if killed {
            node.kill().await;
            gateway.kill().await;
        } else {
            gateway.stop().await;
            node.stop().await;
        }
        let copy = TempDir::new().expect("a folder");
        let gateway = original.start(&original.copy_to(&copy)).await.expect("it is whole");
        original.view = original.look(&gateway).await.expect("it is whole");
        gateway.kill().await;
        original
    }

    fn copy_to(&self, dir: &TempDir) -> std::path::PathBuf {
        let data = dir.path().join("gateway");
        files::copy_tree(&self.dir.path().join("gateway"), &data);
        data
    }

    async fn start(&self, data: &Path) -> Result<Running, Ended> {
        let launch = Launch::gateway_to(data, &self.node).log("warn");
        launch.arg("--node-fingerprint", &self.fingerprint).try_start().await
    }

    /// Everything that can be seen; or the error that somebody is told.
    async fn look(&self, gateway: &Running) -> Result<View, Outcome> {
        let mut view = View::default();
        for (number, bot) in self.bots.iter().enumerate() {
            let api = Api::new(&gateway.url(), bot.api.token());
            let mut paths: Vec<String> =
                ["/v1/me", "/v1/groups", "/v1/invitations"].map(str::to_owned).into();
            for group in &self.groups {
                for of in ["", "/members", "/messages?limit=100"] {
                    paths.push(format!("/v1/groups/{group}{of}"));
                }
            }
            for path in paths {
                let answer = api.get(&path).await;
                let known = self.view.answers.get(&(number, path.clone()));
                match answer.status {
                    200 => {}
                    // Carol is in no group yet.
                    404 if known.is_none_or(|known| known["status"] == 404) => {}
                    401 | 500.. => {
                        return Err(Outcome::Noticed(format!("{path}: {}", answer.text)));
                    }
                    _ => return Err(Outcome::Silent(format!("{number} {path}: {}", answer.text))),
                }
                view.answers.insert((number, path), essence(answer.json()));
            }
            let bot = Bot { api, ..bot.clone() };
            let path = "/v1/events?after=c1_0&timeout=0";
            let answer = bot.api.get(path).await;
            if answer.status >= 500 {
                return Err(Outcome::Noticed(format!("{path}: {}", answer.text)));
            }
            let events = bot.events("c1_0").await.into_iter().map(essence);
            view.events.push(events.collect());
        }
        let admin = gateway.admin();
        for path in ["/v1/bots".to_owned(), format!("/v1/bots/{}/tokens", self.bots[0].id)] {
            let answer = admin.get(&path).await;
            match answer.status {
                200 => {}
                500.. => return Err(Outcome::Noticed(format!("{path}: {}", answer.text))),
                _ => return Err(Outcome::Silent(format!("{path}: {}", answer.text))),
            }
            view.answers.insert((self.bots.len(), path), essence(answer.json()));
        }
        Ok(view)
    }

    /// Starts a gateway on damaged data and looks at what it does.
    async fn outcome(&self, data: &Path) -> Outcome {
        match self.start(data).await {
            Err(Ended { code, stderr, .. }) => {
                // The last line is for people; warnings of the log may stand before it.
                let line = stderr.lines().last().unwrap_or_default();
                let explained = line.starts_with("qpq: ") && EXPLAINED.contains(&code);
                if explained && !stderr.contains("panicked") {
                    Outcome::Refused(line.to_owned())
                } else {
                    Outcome::Ugly(format!("code {code}: {stderr}"))
                }
            }
            Ok(gateway) => {
                let outcome = self.read(&gateway).await;
                let log = String::from_utf8_lossy(&gateway.log()).into_owned();
                gateway.kill().await;
                if log.contains("panicked") { Outcome::Ugly(log) } else { outcome }
            }
        }
    }

    async fn read(&self, gateway: &Running) -> Outcome {
        let revoked = Api::new(&gateway.url(), &self.revoked).get("/v1/me").await;
        if revoked.status != 401 {
            return Outcome::Silent(format!("a revoked token: {}", revoked.text));
        }
        // What is damaged in the state of a group shows when it is used.
        let mut told = None;
        for (bot, group) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let api = Api::new(&gateway.url(), self.bots[bot].api.token());
            let path = format!("{}?wait=0", messages(&self.groups[group]));
            let request = api.request(Method::POST, &path).json(&text_message("one more"));
            let answer = api.send(request).await;
            match answer.status {
                201 => {}
                // A token that is not known any more is noticed by whoever uses it.
                401 | 409 | 500.. => told = Some(format!("{bot} {group}: {}", answer.text)),
                _ => return Outcome::Silent(format!("{bot} {group}: {}", answer.text)),
            }
        }
        let bob = Api::new(&gateway.url(), self.bots[1].api.token());
        match Socket::try_open(&bob, "consumer=main").await {
            Ok(socket) if socket.hello["cursor"] == *self.acknowledged => {}
            Ok(socket) => return Outcome::Silent(format!("the consumer: {}", socket.hello)),
            Err(error) => told = Some(error.to_string()),
        }
        let view = match self.look(gateway).await {
            Ok(view) => view,
            Err(outcome) => return outcome,
        };
        match self.differences(&view) {
            None => told.map_or(Outcome::Whole, Outcome::Noticed),
            Some(Difference { told: true, what }) => Outcome::Noticed(what),
            Some(Difference { what, .. }) => Outcome::Silent(what),
        }
    }

    fn differences(&self, view: &View) -> Option<Difference> {
        let mut found = None;
        for (bot, (events, known)) in view.events.iter().zip(&self.view.events).enumerate() {
            let tells = |event: &&Value| {
                event["data"]["type"] == DAMAGED
                    || TOLD.contains(&event["type"].as_str().unwrap_or_default())
            };
            let told = events.iter().find(tells).map(ToString::to_string);
            for (place, known) in known.iter().enumerate() {
                let here = events.get(place).unwrap_or(&Value::Null);
                if here == known || tells(&here) {
                    continue;
                }
                let what = format!("{bot} has {here} and not {known}");
                found = Some(Difference { told: told.is_some(), what });
            }
            let others = view.answers.iter().filter(|((of, _), _)| *of == bot);
            for (key, here) in others {
                let known = &self.view.answers[key];
                if let Some(what) = other_content(here, known) {
                    return Some(Difference { told: false, what });
                }
                if here != known && found.is_none() {
                    let what = format!("{key:?} is {here} and not {known}");
                    found = Some(Difference { told: told.is_some(), what });
                }
            }
            if let Some(told) = told
                && found.is_none()
            {
                found = Some(Difference { told: true, what: told });
            }
        }
        let operator = view.answers.iter().filter(|((of, _), _)| *of == self.bots.len());
        for (key, here) in operator {
            if *here != self.view.answers[key] {
                let what = format!("{key:?} is {here} and not {}", self.view.answers[key]);
                return Some(Difference { told: false, what });
            }
        }
        found
    }
}

struct Difference {
    told: bool,
    what: String,
}

/// Fields that are not sealed, or come out of such: damage inside them is not noticed, which is a
/// known gap.
const BARE: [&str; 9] = [
    "created_at",
    "received_at",
    "occurred_at",
    "sent_at",
    "epoch",
    "name",
    "role",
    "trust",
    "security",
];

/// Without what changes from start to start, what is not sealed, and what this test itself has
/// sent; in an order that hangs on none of it.
fn essence(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let volatile = ["health", "link", "session", "key_packages", "instance"];
            let left_out = |name: &str| volatile.contains(&name) || BARE.contains(&name);
            let fields = fields.into_iter().filter(|(name, _)| !left_out(name));
            fields.map(|(name, value)| (name, essence(value))).collect()
        }
        Value::Array(items) => {
            let items = items.into_iter().filter(|item| body_of(item) != "one more");
            let mut items: Vec<Value> = items.map(essence).collect();
            items.sort_by_cached_key(Value::to_string);
            Value::Array(items)
        }
        value => value,
    }
}

/// A message that says something else than it did.
fn other_content(here: &Value, known: &Value) -> Option<String> {
    let texts = |value: &Value| {
        let items = value["items"].as_array().cloned().unwrap_or_default();
        let messages = items
            .into_iter()
            .filter(|item| item["message_id"].is_string() && item["type"] != DAMAGED);
        messages
            .map(|item| (item["message_id"].to_string(), body_of(&item)))
            .collect::<BTreeMap<_, _>>()
    };
    let known = texts(known);
    let other = texts(here).into_iter().find(|(id, text)| known.get(id) != Some(text));
    other.map(|(id, text)| format!("message {id} says {text}"))
}

/// What holds the data is hit most.
fn weight(path: &Path) -> u64 {
    let name = path.to_str().expect("test paths are UTF-8");
    match name {
        "client.db" | "client.db-wal" => 12,
        "gateway.db" | "gateway.db-wal" => 6,
        _ => 1,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_files_of_the_gateway_are_refused_or_reported() {
    let seed = seed("gateway_damage");
    let cases = setting("QPQ_CASES", 30, 500);
    let originals = [Original::make(false).await, Original::make(true).await];
    let (mut refused, mut noticed, mut whole) = (0, 0, 0);
    let mut bad = Vec::new();
    for case in 0..cases {
        let mut rng = part(seed, case);
        let original = &originals[usize::from(rng.bool())];
        let dir = TempDir::new().expect("a folder");
        let data = original.copy_to(&dir);
        let hurt = harm::hurt(&data, weight, &mut rng);
        let outcome = original.outcome(&data).await;
        match &outcome {
            Outcome::Refused(_) => refused += 1,
            Outcome::Noticed(_) => noticed += 1,
            Outcome::Whole => whole += 1,
            Outcome::Silent(_) | Outcome::Ugly(_) => {
                bad.push(format!("case {case}: {hurt}: {outcome}"));
            }
        }
    }
    say(&format!("{cases} cases: {refused} refused, {noticed} noticed, {whole} unhurt"));
    assert!(bad.is_empty(), "{} of {cases} cases: {bad:#?}", bad.len());
}

/// The control: with the marks not looked at, logs that have lost their ends do so in silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_marks_the_ends_of_logs_are_lost_in_silence() {
    let original = Original::make(true).await;
    for database in ["client.db", "gateway.db"] {
        let mut silent = 0;
        for kept in [50, 75, 90, 97] {
            let dir = TempDir::new().expect("a folder");
            let data = original.copy_to(&dir);
            let log = data.join(format!("{database}-wal"));
            let len = fs::metadata(&log).expect("a log").len();
            let file = fs::File::options().write(true).open(&log).expect("a log");
            file.set_len(len / 100 * kept).expect("shorten the log");
            let outcome = original.outcome(&data).await;
            assert!(matches!(outcome, Outcome::Refused(_)), "{database}, {kept} %: {outcome}");
            fs::remove_file(data.join(format!("{database}.mark"))).expect("remove the mark");
            let outcome = original.outcome(&data).await;
            silent += u64::from(matches!(outcome, Outcome::Silent(_)));
        }
        assert!(silent > 0, "{database}: each loss is noticed without its mark");
    }
}
