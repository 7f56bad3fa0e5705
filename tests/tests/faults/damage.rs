//! Flipped bits, overwritten and truncated files: the node refuses to start with a clear message,
//! or says which rows it has lost. It never loses them silently, never panics, and never starts
//! with an empty database in place of a damaged one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use quicproquo_tests::load::{self, MessageId};
use quicproquo_tests::process::Ended;
use quicproquo_tests::rpc::{Dialer, Fault, Pushed, Target, Who};
use quicproquo_tests::seed::{part, say, seed, setting};
use quicproquo_tests::{Launch, SOON, files, harm};
use tempfile::TempDir;
use tokio::task::LocalSet;

const RECIPIENTS: u16 = 4;

/// Messages, and how their sizes in bytes follow from their numbers. The large ones make the store
/// move rows from its journal into tables and files of large values.
#[derive(Debug, Clone, Copy)]
struct Amount {
    messages: u64,
    bytes: fn(u64) -> u64,
}

const SMALL: Amount = Amount { messages: 120, bytes: |number| number * number };
const LARGE: Amount = Amount { messages: 1200, bytes: |number| number % 7 * 9_000 };

/// Exit codes of `qpq` for an unusable certificate and for damaged data.
const EXPLAINED: [i32; 3] = [1, 2, 5];

/// What the node has answered for.
struct Promises {
    target: Target,
    rows: Vec<BTreeMap<u64, MessageId>>,
    acknowledged: Vec<u64>,
    last_send: u64,
    hybrid_key: Vec<u8>,
}

async fn promise(target: Target, amount: Amount) -> Result<Promises, Fault> {
    let dialer = Dialer::new(target, SOON);
    let link = dialer.dial().await?;
    let mut sender = Who::new(1);
    let session = link.authenticate(&mut sender).await?;
    let token = session.token().await?;
    let hybrid_key: Vec<u8> = MessageId { producer: 9, counter: 9 }.filler(1216);
    session.upload_hybrid_key(&token, sender.identity(), &hybrid_key).await?;
    let mut rows = vec![BTreeMap::new(); usize::from(RECIPIENTS)];
    let mut last_send = 0;
    for counter in 1..=amount.messages {
        let id = MessageId { producer: 1, counter };
        let filler = id.filler(usize::try_from((amount.bytes)(counter)).expect("small"));
        let to = u16::try_from(counter).expect("small") % RECIPIENTS;
        if counter.is_multiple_of(3) {
            let all = (0..RECIPIENTS).map(|to| (load::recipient(to).identity(), id.header(to)));
            let sent = session.send(counter, &all.collect::<Vec<_>>(), &filler).await?;
            for (rows, seq) in rows.iter_mut().zip(sent) {
                rows.insert(seq.expect("the queues have room"), id);
            }
            last_send = counter;
        } else {
            let payload = [id.header(to), filler].concat();
            let key = load::recipient(to).identity();
            let seq = session.enqueue(&token, key, &payload).await?;
            rows[usize::from(to)].insert(seq, id);
        }
    }
    let mut acknowledged = Vec::new();
    for (number, rows) in (0..).zip(&mut rows) {
        let link = dialer.dial().await?;
        let session = link.authenticate(&mut load::recipient(number)).await?;
        session.ack(5).await?;
        *rows = rows.split_off(&6);
        acknowledged.push(5);
    }
    Ok(Promises { target, rows, acknowledged, last_send, hybrid_key })
}

/// What a reader finds; the first that is noticed ends the reading.
async fn read(promises: &Promises, target: Target) -> Outcome {
    // The old certificate is expected, at the new address.
    let target = Target { fingerprint: promises.target.fingerprint, ..target };
    match read_all(promises, target).await {
        Ok(outcome) => outcome,
        Err(Fault::Gone(text) | Fault::Refused(_, text)) => Outcome::Noticed(text),
    }
}

async fn read_all(promises: &Promises, target: Target) -> Result<Outcome, Fault> {
    let dialer = Dialer::new(target, SOON);
    let link = dialer.dial().await?;
    let mut sender = Who::new(1);
    let session = link.authenticate(&mut sender).await?;
    if session.last_send != promises.last_send {
        return Ok(Outcome::Silent(format!("the last send is {}", session.last_send)));
    }
    let token = session.token().await?;
    if session.fetch_hybrid_key(&token, sender.identity()).await? != promises.hybrid_key {
        return Ok(Outcome::Silent("another hybrid key".to_owned()));
    }
    let mut noticed = None;
    for (number, rows) in (0..).zip(&promises.rows) {
        let link = dialer.dial().await?;
        let session = link.authenticate(&mut load::recipient(number)).await?;
        let acknowledged = promises.acknowledged[usize::from(number)];
        if session.acked_up_to != acknowledged {
            let text = format!("{number} is at {}", session.acked_up_to);
            return Ok(Outcome::Silent(text));
        }
        let (mut found, mut gaps) = (BTreeMap::new(), 0);
        for row in session.peek_all().await? {
            match row {
                Pushed::Gap(_, lost) => gaps += lost,
                Pushed::Row(seq, payload) => match MessageId::read(&payload, number) {
                    Ok(id) => drop(found.insert(seq, id)),
                    Err(what) => return Ok(Outcome::Silent(format!("{number} at {seq}: {what}"))),
                },
            }
        }
        let missing = rows.iter().filter(|(seq, id)| found.get(seq) != Some(id)).count();
        if missing > gaps as usize {
            let text = format!("{missing} of {} rows of {number} are gone", rows.len());
            return Ok(Outcome::Silent(text));
        }
        if found.len() + missing > rows.len() {
            return Ok(Outcome::Silent(format!("{number} has rows that nobody sent")));
        }
        if gaps > 0 {
            noticed = Some(Outcome::Noticed(format!("{gaps} rows of {number} are a gap")));
        }
    }
    Ok(noticed.unwrap_or(Outcome::Whole))
}

