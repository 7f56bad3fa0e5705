//! How many connections, for how long, and what TLS allows them.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quicproquo_schemas::close::CloseCode;
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::Instance;
use quicproquo_transport::{LOOPBACK_PAYLOAD, enlarge_datagrams};
use tempfile::TempDir;
use tokio::net::UdpSocket;

use super::client::{Client, TestNode, Who, code, config, dial, dial_with, run, tls};
use super::raw::closed;
use crate::TransportLimits;

async fn node(limits: impl FnOnce(&mut TransportLimits)) -> (TempDir, TestNode) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir);
    limits(&mut config.limits.transport);
    let node = TestNode::start(config).await;
    (dir, node)
}

/// Whether a further connection is let in.
async fn is_let_in(node: &TestNode) -> bool {
    // At the limit the address is asked to validate itself, and refused then.
    let Ok((_endpoint, connection)) = dial(node, tls(node)).await else { return false };
    let Ok((mut send, _receive)) = connection.open_bi().await else { return false };
    let _ = send.write_all(&[0; 4]).await;
    let end = tokio::time::timeout(Duration::from_secs(1), connection.closed()).await;
    end.is_err()
}

#[test]
fn an_address_has_so_many_unauthenticated_connections() {
    run(async {
        for (limit, let_in) in [(2, false), (3, true)] {
            let (_dir, node) = node(|limits| limits.unauthenticated_per_address = limit).await;
            let (first, second) = (Client::connect(&node).await, Client::connect(&node).await);
            first.health().await.unwrap();
            second.health().await.unwrap();
            assert_eq!(is_let_in(&node).await, let_in);
            // One that authenticates leaves its place to another.
            let _session = first.authenticate(&Who::new(1)).await.unwrap();
            assert!(is_let_in(&node).await);
            second.health().await.unwrap();
            node.stop().await;
        }
    });
}

#[test]
fn connections_that_arrive_together_are_counted_after_their_handshakes() {
    run(async {
        let (_dir, node) = node(|limits| limits.unauthenticated_per_address = 4).await;
        let dials = (0..8).map(|_| dial(&node, tls(&node)));
        let open: Vec<_> = futures::future::join_all(dials).await.into_iter().flatten().collect();
        let ends = open.iter().map(|(_, connection)| async {
            tokio::time::timeout(Duration::from_secs(2), closed(connection)).await.ok()
        });
        let ends = futures::future::join_all(ends).await;
        let (let_in, shown_out): (Vec<_>, Vec<_>) = ends.into_iter().partition(Option::is_none);
        assert_eq!(let_in.len(), 4);
        for (code, reason) in shown_out.into_iter().flatten() {
            assert_eq!(code, CloseCode::TooManyConnections, "{reason}");
        }
        node.stop().await;
    });
}

#[test]
fn an_address_has_so_many_authenticated_connections() {
    run(async {
        for (limit, admitted) in [(1, false), (2, true)] {
            let (_dir, node) = node(|limits| limits.authenticated_per_address = limit).await;
            let first = Client::connect(&node).await;
            let session = first.authenticate(&Who::new(1)).await.unwrap();
            let token = session.token().await.unwrap();
            let second = Client::connect(&node).await;
            let other = second.authenticate(&Who::new(2)).await.map(|_| ());
            let enqueued = second.enqueue(&token, &Who::new(1), b"x", b"").await;
            if admitted {
                other.unwrap();
                enqueued.unwrap();
            } else {
                assert_eq!(code(other), ErrorCode::RateLimited);
                assert_eq!(code(enqueued), ErrorCode::RateLimited);
                // The first one goes on, and the second may still ask what needs no token.
                second.health().await.unwrap();
                session.ack(0).await.unwrap();
            }
            node.stop().await;
        }
    });
}

#[test]
fn a_displaced_connection_is_told_and_closed_unless_another_session_lives_on_it() {
    run(async {
        let (_dir, node) = node(|_| {}).await;
        let bob = Who::new(2);
        let alone = Client::connect(&node).await;
        let _first = alone.authenticate(&bob).await.unwrap();
        let rival = Who { instance: Instance::new([9; 16]), ..bob.clone() };
        let shared = Client::connect(&node).await;
        let carol = shared.authenticate(&Who::new(3)).await.unwrap();
        let second = shared.authenticate(&rival).await.unwrap();
        let (code, reason) = closed(&alone.connection).await;
        assert_eq!(code, CloseCode::Displaced);
        assert!(reason.ends_with(&rival.instance.to_string()), "{reason}");

        let third = Client::connect(&node).await;
        let back = Who { instance: Instance::new([8; 16]), ..bob };
        let _session = third.authenticate(&back).await.unwrap();
        assert_eq!(super::client::code(second.ack(0).await), ErrorCode::Displaced);
        tokio::time::sleep(Duration::from_secs(3)).await;
        carol.ack(0).await.unwrap();
        node.stop().await;
    });
}

