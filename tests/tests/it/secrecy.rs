//! What must not be found where it does not belong, looked for byte by byte.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quicproquo_core::attachment::FileKey;
use quicproquo_tests::bot::messages;
use quicproquo_tests::files::{contains, contents};
use quicproquo_tests::target::status;
use quicproquo_tests::{Bot, LONG, Launch, Running, Socket, Target, pair, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

const PLAINTEXT: &str = "canary-7c1d-the-message";
const GROUP: &str = "canary-93ab-the-group-name";
const FILE: &str = "canary-51f2-the-content-of-a-file";
const FILE_NAME: &str = "canary-e08b-the-name-of-a-file";
const PASSPHRASE: &str = "canary-4d6a-the-passphrase";

/// The files of a data directory, without the space that is kept free at their ends.
fn written(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = contents(data);
    for (_, bytes) in &mut files {
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    }
    files
}

/// Panics when a secret is in a log or in a file of the data directory, apart from the files
/// that exist to hold it.
fn search(data: &Path, log: &[u8], secrets: &[(&str, Vec<u8>)]) {
    for (what, secret) in secrets {
        assert!(!contains(log, secret), "the log contains {what}");
    }
    for (path, bytes) in written(data) {
        let name = path.file_name().unwrap_or_default();
        if name == "admin-token" {
            continue;
        }
        for (what, secret) in secrets {
            assert!(!contains(&bytes, secret), "{} contains {what}", path.display());
        }
    }
}

fn secrets(gateway: &Running, bots: [&Bot; 2]) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("the plaintext", PLAINTEXT.into()),
        ("the group's name", GROUP.into()),
        ("the admin token", gateway.admin().token().into()),
        ("a bot token", bots[0].api.token().into()),
        ("a bot token", bots[1].api.token().into()),
    ]
}

/// Makes something under an idempotency key, whose answer is kept.
async fn make(bot: &Bot, path: &str, body: &Value) -> Value {
    bot.api.post_once(path, path, body).await.expect("the gateway answers").expect(201)
}

