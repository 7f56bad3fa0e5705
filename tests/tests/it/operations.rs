//! What operators see of a running node: metrics, health, and what systemd is told.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use quicproquo_tests::{Answer, Api, LONG, Launch, Running, SOON, files, pair, wait_for, within};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Exit codes as `qpq --help` documents them.
const USAGE: i32 = 2;
const ADDRESS_TAKEN: i32 = 4;
const UNREACHABLE: i32 = 6;

fn with_ops(launch: Launch) -> Launch {
    launch.arg("--node-ops-listen", "127.0.0.1:0")
}

fn ops(running: &Running) -> Api {
    Api::new(running.field("node_ops"), "")
}

/// Names of the checks that failed.
fn failed(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let problems = body["problems"].as_array().expect("a list of problems");
    problems.iter().map(|one| one["check"].as_str().expect("a name").to_owned()).collect()
}

/// The value of a sample of `/metrics`.
async fn sample(ops: &Api, name: &str) -> f64 {
    let page = ops.get("/metrics").await.text;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

#[tokio::test]
async fn metrics_and_health_are_served_while_two_bots_talk() {
    let dir = TempDir::new().unwrap();
    let up = with_ops(Launch::up(&dir.path().join("up"))).start().await;
    let ops = ops(&up);
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    alice.say(&group, "counted").await;
    bob.hears(&tail, &group, &["counted".to_owned()]).await;

    let page = ops.get("/metrics").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(page.text.ends_with("# EOF\n"), "{}", page.text);
    assert!(sample(&ops, "qpq_node_calls_total{method=\"send\",code=\"OK\"}").await >= 1.0);
    assert!(sample(&ops, "qpq_node_rows_delivered_total{by=\"push\"}").await >= 1.0);
    assert!(sample(&ops, "qpq_node_batch_seconds_count{store=\"queues\"}").await >= 1.0);
    assert!(!page.text.contains(&alice.identity[..16]), "an identity is on the page");

    assert_eq!(ops.get("/health/live").await.expect(200)["status"], "live");
    assert_eq!(ops.get("/health/ready").await.expect(200)["status"], "ready");
    assert_eq!(ops.get("/v1/me").await.status, 404);
    assert_eq!(ops.post("/metrics", &Value::Null).await.status, 405);
    let asked = Command::new(files::qpq()).args(["health", "--url", ops.base()]).output().unwrap();
    assert!(asked.status.success(), "{asked:?}");
    up.stop().await;
}

#[tokio::test]
async fn the_door_is_closed_by_default_private_and_its_port_is_named() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("a")).start().await;
    assert!(node.ready()["node_ops"].is_null());

    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = tcp.local_addr().unwrap().to_string();
    let launch = Launch::node(&dir.path().join("b")).arg("--node-ops-listen", &taken);
    let ended = launch.fail().await;
    assert_eq!(ended.code, ADDRESS_TAKEN, "{}", ended.stderr);
    assert!(ended.stderr.contains(&taken) && ended.stderr.contains("operators"));

    let launch = Launch::node(&dir.path().join("c")).arg("--node-ops-listen", "0.0.0.0:0");
    let ended = launch.clone().fail().await;
    assert_eq!(ended.code, USAGE, "{}", ended.stderr);
    assert!(ended.stderr.contains("ops_public"), "{}", ended.stderr);
    let node = launch.arg("--node-ops-public", "true").start().await;
    assert!(node.field("node_ops").starts_with("http://0.0.0.0:"));
}

#[tokio::test]
async fn idle_connections_give_their_places_back() {
    let dir = TempDir::new().unwrap();
    let node = with_ops(Launch::node(&dir.path().join("node"))).start().await;
    let address = node.field("node_ops").trim_start_matches("http://").to_owned();
    let mut idle = Vec::new();
    for _ in 0..40 {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        socket.write_all(b"GET /health/live HTTP/1.1\r\n").await.unwrap();
        idle.push(socket);
    }
    // More than may be open at once: this one is answered when others were closed.
    ops(&node).get("/health/live").await.expect(200);
    let mut rest = Vec::new();
    within("the first to be closed", SOON, idle[0].read_to_end(&mut rest)).await.unwrap();
}

/// Holds the write lock of a database, as a backup tool gone wrong would.
struct Lock(Child);

