//! What all handlers share.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quicproquo_client::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{TokenHash, Tokens};
use crate::bots::Bots;
use crate::events::{Consumers, Tickets};
use crate::idempotency::Running;
use crate::matrix::Matrix;
use crate::metrics::Metrics;
use crate::problem::{Kind, Problem};
use crate::rates::Rates;
use crate::store::Store;
use crate::webhooks::{WebhookTargets, Webhooks};

/// What all handlers share; clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct AppState(pub(crate) Arc<Shared>);

/// The shared part.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The engine.
    pub(crate) client: Client,
    /// The gateway's database.
    pub(crate) store: Store,
    /// The admin token's hash.
    pub(crate) admin: TokenHash,
    /// All bots at work.
    pub(crate) bots: Bots,
    /// All bot tokens.
    pub(crate) tokens: Tokens,
    /// All named consumers.
    pub(crate) consumers: Consumers,
    /// All webhooks.
    pub(crate) webhooks: Webhooks,
    /// What webhooks may deliver to.
    pub(crate) targets: WebhookTargets,
    /// Pauses between the attempts of a webhook's delivery.
    pub(crate) retries: Vec<Duration>,
    /// Tickets of browsers that open a stream.
    pub(crate) tickets: Tickets,
    /// Keys of admin requests that run now.
    pub(crate) running: Running,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// What Matrix clients see; `None`: there are no routes for them.
    pub(crate) matrix: Option<Matrix>,
    /// Whether the address speaks TLS.
    pub(crate) secure: bool,
    /// How many requests there may be.
    pub(crate) rates: Rates,
    /// Whether the node link can work.
    pub(crate) ready: ReadySwitch,
    /// Cancelled when the gateway stops: waiting calls answer, streams close.
    pub(crate) stopping: CancellationToken,
    /// Work that outlives its request.
    pub(crate) tasks: TaskTracker,
}

impl AppState {
    /// Whether the gateway does useful work.
    ///
    /// # Errors
    /// `NotReady`, `StorageUnavailable`.
    pub(crate) async fn is_ready(&self) -> Result<(), Problem> {
        if !self.ready.is_on() || self.stopping.is_cancelled() {
            return Err(Problem::new(Kind::NotReady));
        }
        Ok(self.store.check().await?)
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Says whether `/health/ready` may answer 200: off while an embedded node is not serving yet.
#[derive(Debug, Clone)]
pub struct ReadySwitch(Arc<AtomicBool>);

impl ReadySwitch {
    pub(crate) fn new(on: bool) -> Self {
        Self(Arc::new(AtomicBool::new(on)))
    }

    /// Turns readiness on or off.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Release);
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
