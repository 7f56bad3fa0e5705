//! Starting again, starting twice, starting where something else is.

use std::net::{TcpListener, UdpSocket};

use quicproquo_tests::{Api, Launch, pair, tool};
use tempfile::TempDir;

/// Exit codes as `qpq --help` documents them.
const USAGE: i32 = 2;
const IN_USE: i32 = 3;
const ADDRESS_TAKEN: i32 = 4;
const DATA: i32 = 5;

fn one_line(stderr: &str) -> &str {
    let line = stderr.trim_end();
    assert_eq!(line.lines().count(), 1, "one line for people:\n{stderr}");
    assert!(line.starts_with("qpq: "), "{line}");
    for word in [
        "panicked",
        "backtrace",
        "Error {",
        "Os {",
        "Kind(",
        "expected struct",
        "in string",
        "os error",
        "(code: ",
    ] {
        assert!(!line.contains(word), "{line}");
    }
    line
}

#[tokio::test]
async fn a_second_start_uses_what_is_there() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, _bob, _) = pair(&up).await;
    let fingerprint = up.field("node_fingerprint").to_owned();
    let admin = up.admin().token().to_owned();

    let up = up.stop().await.start().await;
    assert_eq!(up.field("node_fingerprint"), fingerprint);
    assert_eq!(up.admin().token(), admin);
    let me = alice.api.get("/v1/me").await.expect(200);
    assert_eq!(me["identity"], alice.identity.as_str());
    Api::new(&up.url(), "").get("/health/ready").await.expect(200);
}

#[tokio::test]
async fn a_data_directory_in_use_names_the_holder() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("up");
    let up = Launch::up(&data).start().await;
    let second = Launch::up(&data).fail().await;
    assert_eq!(second.code, IN_USE, "{}", second.stderr);
    let line = one_line(&second.stderr);
    assert!(line.contains(&up.pid().to_string()), "names process {}: {line}", up.pid());
    assert_eq!(second.stdout, "");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let dir = TempDir::new().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = tcp.local_addr().unwrap().to_string();
    let launch = Launch::up(&dir.path().join("http")).arg("--http-listen", &taken);
    let ended = launch.fail().await;
    assert_eq!(ended.code, ADDRESS_TAKEN, "{}", ended.stderr);
    assert!(one_line(&ended.stderr).contains(&taken), "{}", ended.stderr);

    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = udp.local_addr().unwrap().to_string();
    let launch = Launch::up(&dir.path().join("node")).arg("--node-listen", &taken);
    let ended = launch.fail().await;
    assert_eq!(ended.code, ADDRESS_TAKEN, "{}", ended.stderr);
    assert!(one_line(&ended.stderr).contains(&taken), "{}", ended.stderr);
}

#[tokio::test]
async fn a_wrong_configuration_is_explained() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("qpq.toml");
    std::fs::write(&file, "http_lisen = \"127.0.0.1:0\"\n").unwrap();
    let launch = Launch::up(&dir.path().join("up")).arg("--config", file.to_str().unwrap());
    let ended = launch.fail().await;
    assert_eq!(ended.code, USAGE, "{}", ended.stderr);
    assert!(ended.stderr.contains("http_lisen"), "{}", ended.stderr);
    std::fs::write(&file, "http = 5\n").unwrap();
    let ended = launch.fail().await;
    assert_eq!(ended.code, USAGE, "{}", ended.stderr);
    assert!(one_line(&ended.stderr).contains("expected a table"), "{}", ended.stderr);
    let launch = launch.arg("--config", dir.path().join("none.toml").to_str().unwrap());
    let ended = launch.fail().await;
    assert_eq!(ended.code, USAGE, "{}", ended.stderr);
    assert!(one_line(&ended.stderr).contains("none.toml"), "{}", ended.stderr);
    let ended = Launch::up(&dir.path().join("up")).arg("--key-package-stock", "many").fail().await;
    assert_eq!(ended.code, USAGE, "{}", ended.stderr);
    assert!(ended.stderr.contains("not a whole number"), "{}", ended.stderr);
    let ended =
        Launch::up(&dir.path().join("up")).env("QPQ_HTTP_LISEN", "127.0.0.1:0").fail().await;
    assert_eq!(ended.code, USAGE, "{}", ended.stderr);
    assert!(one_line(&ended.stderr).contains("QPQ_HTTP_LISEN"), "{}", ended.stderr);
}

#[tokio::test]
async fn lost_and_damaged_files_are_named_and_never_replaced() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("up");
    let launch = Launch::up(&data).start().await.stop().await;
    for (file, word) in [("gateway.db", "missing"), ("master.key", "missing")] {
        let (path, away) = (data.join("gateway").join(file), dir.path().join(file));
        std::fs::rename(&path, &away).unwrap();
        let ended = launch.fail().await;
        assert_eq!(ended.code, DATA, "{}", ended.stderr);
        let line = one_line(&ended.stderr);
        assert!(line.contains(file) && line.contains(word), "{line}");
        assert!(!path.exists(), "{file} was made anew");
        std::fs::rename(&away, &path).unwrap();
    }
    let path = data.join("gateway/gateway.db");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, "this is no database, whatever its name says".repeat(200)).unwrap();
    let ended = launch.fail().await;
    assert_eq!(ended.code, DATA, "{}", ended.stderr);
    assert!(one_line(&ended.stderr).contains("gateway.db"), "{}", ended.stderr);
    std::fs::write(&path, whole).unwrap();
    launch.start().await.stop().await;
}

