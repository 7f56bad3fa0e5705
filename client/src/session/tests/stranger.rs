//! Somebody at the node who sends what no session would.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use quicproquo_core::identity::{Identity, IdentityKey};
use quicproquo_core::kem::HybridSecret;
use quicproquo_core::key_package::KeyPackages;
use quicproquo_core::provider::MlsStore;
use quicproquo_core::suite::Suite;
use quicproquo_schemas::id::{Instance, SendId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::world::World;
use crate::rpc::{Answer, Connector, Delivery, Driver, LinkEvent, LinkSpec, Request, RpcError};

const PATIENCE: Duration = Duration::from_secs(30);

/// An identity with a link and no session. Dropping it ends the link.
pub(crate) struct Stranger {
    pub(crate) identity: Arc<Identity>,
    pub(crate) instance: Instance,
    pub(crate) attempts: Arc<AtomicU64>,
    driver: Driver,
    requests: mpsc::UnboundedSender<Request>,
    events: mpsc::Receiver<LinkEvent>,
    sent: Cell<u64>,
}

impl Stranger {
    /// Connects and authenticates.
    pub(crate) async fn connect(world: &World) -> Self {
        let connector = Connector::new(&world.config("stranger").node).unwrap();
        let driver = Driver::start(connector).unwrap();
        let identity = Arc::new(Identity::generate());
        let mut instance = [0; Instance::LEN];
        getrandom::fill(&mut instance).unwrap();
        let mut stranger = Self {
            identity,
            instance: Instance::new(instance),
            attempts: Arc::default(),
            driver,
            requests: mpsc::unbounded_channel().0,
            events: mpsc::channel(1).1,
            sent: Cell::new(0),
        };
        stranger.open();
        assert!(matches!(stranger.event().await, LinkEvent::Up { .. }));
        stranger
    }

    fn open(&mut self) {
        let (requests, taken) = mpsc::unbounded_channel();
        let (sender, events) = mpsc::channel(64);
        (self.requests, self.events) = (requests, events);
        let (attempts, stop) = (Arc::clone(&self.attempts), CancellationToken::new());
        self.driver.open(self.spec(self.instance, attempts, taken, sender, stop));
    }

    fn spec(
        &self,
        instance: Instance,
        attempts: Arc<AtomicU64>,
        requests: mpsc::UnboundedReceiver<Request>,
        events: mpsc::Sender<LinkEvent>,
        stop: CancellationToken,
    ) -> LinkSpec {
        let identity = Arc::clone(&self.identity);
        LinkSpec {
            identity,
            incarnation: 1,
            instance,
            invite: None,
            attempts,
            requests,
            events,
            stop,
        }
    }

    /// A second link of the same identity, until it is told how it went.
    pub(crate) async fn elsewhere(
        &self,
        instance: Instance,
        attempts: &Arc<AtomicU64>,
    ) -> LinkEvent {
        let (_requests, taken) = mpsc::unbounded_channel();
        let (sender, mut events) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let attempts = Arc::clone(attempts);
        self.driver.open(self.spec(instance, attempts, taken, sender, stop.clone()));
        let event = timeout(PATIENCE, events.recv()).await.expect("an event").expect("a link");
        stop.cancel();
        event
    }

    /// What the link tells next, rows left out.
    pub(crate) async fn event(&mut self) -> LinkEvent {
        loop {
            let event = timeout(PATIENCE, self.events.recv()).await.expect("an event");
            match event.expect("a link") {
                LinkEvent::Rows(_) => {}
                event => return event,
            }
        }
    }

    /// Whether nothing has happened to the link.
    pub(crate) fn is_undisturbed(&mut self) -> bool {
        self.events.try_recv().is_err()
    }

    /// Publishes one key package, which nobody can use twice.
    pub(crate) async fn publish(&self, suite: Suite) {
        let (store, hybrid) = (MlsStore::new(), HybridSecret::generate().unwrap());
        let (identity, now) = (&self.identity, crate::clock::now_secs());
        let made =
            KeyPackages::generate(identity, suite, 1, false, hybrid.public(), now, &store).unwrap();
        self.publish_these(made.into_iter().map(|package| package.bytes).collect()).await;
    }

    /// Publishes key packages.
    pub(crate) async fn publish_these(&self, one_time: Vec<Vec<u8>>) {
        let (last_resort, replace) = (None, false);
        self.ask(|answer| Request::PublishKeyPackages { one_time, last_resort, replace, answer })
            .await;
    }

    /// Publishes a hybrid key, whose private half nobody keeps.
    pub(crate) async fn publish_hybrid_key(&self) {
        let key = HybridSecret::generate().unwrap().public().as_bytes().to_vec();
        self.ask(|answer| Request::UploadHybridKey { key, answer }).await;
    }

    async fn ask<T>(&self, make: impl FnOnce(Answer<T>) -> Request) -> T {
        self.try_ask(make).await.unwrap()
    }

    async fn try_ask<T>(&self, make: impl FnOnce(Answer<T>) -> Request) -> Result<T, RpcError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(make(answer)).unwrap();
        timeout(PATIENCE, answered).await.expect("an answer").unwrap()
    }

    /// Queues a payload for all of them.
    pub(crate) async fn send(&self, to: &[IdentityKey], payload: &[u8]) {
        self.sent.set(self.sent.get() + 1);
        let id = SendId { incarnation: 1, counter: self.sent.get() };
        let deliveries = to
            .iter()
            .map(|key| Delivery { recipient: *key, prefix: Vec::new(), include_body: true })
            .collect();
        let body = payload.to_vec();
        self.ask(|answer| Request::Send { id, deliveries, body, answer }).await;
    }

    /// Claims a key package.
    pub(crate) async fn package(&self, of: IdentityKey, suite: Suite) -> Vec<u8> {
        self.packages(&[of], suite).await.remove(0).expect("a package")
    }

    /// Claims a key package of each.
    pub(crate) async fn packages(&self, of: &[IdentityKey], suite: Suite) -> Vec<Option<Vec<u8>>> {
        self.try_packages(of, suite).await.unwrap()
    }

    /// The same, or why the claim is refused.
    pub(crate) async fn try_packages(
        &self,
        of: &[IdentityKey],
        suite: Suite,
    ) -> Result<Vec<Option<Vec<u8>>>, RpcError> {
        let (identities, ciphersuite) = (of.to_vec(), suite.code());
        self.try_ask(|answer| Request::ClaimKeyPackages { identities, ciphersuite, answer }).await
    }
}
