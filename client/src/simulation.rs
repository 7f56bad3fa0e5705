//! Sessions under simulation: time that stands still until it is moved, a node in memory that does
//! nothing by itself, and processes that die where they are told to.
//!
//! Whoever drives a [`Simulation`] does one thing, waits until everything is [quiet], and does the
//! next. All of it belongs on one thread: a current-thread runtime.
//!
//! [quiet]: Simulation::quiet

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quicproquo_core::id::GroupId;
use quicproquo_core::identity::Identity;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

pub use crate::clock::Point;
use crate::rpc::Driver;
use crate::store::StoreError;
pub use node::{FakeNode, Known, Move};
pub use quicproquo_core::group::obey;

mod account;
mod node;

/// How far the machine's clock is ahead when a simulation begins: 20 days, in milliseconds.
const LEAD_MS: u64 = 20 * 24 * 3600 * 1000;

/// Often enough for every task that can run to have run.
const YIELDS: usize = 8;

/// Time and node of simulated processes. Clones share them.
#[derive(Debug, Clone)]
pub struct Simulation {
    time: Arc<Time>,
    node: FakeNode,
    ids: Arc<Ids>,
}

/// Where ids and identities come from.
#[derive(Debug)]
struct Ids {
    seed: u64,
    made: AtomicU64,
}

impl Ids {
    /// The next ones of this seed.
    fn draw(&self) -> [u8; 32] {
        let made = self.made.fetch_add(1, Ordering::SeqCst);
        Sha256::digest([self.seed.to_be_bytes(), made.to_be_bytes()].concat()).into()
    }
}

#[derive(Debug)]
struct Time {
    now_ms: AtomicU64,
    timers: Mutex<Timers>,
    busy: AtomicUsize,
    idle: Notify,
}

/// Who waits for a moment; the second number keeps those of one moment in order.
#[derive(Debug, Default)]
struct Timers {
    waiting: BTreeMap<(u64, u64), oneshot::Sender<()>>,
    made: u64,
}

impl Simulation {
    /// Time stands still at a moment twenty days ago. Key packages are judged by the clock of the
    /// machine too, which must not be behind that of the simulation, nor months before it. Groups
    /// and identities have the same ids whenever they are made in the same order under one seed.
    pub fn new(seed: u64) -> Self {
        let time = Time {
            now_ms: AtomicU64::new(crate::clock::now_ms().saturating_sub(LEAD_MS)),
            timers: Mutex::default(),
            busy: AtomicUsize::new(0),
            idle: Notify::new(),
        };
        let ids = Ids { seed, made: AtomicU64::new(0) };
        Self { time: Arc::new(time), node: FakeNode::new(), ids: Arc::new(ids) }
    }

    /// The node.
    pub fn node(&self) -> &FakeNode {
        &self.node
    }

    /// A new process.
    pub fn process(&self) -> Process {
        let life = Life { killed: CancellationToken::new(), passed: Mutex::default() };
        Process { simulation: self.clone(), life: Arc::new(life) }
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.time.now_ms.load(Ordering::SeqCst)
    }

    /// The next moment somebody waits for.
    pub fn next_timer(&self) -> Option<u64> {
        let mut timers = self.time.timers();
        timers.waiting.retain(|_, waiting| !waiting.is_closed());
        timers.waiting.keys().next().map(|(at, _)| *at)
    }

    /// Moves time to `at`, unless it is there already, and wakes who has waited for it.
    pub fn advance_to(&self, at: u64) {
        self.time.now_ms.fetch_max(at, Ordering::SeqCst);
        let due = {
            let mut timers = self.time.timers();
            let later = timers.waiting.split_off(&(at + 1, 0));
            std::mem::replace(&mut timers.waiting, later)
        };
        for waiting in due.into_values() {
            let _ = waiting.send(());
        }
    }

