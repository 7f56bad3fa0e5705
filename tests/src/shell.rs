//! `qpq` as a person at a shell uses it: with a token, in pipes, ended by signals.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::files;
use crate::process::{Ended, Running};
use crate::wait::{LONG, SOON, within};

/// A fenced block of a page.
#[derive(Debug, Default)]
pub struct Block {
    /// The line on which it begins, counted from 1.
    pub line: usize,
    /// What follows the fence: the language, and what is said after it.
    pub info: String,
    /// What is between the fences.
    pub text: String,
}

/// All blocks of a page.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        open = match (open, fence) {
            (None, Some(info)) => {
                let info = info.trim().to_owned();
                Some(Block { line: index + 1, info, text: String::new() })
            }
            (Some(block), Some(_)) => {
                blocks.push(block);
                None
            }
            (Some(block), None) => Some(Block { text: block.text + line + "\n", ..block }),
            (None, None) => None,
        };
    }
    blocks.extend(open);
    blocks
}

/// All blocks of a page that are marked `bash`, as one script.
pub fn script(page: &str) -> String {
    let typed = blocks(page).into_iter().filter(|block| block.info == "bash");
    typed.map(|block| block.text).collect()
}

/// Somebody at a shell.
#[derive(Debug, Clone)]
pub struct Shell {
    data_dir: PathBuf,
    url: String,
    env: Vec<(&'static str, String)>,
}

impl Shell {
    /// On the machine of a gateway, without a bot's token.
    pub fn at(gateway: &Running) -> Self {
        let data_dir = gateway.field("data_dir").into();
        Self { data_dir, url: gateway.url(), env: Vec::new() }
    }

    /// The same with the token of a bot in a file.
    #[must_use]
    pub fn with_token_file(&self, path: &Path) -> Self {
        self.with("QPQ_TOKEN_FILE", path.to_str().expect("a path that is text"))
    }

    /// The same with a variable.
    #[must_use]
    pub fn with(&self, name: &'static str, value: &str) -> Self {
        let mut shell = self.clone();
        shell.env.push((name, value.to_owned()));
        shell
    }

    /// A program with the variables of this shell, and `qpq` on its path.
    pub fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"QPQ_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        let mut paths = vec![files::qpq().parent().expect("a folder").to_owned()];
        paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        command
            .env("PATH", std::env::join_paths(paths).expect("paths"))
            .env("QPQ_DATA_DIR", &self.data_dir)
            .env("QPQ_URL", &self.url)
            .envs(self.env.iter().cloned())
            .kill_on_drop(true);
        command
    }

    /// Runs `qpq` and waits for its end.
    pub async fn run(&self, args: &[&str]) -> Ended {
        self.feed(args, "").await
    }

    /// The same with something on standard input.
    pub async fn feed(&self, args: &[&str], input: &str) -> Ended {
        let mut command = self.program(files::qpq());
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("run qpq");
        let mut stdin = child.stdin.take().expect("piped");
        let work = async {
            // Who does not read it all is not held against it.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
            child.wait_with_output().await.expect("run qpq")
        };
        ended(within("qpq to end", LONG, work).await)
    }

    /// Runs `qpq`, which must succeed; answers what it has written.
    pub async fn ok(&self, args: &[&str]) -> String {
        let ended = self.run(args).await;
        assert_eq!(ended.code, 0, "qpq {}: {}", args.join(" "), ended.stderr);
        ended.stdout
    }

    /// The same with `--json`: the objects, one a line.
    pub async fn json(&self, args: &[&str]) -> Vec<Value> {
        let written = self.ok(&[args, &["--json"]].concat()).await;
        let objects = written.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        objects.collect()
    }

    /// Starts `qpq` and leaves it running.
    pub fn start(&self, args: &[&str]) -> Follower {
        let mut command = self.program(files::qpq());
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Follower::new(command.spawn().expect("run qpq"))
    }

    /// Starts a line of `bash` and leaves it running, with what it says in a file.
    pub fn script(&self, line: &str, said: &Path) -> Child {
        let open =
            || std::fs::File::options().create(true).append(true).open(said).expect("a file");
        let mut command = self.program("bash");
        command.args(["-o", "pipefail", "-c", line]).stdin(Stdio::null());
        command.stdout(open()).stderr(open()).process_group(0).spawn().expect("run bash")
    }
}

fn ended(output: Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("qpq writes text");
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A `qpq` that runs on and writes lines. Dropping it kills it.
#[derive(Debug)]
pub struct Follower {
    child: Child,
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Follower {
    fn new(mut child: Child) -> Self {
        let stdout = child.stdout.take().expect("piped");
        Self { child, lines: Some(BufReader::new(stdout).lines()) }
    }

    /// The next line it writes.
    pub async fn line(&mut self) -> String {
        let lines = self.lines.as_mut().expect("its output is open");
        let line = within("a line of qpq", LONG, lines.next_line()).await.expect("read stdout");
        line.expect("qpq writes on")
    }

    /// The next line it writes, as JSON.
    pub async fn event(&mut self) -> Value {
        serde_json::from_str(&self.line().await).expect("a line is JSON")
    }

    /// Reads nothing any more.
    pub fn close(&mut self) {
        self.lines = None;
    }

    /// Sends a signal, such as `INT`.
    pub async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let flag = format!("-{signal}");
        let sent = Command::new("kill").args([&flag, &pid]).status().await.expect("run kill");
        assert!(sent.success(), "kill {flag} {pid}");
    }

    /// Waits for its end.
    pub async fn end(mut self) -> Ended {
        // A pipe that is dropped would end it.
        let lines = self.lines.take();
        let work = self.child.wait_with_output();
        let ended = ended(within("qpq to end", SOON, work).await.expect("wait for qpq"));
        drop(lines);
        ended
    }
}
