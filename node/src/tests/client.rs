//! A raw client.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use capnp_rpc::{RpcSystem, rpc_twoparty_capnp, twoparty};
use ed25519_dalek::{Signer, SigningKey};
use futures::io::{BufReader, BufWriter};
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::{IdentityKey, Instance, SendId};
use quicproquo_schemas::limits::{ALPN, AUTH_DOMAIN, AUTH_EXPORTER_LABEL, VERSION};
use quicproquo_schemas::node_capnp::{auth, node_service};
use quicproquo_schemas::session_capnp::{delivery_result, node, row, session, sink};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};
use tokio_util::sync::CancellationToken;

use crate::{Clock, Node, NodeConfig, NodeError, Ops, key_package};

/// A node in this process.
pub(crate) struct TestNode {
    pub(super) address: SocketAddr,
    pub(super) pem: std::path::PathBuf,
    pub(super) ops: Ops,
    shutdown: CancellationToken,
    served: tokio::task::JoinHandle<Result<(), NodeError>>,
}

pub(crate) fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_mins(1), test).await.unwrap();
    });
}

pub(crate) fn config(dir: &TempDir) -> NodeConfig {
    let mut config = NodeConfig::new(dir.path(), (Ipv4Addr::LOCALHOST, 0).into());
    config.clock = Clock::from_fn(|| key_package::tests::NOW);
    config
}

impl TestNode {
    pub(super) async fn start(config: NodeConfig) -> Self {
        let node = Node::bind(config).await.unwrap();
        let (address, pem) = (node.local_addr(), node.certificate_pem_path().to_owned());
        let ops = node.ops();
        let shutdown = CancellationToken::new();
        let served = tokio::task::spawn_local(node.serve(shutdown.clone()));
        Self { address, pem, ops, shutdown, served }
    }

    /// A node that is served in some other way.
    pub(crate) fn elsewhere(node: &Node) -> Self {
        let pem = node.certificate_pem_path().to_owned();
        let served = tokio::task::spawn_local(async { Ok(()) });
        let (address, ops) = (node.local_addr(), node.ops());
        Self { address, pem, ops, shutdown: CancellationToken::new(), served }
    }

    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        self.served.await.unwrap().unwrap();
    }
}

/// One connection.
pub(crate) struct Client {
    pub(super) node: node::Client,
    pub(crate) connection: quinn::Connection,
    _endpoint: quinn::Endpoint,
}

pub(super) fn tls(node: &TestNode) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&node.pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls
}

pub(super) async fn dial(
    node: &TestNode,
    tls: rustls::ClientConfig,
) -> Result<(quinn::Endpoint, quinn::Connection), quinn::ConnectionError> {
    dial_with(node, tls, Arc::default()).await
}

pub(super) async fn dial_with(
    node: &TestNode,
    tls: rustls::ClientConfig,
    transport: Arc<quinn::TransportConfig>,
) -> Result<(quinn::Endpoint, quinn::Connection), quinn::ConnectionError> {
    let quic = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let mut config = quinn::ClientConfig::new(Arc::new(quic));
    config.transport_config(transport);
    let connection = endpoint.connect_with(config, node.address, "localhost").unwrap().await?;
    Ok((endpoint, connection))
}

impl Client {
    pub(crate) async fn connect(to: &TestNode) -> Self {
        let (endpoint, connection) = dial(to, tls(to)).await.unwrap();
        let (send, receive) = connection.open_bi().await.unwrap();
        let network = twoparty::VatNetwork::new(
            BufReader::new(receive.compat()),
            BufWriter::new(send.compat_write()),
            rpc_twoparty_capnp::Side::Client,
            capnp::message::ReaderOptions::new(),
        );
        let mut system = RpcSystem::new(Box::new(network), None);
        let node = system.bootstrap(rpc_twoparty_capnp::Side::Server);
        tokio::task::spawn_local(system);
        Self { node, connection, _endpoint: endpoint }
    }

    pub(super) fn service(&self) -> node_service::Client {
        capnp::capability::FromClientHook::new(self.node.client.hook.clone())
    }

    pub(super) fn claim(
        &self,
        who: &Who,
    ) -> capnp::capability::RemotePromise<node::authenticate_results::Owned> {
        self.claim_with(who, "")
    }

