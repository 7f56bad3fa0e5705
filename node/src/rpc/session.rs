//! `Session`: whoever holds it has proved the key.

mod blob;
mod push;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::MAX_CLAIMS;
use quicproquo_schemas::session_capnp::{delivery_result, session, stock};

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::errors::{Fault, wire};
use super::gate::{LAST_CALLS, LiveSession};
use super::metered::metered;
use super::{Peer, params};
use crate::auth::live::{Ended, Place};
use crate::auth::{AccessToken, Caller, NewSession, deletion, hash};
use crate::blobs;
use crate::delivery;
use crate::delivery::order::Order;
use crate::directory;
use crate::store::write::{Delivered, Multicast};
use crate::store::{Refusal, SuiteStock};
use push::Subscribed;

/// Most packages of one call, beside its size limit.
const MAX_PACKAGES: usize = 1_000;

/// Serves one Session.
#[derive(Debug)]
pub(super) struct SessionServer {
    peer: Peer,
    identity: IdentityKey,
    number: u64,
    place: Place,
    order: Arc<Order>,
    ended: Cell<Option<Ended>>,
    live: RefCell<Option<LiveSession>>,
    subscribed: RefCell<Option<Rc<Subscribed>>>,
}

impl SessionServer {
    /// Starts to serve a Session that is entered as the live one.
    pub(super) fn start(peer: Peer, identity: IdentityKey, new: NewSession) -> session::Client {
        let tasks = peer.tasks.clone();
        let live = RefCell::new(Some(peer.gate.enter()));
        let calls = Arc::clone(&peer.shared.metrics.calls);
        let session = Rc::new(Self {
            peer,
            identity,
            number: new.number,
            place: new.admission.place,
            order: Arc::default(),
            ended: Cell::new(None),
            live,
            subscribed: RefCell::new(None),
        });
        let weak = Rc::downgrade(&session);
        let ended = new.admission.ended;
        tasks.spawn_local(async move {
            if let Ok(why) = ended.await {
                Self::end(&weak, why).await;
            }
        });
        metered(capnp_rpc::new_client_from_rc(session), &calls)
    }

    async fn end(session: &Weak<Self>, why: Ended) {
        let Some(session) = session.upgrade() else {
            return;
        };
        session.ended.set(Some(why));
        let subscribed = session.subscribed.borrow_mut().take();
        session.live.take();
        let gate = session.peer.gate.clone();
        drop(session);
        if let Some(subscribed) = subscribed {
            match why {
                Ended::Displaced(by) => {
                    let _ = timeout(LAST_CALLS, subscribed.displace(by)).await;
                }
                Ended::Banned | Ended::Deleted => subscribed.end(),
            }
        }
        if let Ended::Displaced(by) = why {
            // Who is not subscribed is told by its next call.
            sleep(LAST_CALLS).await;
            gate.dismiss(by);
        }
    }

    fn live(&self) -> Result<(), Fault> {
        match self.ended.get() {
            None => Ok(()),
            Some(Ended::Displaced(by)) => Err(Refusal::Displaced(by).into()),
            Some(Ended::Banned) => Err(Refusal::Banned.into()),
            Some(Ended::Deleted) => {
                Err(Fault::new(ErrorCode::Unauthenticated, "the identity was deleted"))
            }
        }
    }
}

impl session::Server for SessionServer {
    async fn access_token(
        self: Rc<Self>,
        _: session::AccessTokenParams,
        mut results: session::AccessTokenResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let shared = &self.peer.shared;
        let token = wire(AccessToken::random().map_err(Fault::internal))?;
        let expires_at = shared.clock.now() + shared.limits.token_secs;
        if !self.place.add_token(hash(token.as_bytes()), expires_at) {
            // Displaced a moment ago, and not told yet.
            return wire(Err(match shared.live.instance(&self.identity) {
                Some(by) => Refusal::Displaced(by).into(),
                None => Fault::new(ErrorCode::Unauthenticated, "the Session has ended"),
            }));
        }
        let mut results = results.get();
        results.set_token(token.as_bytes());
        results.set_expires_at(expires_at);
        Ok(())
    }

