//! Starts and stops `qpq` processes.

use std::fs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::api::Api;
use crate::files;
use crate::wait::{LONG, SOON, within};

/// Few, so that bots start quickly in an unoptimised build.
const KEY_PACKAGES: &str = "10";

/// A `qpq` process about to be started.
#[derive(Debug, Clone)]
pub struct Launch {
    data_dir: PathBuf,
    args: Vec<String>,
    log: String,
    log_file: PathBuf,
    env: Vec<(String, String)>,
    user: Option<(u32, PathBuf)>,
}

/// How a process that was not expected to run ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it wrote for people.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// The binary without the tests' own variables, which it would refuse as misspelt settings.
fn qpq(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env_remove("RUST_LOG");
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"QPQ_")) {
        command.env_remove(name);
    }
    command
}

/// The binary under test, for commands that are given arguments and end by themselves.
pub fn command() -> Command {
    qpq(&files::qpq())
}

impl Launch {
    fn new(command: &str, data_dir: &Path) -> Self {
        let args = vec![command.to_owned()];
        Self {
            data_dir: data_dir.to_owned(),
            args,
            log: "info".to_owned(),
            log_file: data_dir.with_extension("log"),
            env: Vec::new(),
            user: None,
        }
    }

    /// Node and gateway in one process, on ports that the system chooses.
    pub fn up(data_dir: &Path) -> Self {
        Self::new("up", data_dir)
            .arg("--http-listen", "127.0.0.1:0")
            .arg("--node-listen", "127.0.0.1:0")
            .arg("--key-package-stock", KEY_PACKAGES)
    }

    /// A node alone.
    pub fn node(data_dir: &Path) -> Self {
        Self::new("node", data_dir).arg("--node-listen", "127.0.0.1:0")
    }

    /// A gateway alone, for the node that `node` is.
    pub fn gateway(data_dir: &Path, node: &Running) -> Self {
        Self::gateway_to(data_dir, node.field("node"))
            .arg("--node-fingerprint", node.field("node_fingerprint"))
    }

    /// A gateway alone, for the node at an address, which it is not told how to know.
    pub fn gateway_to(data_dir: &Path, node: &str) -> Self {
        Self::new("gateway", data_dir)
            .arg("--http-listen", "127.0.0.1:0")
            .arg("--key-package-stock", KEY_PACKAGES)
            .arg("--node", node)
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets an option; a later value replaces an earlier one.
    #[must_use]
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        if let Some(at) = self.args.iter().position(|arg| arg == name) {
            value.clone_into(&mut self.args[at + 1]);
        } else {
            self.args.extend([name.to_owned(), value.to_owned()]);
        }
        self
    }

    /// As another user (only root can), by a copy of the binary that this user can reach.
    #[must_use]
    pub fn as_user(mut self, id: u32, binary: &Path) -> Self {
        self.user = Some((id, binary.to_owned()));
        self
    }

    /// Sets the log filter (default `info`).
    #[must_use]
    pub fn log(mut self, filter: &str) -> Self {
        filter.clone_into(&mut self.log);
        self
    }

    /// Where it logs to (default: beside the data directory).
    #[must_use]
    pub fn log_file(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.log_file);
        self
    }

    /// The same again, on the ports that `running` got.
    #[must_use]
    pub fn on_ports_of(mut self, running: &Running) -> Self {
        if let Some(api) = running.ready["api"].as_str() {
            self = self.arg("--http-listen", address_of(api));
        }
        if self.args[0] != "gateway" {
            self = self.arg("--node-listen", running.field("node"));
        }
        self
    }

    fn command(&self) -> Command {
        let mut command = match &self.user {
            None => qpq(&files::qpq()),
            Some((id, binary)) => {
                let mut command = qpq(binary);
                command.uid(*id).gid(*id);
                command
            }
        };
        command
            .args(&self.args)
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(["--log", &self.log, "--json"])
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Starts it and waits until it says that it is ready.
    pub async fn start(&self) -> Running {
        match self.try_start().await {
            Ok(running) => running,
            Err(ended) => {
                panic!("qpq {} ended at once; its log:\n{}", self.args.join(" "), ended.stderr)
            }
        }
    }

    /// Starts it and waits until it says that it is ready, or has ended.
    ///
    /// # Errors
    /// How it ended; its log is in [`Ended::stderr`].
    pub async fn try_start(&self) -> Result<Running, Ended> {
        let log_file = self.log_file.clone();
        let log = File::options().create(true).append(true).open(&log_file).expect("open a log");
        let mut child =
            self.command().stdout(Stdio::piped()).stderr(log).spawn().expect("start qpq");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let line = within("qpq to be ready", LONG, lines.next_line()).await.expect("read stdout");
        let Some(line) = line else {
            let status = within("qpq to end", SOON, child.wait()).await.expect("wait for qpq");
            let stderr = fs::read_to_string(&log_file).unwrap_or_default();
            let code = status.code().unwrap_or(-1);
            return Err(Ended { code, stdout: String::new(), stderr });
        };
        let ready = serde_json::from_str(&line).expect("the ready line is JSON");
        Ok(Running { child, launch: self.clone(), ready, log_file, stdout: lines.into_inner() })
    }

    /// Starts it and waits for its end, which must come by itself.
    pub async fn fail(&self) -> Ended {
        let mut child = self
            .clone()
            .log("warn")
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start qpq");
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let status = within("qpq to give up", SOON, async {
            out.as_mut().expect("piped").read_to_string(&mut stdout).await.expect("read stdout");
            err.as_mut().expect("piped").read_to_string(&mut stderr).await.expect("read stderr");
            child.wait().await.expect("wait for qpq")
        })
        .await;
        Ended { code: status.code().unwrap_or(-1), stdout, stderr }
    }
}