impl Lock {
    fn take(database: &Path) -> Self {
        const HOLD: &str = "import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
connection.execute('BEGIN IMMEDIATE')
print('held', flush=True)
sys.stdin.read()";
        let mut child = Command::new("python3")
            .args(["-c", HOLD])
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start python3");
        let mut said = [0; 5];
        let out = child.stdout.as_mut().expect("stdout is piped");
        std::io::Read::read_exact(out, &mut said).expect("the lock is held");
        assert_eq!(&said, b"held\n");
        Self(child)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_told_and_recovers() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("node");
    let node = with_ops(Launch::node(&data)).start().await;
    let ops = ops(&node);
    ops.get("/health/ready").await.expect(200);
    let lock = Lock::take(&data.join("node.db"));
    let answer = wait_for("the lock to be noticed", SOON, async || {
        let answer = ops.get("/health/ready").await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert!(failed(&answer).contains(&"store".to_owned()), "{}", answer.text);
    let asked = Command::new(files::qpq()).args(["health", "--url", ops.base()]).output().unwrap();
    assert_eq!(asked.status.code(), Some(UNREACHABLE), "{asked:?}");
    assert!(String::from_utf8_lossy(&asked.stderr).contains("store"), "{asked:?}");
    drop(lock);
    wait_for("the node to be ready again", LONG, async || {
        (ops.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    node.stop().await;
}

/// Where systemd would listen. It reads all the time, as systemd does: the socket holds few
/// messages and makes its writers wait.
struct Supervisor {
    lines: mpsc::Receiver<String>,
}

impl Supervisor {
    fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("bind the notification socket");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len) = socket.recv(&mut buffer) {
                for line in String::from_utf8_lossy(&buffer[..len]).lines() {
                    if sender.send(line.to_owned()).is_err() {
                        return;
                    }
                }
            }
        });
        Self { lines }
    }

    /// What has come since the last call, one line each.
    fn heard(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// Waits until lines that start so have come, in this order.
    async fn hears(&self, expected: &[&str]) {
        let mut all: Vec<String> = Vec::new();
        let mut missing = expected.iter().peekable();
        wait_for(&format!("systemd to be told {expected:?}"), SOON, || {
            for line in self.heard() {
                if missing.peek().is_some_and(|next| line.starts_with(**next)) {
                    missing.next();
                }
                all.push(line);
            }
            let done = missing.peek().is_none();
            async move { done.then_some(()) }
        })
        .await;
    }
}

#[tokio::test]
async fn systemd_is_told_of_each_state() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("notify");
    let systemd = Supervisor::listen(&path);
    let launch = Launch::node(&dir.path().join("node"))
        .env("NOTIFY_SOCKET", path.to_str().unwrap())
        .env("WATCHDOG_USEC", "900000");
    let node = launch.start().await;
    systemd.hears(&["READY=1", "STATUS=node at 127.0.0.1:", "WATCHDOG=1", "WATCHDOG=1"]).await;
    let pid = node.pid().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    systemd.hears(&["RELOADING=1", "MONOTONIC_USEC=", "READY=1", "WATCHDOG=1"]).await;
    node.stop().await;
    systemd.hears(&["STOPPING=1"]).await;

    // Without a watchdog there are no signs of life.
    let node = Launch::node(&dir.path().join("other"))
        .env("NOTIFY_SOCKET", path.to_str().unwrap())
        .start()
        .await;
    systemd.hears(&["READY=1"]).await;
    node.stop().await;
    let rest = systemd.heard();
    assert!(rest.contains(&"STOPPING=1".to_owned()), "{rest:?}");
    assert!(!rest.contains(&"WATCHDOG=1".to_owned()), "{rest:?}");
}

#[tokio::test]
async fn a_stalled_node_gives_no_signs_of_life() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("notify");
    let systemd = Supervisor::listen(&path);
    let data = dir.path().join("node");
    let node = with_ops(Launch::node(&data))
        .arg("--node-stall-seconds", "1")
        .env("NOTIFY_SOCKET", path.to_str().unwrap())
        .env("WATCHDOG_USEC", "300000")
        .start()
        .await;
    let ops = ops(&node);
    systemd.hears(&["READY=1", "WATCHDOG=1"]).await;

    let lock = Lock::take(&data.join("node.db"));
    let stalled = wait_for("the stall to be found", SOON, async || {
        // Asks for a test write, which hangs.
        let _ = within("an answer", SOON, ops.get("/health/ready")).await;
        let answer = ops.get("/health/live").await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert!(stalled.text.contains("directory store"), "{}", stalled.text);
    // One may be on its way while the stall is found.
    tokio::time::sleep(Duration::from_millis(200)).await;
    systemd.heard();
    let mut looks = 0;
    while looks < 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let heard = systemd.heard();
        if ops.get("/health/live").await.status != 503 {
            break;
        }
        assert!(!heard.contains(&"WATCHDOG=1".to_owned()), "{heard:?}");
        looks += 1;
    }
    assert!(looks >= 3, "the stall was over too soon to be seen");
    drop(lock);
    systemd.hears(&["WATCHDOG=1"]).await;
    wait_for("the node to be ready again", LONG, async || {
        (ops.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    assert!(sample(&ops, "qpq_node_stalls_total").await >= 1.0);
    let log = String::from_utf8_lossy(&node.log()).into_owned();
    assert!(log.contains("a thread is stalled") && log.contains("directory store"), "{log}");
    node.stop().await;
}
