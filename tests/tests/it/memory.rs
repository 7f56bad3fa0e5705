//! What strangers can make a node hold: little, and not for long (T25).
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use capnp::message::Builder;
use capnp::traits::HasTypeId;
use capnp_rpc::rpc_capnp::message;
use quicproquo_schemas::close::CloseCode;
use quicproquo_schemas::limits::ALPN;
use quicproquo_schemas::node_capnp::node_service;
use quicproquo_tests::seed::say;
use quicproquo_tests::{LONG, Launch, Running, SOON, wait_for, within};
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// How much more than before the attacks, in bytes.
const GROWTH: u64 = 100 * 1024 * 1024;
/// Addresses of loopback to come from; each may have 64 connections.
const ADDRESSES: u8 = 4;
const PER_ADDRESS: usize = 60;
const HEALTH: u16 = 5;

/// A stranger: TLS that trusts the node, and nothing else.
struct Stranger {
    node: SocketAddr,
    config: quinn::ClientConfig,
    endpoints: Vec<Endpoint>,
}

/// A connection with its stream.
struct Stream {
    send: SendStream,
    receive: RecvStream,
    connection: Connection,
}

/// A connection on which something is being written, for as long as that takes.
struct Held {
    connection: Connection,
    _receive: RecvStream,
    _writing: JoinHandle<SendStream>,
}

impl Stranger {
    /// Takes no more than `window` bytes of answers that it does not read.
    fn new(node: &Running, window: u32) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(node.field("node_certificate")).unwrap();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let quic = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
        let mut config = quinn::ClientConfig::new(Arc::new(quic));
        let mut transport = quinn::TransportConfig::default();
        transport
            .keep_alive_interval(Some(Duration::from_secs(5)))
            .stream_receive_window(window.into());
        config.transport_config(Arc::new(transport));
        let endpoints = (1..=ADDRESSES)
            .map(|n| Endpoint::client((Ipv4Addr::new(127, 0, 0, n), 0).into()).unwrap())
            .collect();
        Self { node: node.field("node").parse().unwrap(), config, endpoints }
    }

    async fn connect(&self, from: usize) -> Stream {
        let endpoint = &self.endpoints[from % self.endpoints.len()];
        let connecting = endpoint.connect_with(self.config.clone(), self.node, "localhost");
        let connection = within("a connection", SOON, connecting.unwrap()).await.unwrap();
        let (send, receive) = connection.open_bi().await.unwrap();
        Stream { send, receive, connection }
    }

    /// Nearly as many connections as the node allows all addresses together, and `bytes` on each.
    async fn everywhere(&self, bytes: Vec<u8>) -> Vec<Held> {
        let bytes: Arc<[u8]> = bytes.into();
        let mut held = Vec::new();
        for n in 0..usize::from(ADDRESSES) * PER_ADDRESS {
            let Stream { mut send, receive, connection } = self.connect(n).await;
            let bytes = Arc::clone(&bytes);
            let writing = tokio::spawn(async move {
                let _ = send.write_all(&bytes).await;
                send
            });
            held.push(Held { connection, _receive: receive, _writing: writing });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        held
    }

    /// A `health` call through the front door.
    async fn is_served(&self) -> bool {
        let mut stream = self.connect(0).await;
        stream.send.write_all(&[bootstrap(), call(1)].concat()).await.unwrap();
        let mut answers = 0;
        while answers < 64 {
            match within("an answer", SOON, stream.receive.read_chunk(4096, true)).await {
                Ok(Some(chunk)) => answers += chunk.bytes.len(),
                _ => return false,
            }
        }
        stream.connection.close(0u32.into(), b"");
        true
    }
}

fn encode(message: &Builder<capnp::message::HeapAllocator>) -> Vec<u8> {
    let mut bytes = Vec::new();
    capnp::serialize::write_message(&mut bytes, message).unwrap();
    bytes
}

fn bootstrap() -> Vec<u8> {
    let mut message = Builder::new_default();
    message.init_root::<message::Builder<'_>>().init_bootstrap().set_question_id(0);
    encode(&message)
}

fn call(question: u32) -> Vec<u8> {
    let mut message = Builder::new_default();
    let mut call = message.init_root::<message::Builder<'_>>().init_call();
    call.set_question_id(question);
    call.set_interface_id(node_service::Client::TYPE_ID);
    call.set_method_id(HEALTH);
    call.reborrow().init_target().init_promised_answer().set_question_id(0);
    call.init_params();
    encode(&message)
}

