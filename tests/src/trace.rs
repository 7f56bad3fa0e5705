//! Watches the system calls of a process with strace: what was synced, and what was sent when.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::process::{Child, Command};

use crate::wait::{SOON, wait_for, within};

const CALLS: &str = "trace=fdatasync,fsync,sendmsg,sendmmsg,sendto,write,writev,epoll_wait";

/// A system call that has returned. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// When it was made.
    pub begin: f64,
    /// When it returned.
    pub end: f64,
    /// Line of the trace on which it returned; orders calls that have the same time.
    pub line: usize,
    /// What it did.
    pub kind: Kind,
}

/// What a call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Synced a file of the queues.
    SyncQueues,
    /// Synced the directory's write-ahead log.
    SyncDirectory,
    /// Synced another file.
    SyncOther,
    /// Synced the log of the gateway's sessions.
    SyncSessions,
    /// Synced the log of the gateway's bots and tokens.
    SyncBots,
    /// Sent so many bytes over UDP, as QUIC does.
    Send(u64),
    /// Wrote to a TCP connection.
    Answer,
}

/// A request: when it was about to be made and when it was answered, what it was, and which sync
/// its answer needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Seconds since 1970.
    pub begin: f64,
    /// The same.
    pub end: f64,
    /// Its name.
    pub what: &'static str,
    /// Such a sync must have begun after the request and be over before the answer.
    pub needs: Kind,
}

/// The time of the system, as it is in a trace.
#[expect(clippy::disallowed_methods, reason = "the trace has the system's time")]
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// The requests, one at a time, that were answered before they were synced. The first call of a
/// window that `is_answer` is its answer; panics when there is none.
pub fn early(calls: &[Call], windows: &[Window], is_answer: impl Fn(Kind) -> bool) -> Vec<Window> {
    let mut found = Vec::new();
    let mut at = 0;
    for window in windows {
        while calls.get(at).is_some_and(|call| call.begin < window.begin) {
            at += 1;
        }
        let inside = calls[at..].iter().take_while(|call| call.begin <= window.end);
        let mut synced = f64::INFINITY;
        let mut answer = None;
        for call in inside {
            if call.kind == window.needs {
                synced = synced.min(call.end);
            } else if answer.is_none() && is_answer(call.kind) {
                answer = Some(call.begin);
            }
        }
        let answer = answer.unwrap_or_else(|| panic!("{}: no answer in the trace", window.what));
        if synced > answer {
            found.push(*window);
        }
    }
    found
}

/// A trace that is being written.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
    file: PathBuf,
}

impl Tracer {
    /// Attaches to a process; ready when its calls are seen.
    pub async fn attach(pid: u32, file: &Path) -> Self {
        let child = Command::new("strace")
            .args(["-f", "-y", "-ttt", "-T", "-s", "0", "-p", &pid.to_string(), "-o"])
            .arg(file)
            .args(["-e", CALLS])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("strace is installed: cargo xtask ci --install does that");
        wait_for("strace to attach", SOON, || async {
            fs::metadata(file).is_ok_and(|file| file.len() > 0).then_some(())
        })
        .await;
        Self { child, file: file.to_owned() }
    }

    /// Detaches; answers the calls, in the order in which they returned.
    pub async fn finish(mut self) -> Vec<Call> {
        let pid = self.child.id().expect("strace runs").to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().await.expect("run kill");
        assert!(sent.success(), "kill -INT {pid}");
        within("strace to end", SOON, self.child.wait()).await.expect("wait for strace");
        parse(&fs::read_to_string(&self.file).expect("read the trace"))
    }
}

/// Reads the lines of `strace -f -y -ttt -T`.
fn parse(text: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, String> = HashMap::new();
    let mut calls = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(first) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, first.to_owned());
            continue;
        }
        let whole = match rest.split_once(" resumed>") {
            Some((_, last)) => match begun.remove(thread) {
                Some(first) => first + last,
                None => continue,
            },
            None => rest.to_owned(),
        };
        calls.extend(call(&whole, number));
    }
    calls
}