    /// Claims with an invite.
    pub(super) fn claim_with(
        &self,
        who: &Who,
        invite: &str,
    ) -> capnp::capability::RemotePromise<node::authenticate_results::Owned> {
        let mut exporter = [0; 32];
        self.connection.export_keying_material(&mut exporter, AUTH_EXPORTER_LABEL, b"").unwrap();
        let identity = who.identity();
        let signed = [
            AUTH_DOMAIN,
            identity.as_bytes(),
            &who.incarnation.to_be_bytes(),
            who.instance.as_bytes(),
            &who.attempt.to_be_bytes(),
            &exporter,
        ]
        .concat();
        let mut request = self.node.authenticate_request();
        let mut params = request.get();
        params.set_identity_key(identity.as_bytes());
        params.set_incarnation(who.incarnation);
        params.set_instance(who.instance.as_bytes());
        params.set_attempt(who.attempt);
        params.set_invite(invite);
        params.set_signature(&who.key.sign(&signed).to_bytes());
        request.send()
    }

    /// Authenticates; also answers the last send and the acknowledged position.
    pub(crate) async fn authenticate(&self, who: &Who) -> Result<Session, capnp::Error> {
        let answer = self.claim(who).promise.await?;
        let answer = answer.get()?;
        let last = answer.get_last_send()?;
        Ok(Session {
            calls: answer.get_session()?,
            incarnation: who.incarnation,
            own_next: std::cell::Cell::default(),
            last_send: SendId { incarnation: last.get_incarnation(), counter: last.get_counter() },
            acked_up_to: answer.get_acked_up_to(),
        })
    }

    pub(super) async fn health(&self) -> Result<(), capnp::Error> {
        self.service().health_request().send().promise.await.map(|_| ())
    }

    pub(super) async fn enqueue(
        &self,
        token: &[u8],
        to: &Who,
        payload: &[u8],
        channel: &[u8],
    ) -> Result<u64, capnp::Error> {
        let mut request = self.service().enqueue_request();
        let mut params = request.get();
        params.set_recipient_key(to.identity().as_bytes());
        params.set_payload(payload);
        params.set_channel_id(channel);
        params.set_version(VERSION);
        put_token(params.init_auth(), token);
        Ok(request.send().promise.await?.get()?.get_seq())
    }

    /// Base fetch, waiting when `wait` is not zero.
    pub(super) async fn fetch(
        &self,
        token: &[u8],
        who: &Who,
        channel: &[u8],
        limit: u32,
        wait: Duration,
    ) -> Result<Vec<(u64, Vec<u8>)>, capnp::Error> {
        let mut request = self.service().fetch_wait_request();
        let mut params = request.get();
        params.set_recipient_key(who.identity().as_bytes());
        params.set_channel_id(channel);
        params.set_version(VERSION);
        params.set_limit(limit);
        params.set_timeout_ms(u64::try_from(wait.as_millis()).unwrap());
        put_token(params.init_auth(), token);
        let answer = request.send().promise.await?;
        let rows = answer.get()?.get_payloads()?;
        rows.iter().map(|row| Ok((row.get_seq(), row.get_data()?.to_vec()))).collect()
    }
}

pub(super) fn put_token(mut auth: auth::Builder<'_>, token: &[u8]) {
    auth.set_version(VERSION);
    auth.set_access_token(token);
}

/// An identity and what its client says of itself.
#[derive(Clone)]
pub(crate) struct Who {
    pub(super) key: SigningKey,
    /// Kept, since deriving it takes milliseconds without optimisation.
    pub(super) identity: IdentityKey,
    pub(super) incarnation: u64,
    pub(super) instance: Instance,
    pub(super) attempt: u64,
}

impl Who {
    pub(crate) fn new(seed: u8) -> Self {
        let key = SigningKey::from_bytes(&[seed; 32]);
        Self {
            identity: IdentityKey::new(key.verifying_key().to_bytes()),
            key,
            incarnation: 1,
            instance: Instance::new([seed; 16]),
            attempt: 1,
        }
    }

    pub(super) fn identity(&self) -> IdentityKey {
        self.identity
    }
}

/// A row as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pushed {
    Row(u64, Vec<u8>),
    Gap(u64, u32),
    Displaced(Instance),
}

fn pushed(row: row::Reader<'_>) -> Pushed {
    match row.which().unwrap() {
        row::Payload(payload) => Pushed::Row(row.get_seq(), payload.unwrap().to_vec()),
        row::Gap(lost) => Pushed::Gap(row.get_seq(), lost),
    }
}

struct Sink(mpsc::UnboundedSender<Pushed>);

impl sink::Server for Sink {
    async fn push(
        self: Rc<Self>,
        params: sink::PushParams,
        _: sink::PushResults,
    ) -> capnp::Result<()> {
        for row in params.get()?.get_rows()? {
            let _ = self.0.send(pushed(row));
        }
        Ok(())
    }

