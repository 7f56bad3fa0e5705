//! Loads a node through its RPC interface, for `qpq bench`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use quicproquo_core::identity::{Identity, IdentityKey};
use quicproquo_schemas::id::Instance;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Stopwatch;
use crate::config::NodeAddress;
use crate::rpc::{Connector, Driver, LinkEvent, LinkSpec, Request};

/// Recipients that rows are spread over, so that no queue fills up.
const RECIPIENTS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(20);

/// A bench cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BenchError(String);

/// What a run measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// How long each request took.
    pub latencies: Vec<Duration>,
    /// How long all of it took.
    pub elapsed: Duration,
}

/// One connection, and how many of its requests are unanswered.
#[derive(Debug)]
struct Link {
    requests: mpsc::UnboundedSender<Request>,
    unanswered: AtomicUsize,
}

/// Some authenticated connections to one node.
#[derive(Debug)]
pub struct NodeBench {
    links: Vec<Link>,
    recipients: Vec<IdentityKey>,
    _stop: DropGuard,
}

impl NodeBench {
    /// Connects, each connection with an identity of its own.
    ///
    /// # Errors
    /// When the node cannot be reached or refuses.
    pub async fn connect(node: &NodeAddress, connections: usize) -> Result<Self, BenchError> {
        let failed = |error: &dyn std::fmt::Display| BenchError(error.to_string());
        let connector = Connector::new(node).map_err(|error| failed(&error))?;
        let driver = Driver::start(connector).map_err(|error| failed(&error))?;
        let stop = CancellationToken::new();
        let mut links = Vec::with_capacity(connections);
        for _ in 0..connections {
            let requests = connect(&driver, &stop).await?;
            links.push(Link { requests, unanswered: AtomicUsize::new(0) });
        }
        let recipients = (0..RECIPIENTS).map(|_| Identity::generate().key()).collect();
        Ok(Self { links, recipients, _stop: stop.drop_guard() })
    }

    /// Enqueues `total` random payloads, `in_flight` at once, each waiting for its answer.
    ///
    /// # Errors
    /// When the node refuses one.
    pub async fn enqueue(
        &self,
        in_flight: usize,
        payload_bytes: usize,
        total: usize,
    ) -> Result<Measured, BenchError> {
        let mut payload = vec![0; payload_bytes.max(8)];
        getrandom::fill(&mut payload).map_err(|error| BenchError(error.to_string()))?;
        let whole = Stopwatch::start();
        let mut latencies = Vec::with_capacity(total);
        let mut running = FuturesUnordered::new();
        for n in 0..total {
            if running.len() >= in_flight
                && let Some(latency) = running.next().await
            {
                latencies.push(latency?);
            }
            // Equal payloads would be taken for a retry.
            payload[..8].copy_from_slice(&(n as u64).to_be_bytes());
            running.push(self.one(n, payload.clone()));
        }
        while let Some(latency) = running.next().await {
            latencies.push(latency?);
        }
        Ok(Measured { latencies, elapsed: whole.elapsed() })
    }

    async fn one(&self, n: usize, payload: Vec<u8>) -> Result<Duration, BenchError> {
        let watch = Stopwatch::start();
        let (answer, answered) = oneshot::channel();
        let recipient = self.recipients[n % self.recipients.len()];
        let request = Request::Enqueue { recipient, payload, answer };
        let gone = || BenchError("the link to the node is gone".into());
        // The node bounds the calls of a connection: take the one with the fewest.
        let unanswered = |link: &&Link| link.unanswered.load(Ordering::Relaxed);
        let link = self.links.iter().min_by_key(unanswered).ok_or_else(gone)?;
        link.unanswered.fetch_add(1, Ordering::Relaxed);
        link.requests.send(request).map_err(|_| gone())?;
        let answer = answered.await.map_err(|_| gone())?;
        link.unanswered.fetch_sub(1, Ordering::Relaxed);
        answer.map_err(|error| BenchError(error.to_string()))?;
        Ok(watch.elapsed())
    }
}

async fn connect(
    driver: &Driver,
    stop: &CancellationToken,
) -> Result<mpsc::UnboundedSender<Request>, BenchError> {
    let mut instance = [0; Instance::LEN];
    getrandom::fill(&mut instance).map_err(|error| BenchError(error.to_string()))?;
    let (requests, taken) = mpsc::unbounded_channel();
    let (events, mut happened) = mpsc::channel(16);
    driver.open(LinkSpec {
        identity: Arc::new(Identity::generate()),
        incarnation: 1,
        instance: Instance::new(instance),
        invite: None,
        attempts: Arc::default(),
        requests: taken,
        events,
        stop: stop.clone(),
    });
    let up = async {
        while let Some(event) = happened.recv().await {
            if matches!(event, LinkEvent::Up { .. }) {
                return true;
            }
        }
        false
    };
    match tokio::time::timeout(PATIENCE, up).await {
        Ok(true) => Ok(requests),
        _ => Err(BenchError("the node cannot be reached".into())),
    }
}
