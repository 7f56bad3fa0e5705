//! Cap'n Proto at the edge: decode, call the domain, encode. Wire types go no further.

pub(crate) mod calls;
mod errors;
pub(crate) mod gate;
pub(crate) mod metered;
mod node;
mod params;
mod service;
mod session;

use std::rc::Rc;
use std::sync::Arc;

use quicproquo_schemas::limits::{AUTH_EXPORTER_LABEL, AUTH_EXPORTER_LEN};
use quicproquo_schemas::session_capnp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{self, Caller};
use crate::delivery::leases::ConnectionId;
use crate::server::Shared;
use calls::Calls;
use errors::Fault;
use gate::Gate;

/// What the capabilities of one connection have in common.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: quinn::Connection,
    pub(crate) id: ConnectionId,
    pub(crate) calls: Rc<Calls>,
    pub(crate) gate: Rc<Gate>,
    /// Cancelled when the connection ends.
    pub(crate) ended: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Peer {
    fn exporter(&self) -> Result<[u8; AUTH_EXPORTER_LEN], Fault> {
        let mut bytes = [0; AUTH_EXPORTER_LEN];
        self.connection
            .export_keying_material(&mut bytes, AUTH_EXPORTER_LABEL, b"")
            .map_err(|_| Fault::internal("no exporter on this connection"))?;
        Ok(bytes)
    }

    /// Who holds the token with this SHA-256; a valid one opens the connection's gate.
    async fn caller(&self, token: [u8; 32]) -> Result<Caller, Fault> {
        let caller = auth::resolve(&self.shared, token).await?;
        self.gate.open()?;
        Ok(caller)
    }
}

/// The bootstrap capability of a connection.
pub(crate) fn bootstrap(peer: Peer) -> session_capnp::node::Client {
    let calls = Arc::clone(&peer.shared.metrics.calls);
    metered::metered(capnp_rpc::new_client(node::NodeServer::new(peer)), &calls)
}