/// What the RPC system answers by copying it whole.
fn nested(depth: usize) -> Vec<u8> {
    let mut message = Builder::new_default();
    let root = message.init_root::<message::Builder<'_>>();
    let mut inner = root.init_obsolete_save().init_as::<message::Builder<'_>>();
    for _ in 0..depth {
        inner = inner.init_unimplemented();
    }
    encode(&message)
}

/// A segment table alone: one segment of so many bytes, or so many segments.
fn claim(segments: u32, bytes: u32) -> Vec<u8> {
    [(segments - 1).to_le_bytes(), (bytes / 8).to_le_bytes()].concat()
}

fn resident(node: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

/// Handshakes that begin behind a socket which passes nothing back.
async fn half_open(stranger: &Stranger, count: usize) -> (Endpoint, Vec<JoinHandle<()>>) {
    let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    front.set_nonblocking(true).unwrap();
    let front = tokio::net::UdpSocket::from_std(front).unwrap();
    let there = front.local_addr().unwrap();
    let back = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    back.connect(stranger.node).await.unwrap();
    let mut tasks = vec![tokio::spawn(async move {
        let mut packet = [0; 2048];
        while let Ok((size, _)) = front.recv_from(&mut packet).await {
            let _ = back.send(&packet[..size]).await;
        }
    })];
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    for _ in 0..count {
        let half = endpoint.connect_with(stranger.config.clone(), there, "localhost").unwrap();
        tasks.push(tokio::spawn(async move { drop(half.await) }));
    }
    (endpoint, tasks)
}

/// A large frame of which a sixth arrives.
fn large() -> Vec<u8> {
    [claim(1, 6_000_000), vec![0; 1 << 20]].concat()
}

/// The control: what the budget is for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_budget_for_large_frames_strangers_could() {
    let dir = TempDir::new().unwrap();
    let launch = Launch::node(&dir.path().join("node"));
    let node = launch.arg("--node-limits-first-call-memory", "1000000000000").start().await;
    let stranger = Stranger::new(&node, 1 << 20);
    assert!(stranger.is_served().await);
    let before = resident(&node);
    let _held = stranger.everywhere(large()).await;
    let beyond = async || (resident(&node) > before + GROWTH).then_some(());
    wait_for("memory that is not bounded", SOON, beyond).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_cannot_make_a_node_hold_much() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let stranger = Stranger::new(&node, 1 << 20);
    assert!(stranger.is_served().await);
    let before = resident(&node);
    let grown = |what: &str| {
        let now = resident(&node);
        let grown = now.saturating_sub(before);
        say(&format!("{what}: {} KiB more than {} KiB", grown / 1024, before / 1024));
        assert!(grown <= GROWTH, "{what}: {grown} bytes more");
    };

    let (endpoint, tasks) = half_open(&stranger, 1500).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    grown("1500 handshakes, half open");
    assert!(stranger.is_served().await);
    tasks.iter().for_each(JoinHandle::abort);
    drop(endpoint);

    let greedy = [
        ("frames of 64 MiB, announced", claim(1, 64 << 20)),
        ("frames of 5 MiB, announced", claim(1, 5 << 20)),
        ("100,000 segments, announced", claim(100_000, 64)),
        ("nested 1,000 deep", nested(1000)),
        ("frames of 64 KiB, all but their end", [claim(1, 65_000), vec![0; 64_000]].concat()),
        ("frames of 6 MiB, a MiB of each sent", large()),
    ];
    for (what, bytes) in greedy {
        let held = stranger.everywhere(bytes).await;
        grown(what);
        for stream in held {
            stream.connection.close(0u32.into(), b"");
        }
        wait_for("the node to serve", SOON, async || stranger.is_served().await.then_some(()))
            .await;
    }

    let calls = (1..=20_000).flat_map(call).collect::<Vec<u8>>();
    let deaf = Stranger::new(&node, 8 * 1024);
    let held = deaf.everywhere([bootstrap(), calls].concat()).await;
    grown("answers that nobody reads");
    let closed = async {
        for stream in &held {
            let reason = stream.connection.closed().await;
            let ConnectionError::ApplicationClosed(close) = reason else { panic!("{reason}") };
            assert_eq!(close.error_code, CloseCode::Stalled.number().into(), "{close}");
        }
    };
    within("the deaf to be shown out", LONG, closed).await;
    drop(held);

    assert!(stranger.is_served().await);
    // The system's allocator keeps some of what was freed for the next time.
    grown("afterwards");
    node.stop().await;
}
