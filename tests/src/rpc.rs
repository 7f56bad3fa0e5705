//! A raw client of the node: QUIC and Cap'n Proto without the client crate, so that what the node
//! answers is seen as it is. Everything here runs on one thread, inside a `LocalSet`.

mod calls;
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use capnp::capability::FromClientHook;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp, twoparty};
use ed25519_dalek::{Signer, SigningKey};
use futures::io::{BufReader, BufWriter};
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::{IdentityKey, Instance, SendId};
use quicproquo_schemas::limits::{AUTH_DOMAIN, AUTH_EXPORTER_LABEL};
use quicproquo_schemas::node_capnp::node_service;
use quicproquo_schemas::session_capnp::node;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use crate::process::Running;
pub use calls::{Pushed, Sent, Session, Subscription};

/// How long a handshake or a call may take before the connection counts as gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a node is, and the SHA-256 of its certificate.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// UDP address.
    pub address: SocketAddr,
    /// What its certificate must hash to.
    pub fingerprint: [u8; 32],
}

impl Target {
    /// A node that was started by a test.
    pub fn of(node: &Running) -> Self {
        let mut fingerprint = [0; 32];
        hex::decode_to_slice(node.field("node_fingerprint"), &mut fingerprint)
            .expect("a fingerprint is hex");
        let address = node.field("node").parse().expect("an address");
        Self { address, fingerprint }
    }
}

/// A call did not succeed.
#[derive(Debug)]
pub enum Fault {
    /// The node refused it, with a code.
    Refused(ErrorCode, String),
    /// Nobody knows what became of it: the connection is gone.
    Gone(String),
}

impl From<capnp::Error> for Fault {
    fn from(error: capnp::Error) -> Self {
        match ErrorCode::find(&error.extra) {
            Some(code) => Self::Refused(code, error.extra),
            None => Self::Gone(error.to_string()),
        }
    }
}

/// An identity and what its client says of itself.
#[derive(Debug, Clone)]
pub struct Who {
    key: SigningKey,
    identity: IdentityKey,
    instance: Instance,
    attempt: u64,
}

impl Who {
    /// The same identity for the same number, as a process that was just started.
    pub fn new(number: u16) -> Self {
        let mut secret = [0x51; 32];
        secret[..2].copy_from_slice(&number.to_be_bytes());
        let key = SigningKey::from_bytes(&secret);
        let identity = IdentityKey::new(key.verifying_key().to_bytes());
        Self {
            key,
            identity,
            instance: Instance::new(fastrand::u128(..).to_be_bytes()),
            attempt: 0,
        }
    }

    /// Its public key.
    pub fn identity(&self) -> IdentityKey {
        self.identity
    }

    /// The proof for one connection, with the next attempt.
    fn sign(&mut self, exporter: &[u8; 32]) -> [u8; 64] {
        self.attempt += 1;
        let signed = [
            AUTH_DOMAIN,
            self.identity.as_bytes(),
            &INCARNATION.to_be_bytes(),
            self.instance.as_bytes(),
            &self.attempt.to_be_bytes(),
            exporter,
        ];
        self.key.sign(&signed.concat()).to_bytes()
    }
}

/// No test restores an old copy of a client.
pub const INCARNATION: u64 = 1;

/// Many connections from one socket.
#[derive(Debug, Clone)]
pub struct Dialer {
    endpoint: quinn::Endpoint,
    target: Target,
    config: quinn::ClientConfig,
}

impl Dialer {
    /// Opens a socket. `idle` is how long a silent node counts as alive.
    pub fn new(target: Target, idle: Duration) -> Self {
        let endpoint =
            quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a UDP socket");
        let mut transport = quinn::TransportConfig::default();
        transport
            .max_idle_timeout(Some(idle.try_into().expect("a short time")))
            .keep_alive_interval(Some(idle / 4))
            // Probes look like answers in a trace of the node.
            .mtu_discovery_config(None)
            .datagram_receive_buffer_size(None);
        let mut config = quinn::ClientConfig::new(Arc::new(tls::pinned(target.fingerprint)));
        config.transport_config(Arc::new(transport));
        Self { endpoint, target, config }
    }