    async fn publish_key_packages(
        self: Rc<Self>,
        params: session::PublishKeyPackagesParams,
        mut results: session::PublishKeyPackagesResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let (one_time, last_resort, replace) = {
            let params = params.get()?;
            let list = params.get_one_time()?;
            let last_resort = params.get_last_resort()?.to_vec();
            if !list.is_empty() || last_resort.is_empty() {
                params::count(list.len(), MAX_PACKAGES)?;
            }
            let one_time: Vec<_> = list.iter().map(params::package).collect::<Result<_, _>>()?;
            (one_time, last_resort, params.get_replace())
        };
        drop(params);
        let shared = &self.peer.shared;
        let owner = self.identity;
        let stock = directory::publish(shared, owner, &one_time, &last_resort, replace).await;
        let stock = wire(stock)?;
        put_stock(results.get().init_stock(length(&stock)), &stock);
        Ok(())
    }

    async fn claim_key_packages(
        self: Rc<Self>,
        params: session::ClaimKeyPackagesParams,
        mut results: session::ClaimKeyPackagesResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let (identities, ciphersuite) = {
            let params = params.get()?;
            let list = params.get_identities()?;
            params::count(list.len(), MAX_CLAIMS)?;
            let identities: Vec<_> = list.iter().map(params::identity).collect::<Result<_, _>>()?;
            params::unique(identities.iter())?;
            (identities, params.get_ciphersuite())
        };
        let caller = Caller::Bound(self.identity);
        let shared = &self.peer.shared;
        let packages = wire(directory::claim(shared, caller, identities, ciphersuite).await)?;
        let mut list = results.get().init_packages(length(&packages));
        for (index, package) in (0..).zip(&packages) {
            list.set(index, package);
        }
        Ok(())
    }

    async fn key_package_stock(
        self: Rc<Self>,
        _: session::KeyPackageStockParams,
        mut results: session::KeyPackageStockResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let shared = &self.peer.shared;
        let stock = wire(shared.reads.stock(self.identity, shared.clock.now()).await)?;
        put_stock(results.get().init_stock(length(&stock)), &stock);
        Ok(())
    }

    async fn send(
        self: Rc<Self>,
        params: session::SendParams,
        mut results: session::SendResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let shared = &self.peer.shared;
        let send = {
            let params = params.get()?;
            let id = params::send_id(params.get_id()?);
            let turn = wire(self.order.enter(id))?;
            let body = params.get_body()?;
            let limit = shared.limits.payload_bytes;
            Multicast {
                sender: self.identity,
                session: self.number,
                id,
                request: [0; 32],
                deliveries: params::deliveries(params.get_deliveries()?, body.len(), limit)?,
                body: Arc::from(body),
                channel: params::channel(params.get_channel_id())?,
                ttl_secs: params.get_ttl_secs(),
                turn,
            }
        };
        drop(params);
        let sent = wire(delivery::send(shared, send).await)?;
        let mut results = results.get();
        results.set_own_next(sent.own_next);
        put_results(results.init_results(length(&sent.results)), &sent.results);
        Ok(())
    }

    async fn send_result(
        self: Rc<Self>,
        params: session::SendResultParams,
        mut results: session::SendResultResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let id = params::send_id(params.get()?.get_id()?);
        self.order.asked(id);
        let kept = {
            let shared = &self.peer.shared;
            let now = shared.clock.now();
            wire(shared.queues.send_result(self.identity, id, now).await)?
        };
        let mut results = results.get();
        results.set_known(kept.is_some());
        let kept = kept.unwrap_or_default();
        results.set_own_next(kept.own_next);
        put_results(results.init_results(length(&kept.results)), &kept.results);
        Ok(())
    }

    async fn subscribe(
        self: Rc<Self>,
        params: session::SubscribeParams,
        mut results: session::SubscribeResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let sink = params.get()?.get_sink()?;
        results.get().set_subscription(self.start_pushing(sink));
        Ok(())
    }

    async fn ack(
        self: Rc<Self>,
        params: session::AckParams,
        _: session::AckResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let up_to = params.get()?.get_seq_up_to();
        wire(delivery::ack(&self.peer.shared, self.identity, self.number, up_to).await)?;
        if let Some(subscribed) = self.subscribed.borrow().as_ref() {
            subscribed.window.ack(up_to);
        }
        Ok(())
    }

