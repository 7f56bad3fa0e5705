//! One authenticated connection, and the calls that are made on it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use capnp::capability::FromClientHook as _;
use quicproquo_core::identity::{Identity, IdentityKey};
use quicproquo_schemas::id::Instance;
use quicproquo_schemas::limits;
use quicproquo_schemas::node_capnp::node_service;
use quicproquo_schemas::session_capnp::{delivery_result, session};
use quinn::{Connection, Endpoint};

use super::BenchError;
use crate::rpc::link::set_auth;
use crate::rpc::{Connector, authenticate, system};

/// Bytes at the front of each payload that make it differ from all others.
pub(super) const STAMP: usize = 16;
/// Recipients whose queues nobody reads.
const STRANGERS: usize = 256;
const INCARNATION: u64 = 1;

/// An authenticated connection.
pub(super) struct Peer {
    pub(super) node: node_service::Client,
    pub(super) session: session::Client,
    pub(super) identity: Arc<Identity>,
    token: Vec<u8>,
    sends: Cell<u64>,
    /// Position up to which this peer has acknowledged.
    pub(super) acked: Cell<u64>,
    connection: Connection,
}

impl Peer {
    /// Connects and authenticates.
    pub(super) async fn connect(
        endpoint: &Endpoint,
        connector: &Connector,
        identity: Arc<Identity>,
    ) -> Result<Rc<Self>, BenchError> {
        let connection = connector.connect(endpoint).await.map_err(BenchError::new)?;
        let (node, _) = system::start(&connection).await?;
        let mut instance = [0; Instance::LEN];
        getrandom::fill(&mut instance).map_err(BenchError::new)?;
        let proof = authenticate::Proof {
            identity: &identity,
            incarnation: INCARNATION,
            instance: Instance::new(instance),
            attempt: 1,
            invite: "",
        };
        let authenticate::Authenticated { session, last_send, acked_up_to, .. } =
            authenticate::run(&connection, &node, &proof).await?;
        let token = session.access_token_request().send().promise.await?;
        let token = token.get()?.get_token()?.to_vec();
        Ok(Rc::new(Self {
            node: node.cast_to(),
            session,
            identity,
            token,
            sends: Cell::new(last_send.counter),
            acked: Cell::new(acked_up_to),
            connection,
        }))
    }

    /// The least there is to call.
    pub(super) async fn health(&self) -> Result<(), BenchError> {
        self.node.health_request().send().promise.await?;
        Ok(())
    }

    /// Queues one row.
    pub(super) async fn enqueue(
        &self,
        recipient: &IdentityKey,
        bytes: usize,
        stamp: &[u8; STAMP],
    ) -> Result<(), BenchError> {
        let mut request = self.node.enqueue_request();
        let mut params = request.get();
        params.set_recipient_key(recipient.as_bytes());
        put(params.reborrow().init_payload(length(bytes)), stamp);
        params.set_version(limits::VERSION);
        set_auth(params.init_auth(), &self.token);
        request.send().promise.await?;
        Ok(())
    }

    /// Queues one row for each recipient in one transaction: a prefix of its own and the body.
    pub(super) async fn send(
        &self,
        recipients: &[IdentityKey],
        prefix: usize,
        body: usize,
        stamp: &[u8; STAMP],
    ) -> Result<(), BenchError> {
        let counter = self.sends.get() + 1;
        self.sends.set(counter);
        let mut request = self.session.send_request();
        let mut params = request.get();
        let mut id = params.reborrow().init_id();
        id.set_incarnation(INCARNATION);
        id.set_counter(counter);
        if body > 0 {
            put(params.reborrow().init_body(length(body)), stamp);
        }
        let mut list = params.init_deliveries(length(recipients.len()));
        for (index, recipient) in (0..).zip(recipients) {
            let mut delivery = list.reborrow().get(index);
            delivery.set_recipient_key(recipient.as_bytes());
            delivery.set_include_body(body > 0);
            if prefix > 0 {
                put(delivery.init_prefix(length(prefix)), stamp);
            }
        }
        let response = request.send().promise.await?;
        for result in response.get()?.get_results()? {
            if !result.get_status().is_ok_and(|it| it == delivery_result::Status::Queued) {
                return Err(BenchError::new("a queue of the bench is full"));
            }
        }
        Ok(())
    }

    /// Leases the next rows of the own queue, and acknowledges those leased before: their number.
    pub(super) async fn fetch(&self) -> Result<usize, BenchError> {
        let mut request = self.node.fetch_request();
        let mut params = request.get();
        params.set_recipient_key(self.identity.key().as_bytes());
        params.set_version(limits::VERSION);
        set_auth(params.init_auth(), &self.token);
        let response = request.send().promise.await?;
        Ok(response.get()?.get_payloads()?.len() as usize)
    }

    /// Deletes all rows up to a position.
    pub(super) async fn ack(&self, up_to: u64) -> Result<(), BenchError> {
        let mut request = self.session.ack_request();
        request.get().set_seq_up_to(up_to);
        request.send().promise.await?;
        self.acked.set(self.acked.get().max(up_to));
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.connection.close(0_u32.into(), b"");
    }
}

/// All connections of a bench.
pub(super) struct Peers {
    pub(super) all: Vec<Rc<Peer>>,
    /// Recipients whose queues nobody reads.
    pub(super) strangers: Vec<IdentityKey>,
    run: [u8; STAMP / 2],
    stamps: Cell<u64>,
}

impl Peers {
    pub(super) fn new(all: Vec<Rc<Peer>>) -> Result<Self, BenchError> {
        let mut run = [0; STAMP / 2];
        getrandom::fill(&mut run).map_err(BenchError::new)?;
        let strangers = (0..STRANGERS).map(|_| Identity::generate().key()).collect();
        Ok(Self { all, strangers, run, stamps: Cell::new(0) })
    }

    /// The next bytes that no other payload starts with, and their number.
    pub(super) fn stamp(&self) -> (u64, [u8; STAMP]) {
        let number = self.stamps.get();
        self.stamps.set(number + 1);
        let mut stamp = [0; STAMP];
        stamp[..STAMP / 2].copy_from_slice(&self.run);
        stamp[STAMP / 2..].copy_from_slice(&number.to_be_bytes());
        (number, stamp)
    }

    /// The number of a stamp of this run.
    pub(super) fn number(&self, payload: &[u8]) -> Option<u64> {
        let (run, rest) = payload.split_first_chunk::<{ STAMP / 2 }>()?;
        (*run == self.run).then_some(u64::from_be_bytes(*rest.first_chunk()?))
    }
}

fn put(target: &mut [u8], stamp: &[u8; STAMP]) {
    let len = target.len().min(STAMP);
    target[..len].copy_from_slice(&stamp[STAMP - len..]);
}

/// Sizes of the wire are far below 4 GiB.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