    async fn displaced(
        self: Rc<Self>,
        params: sink::DisplacedParams,
        _: sink::DisplacedResults,
    ) -> capnp::Result<()> {
        let instance = Instance::try_from(params.get()?.get_instance()?).unwrap();
        let _ = self.0.send(Pushed::Displaced(instance));
        Ok(())
    }
}

/// A subscription that is kept open.
pub(crate) struct Rows {
    rows: RefCell<mpsc::UnboundedReceiver<Pushed>>,
    _subscription: Box<dyn std::any::Any>,
}

impl Rows {
    #[expect(clippy::await_holding_refcell_ref, reason = "one reader at a time in a test")]
    pub(crate) async fn next(&self) -> Pushed {
        let mut rows = self.rows.borrow_mut();
        tokio::time::timeout(Duration::from_secs(10), rows.recv()).await.unwrap().unwrap()
    }

    pub(super) async fn silent(&self) -> bool {
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.rows.borrow_mut().try_recv().is_err()
    }
}

/// What became of a delivery: its position, or full.
pub(crate) type Sent = Vec<Option<u64>>;

/// An authenticated Session.
pub(crate) struct Session {
    pub(super) calls: session::Client,
    pub(super) last_send: SendId,
    pub(super) acked_up_to: u64,
    /// What the last answer to a send said came before it.
    pub(super) own_next: std::cell::Cell<u64>,
    incarnation: u64,
}

impl Session {
    pub(super) async fn token(&self) -> Result<Vec<u8>, capnp::Error> {
        let answer = self.calls.access_token_request().send().promise.await?;
        Ok(answer.get()?.get_token()?.to_vec())
    }

    pub(crate) async fn subscribe(&self) -> Rows {
        let (sender, rows) = mpsc::unbounded_channel();
        let mut request = self.calls.subscribe_request();
        request.get().set_sink(capnp_rpc::new_client(Sink(sender)));
        let answer = request.send().promise.await.unwrap();
        let subscription = answer.get().unwrap().get_subscription().unwrap();
        Rows { rows: RefCell::new(rows), _subscription: Box::new(subscription) }
    }

    pub(super) async fn ack(&self, up_to: u64) -> Result<(), capnp::Error> {
        let mut request = self.calls.ack_request();
        request.get().set_seq_up_to(up_to);
        request.send().promise.await.map(|_| ())
    }

    /// Sends `prefix || body` to each recipient.
    pub(crate) async fn send(
        &self,
        counter: u64,
        to: &[&Who],
        prefix: &[u8],
        body: &[u8],
    ) -> Result<Sent, capnp::Error> {
        let mut request = self.calls.send_request();
        let mut params = request.get();
        let mut id = params.reborrow().init_id();
        id.set_incarnation(self.incarnation);
        id.set_counter(counter);
        let mut list = params.reborrow().init_deliveries(u32::try_from(to.len()).unwrap());
        for (index, to) in (0..).zip(to) {
            let mut delivery = list.reborrow().get(index);
            delivery.set_recipient_key(to.identity().as_bytes());
            delivery.set_prefix(prefix);
            delivery.set_include_body(true);
        }
        params.set_body(body);
        let answer = request.send().promise.await?;
        self.own_next.set(answer.get()?.get_own_next());
        Ok(sent(answer.get()?.get_results()?))
    }

    pub(super) async fn send_result(&self, counter: u64) -> Option<Sent> {
        let mut request = self.calls.send_result_request();
        let mut id = request.get().init_id();
        id.set_incarnation(self.incarnation);
        id.set_counter(counter);
        let answer = request.send().promise.await.unwrap();
        let answer = answer.get().unwrap();
        self.own_next.set(answer.get_own_next());
        answer.get_known().then(|| sent(answer.get_results().unwrap()))
    }

    pub(super) async fn peek(&self, after: u64) -> Vec<Pushed> {
        let mut request = self.calls.peek_request();
        request.get().set_after(after);
        let answer = request.send().promise.await.unwrap();
        answer.get().unwrap().get_rows().unwrap().iter().map(pushed).collect()
    }
}

fn sent(list: capnp::struct_list::Reader<'_, delivery_result::Owned>) -> Sent {
    list.iter()
        .map(|result| match result.get_status().unwrap() {
            delivery_result::Status::Queued => Some(result.get_seq()),
            delivery_result::Status::Full => None,
        })
        .collect()
}

pub(super) fn code<T: std::fmt::Debug>(result: Result<T, capnp::Error>) -> ErrorCode {
    ErrorCode::find(&result.unwrap_err().extra).unwrap()
}
