//! The one thread on which Cap'n Proto lives.

use std::sync::Arc;

use quinn::Endpoint;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use super::{Connector, LinkSpec, link};

/// Opens links; a cheap `Send` handle on the thread. The thread ends with the last handle,
/// after its links have ended.
#[derive(Debug, Clone)]
pub(crate) struct Driver {
    links: mpsc::UnboundedSender<LinkSpec>,
}

impl Driver {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the thread or its UDP socket cannot be made.
    pub(crate) fn start(connector: Connector) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let endpoint = {
            let _guard = runtime.enter();
            connector.endpoint()?
        };
        let (links, specs) = mpsc::unbounded_channel();
        std::thread::Builder::new().name("qpq-rpc".into()).spawn(move || {
            LocalSet::new().block_on(&runtime, run(endpoint, Arc::new(connector), specs));
        })?;
        Ok(Self { links })
    }

    /// Hands links to somebody else.
    pub(crate) fn to(links: mpsc::UnboundedSender<LinkSpec>) -> Self {
        Self { links }
    }

    /// Runs a link until it is stopped, displaced, or its session is gone.
    pub(crate) fn open(&self, spec: LinkSpec) {
        // The thread outlives every handle, so this cannot fail while `self` exists.
        let _ = self.links.send(spec);
    }
}

async fn run(
    endpoint: Endpoint,
    connector: Arc<Connector>,
    mut specs: mpsc::UnboundedReceiver<LinkSpec>,
) {
    let tracker = TaskTracker::new();
    while let Some(spec) = specs.recv().await {
        tracker.spawn_local(link::run(endpoint.clone(), Arc::clone(&connector), spec));
    }
    tracker.close();
    tracker.wait().await;
    endpoint.wait_idle().await;
}
