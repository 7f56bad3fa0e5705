//! A bare QUIC echo on loopback, with the TLS and transport of the node.

use std::net::Ipv4Addr;
use std::sync::Arc;

use quicproquo_schemas::limits::ALPN;
use quinn::{Connection, Endpoint};
use rustls::RootCertStore;

use super::FloorError;
use crate::clock::Stopwatch;
use crate::config::TransportLimits;
use crate::tls::{Certificate, provider, transport};

/// Sends `bytes` over one stream and waits for them to come back, `rounds` times. Server and
/// client share the calling runtime.
pub async fn quic_echo(rounds: usize, bytes: usize) -> Result<Vec<u64>, FloorError> {
    let mut limits = TransportLimits::default();
    limits.receive_window_before_auth = limits.receive_window;
    limits.send_window_before_auth = limits.send_window;
    let certificate = Certificate::ephemeral().map_err(|error| quic(&error))?;
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    let server = Endpoint::server(
        certificate.server_config(&limits).map_err(|error| quic(&error))?,
        address,
    )?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).map_err(|error| quic(&error))?;
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| quic(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let tls =
        quinn::crypto::rustls::QuicClientConfig::try_from(tls).map_err(|error| quic(&error))?;
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport(&limits)));
    let client = Endpoint::client(address)?;
    let connecting = client
        .connect_with(config, server.local_addr()?, "localhost")
        .map_err(|error| quic(&error))?;

    let times = async {
        let connection = connecting.await.map_err(|error| quic(&error))?;
        let times = round_trips(&connection, rounds, bytes).await;
        connection.close(0u32.into(), b"");
        times
    };
    let (times, ()) = tokio::join!(times, echo(&server));
    times
}

async fn echo(server: &Endpoint) {
    let Some(incoming) = server.accept().await else {
        return;
    };
    let Ok(connection) = incoming.await else {
        return;
    };
    let Ok((mut send, mut receive)) = connection.accept_bi().await else {
        return;
    };
    while let Ok(Some(chunk)) = receive.read_chunk(usize::MAX, true).await {
        if send.write_chunk(chunk.bytes).await.is_err() {
            return;
        }
    }
}

async fn round_trips(
    connection: &Connection,
    rounds: usize,
    bytes: usize,
) -> Result<Vec<u64>, FloorError> {
    let (mut send, mut receive) = connection.open_bi().await.map_err(|error| quic(&error))?;
    let message = vec![0x5a; bytes];
    let mut answer = vec![0; bytes];
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let watch = Stopwatch::start();
        send.write_all(&message).await.map_err(|error| quic(&error))?;
        receive.read_exact(&mut answer).await.map_err(|error| quic(&error))?;
        times.push(watch.nanos());
    }
    Ok(times)
}

fn quic(error: &dyn std::fmt::Display) -> FloorError {
    FloorError::Quic(error.to_string())
}
