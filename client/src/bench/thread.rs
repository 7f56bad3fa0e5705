//! The one thread with all connections of a bench.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use quicproquo_core::identity::Identity;
use quinn::Endpoint;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::BenchError;
use super::peer::{Peer, Peers};
use crate::config::NodeAddress;
use crate::rpc::Connector;

type Job = Box<dyn FnOnce(Rc<Peers>) -> LocalBoxFuture<'static, ()> + Send>;

/// A handle on the thread, which ends with it.
#[derive(Debug)]
pub(super) struct Thread {
    jobs: mpsc::UnboundedSender<Job>,
}

impl Thread {
    /// Starts the thread and connects.
    pub(super) async fn start(
        node: &NodeAddress,
        identities: Vec<Arc<Identity>>,
    ) -> Result<Self, BenchError> {
        let connector = Connector::new(node).map_err(BenchError::new)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(BenchError::new)?;
        let endpoint = {
            let _guard = runtime.enter();
            connector.endpoint().map_err(BenchError::new)?
        };
        let (jobs, todo) = mpsc::unbounded_channel();
        let (tell, told) = oneshot::channel();
        std::thread::Builder::new()
            .name("qpq-bench".into())
            .spawn(move || {
                LocalSet::new()
                    .block_on(&runtime, run(endpoint, connector, identities, tell, todo));
            })
            .map_err(BenchError::new)?;
        told.await.map_err(BenchError::new)??;
        Ok(Self { jobs })
    }

    /// Runs a job on the thread, with its connections.
    pub(super) async fn run<T, F>(
        &self,
        job: impl FnOnce(Rc<Peers>) -> F + Send + 'static,
    ) -> Result<T, BenchError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BenchError>> + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |peers| {
            let work = job(peers);
            async move { drop(tell.send(work.await)) }.boxed_local()
        });
        self.jobs.send(job).map_err(BenchError::new)?;
        told.await.map_err(BenchError::new)?
    }
}

async fn run(
    endpoint: Endpoint,
    connector: Connector,
    identities: Vec<Arc<Identity>>,
    tell: oneshot::Sender<Result<(), BenchError>>,
    mut todo: mpsc::UnboundedReceiver<Job>,
) {
    let mut peers = Vec::with_capacity(identities.len());
    for identity in identities {
        match Peer::connect(&endpoint, &connector, identity).await {
            Ok(peer) => peers.push(peer),
            Err(error) => {
                let _ = tell.send(Err(error));
                return;
            }
        }
    }
    let peers = match Peers::new(peers) {
        Ok(peers) => Rc::new(peers),
        Err(error) => {
            let _ = tell.send(Err(error));
            return;
        }
    };
    let _ = tell.send(Ok(()));
    while let Some(job) = todo.recv().await {
        job(Rc::clone(&peers)).await;
    }
    drop(peers);
    endpoint.wait_idle().await;
}
