//! A node, a token, a live Session, and calls with whatever parameters.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use capnp::any_pointer;
use capnp::capability::Request;
use capnp::message::{Reader, ReaderOptions, SegmentArray};
use capnp::traits::HasTypeId;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp, twoparty};
use ed25519_dalek::Signer;
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::Instance;
use quicproquo_schemas::limits::{ALPN, AUTH_EXPORTER_LABEL, AUTH_EXPORTER_LEN};
use quicproquo_schemas::node_capnp::node_service;
use quicproquo_schemas::session_capnp::{node, session};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use tokio::time::timeout;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};
use tokio_util::sync::CancellationToken;

use super::{NOW, identity};
use crate::auth::{Claimed, hash, signed_bytes};
use crate::store::StoredToken;
use crate::store::sqlite::issue_token;
use crate::{Clock, Node, NodeConfig};

/// An access token of the identity, which the corpus knows.
pub(super) const TOKEN: [u8; 32] = [0x51; 32];

/// How long an answer may take; calls that wait are dropped then.
const SHORT: Duration = Duration::from_millis(40);
/// What every node answers in.
const LIMIT: Duration = Duration::from_secs(10);

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Done,
    /// It was refused with a code.
    Refused(ErrorCode),
    /// There is no code: the method does not exist.
    Malformed(String),
    /// It waits, and was dropped.
    Waiting,
    /// The bytes are not even a call.
    Nothing,
}

impl Answer {
    /// Whether the node says that it has failed.
    pub fn is_internal(&self) -> bool {
        *self == Self::Refused(ErrorCode::Internal)
    }
}

/// A running node and what calls it.
#[derive(Debug)]
pub struct Rig {
    runtime: Runtime,
    local: LocalSet,
    peer: Peer,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

struct Peer {
    address: SocketAddr,
    tls: Arc<QuicClientConfig>,
    endpoint: quinn::Endpoint,
    connection: quinn::Connection,
    node: node::Client,
    session: RefCell<session::Client>,
    data_dir: PathBuf,
}

/// Ordinal of `Session.deleteIdentity`, after which the identity has to come anew.
const DELETE_IDENTITY: u8 = 14;

impl Peer {
    /// Authenticates again, with a token of the operator.
    async fn come_anew(&self) {
        // A deletion that was not waited for may be done or still under way; or it was refused, or
        // dropped before it began, which nobody was told: then this one does it.
        let deleted = async {
            let request = self.session.borrow().delete_identity_request();
            let _ = request.send().promise.await;
            loop {
                let request = self.session.borrow().ack_request();
                if request.send().promise.await.is_err() {
                    break;
                }
            }
        };
        timeout(LIMIT, deleted).await.expect("the deletion is done");
        issue(&self.data_dir).await;
        let session = authenticate(&self.connection, &self.node).await;
        self.session.replace(session);
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").finish_non_exhaustive()
    }
}

impl Rig {
    /// Starts a node in an empty directory.
    pub fn start(dir: &Path) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let local = LocalSet::new();
        let stop = CancellationToken::new();
        let (peer, served) = local.block_on(&runtime, start(dir, stop.clone()));
        Self { runtime, local, peer, stop, served }
    }

    /// Calls a method: byte 0 names the interface, byte 1 the method, the rest is the segment that
    /// holds the parameters.
    pub fn call(&self, data: &[u8]) -> Answer {
        let [interface, method, params @ ..] = data else {
            return Answer::Nothing;
        };
        let session = self.peer.session.borrow().clone();
        let (client, id) = match interface % 3 {
            0 => (&self.peer.node.client, node_service::Client::TYPE_ID),
            1 => (&self.peer.node.client, node::Client::TYPE_ID),
            _ => (&session.client, session::Client::TYPE_ID),
        };
        let mut words = capnp::Word::allocate_zeroed_vec(params.len().div_ceil(8).max(1));
        capnp::Word::words_to_bytes_mut(&mut words)[..params.len()].copy_from_slice(params);
        let segments = [capnp::Word::words_to_bytes(&words)];
        let reader = Reader::new(SegmentArray::new(&segments), ReaderOptions::new());
        let mut request: Request<any_pointer::Owned, any_pointer::Owned> =
            client.new_call(id, u16::from(method % 32), None);
        let copied = reader
            .get_root::<any_pointer::Reader<'_>>()
            .and_then(|root| request.get().set_as::<any_pointer::Owned>(root));
        if copied.is_err() {
            return Answer::Nothing;
        }
        let answer = self.local.block_on(&self.runtime, async {
            match timeout(SHORT, request.send().promise).await {
                Ok(Ok(_)) => Answer::Done,
                Err(_) => Answer::Waiting,
                Ok(Err(error)) => match ErrorCode::find(&error.extra) {
                    Some(code) => Answer::Refused(code),
                    None if error.kind == capnp::ErrorKind::Disconnected => {
                        panic!("the node closed the connection: {error}")
                    }
                    None => Answer::Malformed(error.to_string()),
                },
            }
        });
        let deleted = (interface % 3, method % 32) == (2, DELETE_IDENTITY);
        if deleted && matches!(answer, Answer::Done | Answer::Waiting) {
            self.local.block_on(&self.runtime, self.peer.come_anew());
        }
        answer
    }

