//! Loads a node through its RPC interface, for `qpq bench`.
//!
//! It is cheap on purpose, since it mostly shares its machine with the node: one thread holds all
//! connections and makes the calls itself; nothing is handed from thread to thread per call, and
//! payloads are written once, into the message.

mod backlog;
mod call;
mod dam;
mod packages;
mod peer;
mod pull;
mod push;
mod slots;
mod thread;

use std::sync::Arc;
use std::time::Duration;

use quicproquo_core::identity::{Identity, IdentityKey};

use crate::config::NodeAddress;
use crate::rpc::RpcError;
pub use call::{Call, Load};
pub use dam::Dam;
pub use packages::Packages;
use thread::Thread;

/// A bench cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BenchError(String);

impl BenchError {
    fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl From<RpcError> for BenchError {
    fn from(error: RpcError) -> Self {
        Self::new(error)
    }
}

impl From<capnp::Error> for BenchError {
    fn from(error: capnp::Error) -> Self {
        RpcError::from(error).into()
    }
}

/// What a run measured.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// How long each operation took, in nanoseconds.
    pub nanos: Vec<u64>,
    /// How long all of them took.
    pub elapsed: Duration,
}

impl Measured {
    /// Operations per second.
    pub fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let count = self.nanos.len() as f64;
        count / self.elapsed.as_secs_f64()
    }
}

/// Identities to load a node with; the same ones may come to many nodes.
#[derive(Debug, Clone)]
pub struct Crowd(Vec<Arc<Identity>>);

impl Crowd {
    /// Makes identities.
    pub fn generate(count: usize) -> Self {
        Self((0..count).map(|_| Arc::new(Identity::generate())).collect())
    }

    /// Who they are.
    pub fn identities(&self) -> impl Iterator<Item = IdentityKey> + '_ {
        self.0.iter().map(|identity| identity.key())
    }
}

/// Authenticated connections to one node, one for each identity of a crowd.
#[derive(Debug)]
pub struct NodeBench {
    thread: Thread,
}

impl NodeBench {
    /// Connects.
    ///
    /// # Errors
    /// When the node cannot be reached or refuses.
    pub async fn connect(node: &NodeAddress, crowd: &Crowd) -> Result<Self, BenchError> {
        Ok(Self { thread: Thread::start(node, crowd.0.clone()).await? })
    }

    /// Keeps `load.in_flight` calls under way for `load.time`, after a fifth of it to warm up.
    ///
    /// # Errors
    /// When the node refuses a call.
    pub async fn load(&self, load: Load) -> Result<Measured, BenchError> {
        self.thread.run(move |peers| call::load(peers, load)).await
    }

    /// Publishes a crowd's packages, `in_call` in each call, `in_flight` calls at once; each crowd
    /// member publishes its own.
    ///
    /// # Errors
    /// When the node refuses a call.
    pub async fn publish(
        &self,
        packages: &Packages,
        in_call: usize,
        in_flight: usize,
    ) -> Result<Measured, BenchError> {
        let packages = packages.clone();
        self.thread.run(move |peers| packages::publish(peers, packages, in_call, in_flight)).await
    }

    /// Claims `total` packages of the crowd's members, one in each call, `in_flight` at once.
    ///
    /// # Errors
    /// When the node refuses a call or has no package.
    pub async fn claim(&self, total: usize, in_flight: usize) -> Result<Measured, BenchError> {
        self.thread.run(move |peers| packages::claim(peers, total, in_flight)).await
    }

    /// Time from the call to the arrival of a row of `bytes` at a subscribed client, at
    /// `per_second` calls, not waiting for one another (an open loop), `total` times. The rows are
    /// acknowledged as they come. The crowd has at least two members.
    ///
    /// # Errors
    /// When the node refuses a call or a row does not arrive.
    pub async fn push(
        &self,
        multicast: bool,
        bytes: usize,
        per_second: u32,
        total: usize,
    ) -> Result<Measured, BenchError> {
        self.thread.run(move |peers| push::paced(peers, multicast, bytes, per_second, total)).await
    }

    /// Fills the queues of the first `members` with `rows` rows of `bytes` each. The rest of the
    /// crowd sends.
    ///
    /// # Errors
    /// When the node refuses a call.
    pub async fn fill(&self, members: usize, rows: usize, bytes: usize) -> Result<(), BenchError> {
        self.thread.run(move |peers| backlog::fill(peers, members, rows, bytes)).await
    }

    /// Adds `rows` rows of `bytes` to queues of nobody, spread evenly over `queues`, which are the
    /// same ones with every call.
    ///
    /// # Errors
    /// When the node refuses a call.
    pub async fn ballast(
        &self,
        queues: usize,
        rows: usize,
        bytes: usize,
    ) -> Result<(), BenchError> {
        self.thread.run(move |peers| backlog::ballast(peers, queues, rows, bytes)).await
    }

    /// Enqueues `total` rows of `bytes` in the queues of the first `members`, one in each call,
    /// `in_flight` calls at once.
    ///
    /// # Errors
    /// When the node refuses a call.
    pub async fn enqueue(
        &self,
        members: usize,
        bytes: usize,
        in_flight: usize,
        total: usize,
    ) -> Result<Measured, BenchError> {
        let work = move |peers| backlog::enqueue(peers, members, bytes, in_flight, total);
        self.thread.run(work).await
    }

    /// Takes `rows` rows out of each of the first `members`' queues by `NodeService.fetch`, each
    /// fetch acknowledging the one before. One operation is one row, its time that of its fetch.
    ///
    /// # Errors
    /// When the node refuses a call or the rows are not there.
    pub async fn pull(&self, members: usize, rows: usize) -> Result<Measured, BenchError> {
        self.thread.run(move |peers| pull::drain(peers, members, rows)).await
    }

    /// Takes at least `rows` rows out of each of the first `members`' queues by a subscription,
    /// acknowledging each page that is pushed. One operation is one row, its time that from one
    /// page to the next.
    ///
    /// # Errors
    /// When the node refuses a call or the rows are not there.
    pub async fn drain(&self, members: usize, rows: usize) -> Result<Measured, BenchError> {
        self.thread.run(move |peers| push::drain(peers, members, rows)).await
    }

    /// Acknowledges `total` rows one by one, in the first `members`' queues in turn.
    ///
    /// # Errors
    /// When the node refuses a call.
    pub async fn ack(&self, members: usize, total: usize) -> Result<Measured, BenchError> {
        self.thread.run(move |peers| pull::ack(peers, members, total)).await
    }
}
