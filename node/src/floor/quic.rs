//! Bare QUIC on loopback, with the TLS and transport of the node: the server on a thread of its
//! own, the client on the calling one.

use std::net::Ipv4Addr;
use std::sync::Arc;

use quicproquo_schemas::limits::ALPN;
use quinn::{Connection, Endpoint};
use rustls::RootCertStore;
use tokio::runtime::{self, Runtime};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::FloorError;
use crate::config::TransportLimits;
use crate::tls::{Certificate, provider, transport};

/// Serves each connection with `serve` while `work` runs with so many connections.
pub(super) fn with_server<T>(
    connections: usize,
    serve: impl AsyncFn(Connection) + Clone + Send + 'static,
    work: impl AsyncFnOnce(Vec<Connection>) -> Result<T, FloorError>,
) -> Result<T, FloorError> {
    let mut limits = TransportLimits::default();
    limits.receive_window_before_auth = limits.receive_window;
    limits.send_window_before_auth = limits.send_window;
    let certificate = Certificate::ephemeral().map_err(|error| FloorError::quic(&error))?;
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    let (server_runtime, client_runtime) = (runtime()?, runtime()?);
    let tls = certificate.server_config(&limits).map_err(|error| FloorError::quic(&error))?;
    let server = {
        let _guard = server_runtime.enter();
        Endpoint::server(tls, address)?
    };
    let to = server.local_addr()?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let thread = std::thread::Builder::new().name("qpq-floor".into()).spawn(move || {
        LocalSet::new().block_on(&server_runtime, accept(server, serve, stopped));
    })?;
    let done = LocalSet::new().block_on(&client_runtime, async {
        let client = client(&certificate, &limits)?;
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            let connecting = client.connect(to, "localhost");
            let connecting = connecting.map_err(|error| FloorError::quic(&error))?;
            open.push(connecting.await.map_err(|error| FloorError::quic(&error))?);
        }
        let done = work(open).await;
        client.close(0_u32.into(), b"");
        client.wait_idle().await;
        done
    });
    stop.cancel();
    let ended = thread.join().map_err(|_| FloorError::quic(&"the server has failed"));
    done.and_then(|done| ended.map(|()| done))
}

fn runtime() -> std::io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

async fn accept(
    server: Endpoint,
    serve: impl AsyncFn(Connection) + Clone + 'static,
    stop: CancellationToken,
) {
    loop {
        let incoming = tokio::select! {
            incoming = server.accept() => incoming,
            () = stop.cancelled() => return,
        };
        let Some(incoming) = incoming else { return };
        let serve = serve.clone();
        tokio::task::spawn_local(async move {
            if let Ok(connection) = incoming.await {
                serve(connection).await;
            }
        });
    }
}

fn client(certificate: &Certificate, limits: &TransportLimits) -> Result<Endpoint, FloorError> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).map_err(|error| FloorError::quic(&error))?;
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| FloorError::quic(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls)
        .map_err(|error| FloorError::quic(&error))?;
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport(limits)));
    let mut client = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
    client.set_default_client_config(config);
    Ok(client)
}