    /// Sends bytes on a stream of a new connection and ends it; the node must live.
    pub fn stream(&self, data: &[u8]) {
        let Peer { address, tls, endpoint, .. } = &self.peer;
        self.local.block_on(&self.runtime, async {
            let config = quinn::ClientConfig::new(tls.clone());
            let connecting = endpoint.connect_with(config, *address, "localhost");
            let connecting = connecting.expect("an address");
            let connection = timeout(LIMIT, connecting).await.expect("in time").expect("a node");
            let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
            if send.write_all(data).await.is_ok() {
                let _ = send.finish();
            }
            let _ = timeout(SHORT, receive.read_to_end(1024 * 1024)).await;
            connection.close(9u32.into(), b"");
        });
        self.check();
    }

    /// The node answers as ever.
    pub fn check(&self) {
        self.local.block_on(&self.runtime, async {
            let health = self.peer.node.client.clone();
            let health: node_service::Client = capnp::capability::FromClientHook::new(health.hook);
            let answer = timeout(LIMIT, health.health_request().send().promise).await;
            answer.expect("the node answers").expect("the node is well");
        });
    }

    /// Stops the node, which must end in order.
    pub fn stop(self) {
        self.stop.cancel();
        self.local.block_on(&self.runtime, self.served).expect("an orderly end");
    }
}

async fn start(dir: &Path, stop: CancellationToken) -> (Peer, tokio::task::JoinHandle<()>) {
    let mut config = NodeConfig::new(dir, (Ipv4Addr::LOCALHOST, 0).into());
    config.clock = Clock::from_fn(|| NOW);
    let node = Node::bind(config).await.expect("an empty directory");
    issue(dir).await;
    let (address, pem) = (node.local_addr(), node.certificate_pem_path().to_owned());
    let served = tokio::task::spawn_local(async move {
        node.serve(stop).await.expect("the node serves");
    });

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem).expect("a certificate")).expect("a root");
    let mut tls = rustls::ClientConfig::builder_with_provider(crate::tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let tls = Arc::new(QuicClientConfig::try_from(tls).expect("QUIC's cipher suite"));
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
    let config = quinn::ClientConfig::new(tls.clone());
    let connecting = endpoint.connect_with(config, address, "localhost").expect("an address");
    let connection = connecting.await.expect("a connection");
    let (send, receive) = connection.open_bi().await.expect("a stream");
    let network = twoparty::VatNetwork::new(
        receive.compat(),
        send.compat_write(),
        rpc_twoparty_capnp::Side::Client,
        ReaderOptions::new(),
    );
    let mut system = RpcSystem::new(Box::new(network), None);
    let node: node::Client = system.bootstrap(rpc_twoparty_capnp::Side::Server);
    tokio::task::spawn_local(system);
    let session = RefCell::new(authenticate(&connection, &node).await);
    let data_dir = dir.to_owned();
    (Peer { address, tls, endpoint, connection, node, session, data_dir }, served)
}

/// Issues [`TOKEN`] for the identity.
async fn issue(dir: &Path) {
    let token = StoredToken { identity: identity().1, expires_at: u64::from(u32::MAX) };
    issue_token(dir, hash(&TOKEN), token).await.expect("a token");
}

async fn authenticate(connection: &quinn::Connection, node: &node::Client) -> session::Client {
    let (key, identity) = identity();
    let claimed =
        Claimed { identity, incarnation: 1, instance: Instance::new([7; 16]), attempt: 1 };
    let mut exporter = [0; AUTH_EXPORTER_LEN];
    let exported = connection.export_keying_material(&mut exporter, AUTH_EXPORTER_LABEL, b"");
    exported.expect("an exporter");
    let mut request = node.authenticate_request();
    let mut params = request.get();
    params.set_identity_key(claimed.identity.as_bytes());
    params.set_incarnation(claimed.incarnation);
    params.set_instance(claimed.instance.as_bytes());
    params.set_attempt(claimed.attempt);
    params.set_signature(&key.sign(&signed_bytes(&claimed, &exporter)).to_bytes());
    let answer = request.send().promise.await.expect("a Session");
    let answer = answer.get().expect("an answer");
    answer.get_session().expect("a Session")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a slow machine nobody waits for the answer that a deletion is refused.
    #[test]
    fn a_deletion_that_was_none_is_made_up_for() {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::start(dir.path());
        rig.local.block_on(&rig.runtime, rig.peer.come_anew());
        rig.check();
        rig.stop();
    }
}