    /// One connection, with its RPC system running.
    ///
    /// # Errors
    /// When the node is not there or is another.
    pub async fn dial(&self) -> Result<Link, Fault> {
        let (node, connection, system) = self.open().await?;
        Ok(Link { node, connection, system })
    }

    /// The same for what a caller takes the bootstrap capability for.
    ///
    /// # Errors
    /// When the node is not there or is another.
    pub async fn open<C: FromClientHook>(&self) -> Result<(C, quinn::Connection, System), Fault> {
        let gone = |error: &dyn std::fmt::Display| Fault::Gone(error.to_string());
        let connecting = self
            .endpoint
            .connect_with(self.config.clone(), self.target.address, "localhost")
            .map_err(|error| gone(&error))?;
        let connection = timeout(PATIENCE, connecting)
            .await
            .map_err(|error| gone(&error))?
            .map_err(|error| gone(&error))?;
        let (send, receive) = connection.open_bi().await.map_err(|error| gone(&error))?;
        let network = twoparty::VatNetwork::new(
            BufReader::new(receive.compat()),
            BufWriter::new(send.compat_write()),
            rpc_twoparty_capnp::Side::Client,
            capnp::message::ReaderOptions::new(),
        );
        let mut system = RpcSystem::new(Box::new(network), None);
        let node = system.bootstrap(rpc_twoparty_capnp::Side::Server);
        Ok((node, connection, tokio::task::spawn_local(system)))
    }
}

/// One connection. Dropping it closes it.
pub struct Link {
    node: node::Client,
    connection: quinn::Connection,
    system: System,
}

/// The task of a connection's RPC system.
pub type System = JoinHandle<Result<(), capnp::Error>>;

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.system.abort();
        self.connection.close(0u32.into(), b"");
    }
}

impl Link {
    /// Waits until the connection is gone.
    pub async fn closed(&self) {
        self.connection.closed().await;
    }

    /// Authenticates; answers the Session.
    ///
    /// # Errors
    /// When the node refuses or is gone.
    pub async fn authenticate(&self, who: &mut Who) -> Result<Session, Fault> {
        let mut exporter = [0; 32];
        self.connection
            .export_keying_material(&mut exporter, AUTH_EXPORTER_LABEL, b"")
            .expect("an exporter of 32 bytes");
        let signature = who.sign(&exporter);
        let mut request = self.node.authenticate_request();
        let mut params = request.get();
        params.set_identity_key(who.identity.as_bytes());
        params.set_incarnation(INCARNATION);
        params.set_instance(who.instance.as_bytes());
        params.set_attempt(who.attempt);
        params.set_signature(&signature);
        let answer = limited(request.send().promise).await?;
        let answer = answer.get()?;
        let last = answer.get_last_send()?;
        let last = SendId { incarnation: last.get_incarnation(), counter: last.get_counter() };
        Ok(Session::new(&self.node, answer.get_session()?, last.counter, answer.get_acked_up_to()))
    }

    /// `health`.
    ///
    /// # Errors
    /// When the node refuses or is gone.
    pub async fn health(&self) -> Result<String, Fault> {
        let service = node_service::Client::new(self.node.client.hook.clone());
        let answer = limited(service.health_request().send().promise).await?;
        let status = answer.get()?.get_status()?;
        Ok(status.to_string().map_err(capnp::Error::from)?)
    }
}

/// Awaits an answer for at most [`PATIENCE`].
async fn limited<T>(promise: impl Future<Output = Result<T, capnp::Error>>) -> Result<T, Fault> {
    match timeout(PATIENCE, promise).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Fault::Gone("no answer".to_owned())),
    }
}
