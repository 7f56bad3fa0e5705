//! `Node`: the bootstrap object.

use std::rc::Rc;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::{Instance, is_name};
use quicproquo_schemas::limits::MAX_INVITE;
use quicproquo_schemas::session_capnp::node;

use super::errors::{Fault, wire};
use super::session::SessionServer;
use super::{Peer, params};
use crate::auth::{self, Claimed, Proof};

/// Serves one connection.
#[derive(Debug)]
pub(super) struct NodeServer {
    pub(super) peer: Peer,
}

impl NodeServer {
    pub(super) fn new(peer: Peer) -> Self {
        Self { peer }
    }
}

impl node::Server for NodeServer {
    async fn authenticate(
        self: Rc<Self>,
        params: node::AuthenticateParams,
        mut results: node::AuthenticateResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        let (claimed, signature, invite) = {
            let params = params.get()?;
            let invite = params.get_invite()?.as_bytes();
            if invite.len() > MAX_INVITE {
                let text = format_args!("an invite has at most {MAX_INVITE} bytes");
                return wire(Err(Fault::new(ErrorCode::TooLarge, text)));
            }
            let claimed = Claimed {
                identity: params::identity(params.get_identity_key())?,
                incarnation: params.get_incarnation(),
                instance: wire(Instance::try_from(params.get_instance()?).map_err(Fault::from))?,
                attempt: params.get_attempt(),
            };
            (claimed, params.get_signature()?.to_vec(), invite.to_vec())
        };
        let proof = Proof {
            from: self.peer.connection.remote_address().ip(),
            exporter: wire(self.peer.exporter())?,
            signature: &signature,
            invite: &invite,
        };
        wire(self.peer.gate.check())?;
        let session = wire(auth::authenticate(&self.peer.shared, claimed, proof).await)?;
        wire(self.peer.gate.open())?;
        let mut results = results.get();
        results.set_acked_up_to(session.acked_up_to);
        results.set_time(self.peer.shared.clock.now());
        let mut last_send = results.reborrow().init_last_send();
        last_send.set_incarnation(session.last_send.incarnation);
        last_send.set_counter(session.last_send.counter);
        results.set_session(SessionServer::start(self.peer.clone(), claimed.identity, session));
        Ok(())
    }

    async fn resolve_name(
        self: Rc<Self>,
        params: node::ResolveNameParams,
        mut results: node::ResolveNameResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        let name = params.get()?.get_name()?.to_str().map(str::to_owned);
        let name = name
            .ok()
            .filter(|name| is_name(name))
            .ok_or_else(|| Fault::new(ErrorCode::BadName, "names are 1 to 63 of a-z0-9._-"));
        if let Some((owner, signature)) = wire(self.peer.shared.reads.name(wire(name)?).await)? {
            let mut results = results.get();
            results.set_identity_key(owner.as_bytes());
            results.set_signature(&signature);
        }
        Ok(())
    }

    async fn names_of(
        self: Rc<Self>,
        params: node::NamesOfParams,
        mut results: node::NamesOfResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        let identity = params::identity(params.get()?.get_identity_key())?;
        let names = wire(self.peer.shared.reads.names_of(identity).await)?;
        results.get().set_names(names.as_slice())
    }
}