/// Runs a command that ends by itself, such as `node invite list`, on a data directory.
pub async fn tool(data_dir: &Path, args: &[&str]) -> Ended {
    let work = command()
        .args(args)
        .arg("--data-dir")
        .arg(data_dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within("qpq to end", SOON, work).await.expect("run qpq");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("qpq writes text");
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Runs a command and kills it after a while, unless it has ended before.
pub async fn cut_off(data_dir: &Path, args: &[&str], after: Duration) {
    let mut command = command();
    command.args(args).arg("--data-dir").arg(data_dir).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("run qpq");
    if tokio::time::timeout(after, child.wait()).await.is_err() {
        child.kill().await.expect("kill qpq");
    }
}

/// A `qpq` process that said it is ready. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    launch: Launch,
    ready: Value,
    log_file: PathBuf,
    /// What follows the ready line.
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// The ready line.
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// A field of the ready line.
    pub fn field(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.ready))
    }

    /// `http://host:port` of the gateway.
    pub fn url(&self) -> String {
        format!("http://{}", address_of(self.field("api")))
    }

    /// A caller with the admin token.
    pub fn admin(&self) -> Api {
        let token = fs::read_to_string(self.field("admin_token_file")).expect("the admin token");
        Api::new(&self.url(), token.trim())
    }

    /// What it has logged so far, former processes of the same data directory included.
    pub fn log(&self) -> Vec<u8> {
        fs::read(&self.log_file).expect("read the log")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process has not ended")
    }

    /// Bytes of it in memory.
    pub fn resident(&self) -> u64 {
        let path = format!("/proc/{}/smaps_rollup", self.pid());
        let text = fs::read_to_string(path).expect("the kernel tells what a process holds");
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).expect("Rss");
        let number = line.trim().trim_end_matches(" kB").trim();
        1024 * number.parse::<u64>().expect("a number")
    }

    /// SIGKILL, without waiting for the end.
    pub fn strike(&mut self) {
        self.child.start_kill().expect("kill qpq");
    }

    /// SIGKILL: nothing is flushed, nothing is said.
    pub async fn kill(mut self) -> Launch {
        self.child.kill().await.expect("kill qpq");
        self.launch.clone().on_ports_of(&self)
    }

    /// SIGTERM, and waits for the clean end: no task has panicked, and nothing but the ready line
    /// is on standard output.
    pub async fn stop(mut self) -> Launch {
        let status = self.terminate().await;
        assert!(status.success(), "qpq ended with {status}; its log: {}", self.log_file.display());
        let log = String::from_utf8_lossy(&self.log()).into_owned();
        assert!(!log.contains("panicked at"), "a thread or task panicked:\n{log}");
        let mut more = String::new();
        self.stdout.read_to_string(&mut more).await.expect("read stdout");
        assert_eq!(more, "", "on standard output, after the ready line");
        self.launch.clone().on_ports_of(&self)
    }

    /// Sends it a signal, like `STOP` and `CONT`.
    pub async fn signal(&self, name: &str) {
        let (signal, pid) = (format!("-{name}"), self.pid().to_string());
        let sent = Command::new("kill").args([&signal, &pid]).status().await.expect("run kill");
        assert!(sent.success(), "kill {signal} {pid}");
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM").await;
        within("qpq to end after SIGTERM", SOON, self.child.wait()).await.expect("wait for qpq")
    }
}

/// `host:port` of `http://host:port/path`.
fn address_of(url: &str) -> &str {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let rest = rest.expect("an http URL");
    rest.split('/').next().unwrap_or(rest)
}
