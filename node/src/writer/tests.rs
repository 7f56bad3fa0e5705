//! Which thread commits.

use std::sync::mpsc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use futures::FutureExt;
use tokio::runtime;

use super::*;
use crate::health::disk::Disk;
use crate::metrics::Metrics;

/// Longer than a writer rests after a fast commit.
const REST: Duration = Duration::from_millis(3);
/// How long a commit waits for somebody to let it go on.
const STUCK: Duration = Duration::from_millis(400);

/// What a commit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Do {
    Nothing,
    /// Waits until it is let go on, as if the disk were slow.
    Stick,
    Fail,
    Panic,
}

/// A commit that was done: which, where, and whether it was let go on in time.
type Done = (Do, ThreadId, bool);

/// A store that does as it is told.
struct Told {
    let_go: mpsc::Receiver<()>,
    done: mpsc::Sender<Done>,
}

impl Half for Told {
    type Write = Do;
    type Written = ();

    fn size(_: &Do) -> usize {
        1
    }

    async fn run(&mut self, batch: &[Do], _: u64) -> Result<Outcome<()>, StoreError> {
        for write in batch {
            let in_time = *write != Do::Stick || self.let_go.recv_timeout(STUCK).is_ok();
            self.done.send((*write, thread::current().id(), in_time)).unwrap();
            assert!(*write != Do::Panic, "as told");
            if *write == Do::Fail {
                return Err(StoreError::Full);
            }
        }
        let answers = batch.iter().map(|_| Ok(())).collect();
        Ok(Outcome { answers, woken: Vec::new(), tally: Tally::default() })
    }

    fn may_run_in_place(&self, _: &Do) -> bool {
        true
    }

    async fn sweep(&mut self, _: u64, _: u32) -> Result<Swept, StoreError> {
        Ok(Swept::default())
    }
}

struct Rig {
    writer: Writer<Told>,
    let_go: mpsc::Sender<()>,
    done: mpsc::Receiver<Done>,
    /// Whether the half was left when the task ended.
    task: thread::JoinHandle<bool>,
}

impl Rig {
    fn start() -> Self {
        let (let_go, wait) = mpsc::channel();
        let (tell, done) = mpsc::channel();
        let disk = Disk::new(&std::env::temp_dir(), Some(0)).unwrap();
        let health = Arc::new(Health::new(disk, Duration::from_mins(1)));
        let metrics = Arc::new(Metrics::new(&Clock::system(), []));
        let watch = Watch { health, metrics, half: store::Half::Queues };
        let half = Told { let_go: wait, done: tell };
        let (writer, task) = WriterTask::new(half, Arc::default(), Clock::system(), watch);
        let task = thread::spawn(move || runtime().block_on(task.run()).is_some());
        thread::sleep(REST);
        Self { writer, let_go, done, task }
    }

    /// Returns where it was done.
    fn last(&self) -> ThreadId {
        self.done.recv().unwrap().1
    }
}

fn runtime() -> runtime::Runtime {
    runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn what_comes_alone_is_done_here() {
    let rig = Rig::start();
    runtime().block_on(rig.writer.submit(Do::Nothing)).unwrap();
    assert_eq!(rig.last(), thread::current().id());
    drop(rig.writer);
    assert!(rig.task.join().unwrap());
}

#[test]
fn a_slow_commit_holds_up_its_thread_once() {
    let rig = Rig::start();
    let here = thread::current().id();
    runtime().block_on(async {
        // Somebody else on this thread, who would let it go on.
        let let_go = || async { rig.let_go.send(()).unwrap() };
        let (done, ()) = tokio::join!(rig.writer.submit(Do::Stick), let_go());
        done.unwrap();
        let (_, at, in_time) = rig.done.recv().unwrap();
        assert!(at == here && !in_time, "nobody else had a turn");
        // It came too late, and is there for the next one.
        rig.writer.submit(Do::Stick).await.unwrap();
        assert_ne!(rig.last(), here);
        for _ in 0..3 {
            thread::sleep(REST);
            let (done, ()) = tokio::join!(rig.writer.submit(Do::Stick), let_go());
            done.unwrap();
            let (_, at, in_time) = rig.done.recv().unwrap();
            assert!(at != here && in_time, "the others on this thread go on");
        }
    });
    drop(rig.writer);
    assert!(rig.task.join().unwrap());
}

#[test]
fn what_fails_here_is_answered_and_the_writer_repairs() {
    let rig = Rig::start();
    let here = thread::current().id();
    runtime().block_on(async {
        assert_eq!(rig.writer.submit(Do::Fail).await, Err(WriteError::DiskFull));
        assert_eq!(rig.last(), here);
        thread::sleep(REST);
        rig.writer.submit(Do::Nothing).await.unwrap();
        assert_ne!(rig.last(), here);
    });
    drop(rig.writer);
    assert!(rig.task.join().unwrap());
}

#[test]
fn a_panic_here_ends_the_writer() {
    let rig = Rig::start();
    let submit = std::panic::AssertUnwindSafe(rig.writer.submit(Do::Panic));
    assert!(runtime().block_on(submit.catch_unwind()).is_err());
    assert_eq!(rig.last(), thread::current().id());
    assert!(!rig.task.join().unwrap(), "the half is gone");
    assert_eq!(runtime().block_on(rig.writer.submit(Do::Nothing)), Err(WriteError::Closed));
}
