//! QUIC and TLS towards the node.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quicproquo_schemas::limits;
use quicproquo_transport::{LOOPBACK_PAYLOAD, enlarge_datagrams, is_loopback};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, IdleTimeout, TokioRuntime, TransportConfig,
    VarInt,
};

use super::trust::Judge;
use crate::config::NodeAddress;
use crate::error::OpenError;

const HANDSHAKE: Duration = Duration::from_secs(5);
/// Silence after which the node counts as gone. While nothing is answered QUIC repeats itself at
/// intervals that double, up to half of this time and more: a new connection is sooner through
/// than the next repetition.
const IDLE_MS: u32 = 15_000;
/// After a change of the path the node may send to where nobody is any more, until it hears from
/// here; it has no other way to learn of it.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Knows where the node is and how to judge it.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    addr: SocketAddr,
    server_name: String,
    config: ClientConfig,
    judge: Judge,
}

impl Connector {
    pub(crate) fn new(node: &NodeAddress) -> Result<Self, OpenError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let judge = Judge::new(&node.trust, node.addr, &provider)?;
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| OpenError::Database(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&judge.verifier))
            .with_no_client_auth();
        tls.alpn_protocols = vec![limits::ALPN.to_vec()];
        tls.enable_early_data = false;
        let quic = QuicClientConfig::try_from(tls)
            .map_err(|error| OpenError::Database(error.to_string()))?;
        let mut config = ClientConfig::new(Arc::new(quic));
        config.transport_config(Arc::new(transport(node.addr.ip())));
        Ok(Self { addr: node.addr, server_name: node.server_name.clone(), config, judge })
    }

    /// A socket of the node's address family.
    pub(crate) fn endpoint(&self) -> std::io::Result<Endpoint> {
        let local: SocketAddr = if self.addr.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = quicproquo_transport::bind(local)?;
        let mut config = EndpointConfig::default();
        if is_loopback(self.addr.ip()) {
            config.max_udp_payload_size(LOOPBACK_PAYLOAD).map_err(std::io::Error::other)?;
        }
        Endpoint::new(config, None, socket, Arc::new(TokioRuntime))
    }

    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, String> {
        let connecting = endpoint
            .connect_with(self.config.clone(), self.addr, &self.server_name)
            .map_err(|error| error.to_string())?;
        let connection = tokio::time::timeout(HANDSHAKE, connecting)
            .await
            .map_err(|_| "the handshake timed out".to_owned())?
            .map_err(|error| error.to_string())?;
        self.judge.met(&connection)?;
        Ok(connection)
    }
}

fn transport(node: IpAddr) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(4 * 1024 * 1024))
        .receive_window(VarInt::from_u32(8 * 1024 * 1024))
        .send_window(8 * 1024 * 1024)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS))))
        .keep_alive_interval(Some(KEEP_ALIVE));
    if is_loopback(node) {
        enlarge_datagrams(&mut transport);
    }
    transport
}
