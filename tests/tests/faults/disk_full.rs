//! The disk of the node fills up, again and again: whoever wants to store something is told so,
//! everything else goes on, and nothing is lost.
//!
//! Somebody else takes most of the disk, and rows the rest; or somebody else takes nearly all, or
//! the last block. An acknowledgement needs a few bytes of journal: without a free block it may be
//! refused like a row, until the operator makes a little room.

use std::collections::BTreeMap;
use std::time::Duration;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_tests::disk::{self, Disk};
use quicproquo_tests::load::{self, MessageId};
use quicproquo_tests::rpc::{Dialer, Fault, Link, Pushed, Session, Target, Who};
use quicproquo_tests::seed::{part, say, seed, setting};
use quicproquo_tests::{Launch, SOON};
use tempfile::TempDir;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

const MIB: u64 = 512;

/// What is left for rows.
const ROWS: u64 = 24 * 1024 * 1024;

/// Large rows that are stored at first, so that in the first full disk the node wants to write out
/// what it holds in memory.
const BEFORE: u32 = 450;

const RECIPIENTS: u16 = 3;

/// With less than this free, nothing can be written down.
const LAST_BLOCKS: u64 = 64 * 1024;

/// What an operator deletes to make room.
const BALLAST: u64 = 1024 * 1024;

/// How long the node may take to notice that there is room again.
const BACK: Duration = Duration::from_secs(5);

/// More rows than fit, so that a disk that never fills up ends the test.
const FAR_TOO_MANY: u64 = 20_000;

struct Recipient {
    _link: Link,
    session: Session,
    /// What it must have: position and number.
    rows: BTreeMap<u64, MessageId>,
}

struct Test {
    link: Link,
    session: Session,
    token: Vec<u8>,
    counter: u64,
    recipients: Vec<Recipient>,
    rng: fastrand::Rng,
    /// Takes a refused row for a stored one.
    careless: bool,
}

/// Every row that was answered for is there, each once and in order; otherwise what is wrong. One
/// that was refused may be there too: its bytes can have reached the journal before the disk was
/// full.
fn judge(promised: &BTreeMap<u64, MessageId>, found: &[(u64, MessageId)]) -> Result<(), String> {
    let mut newest = (0, 0);
    for (seq, id) in found {
        if *seq <= newest.0 || id.counter <= newest.1 {
            return Err(format!("{id} at {seq} came behind {} at {}", newest.1, newest.0));
        }
        newest = (*seq, id.counter);
    }
    let found: BTreeMap<_, _> = found.iter().copied().collect();
    for (seq, id) in promised {
        if found.get(seq) != Some(id) {
            return Err(format!("{id} was promised at {seq}, where {:?} is", found.get(seq)));
        }
    }
    Ok(())
}

impl Test {
    async fn connect(target: Target, rng: fastrand::Rng) -> Self {
        let dialer = Dialer::new(target, SOON);
        let link = dialer.dial().await.expect("the node is there");
        let session = link.authenticate(&mut Who::new(1)).await.expect("a Session");
        let token = session.token().await.expect("a token");
        let mut recipients = Vec::new();
        for number in 0..RECIPIENTS {
            let link = dialer.dial().await.expect("the node is there");
            let mut who = load::recipient(number);
            let session = link.authenticate(&mut who).await.expect("a Session");
            let rows = BTreeMap::new();
            recipients.push(Recipient { _link: link, session, rows });
        }
        Self { link, session, token, counter: 0, recipients, rng, careless: false }
    }

    /// Stores a row, sometimes one for each recipient.
    async fn store(&mut self, bytes: usize) -> Result<(), Fault> {
        self.counter += 1;
        let id = MessageId { producer: 1, counter: self.counter };
        let filler = id.filler(bytes);
        if self.rng.bool() {
            let to = self.rng.u16(..RECIPIENTS);
            let payload = [id.header(to), filler].concat();
            let key = load::recipient(to).identity();
            let seq = self.session.enqueue(&self.token, key, &payload).await?;
            self.recipients[usize::from(to)].rows.insert(seq, id);
        } else {
            let all = (0..RECIPIENTS).map(|to| (load::recipient(to).identity(), id.header(to)));
            let sent = self.session.send(id.counter, &all.collect::<Vec<_>>(), &filler).await;
            if sent.is_err() {
                // It is given up, so the node is asked: else it lets no later one overtake it.
                self.session.send_result(id.counter).await?;
            }
            let sent = sent?;
            for (recipient, seq) in self.recipients.iter_mut().zip(sent) {
                recipient.rows.insert(seq.expect("the queues have room"), id);
            }
        }
        Ok(())
    }

