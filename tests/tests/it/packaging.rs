//! What the files of `packaging` say is so.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use quicproquo_tests::files::qpq;
use quicproquo_tests::seed::say;
use quicproquo_tests::{Api, Launch, Socket, bots};
use serde_json::json;
use tempfile::TempDir;

fn packaging(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(packaging(file)).expect("a file of packaging")
}

/// Names of metrics in a text, as samples have them.
fn metrics(text: &str) -> BTreeSet<String> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let found = text.match_indices("qpq_").map(|(at, _)| {
        let len = text.as_bytes()[at..].iter().take_while(|byte| word(**byte)).count();
        text[at..at + len].to_owned()
    });
    found.collect()
}

#[tokio::test]
async fn every_metric_that_is_watched_exists() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).arg("--node-ops-listen", "127.0.0.1:0");
    let up = up.start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let group = alice.create_group("watched", &[&bob]).await;
    bob.accept(&group).await;
    let mut socket = Socket::open(&bob.api, "types=message.received").await;
    alice.say(&group, "measured").await;
    socket.event("message.received").await;
    socket.ping().await;
    let watched: BTreeSet<_> = ["monitoring/alerts.yml", "monitoring/grafana-dashboard.json"]
        .into_iter()
        .flat_map(|file| metrics(&read(file)))
        .collect();
    assert!(watched.len() > 20, "{watched:?}");
    let gateway = Api::new(&up.url(), "").get("/metrics").await;
    let node = Api::new(up.field("node_ops"), "").get("/metrics").await;
    assert_eq!(missing(&watched, &(gateway.text + &node.text)), Vec::<String>::new());
    // The control.
    assert_eq!(missing(&metrics("rate(qpq_node_no_such_total[5m])"), "").len(), 1);
}

/// What is on no page, neither as a sample nor as a family that has none yet.
fn missing(watched: &BTreeSet<String>, page: &str) -> Vec<String> {
    let shown = metrics(page);
    let family = |name: &str| {
        let base = name.strip_suffix("_total").or(name.strip_suffix("_bucket")).unwrap_or(name);
        page.contains(&format!("# TYPE {base} "))
    };
    watched.iter().filter(|name| !shown.contains(*name) && !family(name)).cloned().collect()
}

/// Runs a tool of systemd, if it is there.
fn systemd_analyze(args: &[&str]) -> Option<(bool, String)> {
    let Ok(output) = Command::new("systemd-analyze").args(args).output() else {
        say("SKIPPED: no systemd-analyze");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[test]
fn systemd_understands_the_units_and_trusts_them_little() {
    let dir = TempDir::new().unwrap();
    for unit in ["qpq-up.service", "qpq-node.service", "qpq-gateway.service"] {
        let text = read(&format!("systemd/{unit}"));
        assert!(text.contains("ExecStart=/usr/bin/qpq "), "{unit}");
        let text = text.replace("/usr/bin/qpq", &qpq().display().to_string());
        let file = dir.path().join(unit);
        fs::write(&file, &text).unwrap();
        let path = file.to_str().unwrap();
        let Some((fine, said)) = systemd_analyze(&["verify", path]) else { return };
        assert!(fine && !said.contains(unit), "{said}");
        let security = ["security", "--offline=yes", "--threshold=25", path];
        let Some((fine, said)) = systemd_analyze(&security) else { return };
        assert!(fine, "{said}");
    }
    // The control: without its sandbox a unit is above the threshold.
    let file = dir.path().join("open.service");
    fs::write(&file, "[Service]\nExecStart=/bin/true\n").unwrap();
    let security = ["security", "--offline=yes", "--threshold=25", file.to_str().unwrap()];
    let Some((fine, said)) = systemd_analyze(&security) else { return };
    assert!(!fine, "{said}");
}

/// In a container with a systemd of its own; `try-inside.sh` says what is looked at.
#[test]
fn the_units_run_under_systemd() {
    let mut command = Command::new("sh");
    let output = command.arg(packaging("systemd/try.sh")).arg(qpq()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if output.status.code() == Some(77) {
        say(&format!("SKIPPED: no container with systemd: {said}"));
        return;
    }
    assert!(output.status.success() && said.contains("all is well"), "{said}");
    // The control: a program that is none is noticed.
    let mut command = Command::new("sh");
    let broken = command.arg(packaging("systemd/try.sh")).arg("/bin/false").output().unwrap();
    assert!(!broken.status.success() && broken.status.code() != Some(77));
}

#[test]
fn settings_of_the_files_are_settings_of_qpq() {
    let dir = TempDir::new().unwrap();
    for unit in ["qpq-node.service", "qpq-gateway.service"] {
        // The configuration that the comment shows.
        let text = read(&format!("systemd/{unit}"));
        let shown = text.lines().filter_map(|line| line.strip_prefix("#   "));
        let toml: Vec<_> = shown.skip_while(|line| !line.starts_with("log = ")).collect();
        let toml = toml.join("\n");
        assert!(toml.contains('['), "{unit}");
        let file = dir.path().join(format!("{unit}.toml"));
        fs::write(&file, toml).unwrap();
        let mut check = Command::new(qpq());
        check.args(["config", "check", "--config"]).arg(&file);
        let output = check.env_remove("QPQ_CONFIG").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{unit}: {stderr}");
    }
    let compose = read("docker/compose.yaml");
    let set = compose.lines().filter_map(|line| line.trim().split_once(": "));
    let set: Vec<_> = set.filter(|(name, _)| name.starts_with("QPQ_")).collect();
    assert!(set.len() >= 3, "{set:?}");
    let check = |set: &[(&str, &str)]| {
        Command::new(qpq()).args(["config", "check"]).envs(set.iter().copied()).output().unwrap()
    };
    assert!(check(&set).status.success());
    // The control: names that qpq does not know are errors.
    assert!(!check(&[("QPQ_NO_SUCH_SETTING", "1")]).status.success());
}

#[tokio::test]
async fn it_runs_as_any_user_who_owns_nothing_but_the_data() {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout != b"0\n" {
        say("SKIPPED: not root");
        return;
    }
    let dir = TempDir::new().unwrap();
    let open = fs::Permissions::from_mode(0o1777);
    fs::set_permissions(dir.path(), open.clone()).unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, open).unwrap();
    let binary = dir.path().join("qpq");
    fs::copy(qpq(), &binary).unwrap();
    // No entry in passwd, no home, no capability, as in a container with `--user`.
    let up = Launch::up(&data).as_user(54321, &binary).env("HOME", "/nonexistent").start().await;
    let ready = Api::new(&up.url(), "").get("/health/ready").await;
    assert_eq!(ready.expect(200)["status"], json!("ready"));
    let token = fs::metadata(data.join("admin-token")).unwrap();
    assert_eq!(token.permissions().mode() & 0o777, 0o600);
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&token), 54321);
    bots(&up, ["alice"]).await;

    // Who only asks the gateway needs no home; where a token would be looked for there, that is said.
    let ask = |args: &[&str]| {
        let mut qpq = Command::new(&binary);
        qpq.args(args).uid(54321).gid(54321).env_clear().env("QPQ_URL", up.url());
        let ended = qpq.current_dir("/").output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    assert_eq!(ask(&["health"]), (Some(0), String::new()));
    let (code, said) = ask(&["bot", "list"]);
    assert!(code == Some(2) && said.contains("no home directory"), "{code:?} {said}");
    let (code, said) = ask(&["up"]);
    assert!(code == Some(2) && said.contains("no home directory"), "{code:?} {said}");
    up.stop().await;
}
