//! A load of producers and consumers on a node, through the whole of its faults: they reconnect,
//! repeat what was not answered, and write down what the node has promised.
//!
//! Producers with an even number send to several recipients at once (`Session.send`), the others
//! enqueue for one (`NodeService.enqueue`). Recipients with an even number subscribe and
//! acknowledge, the others fetch with leases (`NodeService.fetchWait`).

mod consumer;
mod ledger;
mod producer;

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::IdentityKey;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::rpc::{Dialer, Fault, Target, Who};
use crate::seed;
use consumer::Consumer;
pub use ledger::{Ledger, MessageId, Queue, Report};
use producer::Producer;

/// Numbers of recipients' identities start here, those of producers at 0.
const RECIPIENTS: u16 = 1000;

/// A node that is silent for so long counts as gone.
const IDLE: Duration = Duration::from_secs(10);

/// Between two attempts to reach a node.
const RETRY: Duration = Duration::from_millis(10);

/// What kind of load.
#[derive(Debug, Clone)]
pub struct Spec {
    /// How many send.
    pub producers: u16,
    /// How many receive; none of them takes anything when `consume` is off.
    pub recipients: u16,
    /// Whether the recipients take their rows.
    pub consume: bool,
    /// Rows that stay unacknowledged behind the newest one; with any, all recipients subscribe.
    pub keep: usize,
    /// Sends of one producer that wait for their answers at once.
    pub window: usize,
    /// Largest payload, in bytes.
    pub bytes: usize,
    /// Rows that wait for one recipient, at which producers pause.
    pub backlog: usize,
    /// Without any progress for so long, what has not come is lost.
    pub patience: Duration,
    /// Seed of everything that is random.
    pub seed: u64,
}

impl Spec {
    /// Eight by eight.
    pub fn new(seed: u64) -> Self {
        Self {
            producers: 8,
            recipients: 8,
            consume: true,
            keep: 0,
            window: 8,
            bytes: 1024,
            backlog: 1000,
            patience: Duration::from_secs(20),
            seed,
        }
    }
}

/// What everybody on the load's thread shares.
#[derive(Debug)]
struct Shared {
    spec: Spec,
    dialer: Dialer,
    recipients: Vec<IdentityKey>,
    ledger: Arc<Mutex<Ledger>>,
    /// No new messages.
    settling: CancellationToken,
    /// The end.
    over: CancellationToken,
    producing: Arc<AtomicUsize>,
    /// No acknowledgements, for a while.
    held: Arc<AtomicBool>,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// What to do about a fault: wait and go on.
    async fn recover(&self, who: &str, fault: Fault) {
        let pause = match fault {
            Fault::Gone(_) | Fault::Refused(ErrorCode::ShuttingDown, _) => RETRY,
            Fault::Refused(ErrorCode::StorageFull | ErrorCode::RateLimited, _) => RETRY * 10,
            Fault::Refused(_, text) => {
                self.ledger().fault(format!("{who} was refused: {text}"));
                RETRY * 10
            }
        };
        sleep(pause).await;
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The identity of a recipient, as a process that was just started.
pub fn recipient(number: u16) -> Who {
    Who::new(RECIPIENTS + number)
}

/// A running load. Dropping it ends it.
#[derive(Debug)]
pub struct Load {
    ledger: Arc<Mutex<Ledger>>,
    settling: CancellationToken,
    over: CancellationToken,
    producing: Arc<AtomicUsize>,
    held: Arc<AtomicBool>,
    patience: Duration,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts it on a thread of its own.
    pub fn start(spec: Spec, target: Target) -> Self {
        let ledger = Arc::new(Mutex::new(Ledger::new(usize::from(spec.recipients))));
        let (settling, over) = (CancellationToken::new(), CancellationToken::new());
        let producing = Arc::new(AtomicUsize::new(usize::from(spec.producers)));
        let patience = spec.patience;
        let held = Arc::new(AtomicBool::new(false));
        let mut load = Self {
            ledger,
            settling,
            over,
            producing,
            held: Arc::clone(&held),
            patience,
            thread: None,
        };
        let (ledger, producing) = (Arc::clone(&load.ledger), Arc::clone(&load.producing));
        let (settling, over) = (load.settling.clone(), load.over.clone());
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            LocalSet::new().block_on(&runtime.expect("a runtime"), async move {
                let recipients = (0..spec.recipients).map(|n| recipient(n).identity()).collect();
                let dialer = Dialer::new(target, IDLE);
                let shared =
                    Shared { spec, dialer, recipients, ledger, settling, over, producing, held };
                everybody(Rc::new(shared)).await;
            });
        };
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn(run);
        load.thread = Some(thread.expect("a thread"));
        load
    }

    /// What is written down so far.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Keeps those that have rows pushed from acknowledging any, or no longer.
    pub fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// Rows that the node has taken so far.
    pub fn answered(&self) -> u64 {
        self.ledger().answered()
    }

    /// Lets everything come to rest: what is under way is answered, what was answered for is
    /// delivered. The verdict, also when something never comes.
    pub async fn settle(mut self) -> Report {
        self.settling.cancel();
        let mut progress = (self.state(), Instant::now());
        loop {
            let state = self.state();
            if state == (0, 0) || progress.1.elapsed() > self.patience {
                break;
            }
            if state != progress.0 {
                progress = (state, Instant::now());
            }
            sleep(RETRY).await;
        }
        let (producing, _) = self.state();
        if producing > 0 {
            self.ledger().fault(format!("{producing} producers wait for an answer"));
        }
        self.end().await;
        self.ledger().report()
    }

    fn state(&self) -> (usize, usize) {
        (self.producing.load(Ordering::SeqCst), self.ledger().missing())
    }

    /// Ends it at once.
    pub async fn end(&mut self) {
        self.over.cancel();
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(|| thread.join()).await.expect("a join");
            if let Err(panic) = joined {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

async fn everybody(shared: Rc<Shared>) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..shared.spec.producers {
        let rng = seed::part(shared.spec.seed, u64::from(number));
        tasks.spawn_local(Producer::new(number, rng, Rc::clone(&shared)).run());
    }
    if shared.spec.consume {
        for number in 0..shared.spec.recipients {
            let rng = seed::part(shared.spec.seed, u64::from(RECIPIENTS + number));
            tasks.spawn_local(Consumer::new(number, rng, Rc::clone(&shared)).run());
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a part of the load ends in order");
    }
}