/// `1700000000.123456 fdatasync(12</tmp/queues/0.jnl>) = 0 <0.000123>`
fn call(text: &str, line: usize) -> Option<Call> {
    let (begin, rest) = text.split_once(' ')?;
    let begin: f64 = begin.parse().ok()?;
    let (rest, took) = rest.strip_suffix('>')?.rsplit_once(" <")?;
    let took: f64 = took.parse().ok()?;
    let (call, result) = rest.rsplit_once(" = ")?;
    let name = call.split_once('(')?.0;
    let kind = match name {
        // A sync that failed has synced nothing.
        "fdatasync" | "fsync" if result != "0" => return None,
        "fdatasync" | "fsync" if call.contains("/queues/") => Kind::SyncQueues,
        "fdatasync" | "fsync" if call.contains("/node.db-wal>") => Kind::SyncDirectory,
        "fdatasync" | "fsync" if call.contains("/client.db-wal>") => Kind::SyncSessions,
        "fdatasync" | "fsync" if call.contains("/gateway.db-wal>") => Kind::SyncBots,
        "fdatasync" | "fsync" => Kind::SyncOther,
        "write" | "writev" | "sendto" if call.contains("<socket:[") => Kind::Answer,
        "sendmsg" => Kind::Send(result.parse().ok()?),
        "sendmmsg" => {
            let sizes = call.split("msg_len=").skip(1);
            let digits = |part: &str| -> Option<u64> {
                part.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
            };
            Kind::Send(sizes.filter_map(digits).sum())
        }
        _ => return None,
    };
    Some(Call { begin, end: begin + took, line, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read() {
        let text = "\
7  1700000000.100000 fdatasync(12</d/queues/0.jnl>) = 0 <0.000500>
8  1700000000.100100 sendmsg(9<UDP:[1]>, {msg_iov=[{iov_len=40}], msg_flags=0}, 0) = 40 <0.000010>
7  1700000000.200000 fdatasync(12</d/queues/0.jnl> <unfinished ...>
8  1700000000.200100 sendmmsg(9<UDP:[1]>, [{msg_hdr={}, msg_len=30}, {msg_hdr={}, msg_len=12}], 2, 0) = 2 <0.000010>
7  1700000000.200500 <... fdatasync resumed>) = 0 <0.000500>
7  1700000000.300000 fsync(11</d/node.db>) = 0 <0.000500>
7  1700000000.300000 fdatasync(11</d/node.db-wal>) = 0 <0.000500>
7  1700000000.400000 fdatasync(12</d/queues/0.jnl>) = -1 EIO (Input/output error) <0.000500>
7  1700000000.400000 fdatasync(11</d/client.db-wal>) = 0 <0.000500>
7  1700000000.400000 fdatasync(11</d/gateway.db-wal>) = 0 <0.000500>
7  1700000000.400000 write(5<anon_inode:[eventfd]>, \"\"..., 8) = 8 <0.000010>
7  1700000000.400000 writev(9<socket:[7]>, [{iov_base=\"\"..., iov_len=9}], 1) = 9 <0.000010>
7  1700000000.500000 epoll_wait(3, [], 1024, 0) = 0 <0.000500>
7  1700000001.000000 +++ exited with 0 +++";
        let calls = parse(text);
        let kinds: Vec<Kind> = calls.iter().map(|call| call.kind).collect();
        let expected = [
            Kind::SyncQueues,
            Kind::Send(40),
            Kind::Send(42),
            Kind::SyncQueues,
            Kind::SyncOther,
            Kind::SyncDirectory,
            Kind::SyncSessions,
            Kind::SyncBots,
            Kind::Answer,
        ];
        assert_eq!(kinds, expected);
        assert!((calls[3].begin - 1_700_000_000.2).abs() < 1e-6);
        assert!((calls[3].end - 1_700_000_000.200_5).abs() < 1e-6);
    }
}