    async fn peek(
        self: Rc<Self>,
        params: session::PeekParams,
        mut results: session::PeekResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let (after, limit) = {
            let params = params.get()?;
            (params.get_after(), params.get_limit())
        };
        let shared = &self.peer.shared;
        let _turn = self.peer.gate.link().turn().await;
        let rows = wire(delivery::peek(shared, self.identity, after, limit).await)?;
        let mut list = results.get().init_rows(length(&rows));
        for (index, row) in (0..).zip(&rows) {
            params::put_row(list.reborrow().get(index), row);
        }
        Ok(())
    }

    async fn claim_name(
        self: Rc<Self>,
        params: session::ClaimNameParams,
        _: session::ClaimNameResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let (name, signature) = {
            let params = params.get()?;
            // What is not UTF-8 is not a name either.
            let name = params.get_name()?.to_str().map(str::to_owned).unwrap_or_default();
            (name, params.get_signature()?.to_vec())
        };
        wire(directory::claim_name(&self.peer.shared, self.identity, name, signature).await)
    }

    async fn put_blob(
        self: Rc<Self>,
        params: session::PutBlobParams,
        results: session::PutBlobResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        blob::put(&self.peer.shared, self.identity, params, results).await
    }

    async fn get_blob(
        self: Rc<Self>,
        params: session::GetBlobParams,
        results: session::GetBlobResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let _turn = self.peer.gate.link().turn().await;
        blob::get(&self.peer.shared, self.identity, params, results).await
    }

    async fn blob_size(
        self: Rc<Self>,
        params: session::BlobSizeParams,
        mut results: session::BlobSizeResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let sha256 = blob::hash(params.get()?.get_sha256())?;
        let size = wire(self.peer.shared.reads.blob_size(sha256).await)?;
        results.get().set_known(size.is_some());
        results.get().set_size(size.unwrap_or_default());
        Ok(())
    }

    async fn release_blob(
        self: Rc<Self>,
        params: session::ReleaseBlobParams,
        _: session::ReleaseBlobResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let sha256 = blob::hash(params.get()?.get_sha256())?;
        wire(blobs::release(&self.peer.shared, self.identity, sha256).await)
    }

    async fn delete_identity(
        self: Rc<Self>,
        params: session::DeleteIdentityParams,
        _: session::DeleteIdentityResults,
    ) -> capnp::Result<()> {
        let _call = wire(self.peer.calls.enter())?;
        wire(self.live())?;
        let (heir, signature) = {
            let params = params.get()?;
            let heir = params.get_heir()?;
            let heir = if heir.is_empty() { None } else { Some(params::identity(Ok(heir))?) };
            (heir, params.get_signature()?.to_vec())
        };
        // What has begun is finished, whether the caller waits for it or not.
        let (done, outcome) = oneshot::channel();
        let session = Rc::clone(&self);
        self.peer.tasks.spawn_local(async move {
            let Self { peer, identity, number, place, ended, .. } = &*session;
            let run = deletion::run(&peer.shared, *identity, *number, place, heir, &signature);
            let outcome = run.await;
            if outcome.is_ok() {
                ended.set(Some(Ended::Deleted));
            }
            let _ = done.send(outcome);
        });
        let outcome = wire(outcome.await.map_err(Fault::internal))?;
        wire(outcome)
    }
}

/// Lists are bounded far below 2^32.
fn length<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

fn put_stock(mut list: capnp::struct_list::Builder<'_, stock::Owned>, suites: &[SuiteStock]) {
    for (index, suite) in (0..).zip(suites) {
        let mut entry = list.reborrow().get(index);
        entry.set_ciphersuite(suite.ciphersuite);
        entry.set_one_time(suite.one_time);
        entry.set_has_last_resort(suite.last_resort);
    }
}

fn put_results(
    mut list: capnp::struct_list::Builder<'_, delivery_result::Owned>,
    results: &[Delivered],
) {
    for (index, result) in (0..).zip(results) {
        let mut entry = list.reborrow().get(index);
        match result {
            Delivered::Queued(seq) => {
                entry.set_status(delivery_result::Status::Queued);
                entry.set_seq(*seq);
            }
            Delivered::Full => entry.set_status(delivery_result::Status::Full),
        }
    }
}