    /// Stores until the node says that the disk is full, for large rows and then for small ones.
    async fn fill(&mut self) {
        for bytes in [60_000, 300] {
            let mut refused = 0;
            for stored in 0.. {
                assert!(stored < FAR_TOO_MANY, "the disk does not fill up");
                match self.store(bytes).await {
                    Ok(()) => {}
                    Err(Fault::Refused(ErrorCode::StorageFull, _)) => {
                        refused += 1;
                        self.refused();
                    }
                    Err(other) => panic!("the disk is full, and the node says {other:?}"),
                }
                if refused == 3 {
                    break;
                }
            }
        }
    }

    /// What a careless sender does about a refusal: nothing.
    fn refused(&mut self) {
        let rows = &mut self.recipients[0].rows;
        if self.careless {
            let next = rows.last_key_value().map_or(1, |(seq, _)| seq + 1);
            rows.insert(next, MessageId { producer: 1, counter: self.counter });
        }
    }

    /// Reads every queue; answers what is wrong.
    async fn look(&self) -> Result<(), String> {
        for (number, recipient) in (0..).zip(&self.recipients) {
            let rows = recipient.session.peek_all().await.expect("reading goes on");
            let found = rows.into_iter().map(|row| match row {
                Pushed::Row(seq, payload) => {
                    let id = MessageId::read(&payload, number);
                    id.map(|id| (seq, id)).map_err(ToOwned::to_owned)
                }
                Pushed::Gap(..) => Err(format!("a gap: {row:?}")),
            });
            let found: Vec<_> = found.collect::<Result<_, _>>()?;
            judge(&recipient.rows, &found).map_err(|wrong| format!("to {number}: {wrong}"))?;
        }
        Ok(())
    }

    async fn check(&self) {
        assert_eq!(self.look().await, Ok(()));
    }

    /// Acknowledges a part of every queue; answers how many were refused for want of room.
    async fn acknowledge(&mut self, part: usize) -> usize {
        let mut refused = 0;
        for recipient in &mut self.recipients {
            let count = recipient.rows.len() / part;
            let Some(up_to) = count.checked_sub(1).and_then(|n| recipient.rows.keys().nth(n))
            else {
                continue;
            };
            let up_to = *up_to;
            match recipient.session.ack(up_to).await {
                Ok(()) => recipient.rows = recipient.rows.split_off(&(up_to + 1)),
                Err(Fault::Refused(ErrorCode::StorageFull, _)) => refused += 1,
                Err(other) => panic!("acknowledging goes on: {other:?}"),
            }
        }
        refused
    }

    /// The same, until all are taken.
    async fn acknowledge_soon(&mut self, part: usize) {
        wait_within(async |test: &mut Self| test.acknowledge(part).await == 0, self).await;
    }

    /// Waits until rows are taken again.
    async fn comes_back(&mut self) -> Duration {
        let freed = Instant::now();
        let stored = async |test: &mut Self| match test.store(300).await {
            Ok(()) => true,
            Err(Fault::Refused(ErrorCode::StorageFull, _)) => false,
            Err(other) => panic!("there is room again, and the node says {other:?}"),
        };
        wait_within(stored, self).await;
        freed.elapsed()
    }
}