/// How a process took it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It does not start and says why.
    Refused(String),
    /// It starts and says what is wrong.
    Noticed(String),
    /// Nothing that was promised was hit.
    Whole,
    /// It starts, something is gone or different, and nobody is told.
    Silent(String),
    /// It ends in a way that tells nothing.
    Ugly(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("whole"),
            Self::Refused(text) => write!(f, "refused: {text}"),
            Self::Noticed(text) => write!(f, "noticed: {text}"),
            Self::Silent(text) => write!(f, "SILENT: {text}"),
            Self::Ugly(text) => write!(f, "UGLY: {text}"),
        }
    }
}

/// A data directory to damage copies of.
struct Original {
    dir: TempDir,
    promises: Promises,
}

impl Original {
    /// Of a node that was stopped, or killed so that its logs are full.
    async fn make(amount: Amount, killed: bool) -> Self {
        let dir = TempDir::new().expect("a folder");
        let node = Launch::node(&dir.path().join("node")).log("warn").start().await;
        let target = Target::of(&node);
        let promises =
            LocalSet::new().run_until(promise(target, amount)).await.expect("a good node");
        if killed {
            node.kill().await
        } else {
            node.stop().await
        };
        Self { dir, promises }
    }
}

/// Starts a node on damaged data and looks at what it does.
async fn outcome(data: &Path, promises: &Promises) -> Outcome {
    let launch = Launch::node(data).log("warn");
    match launch.try_start().await {
        Err(Ended { code, stderr, .. }) => {
            // The last line is for people; warnings of the log may stand before it.
            let line = stderr.lines().last().unwrap_or_default();
            let explained = line.starts_with("qpq: ") && EXPLAINED.contains(&code);
            if explained && !stderr.contains("panicked") {
                Outcome::Refused(line.to_owned())
            } else {
                Outcome::Ugly(format!("code {code}: {stderr}"))
            }
        }
        Ok(node) => {
            let target = Target::of(&node);
            let outcome = LocalSet::new().run_until(read(promises, target)).await;
            let log = String::from_utf8_lossy(&node.log()).into_owned();
            node.kill().await;
            if log.contains("panicked") { Outcome::Ugly(log) } else { outcome }
        }
    }
}

/// What holds the data is hit most.
fn weight(path: &Path) -> u64 {
    let holds_data = path == Path::new("node.db")
        || path == Path::new("node.db-wal")
        || path.starts_with("queues");
    if holds_data { 10 } else { 3 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_files_are_refused_or_reported() {
    let seed = seed("damage");
    let cases = setting("QPQ_CASES", 60, 500);
    let originals = [
        Original::make(SMALL, false).await,
        Original::make(SMALL, true).await,
        Original::make(LARGE, true).await,
    ];
    let (mut refused, mut noticed, mut whole) = (0, 0, 0);
    let mut bad = Vec::new();
    for case in 0..cases {
        let mut rng = part(seed, case);
        // The large one takes longer.
        let original = &originals[[0, 0, 0, 0, 0, 1, 1, 1, 1, 2][rng.usize(..10)]];
        let dir = TempDir::new().expect("a folder");
        let data = dir.path().join("node");
        files::copy_tree(&original.dir.path().join("node"), &data);
        let hurt = harm::hurt(&data, weight, &mut rng);
        let outcome = outcome(&data, &original.promises).await;
        match &outcome {
            Outcome::Refused(_) => refused += 1,
            Outcome::Noticed(_) => noticed += 1,
            Outcome::Whole => whole += 1,
            Outcome::Silent(_) | Outcome::Ugly(_) => {
                bad.push(format!("case {case}: {hurt}: {outcome}"));
            }
        }
    }
    say(&format!("{cases} cases: {refused} refused, {noticed} noticed, {whole} unhurt"));
    assert!(bad.is_empty(), "{} of {cases} cases: {bad:#?}", bad.len());
}