#[test]
fn silence_ends_a_connection_unless_the_node_keeps_it_alive() {
    run(async {
        for (keep_alive, lives) in
            [(Duration::from_mins(1), false), (Duration::from_millis(200), true)]
        {
            let (_dir, node) = node(|limits| {
                limits.idle = Duration::from_secs(2);
                limits.keep_alive = keep_alive;
            })
            .await;
            let client = Client::connect(&node).await;
            client.health().await.unwrap();
            let end =
                tokio::time::timeout(Duration::from_secs(5), client.connection.closed()).await;
            assert_eq!(end.is_err(), lives, "{end:?}");
            node.stop().await;
        }
    });
}

#[test]
fn further_streams_are_refused_and_bounded() {
    run(async {
        for (allowed, opens) in [(1, false), (2, true)] {
            let (_dir, node) = node(|limits| limits.streams = allowed).await;
            let client = Client::connect(&node).await;
            client.health().await.unwrap();
            let more = client.connection.open_bi();
            let more = tokio::time::timeout(Duration::from_secs(1), more).await;
            assert_eq!(more.is_ok(), opens);
            if let Ok(stream) = more {
                let (mut send, _receive) = stream.unwrap();
                send.write_all(b"ignored").await.unwrap();
                assert!(send.stopped().await.unwrap().is_some(), "told that nobody reads it");
            }
            client.health().await.unwrap();
            node.stop().await;
        }
    });
}

#[test]
fn a_client_that_offers_only_the_post_quantum_exchange_connects() {
    run(async {
        let (_dir, node) = node(|_| {}).await;
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768];
        let mut roots = rustls::RootCertStore::empty();
        let pem = &node.pem;
        let certificate: rustls::pki_types::CertificateDer<'_> =
            rustls::pki_types::pem::PemObject::from_pem_file(pem).unwrap();
        roots.add(certificate).unwrap();
        let mut only = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        only.alpn_protocols = vec![quicproquo_schemas::limits::ALPN.to_vec()];
        dial(&node, only).await.unwrap();
        node.stop().await;
    });
}

/// Connects twice with one memory of session tickets. Whether the second time could send early.
async fn early(to: std::net::SocketAddr, mut tls: rustls::ClientConfig) -> bool {
    tls.enable_early_data = true;
    let quic = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(quic));
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let connect = || endpoint.connect_with(config.clone(), to, "localhost").unwrap();
    let first = connect().await.unwrap();
    let (mut send, _receive) = first.open_bi().await.unwrap();
    send.write_all(&[0; 4]).await.unwrap();
    // The ticket comes after the handshake.
    tokio::time::sleep(Duration::from_millis(300)).await;
    first.close(0u32.into(), b"");
    match connect().into_0rtt() {
        Err(connecting) => {
            connecting.await.unwrap();
            false
        }
        Ok((_connection, accepted)) => accepted.await,
    }
}

#[test]
fn early_data_is_refused() {
    run(async {
        let (_dir, node) = node(|_| {}).await;
        assert!(!early(node.address, tls(&node)).await);
        node.stop().await;

        // The control: the same attempt at a server that takes early data.
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = rustls::pki_types::CertificateDer::from(made.cert);
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.unwrap())
            .unwrap();
        server.max_early_data_size = u32::MAX;
        let server = quinn::crypto::rustls::QuicServerConfig::try_from(server).unwrap();
        let server = quinn::ServerConfig::with_crypto(Arc::new(server));
        let server = quinn::Endpoint::server(server, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = server.local_addr().unwrap();
        let serving = tokio::task::spawn_local(async move {
            let mut open = Vec::new();
            while let Some(incoming) = server.accept().await {
                open.push(incoming.await);
            }
        });
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        assert!(early(address, client).await);
        serving.abort();
    });
}

/// A way to the node on which no answer comes back: handshakes that begin there stay half open.
struct OneWay {
    address: std::net::SocketAddr,
    /// Answers of the node that demand a Retry (RFC 9000 section 17.2.5), and the others.
    retries: Arc<AtomicUsize>,
    others: Arc<AtomicUsize>,
}