/// Tries until it works, for as long as the node may take to notice.
async fn wait_within(mut attempt: impl AsyncFnMut(&mut Test) -> bool, test: &mut Test) {
    let freed = Instant::now();
    while !attempt(test).await {
        assert!(freed.elapsed() < BACK, "there is room again, and the node does not notice");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_rows_and_nothing_else() {
    if !disk::usable("disk_full") {
        return;
    }
    let seed = seed("disk_full");
    let cycles = setting("QPQ_CYCLES", 3, 20);
    let logs = TempDir::new().unwrap();
    let disk = Disk::new(MIB);
    // Without a watermark: the disk is to be full, not almost full.
    let launch = Launch::node(&disk.path().join("node")).arg("--node-min-free-disk", "0");
    let node = launch.log("warn").log_file(&logs.path().join("log")).start().await;
    let work = async {
        let mut test = Test::connect(Target::of(&node), part(seed, 0)).await;
        let mut slowest = Duration::ZERO;
        let (mut stored, mut helped) = (0, 0);
        for _ in 0..BEFORE {
            test.store(60_000).await.expect("there is room");
        }
        assert_eq!(test.acknowledge(1).await, 0, "there is room");
        for cycle in 0..cycles {
            let ballast = disk.take(BALLAST);
            let filler = disk.fill([ROWS, BALLAST, 0][usize::try_from(cycle % 3).expect("small")]);
            test.fill().await;
            let health = test.link.health().await.expect("the node is alive");
            assert!(health == "ok" || health.starts_with("degraded"), "{health}");
            test.check().await;
            let free = disk.free();
            if test.acknowledge(2).await > 0 {
                assert!(free < LAST_BLOCKS, "an acknowledgement is refused, and {free} are free");
                helped += 1;
                drop(ballast);
                test.acknowledge_soon(2).await;
            }
            test.check().await;
            drop(filler);
            slowest = slowest.max(test.comes_back().await);
            for _ in 0..20 {
                test.store(5_000).await.expect("there is room");
            }
            test.check().await;
            assert_eq!(test.acknowledge(1).await, 0, "there is room");
            stored = test.counter;
        }
        say(&format!(
            "{cycles} cycles, {stored} stores; back after {slowest:?} at most; in {helped} cycles \
             the last block was gone and acknowledgements waited for room"
        ));
    };
    LocalSet::new().run_until(work).await;
    node.stop().await;
}

/// The control: rows that were refused are missing, and the test sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_takes_a_refusal_for_an_answer_is_seen() {
    if !disk::usable("disk_full control") {
        return;
    }
    let seed = seed("disk_full control");
    let logs = TempDir::new().unwrap();
    let disk = Disk::new(MIB);
    let launch = Launch::node(&disk.path().join("node")).arg("--node-min-free-disk", "0");
    let node = launch.log("warn").log_file(&logs.path().join("log")).start().await;
    let work = async {
        let mut test = Test::connect(Target::of(&node), part(seed, 0)).await;
        test.careless = true;
        let filler = disk.fill(BALLAST);
        test.fill().await;
        drop(filler);
        test.look().await
    };
    let wrong = LocalSet::new().run_until(work).await;
    say(&format!("{wrong:?}"));
    wrong.expect_err("the test sees no loss where there is one");
    node.stop().await;
}

/// The control of the check: it sees a row that is lost, doubled, moved, or out of order.
#[test]
fn each_wrong_queue_is_seen() {
    let id = |counter| MessageId { producer: 1, counter };
    let judge = |found: &[(u64, u64)]| {
        let promised = [(5, 1), (6, 2), (8, 4)].map(|(seq, counter)| (seq, id(counter)));
        let found: Vec<_> = found.iter().map(|(seq, counter)| (*seq, id(*counter))).collect();
        judge(&BTreeMap::from(promised), &found)
    };
    assert_eq!(judge(&[(5, 1), (6, 2), (8, 4)]), Ok(()));
    assert_eq!(judge(&[(5, 1), (6, 2), (7, 3), (8, 4), (9, 5)]), Ok(()), "refused, and there");
    for (what, found) in [
        ("lost", [(5, 1), (6, 2), (7, 3), (9, 5)].as_slice()),
        ("all lost", &[]),
        ("doubled", &[(5, 1), (6, 2), (7, 2), (8, 4)]),
        ("moved", &[(5, 1), (7, 2), (8, 4)]),
        ("swapped", &[(5, 2), (6, 1), (8, 4)]),
        ("out of order", &[(6, 2), (5, 1), (8, 4)]),
    ] {
        judge(found).expect_err(what);
    }
}
