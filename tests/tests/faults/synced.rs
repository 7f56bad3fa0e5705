//! No answer leaves before the sync of its transaction, as the system calls of the node show.
//!
//! One request is in flight at a time. An answer is the first datagram of the node after the
//! request that is larger than a bare acknowledgement of QUIC; before that call is made, a sync of
//! the queues, or of the directory where that is what changes, that began after the request must have returned.

use std::time::Duration;

use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::HYBRID_PUBLIC_KEY_LEN;
use quicproquo_tests::load::MessageId;
use quicproquo_tests::rpc::{Dialer, Fault, Session, Target, Who};
use quicproquo_tests::seed::{say, setting};
use quicproquo_tests::trace::{Kind, Tracer, Window, early, now};
use quicproquo_tests::{Api, Launch, SOON};
use tempfile::TempDir;
use tokio::task::LocalSet;

/// Datagrams up to this size carry no answer: 1 byte flags, 8 connection id, 4 packet number, 16
/// tag (RFC 9001 section 5.3), and an ACK frame.
const BARE: u64 = 60;

/// After this a node counts as idle.
const REST: Duration = Duration::from_millis(3);

async fn requests(target: Target, count: u64, windows: &mut Vec<Window>) -> Result<(), Fault> {
    let dialer = Dialer::new(target, SOON);
    let link = dialer.dial().await?;
    let mut who = Who::new(1);
    let session = link.authenticate(&mut who).await?;
    let token = session.token().await?;
    let me = who.identity();
    let one = async |n: u64| request(&session, &token, me, n).await;
    for n in 0..30 {
        one(n).await?;
    }
    for n in 30..30 + count {
        // Half of them find a node that has rested: it commits on the thread that asks.
        if n % 8 < 4 {
            tokio::time::sleep(REST).await;
        }
        let begin = now();
        let (what, needs) = one(n).await?;
        windows.push(Window { begin, end: now(), what, needs });
    }
    Ok(())
}

async fn request(
    session: &Session,
    token: &[u8],
    me: IdentityKey,
    n: u64,
) -> Result<(&'static str, Kind), Fault> {
    let payload = n.to_be_bytes();
    match n % 4 {
        0 => session.enqueue(token, me, &payload).await.map(|_| ("enqueue", Kind::SyncQueues)),
        1 => {
            let to = [(me, payload.to_vec()), (Who::new(2).identity(), payload.to_vec())];
            session.send(n, &to, &[7; 300]).await.map(|_| ("send", Kind::SyncQueues))
        }
        // There are always two rows to remove.
        2 => session.ack(n / 4 * 2 + 2).await.map(|()| ("ack", Kind::SyncQueues)),
        _ => {
            let key = MessageId { producer: 1, counter: n }.filler(HYBRID_PUBLIC_KEY_LEN);
            let done = session.upload_hybrid_key(token, me, &key).await;
            done.map(|()| ("uploadHybridKey", Kind::SyncDirectory))
        }
    }
}

fn is_answer(kind: Kind) -> bool {
    matches!(kind, Kind::Send(bytes) if bytes > BARE)
}

async fn run(launch: impl Fn(Launch) -> Launch, count: u64) -> (Vec<Window>, usize) {
    let dir = TempDir::new().expect("a folder");
    let node = Launch::node(&dir.path().join("node")).arg("--node-ops-listen", "127.0.0.1:0");
    let node = launch(node.log("warn")).start().await;
    let tracer = Tracer::attach(node.pid(), &dir.path().join("trace")).await;
    let mut windows = Vec::new();
    let done = requests(Target::of(&node), count, &mut windows);
    LocalSet::new().run_until(done).await.expect("every request is answered");
    let mut calls = tracer.finish().await;
    calls.sort_by(|a, b| a.begin.total_cmp(&b.begin));
    let metrics = Api::new(node.field("node_ops"), "").get("/metrics").await.text;
    let in_place = metrics.lines().find(|line| {
        line.starts_with("qpq_node_batches_in_place_total") && line.contains("queues")
    });
    say(in_place.unwrap_or("no figure of commits in place"));
    node.stop().await;
    (early(&calls, &windows, is_answer), windows.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_leaves_before_its_sync() {
    let count = setting("QPQ_REQUESTS", 500, 10_000);
    let (early, of) = run(|launch| launch, count).await;
    say(&format!("{} of {of} answers left before their sync", early.len()));
    assert!(early.is_empty(), "{early:?}");
}

/// The control: with commits of the queues that are not synced, the trace shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_synced_commits_answers_leave_early() {
    let unsynced = |launch: Launch| launch.env("QPQ_TEST_SYNC", "none");
    let (early, of) = run(unsynced, 100).await;
    // Three of four requests change the queues.
    assert!(early.len() * 2 > of, "{} of {of}", early.len());
    assert!(early.iter().all(|it| it.needs == Kind::SyncQueues), "{early:?}");
}