#[tokio::test]
async fn a_public_address_is_refused_without_tls() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("up");
    for (door, names) in [("--http-listen", "http.listen"), ("--node-listen", "node.certificate")] {
        let ended = Launch::up(&data).arg(door, "0.0.0.0:0").fail().await;
        assert_eq!(ended.code, USAGE, "{}", ended.stderr);
        let line = one_line(&ended.stderr);
        assert!(line.contains("0.0.0.0") && line.contains(names), "{line}");
        assert!(!data.exists(), "something was made before the refusal");
        let checked = tool(&data, &["config", "check", door, "0.0.0.0:0"]).await;
        assert_eq!((checked.code, checked.stderr), (USAGE, ended.stderr));
    }
}

#[tokio::test]
async fn host_names_are_looked_up() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).arg("--node-listen", "localhost:0");
    let node = node.start().await;
    let (_, port) = node.field("node").rsplit_once(':').unwrap();
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node);
    let gateway = gateway.arg("--node", &format!("localhost:{port}")).start().await;
    pair(&gateway).await;
    let nowhere = Launch::gateway_to(&dir.path().join("other"), "nowhere.invalid:7000");
    let ended = nowhere.arg("--node-fingerprint", node.field("node_fingerprint")).fail().await;
    assert_eq!(ended.code, USAGE, "{}", ended.stderr);
    assert!(ended.stderr.contains("the host is not known"), "{}", ended.stderr);
    gateway.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn each_command_keeps_to_its_own_directory() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("up");
    let up = Launch::up(&data).start().await;
    // Beside the running ones, which hold only the folders in it.
    for stray in [Launch::node(&data), Launch::gateway_to(&data, up.field("node"))] {
        let ended = stray.fail().await;
        assert_eq!(ended.code, USAGE, "{}", ended.stderr);
        assert!(one_line(&ended.stderr).contains("belongs to `qpq up`"), "{}", ended.stderr);
    }
    assert!(!data.join("node.db").exists() && !data.join("client.db").exists());
    // Commands for the operator find the node in it.
    let copy = dir.path().join("backup");
    let ended = tool(&data, &["node", "backup", copy.to_str().unwrap()]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(copy.join("node.db").exists());
    assert!(!data.join("node.lock").exists() && !data.join("queues").exists());
    up.stop().await;

    let alone = dir.path().join("alone");
    Launch::node(&alone).start().await.stop().await;
    let ended = Launch::up(&alone).fail().await;
    assert_eq!(ended.code, USAGE, "{}", ended.stderr);
    assert!(one_line(&ended.stderr).contains("belongs to `qpq node`"), "{}", ended.stderr);
}

#[tokio::test]
async fn it_ends_cleanly_on_sigterm_with_listeners_connected() {
    let dir = TempDir::new().unwrap();
    let mut up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, _) = pair(&up).await;
    let _ear = quicproquo_tests::Socket::open(&bob.api, "").await;
    let tail = alice.tail().await;
    let poll = format!("/v1/events?after={tail}&timeout=50000");
    let terminate = async {
        // By the time these are answered, the poll is being waited for.
        for _ in 0..5 {
            alice.api.get("/v1/me").await.expect(200);
        }
        up.terminate().await
    };
    let poll = alice.api.try_send(alice.api.request(reqwest::Method::GET, &poll));
    let (answer, status) = tokio::join!(poll, terminate);
    assert!(status.success(), "{status}");
    // A waiting poll is answered, not cut.
    assert_eq!(answer.unwrap().status, 200);
}

#[tokio::test]
async fn what_cannot_be_written_is_a_failure() {
    let dir = TempDir::new().unwrap();
    for args in [["config", "check"].as_slice(), &["openapi"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = std::process::Command::new(quicproquo_tests::files::qpq());
        let command = command.args(args).arg("--data-dir").arg(dir.path()).stdout(full);
        let ended = command.output().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{args:?}: {ended:?}");
        assert!(one_line(&String::from_utf8_lossy(&ended.stderr)).contains("standard output"));
    }
}

#[tokio::test]
async fn every_setting_is_in_the_help() {
    let dir = TempDir::new().unwrap();
    let help = tool(dir.path(), &["node", "--help"]).await.stdout;
    for flag in ["--node-limits-streams", "--node-quotas-queue-rows", "--node-listen"] {
        assert!(help.contains(flag), "{flag}:\n{help}");
    }
    let short = tool(dir.path(), &["node", "-h"]).await.stdout;
    assert!(short.contains("--node-listen") && !short.contains("--node-limits-streams"), "{short}");
}
