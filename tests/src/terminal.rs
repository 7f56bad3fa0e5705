//! `qpq` in a terminal of its own: a pseudo-terminal, and what a screen would show of it.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::Parser;

use crate::files;
use crate::wait::{LONG, SOON, wait_for};

/// Between keys that are typed again.
const PAUSE: Duration = Duration::from_secs(2);

/// A terminal with a running `qpq`. Dropping it kills that.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<Parser>>,
    reading: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Terminal {
    /// Starts `qpq` with a data directory in a terminal of a size.
    pub fn start(data_dir: &Path, args: &[&str], rows: u16, cols: u16) -> Self {
        let pty = native_pty_system().openpty(size(rows, cols)).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(files::qpq());
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"QPQ_") {
                command.env_remove(name);
            }
        }
        command.env("TERM", "xterm-256color");
        command.env("TZ", "UTC");
        command.args(args);
        command.arg("--data-dir");
        command.arg(data_dir);
        command.cwd(data_dir);
        let child = pty.slave.spawn_command(command).expect("start qpq");
        drop(pty.slave);
        let screen = Arc::new(Mutex::new(Parser::new(rows, cols, 0)));
        let mut reader = pty.master.try_clone_reader().expect("a reader");
        let seen = screen.clone();
        let reading = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count) = reader.read(&mut piece) {
                if count == 0 {
                    break;
                }
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.process(&piece[..count]);
            }
        });
        let keys = pty.master.take_writer().expect("a writer");
        Self { master: pty.master, keys, child, screen, reading: Some(reading) }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Parser) -> T) -> T {
        look(&mut self.screen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a person sees.
    pub fn shown(&self) -> String {
        self.with(|screen| screen.screen().contents())
    }

    /// Whether the program has the whole screen, as editors do.
    pub fn is_full_screen(&self) -> bool {
        self.with(|screen| screen.screen().alternate_screen())
    }

    /// Whether keys come as they are typed, without an echo.
    pub fn is_raw(&self) -> bool {
        let pid = self.child.process_id().expect("it runs");
        let tty = format!("/proc/{pid}/fd/0");
        let said = std::process::Command::new("stty").args(["-a", "-F", &tty]).output();
        String::from_utf8_lossy(&said.expect("run stty").stdout).contains("-icanon")
    }

    /// Types something.
    pub fn type_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("type");
    }

    /// Types a line, and Enter.
    pub fn enter(&mut self, line: &str) {
        self.type_keys(&format!("{line}\r"));
    }

    /// Waits until something is to be seen.
    pub async fn shows(&self, text: &str) {
        let look = || {
            let there = self.shown().contains(text);
            async move { there.then_some(()) }
        };
        let limit = tokio::time::timeout(LONG, wait_for(text, LONG * 2, look)).await;
        assert!(limit.is_ok(), "waited in vain for {text:?} on this screen:\n{}", self.shown());
    }

    /// Types the same keys, every now and then, until something is to be seen.
    pub async fn shows_after(&mut self, keys: &str, text: &str) {
        let deadline = tokio::time::Instant::now() + LONG;
        while !self.shown().contains(text) {
            self.type_keys(keys);
            let look = || {
                let there = self.shown().contains(text);
                async move { there.then_some(()) }
            };
            let _ = tokio::time::timeout(PAUSE, wait_for(text, LONG, look)).await;
            let late = tokio::time::Instant::now() > deadline;
            assert!(!late, "typed in vain for {text:?} on this screen:\n{}", self.shown());
        }
    }

    /// Gives the terminal another size.
    pub fn resize(&self, rows: u16, cols: u16) {
        self.with(|screen| screen.screen_mut().set_size(rows, cols));
        self.master.resize(size(rows, cols)).expect("resize");
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.process_id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(sent.expect("run kill").success(), "kill -{signal} {pid}");
    }

    /// Waits for the end; answers the exit code.
    pub async fn end(&mut self) -> u32 {
        let child = Mutex::new(&mut self.child);
        let code = wait_for("qpq to end", SOON, || {
            let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = child.try_wait().expect("wait for qpq");
            async move { ended.map(|status| status.exit_code()) }
        })
        .await;
        // What it wrote last is on the screen then.
        self.reading.take().expect("it ends once").join().expect("the reader ends");
        code
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}
