//! `qpq bench node` and `qpq bench gateway` measure what they name, beside their floors, and leave
//! nothing behind.

use std::path::Path;
use std::process::Stdio;

use quicproquo_tests::process::command;
use quicproquo_tests::{LONG, Launch, within};
use serde_json::Value;
use tempfile::TempDir;

/// Runs one quick round of the node's and answers its lines.
async fn bench(data_dir: &Path, args: &[&str]) -> Vec<Value> {
    run(data_dir, &[&["node", "--rounds", "1"], args].concat()).await
}

/// Runs a quick measurement and answers its lines.
async fn run(data_dir: &Path, args: &[&str]) -> Vec<Value> {
    let run = command()
        .arg("bench")
        .args(args)
        .args(["--quick", "--json"])
        .arg("--data-dir")
        .arg(data_dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within("the bench to end", LONG, run).await.expect("run qpq");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("qpq prints UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn row<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["name"] == name);
    found.unwrap_or_else(|| panic!("no row {name:?} in {lines:#?}"))
}

fn positive(row: &Value, fields: &[&str]) {
    for field in fields {
        assert!(row[field].as_f64().is_some_and(|value| value > 0.0), "{field} of {row}");
    }
}

#[tokio::test]
async fn rows_have_rates_times_and_floors_of_the_same_run() {
    let dir = TempDir::new().unwrap();
    let asked =
        ["--filter", "health, 1 in", "--filter", "to 20, sealed, 1 in", "--filter", "send, 200"];
    let lines = bench(dir.path(), &asked).await;
    let rate = ["calls_per_second", "rows_per_second", "floor_per_second", "rate_ratio"];
    let time = ["p50_us", "p99_us", "floor_p50_us", "p50_ratio"];
    let health = row(&lines, "health, 1 in flight, 1 conn");
    positive(health, &[rate, time].concat());
    let ping = row(&lines, "floor: capnp ping, 1 in flight, 1 conn");
    assert_eq!(health["floor_per_second"], ping["rows_per_second"]);

    let multicast = row(&lines, "multicast to 20, sealed, 1 in flight, 1 conn");
    positive(multicast, &[rate, time].concat());
    let factor = multicast["rows_per_second"].as_f64().unwrap()
        / multicast["calls_per_second"].as_f64().unwrap();
    assert!((factor - 20.0).abs() < 0.1, "20 rows in each call: {factor}");
    for floor in ["append 4 KiB, fdatasync", "overwrite 4 KiB, fdatasync", "insert 20 x 1220 B"] {
        positive(row(&lines, &format!("floor: {floor}")), &["rows_per_second", "p50_us"]);
    }

    let push = row(&lines, "push after send, 200/s");
    positive(push, &time);
    assert!(push["rows_per_second"].is_null(), "a pace is no rate: {push}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn depths_are_measured_with_every_kind_of_call() {
    let dir = TempDir::new().unwrap();
    let lines = bench(dir.path(), &["--depths", "100,2000"]).await;
    assert_eq!(lines.len(), 10);
    for depth in [100, 2000] {
        for name in ["enqueue, 1 in flight", "ack one row", "push after enqueue, 200/s"] {
            positive(row(&lines, &format!("{depth} rows: {name}")), &["p50_us", "p99_us"]);
        }
        let backlog = row(&lines, &format!("{depth} rows: push and ack a backlog"));
        positive(backlog, &["rows_per_second"]);
    }
}

#[tokio::test]
async fn a_node_elsewhere_is_loaded_within_its_limits() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let address =
        ["--node", node.field("node"), "--node-fingerprint", node.field("node_fingerprint")];
    let asked = ["--filter", "enqueue 1 KiB, 32 in flight", "--filter", "256 in flight, 1 conn"];
    let lines = bench(dir.path(), &[address.as_slice(), asked.as_slice()].concat()).await;
    let named = |text: &str| lines.iter().any(|line| line["name"].as_str() == Some(text));
    assert!(named("enqueue 1 KiB, 32 in flight, 8 conns"));
    assert!(!named("enqueue 1 KiB, 256 in flight, 1 conn"), "the node takes 64 on a connection");
    node.stop().await;
}

/// Runs one part of the gateway's, and checks that its lines are what programs read and that
/// nothing is left.
async fn part(name: &str, args: &[&str]) -> Vec<Value> {
    let dir = TempDir::new().expect("a folder");
    let lines = run(dir.path(), &[&["gateway", "--part", name], args].concat()).await;
    for line in &lines {
        let fields: Vec<_> = line.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["floor", "median", "name", "p99", "ratio", "unit"], "{line}");
        assert!(line["name"].is_string() && line["median"].is_number(), "{line}");
        assert!(["us", "1/s", "KiB"].map(Value::from).contains(&line["unit"]), "{line}");
        assert!(line["p99"].is_null() || line["p99"].as_f64() >= line["median"].as_f64(), "{line}");
        // What has a floor is compared with it.
        assert_eq!(line["floor"].is_number(), line["ratio"].is_number(), "{line}");
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).expect("list a folder").collect();
    assert!(left.is_empty(), "{left:?}");
    lines
}

#[tokio::test]
async fn one_message_to_many_sockets_is_measured() {
    let lines = part("sockets", &["--sockets", "20"]).await;
    for which in ["last", "median"] {
        let one = row(&lines, &format!("one message to 20 sockets, {which}"));
        positive(one, &["median", "p99", "floor", "ratio"]);
        positive(row(&lines, &format!("floor: bare broadcast, {which}")), &["median", "p99"]);
    }
    row(&lines, "memory of an idle socket");
}

#[tokio::test]
async fn groups_of_a_gateway_are_measured_beside_their_floors() {
    let lines = part("groups", &["--members", "2"]).await;
    for policy in ["envelope", "native"] {
        for in_flight in [1, 16, 256] {
            let name = format!("{policy} 2: {in_flight} in flight");
            positive(row(&lines, &name), &["median", "floor", "ratio"]);
            positive(row(&lines, &format!("{name}, last has it")), &["median", "p99"]);
        }
        let alone = row(&lines, &format!("{policy} 2: 1 in flight, last has it"));
        positive(alone, &["floor", "ratio"]);
    }
    positive(row(&lines, "200 messages after a return"), &["median"]);
    positive(row(&lines, "GET /v1/me, 16 in flight"), &["median", "floor", "ratio"]);
    positive(row(&lines, "floor: axum echo"), &["median", "p99"]);
}

#[tokio::test]
async fn the_facade_is_measured_beside_the_native_api() {
    let lines = part("matrix", &["--sockets", "10"]).await;
    for (native, matrix) in [
        ("native: send to poll", "matrix: send to sync"),
        ("native: 16 in flight, polled", "matrix: 16 in flight, synced"),
    ] {
        positive(row(&lines, native), &["median"]);
        let matrix = row(&lines, matrix);
        positive(matrix, &["median", "floor", "ratio"]);
        assert_eq!(matrix["floor"], row(&lines, native)["median"]);
    }
    positive(row(&lines, "one message to 10 syncs, last"), &["median"]);
    row(&lines, "memory of an idle sync");
}
