//! Calls per second through this transport and through capnp-rpc's own `twoparty`, in one process:
//! `cargo run --release -p quicproquo-transport --example rates`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring tool")]
#![expect(clippy::disallowed_methods, reason = "a measuring tool reads the clock")]
#![expect(clippy::cast_precision_loss, reason = "rates")]

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, twoparty};
use futures::io::{BufReader, BufWriter};
use quicproquo_schemas::node_capnp::node_service;
use quicproquo_transport::{CallLimit, FrameLimit, Rules};
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, ServerConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::LocalSet;
use tokio_util::compat::{TokioAsyncReadCompatExt as _, TokioAsyncWriteCompatExt as _};

const RUN: Duration = Duration::from_millis(500);
const ROUNDS: usize = 3;
const LOADS: [(usize, usize); 6] = [(1, 1), (1, 32), (1, 256), (8, 1), (8, 32), (8, 256)];

struct Service;

impl node_service::Server for Service {
    async fn health(
        self: Rc<Self>,
        _: node_service::HealthParams,
        mut results: node_service::HealthResults,
    ) -> capnp::Result<()> {
        results.get().set_status("ok");
        Ok(())
    }

    async fn enqueue(
        self: Rc<Self>,
        params: node_service::EnqueueParams,
        mut results: node_service::EnqueueResults,
    ) -> capnp::Result<()> {
        let size = params.get()?.get_payload()?.to_vec().len();
        results.get().set_seq(size as u64);
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Twoparty,
    Ours,
}

fn rules(calls: bool) -> Rules {
    let limit = CallLimit { in_flight: 300, patience: Duration::from_secs(2), refused: 100 };
    Rules {
        frames: FrameLimit::plain(8 << 20),
        calls: calls.then_some(limit),
        refusal: String::new(),
        capabilities: 16,
        unsent_bytes: 4 << 20,
        stalled: Duration::from_secs(10),
        lent_frame: Duration::from_secs(10),
    }
}

fn system(
    way: Way,
    side: Side,
    (send, receive): (SendStream, RecvStream),
    bootstrap: Option<capnp::capability::Client>,
) -> RpcSystem<Side> {
    match way {
        Way::Ours => {
            let rules = rules(side == Side::Server);
            let (network, _) = quicproquo_transport::open(send, receive, side, rules);
            RpcSystem::new(Box::new(network), bootstrap)
        }
        Way::Twoparty => {
            let network = twoparty::VatNetwork::new(
                BufReader::with_capacity(16 * 1024, receive.compat()),
                BufWriter::with_capacity(16 * 1024, send.compat_write()),
                side,
                capnp::message::ReaderOptions::new(),
            );
            RpcSystem::new(Box::new(network), bootstrap)
        }
    }
}

fn on_thread<F: Future<Output = ()>>(main: impl FnOnce() -> F + Send + 'static) {
    std::thread::spawn(move || block_on(main()));
}

fn block_on<F: Future>(main: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, main)
}

async fn serve(way: Way, config: ServerConfig, address: std::sync::mpsc::Sender<SocketAddr>) {
    let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    address.send(endpoint.local_addr().unwrap()).unwrap();
    while let Some(incoming) = endpoint.accept().await {
        tokio::task::spawn_local(async move {
            let connection = incoming.await.unwrap();
            let Ok(streams) = connection.accept_bi().await else { return };
            let service: node_service::Client = capnp_rpc::new_client(Service);
            let _ = system(way, Side::Server, streams, Some(service.client)).await;
        });
    }
}

async fn connect(
    way: Way,
    config: ClientConfig,
    to: SocketAddr,
) -> (Endpoint, Connection, node_service::Client) {
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let connection = endpoint.connect_with(config, to, "localhost").unwrap().await.unwrap();
    let streams = connection.open_bi().await.unwrap();
    let mut system = system(way, Side::Client, streams, None);
    let service = system.bootstrap(Side::Server);
    tokio::task::spawn_local(system);
    (endpoint, connection, service)
}

async fn call(service: &node_service::Client, payload: &[u8]) {
    if payload.is_empty() {
        let answer = service.health_request().send().promise.await.unwrap();
        assert_eq!(answer.get().unwrap().get_status().unwrap(), "ok");
        return;
    }
    let mut request = service.enqueue_request();
    request.get().set_payload(payload);
    let answer = request.send().promise.await.unwrap();
    assert_eq!(answer.get().unwrap().get_seq(), payload.len() as u64);
}

/// Calls per second.
async fn run(services: Vec<node_service::Client>, depth: usize, payload: Vec<u8>) -> f64 {
    let began = Instant::now();
    let payload = Rc::new(payload);
    let callers = services.iter().flat_map(|service| (0..depth).map(move |_| service.clone()));
    let callers = callers.map(|service| {
        let payload = Rc::clone(&payload);
        tokio::task::spawn_local(async move {
            let mut calls = 0u64;
            while began.elapsed() < RUN {
                call(&service, &payload).await;
                calls += 1;
            }
            calls
        })
    });
    let calls = futures::future::join_all(callers.collect::<Vec<_>>()).await;
    calls.into_iter().map(Result::unwrap).sum::<u64>() as f64 / began.elapsed().as_secs_f64()
}

fn tls() -> (ServerConfig, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = CertificateDer::from(made.cert);
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = quinn::crypto::rustls::QuicServerConfig::try_from(server).unwrap();
    let client = quinn::crypto::rustls::QuicClientConfig::try_from(client).unwrap();
    (ServerConfig::with_crypto(Arc::new(server)), ClientConfig::new(Arc::new(client)))
}

fn main() {
    let ways = [
        ("twoparty both", Way::Twoparty, Way::Twoparty),
        ("ours at the node", Way::Ours, Way::Twoparty),
        ("ours both", Way::Ours, Way::Ours),
    ];
    for payload in [0, 1024] {
        for (connections, depth) in LOADS {
            let mut first = None;
            let mut rates = vec![Vec::new(); ways.len()];
            let mut lost = vec![0; ways.len()];
            // Round by round, so that slow minutes of the machine hit all ways alike.
            for _ in 0..ROUNDS {
                for ((way, rates), lost) in ways.iter().zip(&mut rates).zip(&mut lost) {
                    let (server, client) = tls();
                    let (sender, address) = std::sync::mpsc::channel();
                    let side = way.1;
                    on_thread(move || serve(side, server, sender));
                    let to = address.recv().unwrap();
                    rates.push(block_on(async {
                        let mut open = Vec::new();
                        for _ in 0..connections {
                            open.push(connect(way.2, client.clone(), to).await);
                        }
                        let services = open.iter().map(|open| open.2.clone()).collect();
                        let rate = run(services, depth, vec![7; payload]).await;
                        for (_, connection, _) in &open {
                            *lost += connection.stats().path.lost_packets;
                        }
                        rate
                    }));
                }
            }
            for ((way, mut rates), lost) in ways.iter().zip(rates).zip(lost) {
                rates.sort_by(f64::total_cmp);
                let median = rates[ROUNDS / 2];
                let base = *first.get_or_insert(median);
                println!(
                    "{payload:>5} B {connections}x{depth:<4} {:<19} {median:>9.0}/s  {:.2}  {lost} packets lost",
                    way.0,
                    median / base
                );
            }
        }
    }
}
