//! `NodeService`, the published interface.

use std::rc::Rc;
use std::time::Duration;

use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::MAX_WAIT_MS;
use quicproquo_schemas::node_capnp::{envelope, node_service};
use tokio::sync::watch;

use super::errors::wire;
use super::node::NodeServer;
use super::params;
use crate::auth::{AuthError, resolve};
use crate::delivery::fetch::{Fetch, fetch};
use crate::directory;
use crate::key_package::CLASSIC;
use crate::server::Shared;
use crate::store::{QueuedRow, RowContent};

impl node_service::Server for NodeServer {
    async fn upload_key_package(
        self: Rc<Self>,
        params: node_service::UploadKeyPackageParams,
        mut results: node_service::UploadKeyPackageResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        let (identity, package, token) = {
            let params = params.get()?;
            let identity = params::identity(params.get_identity_key())?;
            let package = params::package(params.get_package())?;
            (identity, package, params::token(params.get_auth())?)
        };
        let shared = &self.peer.shared;
        wire(wire(self.peer.caller(token).await)?.must_be(&identity))?;
        let fingerprint = wire(directory::upload(shared, identity, &package).await)?;
        results.get().set_fingerprint(&fingerprint);
        Ok(())
    }

    async fn fetch_key_package(
        self: Rc<Self>,
        params: node_service::FetchKeyPackageParams,
        mut results: node_service::FetchKeyPackageResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        let (identity, token) = {
            let params = params.get()?;
            (params::identity(params.get_identity_key())?, params::token(params.get_auth())?)
        };
        let shared = &self.peer.shared;
        let caller = wire(self.peer.caller(token).await)?;
        let packages = wire(directory::claim(shared, caller, vec![identity], CLASSIC).await)?;
        results.get().set_package(packages.first().map_or(&[], Vec::as_slice));
        Ok(())
    }

    async fn enqueue(
        self: Rc<Self>,
        params: node_service::EnqueueParams,
        mut results: node_service::EnqueueResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        let shared = &self.peer.shared;
        let (recipient, payload, channel, token, ttl_secs) = {
            let params = params.get()?;
            params::version(params.get_version())?;
            let recipient = params::identity(params.get_recipient_key())?;
            let channel = params::channel(params.get_channel_id())?;
            let token = params::token(params.get_auth())?;
            let payload = params::payload(params.get_payload(), shared.limits.payload_bytes)?;
            (recipient, payload, channel, token, params.get_ttl_secs())
        };
        drop(params);
        let caller = wire(self.peer.caller(token).await)?;
        let queued =
            crate::delivery::enqueue(shared, caller, recipient, channel, payload, ttl_secs).await;
        results.get().set_seq(wire(queued)?);
        Ok(())
    }

    async fn fetch(
        self: Rc<Self>,
        params: node_service::FetchParams,
        mut results: node_service::FetchResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        let (request, token) = {
            let params = params.get()?;
            params::version(params.get_version())?;
            let request = Fetch {
                identity: params::identity(params.get_recipient_key())?,
                channel: params::channel(params.get_channel_id())?,
                limit: params.get_limit(),
                connection: self.peer.id,
            };
            (request, params::token(params.get_auth())?)
        };
        let shared = &self.peer.shared;
        wire(wire(self.peer.caller(token).await)?.must_be(&request.identity))?;
        let _turn = self.peer.gate.link().turn().await;
        let rows = wire(fetch(shared, request, Duration::ZERO).await)?;
        let (rows, count) = payloads(&rows);
        put_payloads(results.get().init_payloads(count), rows);
        Ok(())
    }

    async fn fetch_wait(
        self: Rc<Self>,
        params: node_service::FetchWaitParams,
        mut results: node_service::FetchWaitResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        let (request, wait, token) = {
            let params = params.get()?;
            params::version(params.get_version())?;
            let request = Fetch {
                identity: params::identity(params.get_recipient_key())?,
                channel: params::channel(params.get_channel_id())?,
                limit: params.get_limit(),
                connection: self.peer.id,
            };
            let wait = Duration::from_millis(params.get_timeout_ms().min(MAX_WAIT_MS));
            (request, wait, params::token(params.get_auth())?)
        };
        let shared = &self.peer.shared;
        let changes = shared.banned.changes();
        wire(wire(self.peer.caller(token).await)?.must_be(&request.identity))?;
        // Who waits is bounded by its identity's slots, and may wait longer than others should.
        let link = self.peer.gate.link();
        let _turn = if wait.is_zero() { Some(link.turn().await) } else { None };
        let rows = tokio::select! {
            rows = fetch(shared, request, wait) => wire(rows)?,
            error = shut_out(shared, token, &request.identity, changes) => return wire(Err(error)),
        };
        let (rows, count) = payloads(&rows);
        put_payloads(results.get().init_payloads(count), rows);
        Ok(())
    }

    async fn health(
        self: Rc<Self>,
        _: node_service::HealthParams,
        mut results: node_service::HealthResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        results.get().set_status(self.peer.shared.health.summary());
        Ok(())
    }

    async fn upload_hybrid_key(
        self: Rc<Self>,
        params: node_service::UploadHybridKeyParams,
        _: node_service::UploadHybridKeyResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        let (identity, key, token) = {
            let params = params.get()?;
            let identity = params::identity(params.get_identity_key())?;
            let key = params.get_hybrid_public_key()?.to_vec();
            (identity, key, params::token(params.get_auth())?)
        };
        let shared = &self.peer.shared;
        wire(wire(self.peer.caller(token).await)?.must_be(&identity))?;
        wire(directory::put_hybrid_key(shared, identity, key).await)
    }

    async fn fetch_hybrid_key(
        self: Rc<Self>,
        params: node_service::FetchHybridKeyParams,
        mut results: node_service::FetchHybridKeyResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        let (identity, token) = {
            let params = params.get()?;
            (params::identity(params.get_identity_key())?, params::token(params.get_auth())?)
        };
        let shared = &self.peer.shared;
        wire(self.peer.caller(token).await)?;
        let key = wire(shared.reads.hybrid_key(identity).await)?;
        results.get().set_hybrid_public_key(&key.unwrap_or_default());
        Ok(())
    }
}

/// Answers when a token that did open an identity does so no more.
async fn shut_out(
    shared: &Shared,
    token: [u8; 32],
    identity: &IdentityKey,
    mut changes: watch::Receiver<u64>,
) -> AuthError {
    while changes.changed().await.is_ok() {
        let opens = resolve(shared, token).await.and_then(|caller| caller.must_be(identity));
        match opens {
            // A ban takes the tokens away.
            Err(_) if shared.banned.contains(identity) => return AuthError::Banned,
            Err(error @ (AuthError::Unauthenticated | AuthError::Forbidden)) => return error,
            _ => {}
        }
    }
    std::future::pending().await
}

type Part<'a> = (u64, &'a [u8], &'a [u8]);

/// Base clients are not told of gaps.
fn payloads(rows: &[QueuedRow]) -> (Vec<Part<'_>>, u32) {
    let parts: Vec<Part<'_>> = rows
        .iter()
        .filter_map(|row| match &row.content {
            RowContent::Payload { head, body } => Some((row.seq, &**head, &**body)),
            RowContent::Gap(_) => None,
        })
        .collect();
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    (parts, count)
}

fn put_payloads(mut list: capnp::struct_list::Builder<'_, envelope::Owned>, parts: Vec<Part<'_>>) {
    for (index, (seq, head, body)) in (0..).zip(parts) {
        params::put_envelope(list.reborrow().get(index), seq, head, body);
    }
}