    /// Waits until all sessions wait.
    pub async fn quiet(&self) {
        loop {
            for _ in 0..YIELDS {
                tokio::task::yield_now().await;
            }
            let idle = self.time.idle.notified();
            if self.time.busy.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl Time {
    /// One less is busy.
    fn done(&self) {
        if self.busy.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.idle.notify_waiters();
        }
    }

    fn timers(&self) -> MutexGuard<'_, Timers> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A simulated process, in which a [`Client`] is [opened]. Clones are the same process.
///
/// [`Client`]: crate::Client
/// [opened]: crate::Client::open_in
#[derive(Debug, Clone)]
pub struct Process {
    simulation: Simulation,
    life: Arc<Life>,
}

#[derive(Debug)]
struct Life {
    killed: CancellationToken,
    passed: Mutex<Passed>,
}

/// How often each point was passed, and at which pass the process dies.
#[derive(Debug, Default)]
struct Passed {
    times: BTreeMap<Point, u64>,
    last: Option<(Point, u64)>,
    writes: u64,
    failed: u64,
    failing: Option<Failing>,
}

/// Writes that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// The first of them, counted from 1.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// They are done, and said to have failed.
    pub done: bool,
}

impl Process {
    /// It dies when it passes `point` for the `nth` time from now on, counted from 1.
    pub fn die_at(&self, point: Point, nth: u64) {
        let mut passed = self.passed();
        passed.times.clear();
        passed.last = Some((point, nth));
    }

    /// It dies at no point.
    pub fn die_never(&self) {
        self.passed().last = None;
    }

    /// How often it has passed a point, since the start or since [`Process::die_at`].
    pub fn times(&self, point: Point) -> u64 {
        self.passed().times.get(&point).copied().unwrap_or_default()
    }

    /// Its disk fails, counted from now on.
    pub fn fail_writes(&self, failing: Failing) {
        let mut passed = self.passed();
        passed.writes = 0;
        passed.failing = Some(failing);
    }

    /// How many writes its disk has had, since the start or since [`Process::fail_writes`].
    pub fn writes(&self) -> u64 {
        self.passed().writes
    }

    /// How many of its writes have failed.
    pub fn failed_writes(&self) -> u64 {
        self.passed().failed
    }

    /// Its disk works.
    pub fn fail_never(&self) {
        self.passed().failing = None;
    }

    /// Whether it has died.
    pub fn is_dead(&self) -> bool {
        self.life.killed.is_cancelled()
    }

    /// It dies here and now.
    pub fn kill(&self) {
        self.life.killed.cancel();
    }

    pub(crate) fn driver(&self) -> Driver {
        self.simulation.node.driver()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.simulation.now_ms()
    }

    pub(crate) fn seed(&self) -> u64 {
        self.simulation.ids.seed
    }

    pub(crate) fn new_group(&self) -> GroupId {
        let id = self.simulation.ids.draw();
        GroupId::from_slice(&id).expect("a group id may have 32 bytes")
    }

    pub(crate) fn new_identity(&self) -> Identity {
        Identity::from_seed(self.simulation.ids.draw().into())
    }

    pub(crate) fn sleep(&self, pause: Duration) -> impl Future<Output = ()> + Send + use<> {
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let waiting = (pause > 0).then(|| {
            let (wake, woken) = oneshot::channel();
            let mut timers = self.simulation.time.timers();
            timers.made += 1;
            let key = (self.now_ms().saturating_add(pause), timers.made);
            timers.waiting.insert(key, wake);
            woken
        });
        async move {
            if let Some(woken) = waiting
                && woken.await.is_err()
            {
                // The simulation is over.
                std::future::pending::<()>().await;
            }
        }
    }

    pub(crate) fn busy(&self) -> Busy {
        self.simulation.time.busy.fetch_add(1, Ordering::SeqCst);
        Busy(Arc::clone(&self.simulation.time))
    }

    /// Lets time pass while something is being done.
    pub(crate) async fn pause(&self, pause: Duration) {
        let _resting = Resting::new(&self.simulation.time);
        self.sleep(pause).await;
    }

    pub(crate) async fn write<T>(
        &self,
        write: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let failing = {
            let mut passed = self.passed();
            passed.writes += 1;
            let of = |it: &Failing| (it.first..it.first + it.count).contains(&passed.writes);
            let failing = passed.failing.filter(of);
            passed.failed += u64::from(failing.is_some());
            failing
        };
        let Some(failing) = failing else { return write.await };
        if failing.done {
            write.await?;
        }
        let error = std::io::Error::other("the disk of the simulation fails");
        Err(StoreError::Database(sqlx::Error::Io(error)))
    }

    pub(crate) async fn live(&self, task: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = self.life.killed.cancelled() => {}
            () = task => {}
        }
    }

    pub(crate) async fn at(&self, point: Point) {
        let last = {
            let mut passed = self.passed();
            let times = passed.times.entry(point).or_default();
            *times += 1;
            let now = (point, *times);
            passed.last == Some(now)
        };
        if last {
            self.kill();
            std::future::pending::<()>().await;
        }
    }

    fn passed(&self) -> MutexGuard<'_, Passed> {
        self.life.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something is being done.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Time>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.done();
    }
}

/// Something that is being done waits.
struct Resting<'a>(&'a Time);

impl<'a> Resting<'a> {
    fn new(time: &'a Time) -> Self {
        time.done();
        Self(time)
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_add(1, Ordering::SeqCst);
    }
}
