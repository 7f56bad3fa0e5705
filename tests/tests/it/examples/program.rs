//! Example programs as processes.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use quicproquo_tests::{Bot, LONG, SOON, files, wait_for, within};
use tokio::process::{Child, Command};

/// How an example is started; its token and the gateway's address come from the environment.
pub(super) type Start<'a> = dyn Fn() -> Command + Sync + 'a;

/// A running example. Dropping it kills it.
pub(super) struct Program {
    child: Child,
    log: PathBuf,
    /// The group of processes that ends with it, where it has one of its own.
    group: Option<u32>,
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let group = format!("-{group}");
            // One that has ended is not there.
            let _ = std::process::Command::new("kill").args(["-KILL", "--", &group]).status();
        }
    }
}

impl Program {
    /// Starts an example as a bot; what it says is appended to `log`.
    pub(super) fn start(mut command: Command, bot: &Bot, log: &Path) -> Self {
        let file = std::fs::File::options().create(true).append(true).open(log).expect("a log");
        let child = command
            .env("QPQ_URL", bot.api.base())
            .env("QPQ_TOKEN", bot.api.token())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .expect("start the example");
        Self { child, log: log.to_owned(), group: None }
    }

    /// The same, with all that it starts itself.
    pub(super) fn start_all(mut command: Command, bot: &Bot, log: &Path) -> Self {
        command.process_group(0);
        let mut program = Self::start(command, bot, log);
        program.group = program.child.id();
        program
    }

    /// All that it, and those before it with the same log, have said.
    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said something so many times.
    pub(super) async fn says(&mut self, what: &str, count: usize) {
        wait_for(what, LONG, || {
            let ended = self.child.try_wait().expect("look at the example");
            assert!(ended.is_none(), "the example ended ({ended:?}):\n{}", self.said());
            let there = self.said().matches(what).count() >= count;
            async move { there.then_some(()) }
        })
        .await;
    }

    /// SIGKILL.
    pub(super) async fn kill(mut self) {
        self.child.kill().await.expect("kill the example");
    }

    /// SIGTERM, after which it must end by itself, and without complaint.
    pub(super) async fn stop(mut self) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await.expect("run kill");
        assert!(sent.success(), "kill -TERM {pid}: {}", self.said());
        let status = self.end().await;
        assert!(status.success(), "it ended with {status}:\n{}", self.said());
        let said = self.said();
        assert!(!said.contains("Traceback"), "{said}");
    }

    /// Waits for its end.
    pub(super) async fn end(&mut self) -> ExitStatus {
        within("the example to end", SOON, self.child.wait()).await.expect("wait for the example")
    }
}

/// A Python program, with the SDK of this checkout.
pub(super) fn python(path: &Path) -> Command {
    let mut command = Command::new(files::sdk_python());
    command
        .arg(path)
        .env("PYTHONPATH", files::checkout("sdk/python/src"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}