/// A webhook that has delivered something; its secret, as it is shown and as it is.
async fn webhook(
    alice: &Bot,
    bob: &Bot,
    group: &str,
    target: &Target,
) -> [(&'static str, Vec<u8>); 2] {
    let body = json!({ "url": target.origin, "types": ["message.received"] });
    let made = make(bob, "/v1/webhooks", &body).await;
    let secret = made["secret"].as_str().and_then(|text| text.strip_prefix("whsec_"));
    let secret = secret.expect("a secret");
    alice.say(group, PLAINTEXT).await;
    target.next().await;
    let raw = STANDARD.decode(secret).expect("Base64");
    [("a webhook's secret", secret.into()), ("a webhook's secret, decoded", raw)]
}

/// Tickets: of a socket that is open, of none yet, and one that was refused.
async fn tickets(bob: &Bot) -> Vec<(&'static str, Vec<u8>)> {
    let mut found = Vec::new();
    for what in ["a ticket that is used", "a ticket"] {
        let made = bob.api.post("/v1/events/ticket", &json!({})).await.expect(201);
        found.push((what, made["ticket"].as_str().expect("a ticket").to_owned()));
    }
    drop(Socket::open(&bob.api, &format!("ticket={}", found[0].1)).await);
    // Others than sockets take none; what they are asked must not be told either.
    bob.api.get(&format!("/v1/events?ticket={}", found[1].1)).await.expect(400);
    found.into_iter().map(|(what, text)| (what, text.into_bytes())).collect()
}

/// A file that went from one to the other and was read.
async fn file(alice: &Bot, bob: &Bot, group: &str) {
    let path = format!("/v1/attachments?filename={FILE_NAME}");
    let request = alice.api.request(Method::POST, &path).header("content-type", "text/plain");
    let uploaded = alice.api.send(request.body(FILE)).await.expect(201);
    let tail = bob.tail().await;
    let message = json!({ "type": "file", "content": uploaded });
    alice.api.post(&messages(group), &message).await.expect(201);
    let path = format!("/v1/attachments/{}", uploaded["attachment_id"].as_str().expect("an id"));
    wait_for("the file", LONG, || async {
        let events = bob.events(&tail).await;
        events.iter().any(|event| event["data"]["type"] == "file").then_some(())
    })
    .await;
    assert_eq!(bob.api.get(&path).await.text, FILE);
}

/// The keys that somebody could read out of these bytes: 64 hexadecimal digits, or 32 numbers.
fn keys_in(bytes: &[u8]) -> BTreeSet<[u8; 32]> {
    let hex = bytes.split(|byte| !byte.is_ascii_hexdigit()).flat_map(|run| run.windows(64));
    let hex = hex.filter_map(|digits| hex::decode(digits).ok()?.try_into().ok());
    let lists = bytes.split(|byte| !(byte.is_ascii_digit() || b", \n".contains(byte)));
    let lists = lists.filter(|list| list.len() >= 64).filter_map(|list| {
        let numbers = std::str::from_utf8(list).ok()?.split(',').map(str::trim);
        let numbers: Vec<u8> = numbers.map(str::parse).collect::<Result<_, _>>().ok()?;
        numbers.try_into().ok()
    });
    hex.chain(lists).collect()
}

/// The one file as the node has it.
async fn sealed_file(node_dir: &Path) -> Vec<u8> {
    let database = SqliteConnectOptions::new().filename(node_dir.join("node.db")).read_only(true);
    let mut database = database.connect().await.expect("the node's database");
    let pieces = sqlx::query_scalar("SELECT data FROM pieces").fetch_all(&mut database).await;
    let pieces: Vec<Vec<u8>> = pieces.expect("the pieces of files");
    assert_eq!(pieces.len(), 1, "one file of one piece");
    pieces.concat()
}

/// Whether one of them opens a file.
fn opens(keys: &BTreeSet<[u8; 32]>, sealed: &[u8]) -> bool {
    let key = |bytes: &[u8; 32]| serde_json::from_value::<FileKey>(json!(bytes)).expect("a key");
    keys.iter().any(|bytes| key(bytes).open(0, true, sealed).is_ok())
}

#[tokio::test]
async fn neither_plaintext_nor_tokens_are_in_databases_or_logs() {
    let dir = TempDir::new().unwrap();
    let (node_dir, gateway_dir) = (dir.path().join("node"), dir.path().join("gateway"));
    let node = Launch::node(&node_dir).log("trace").start().await;
    let gateway = Launch::gateway(&gateway_dir, &node).log("trace").start().await;
    let (alice, bob, _) = pair(&gateway).await;
    let group = alice.create_group(GROUP, &[&bob]).await;
    bob.accept(&group).await;
    let tail = bob.tail().await;
    alice.say(&group, PLAINTEXT).await;
    bob.hears(&tail, &group, &[PLAINTEXT.to_owned()]).await;
    let secrets = secrets(&gateway, [&alice, &bob]);

    // The search finds what is there: names are public to the node, and logs do say something.
    let files = contents(&node_dir);
    assert!(files.iter().any(|(_, bytes)| contains(bytes, b"alice")), "the control is found");
    assert!(contains(&gateway.log(), b"TRACE"), "the log is at TRACE");

    // While running, with the WAL as it is, and after a clean end.
    search(&node_dir, &node.log(), &secrets);
    search(&gateway_dir, &gateway.log(), &secrets);
    let log = gateway_dir.with_extension("log");
    gateway.stop().await;
    search(&gateway_dir, &std::fs::read(log).unwrap(), &secrets);
    let log = node_dir.with_extension("log");
    node.stop().await;
    search(&node_dir, &std::fs::read(log).unwrap(), &secrets);
}

#[tokio::test]
async fn neither_keys_nor_what_lets_somebody_in_are_in_databases_or_logs() {
    let dir = TempDir::new().unwrap();
    let (node_dir, gateway_dir) = (dir.path().join("node"), dir.path().join("gateway"));
    let target = Target::start(Box::new(|_| status(204))).await;
    let node = Launch::node(&node_dir).log("trace").start().await;
    let gateway = Launch::gateway(&gateway_dir, &node).arg("--webhook-target", &target.origin);
    let gateway = gateway.log("trace").start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let mut secrets = secrets(&gateway, [&alice, &bob]);
    secrets.extend(webhook(&alice, &bob, &group, &target).await);
    secrets.extend(tickets(&bob).await);
    file(&alice, &bob, &group).await;
    secrets.extend([("the content of a file", FILE.into()), ("a file's name", FILE_NAME.into())]);
    let (export, body) =
        (format!("/v1/bots/{}/export", alice.id), json!({ "passphrase": PASSPHRASE }));
    let exported = gateway.admin().post_once(&export, "export", &body).await.unwrap().expect(200);
    let archive = json!({ "archive": exported["archive"], "passphrase": PASSPHRASE });
    let back = gateway.admin().post("/v1/bots/import", &archive).await;
    assert!(back.status < 500, "{}", back.text);
    secrets.push(("a passphrase", PASSPHRASE.into()));

    let sealed = sealed_file(&node_dir).await;
    // The control: what opens a file is found as a log or a database would have it.
    let key = FileKey::random();
    let list = serde_json::to_string(&key).unwrap();
    let bytes: [u8; 32] = serde_json::from_str(&list).unwrap();
    let own = key.seal(0, true, b"own");
    for text in [format!("key={} x", hex::encode(bytes)), format!("FileKey({list})")] {
        assert!(opens(&keys_in(text.as_bytes()), &own), "{text}");
    }
    let search = |data: &Path, log: &[u8]| {
        search(data, log, &secrets);
        assert!(!opens(&keys_in(log), &sealed), "the log contains the key of a file");
        for (path, bytes) in written(data) {
            assert!(!opens(&keys_in(&bytes), &sealed), "{} has a file's key", path.display());
        }
    };
    search(&node_dir, &node.log());
    search(&gateway_dir, &gateway.log());
    let log = gateway_dir.with_extension("log");
    gateway.stop().await;
    search(&gateway_dir, &std::fs::read(log).unwrap());
    let log = node_dir.with_extension("log");
    node.stop().await;
    search(&node_dir, &std::fs::read(log).unwrap());
}

#[cfg(unix)]
#[tokio::test]
async fn files_with_secrets_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let dir = TempDir::new().unwrap();
    let data = dir.path().join("up");
    let up = Launch::up(&data).start().await;
    pair(&up).await;
    let mut checked = 0;
    for (path, bytes) in contents(&data) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let secret =
            name == "admin-token" || name == "master.key" || contains(&bytes, b"PRIVATE KEY");
        if secret {
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            checked += 1;
        }
    }
    assert_eq!(checked, 3, "token, master key and TLS key were looked at");
    // Databases are behind directories that nobody else may enter.
    let mode = data.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "the data directory has mode {mode:o}");
}
