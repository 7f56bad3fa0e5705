//! Watches the system calls of a process with strace: what was synced, and what was sent when.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::wait::{SOON, wait_for, within};

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
    /// Sent so many bytes over UDP.
    Send(u64),
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
            .args(["-e", "trace=fdatasync,fsync,sendmsg,sendmmsg,sendto,epoll_wait"])
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
        "fdatasync" | "fsync" => Kind::SyncOther,
        "sendmsg" | "sendto" => Kind::Send(result.parse().ok()?),
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
        ];
        assert_eq!(kinds, expected);
        assert!((calls[3].begin - 1_700_000_000.2).abs() < 1e-6);
        assert!((calls[3].end - 1_700_000_000.200_5).abs() < 1e-6);
    }
}
