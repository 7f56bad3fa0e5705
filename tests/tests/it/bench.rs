//! `qpq bench node` and `qpq bench gateway` measure what they name, beside their floors, and leave
//! nothing behind.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use quicproquo_tests::{Launch, files, within};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// Runs one quick round of the node's and answers its lines.
async fn bench(data_dir: &Path, args: &[&str]) -> Vec<Value> {
    run(data_dir, &[&["node", "--rounds", "1"], args].concat()).await
}

/// Runs a quick measurement and answers its lines.
async fn run(data_dir: &Path, args: &[&str]) -> Vec<Value> {
    let run = Command::new(files::qpq())
        .arg("bench")
        .args(args)
        .args(["--quick", "--json"])
        .arg("--data-dir")
        .arg(data_dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within("the bench to end", Duration::from_mins(1), run).await.expect("run qpq");
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

#[tokio::test]
async fn a_gateway_is_measured_in_rows_that_programs_read() {
    let dir = TempDir::new().unwrap();
    let lines = run(dir.path(), &["gateway", "--part", "sockets", "--sockets", "20"]).await;
    for line in &lines {
        let fields: Vec<_> = line.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["floor", "median", "name", "p99", "ratio", "unit"], "{line}");
        assert!(line["name"].is_string() && line["median"].is_number(), "{line}");
        assert!(["us", "1/s", "KiB"].map(Value::from).contains(&line["unit"]), "{line}");
        assert!(line["p99"].is_null() || line["p99"].as_f64() >= line["median"].as_f64(), "{line}");
        // What has a floor is compared with it.
        assert_eq!(line["floor"].is_number(), line["ratio"].is_number(), "{line}");
    }
    for which in ["last", "median"] {
        let one = row(&lines, &format!("one message to 20 sockets, {which}"));
        positive(one, &["median", "p99", "floor", "ratio"]);
        positive(row(&lines, &format!("floor: bare broadcast, {which}")), &["median", "p99"]);
    }
    row(&lines, "memory of an idle socket");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