impl OneWay {
    async fn start(node: std::net::SocketAddr) -> Self {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        back.connect(node).await.unwrap();
        let way = Self {
            address: front.local_addr().unwrap(),
            retries: Arc::default(),
            others: Arc::default(),
        };
        let (retries, others) = (Arc::clone(&way.retries), Arc::clone(&way.others));
        tokio::task::spawn_local(async move {
            let (mut there, mut here) = ([0; 2048], [0; 2048]);
            loop {
                tokio::select! {
                    Ok((size, _)) = front.recv_from(&mut there) => {
                        let _ = back.send(&there[..size]).await;
                    }
                    Ok(_) = back.recv(&mut here) => {
                        let retry = here[0] & 0xf0 == 0xf0;
                        let count = if retry { &retries } else { &others };
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        way
    }

    /// Begins handshakes.
    fn flood(&self, node: &TestNode, count: usize) -> quinn::Endpoint {
        let quic = quinn::crypto::rustls::QuicClientConfig::try_from(tls(node)).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(quic));
        let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        for _ in 0..count {
            let half = endpoint.connect_with(config.clone(), self.address, "localhost").unwrap();
            tokio::task::spawn_local(async move { drop(half.await) });
        }
        endpoint
    }

    async fn answered(&self, count: impl Fn(&Self) -> usize, at_least: usize) {
        let wait = async {
            while count(self) < at_least {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(15), wait).await.expect("answers of the node");
    }
}

fn retries(way: &OneWay) -> usize {
    way.retries.load(Ordering::Relaxed)
}

fn others(way: &OneWay) -> usize {
    way.others.load(Ordering::Relaxed)
}

#[test]
fn a_flood_of_handshakes_is_asked_to_come_back_and_honest_clients_get_in() {
    run(async {
        for (limit, asked) in [(8, true), (1000, false)] {
            let (_dir, node) = node(|limits| limits.open_handshakes = limit).await;
            let way = OneWay::start(node.address).await;
            let _flood = way.flood(&node, 60);
            if asked {
                way.answered(retries, 40).await;
            } else {
                way.answered(others, 60).await;
                assert_eq!(retries(&way), 0);
            }
            Client::connect(&node).await.health().await.unwrap();
            node.stop().await;
        }
    });
}

#[test]
fn a_half_open_handshake_gives_its_place_back_in_time() {
    run(async {
        let (_dir, node) = node(|limits| {
            limits.open_handshakes = 1;
            limits.handshake = Duration::from_millis(300);
        })
        .await;
        let way = OneWay::start(node.address).await;
        let _first = way.flood(&node, 1);
        way.answered(others, 1).await;
        let _more = way.flood(&node, 5);
        way.answered(retries, 1).await;
        // In time the first one is given up: another handshake begins, which a Retry would not.
        let limit = tokio::time::Instant::now() + Duration::from_secs(15);
        loop {
            let before = others(&way);
            let _again = way.flood(&node, 1);
            tokio::time::sleep(Duration::from_millis(200)).await;
            if others(&way) > before {
                break;
            }
            assert!(tokio::time::Instant::now() < limit, "the handshake is never given up");
        }
        node.stop().await;
    });
}

#[test]
fn a_client_without_a_stream_is_shown_out() {
    run(async {
        let (_dir, node) = node(|_| {}).await;
        let (_endpoint, connection) = dial_with(&node, tls(&node), Arc::default()).await.unwrap();
        assert_eq!(closed(&connection).await.0, CloseCode::NoStream);
        node.stop().await;
    });
}

#[test]
fn datagrams_on_loopback_grow_as_far_as_both_ends_allow() {
    /// quinn's own limit, for Ethernet.
    const ETHERNET: u16 = 1452;
    run(async {
        let (_dir, node) = node(|_| {}).await;
        for (enlarge, limit) in [(true, LOOPBACK_PAYLOAD), (false, ETHERNET)] {
            let mut transport = quinn::TransportConfig::default();
            if enlarge {
                enlarge_datagrams(&mut transport);
            }
            let (_endpoint, connection) =
                dial_with(&node, tls(&node), Arc::new(transport)).await.unwrap();
            while connection.stats().path.current_mtu < limit {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(connection.stats().path.current_mtu, limit);
        }
        node.stop().await;
    });
}
