//! A client made from the published signatures alone, on a QUIC connection of its own.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use capnp_rpc::{RpcSystem, rpc_twoparty_capnp, twoparty};
use quicproquo_tests::Running;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use crate::older_capnp;
use crate::published_capnp::{auth, node_service};

/// A row as it was fetched: position and payload.
pub(super) type Row = (u64, Vec<u8>);

/// One connection.
pub(super) struct Client {
    pub(super) service: node_service::Client,
    pub(super) connection: quinn::Connection,
    _endpoint: quinn::Endpoint,
}

impl Client {
    pub(super) async fn connect(node: &Running) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        let pem = node.field("node_certificate");
        let certificate = CertificateDer::from_pem_file(pem).expect("the node's certificate");
        roots.add(certificate).expect("a certificate to trust");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"capnp".to_vec()];
        let tls = QuicClientConfig::try_from(tls).expect("QUIC's cipher suite");
        let config = quinn::ClientConfig::new(Arc::new(tls));
        let local = (Ipv4Addr::LOCALHOST, 0).into();
        let endpoint = quinn::Endpoint::client(local).expect("a socket");
        let address = node.field("node").parse().expect("an address");
        let connecting = endpoint.connect_with(config, address, "localhost").expect("an address");
        let connection = connecting.await.expect("a connection");
        let (send, receive) = connection.open_bi().await.expect("a stream");
        let network = twoparty::VatNetwork::new(
            receive.compat(),
            send.compat_write(),
            rpc_twoparty_capnp::Side::Client,
            capnp::message::ReaderOptions::new(),
        );
        let mut system = RpcSystem::new(Box::new(network), None);
        let service = system.bootstrap(rpc_twoparty_capnp::Side::Server);
        tokio::task::spawn_local(system);
        Self { service, connection, _endpoint: endpoint }
    }

    /// The same connection, as a caller of before the last parameters sees it.
    pub(super) fn older(&self) -> older_capnp::node_service::Client {
        capnp::capability::FromClientHook::new(self.service.client.hook.clone())
    }

    pub(super) async fn enqueue(
        &self,
        token: &[u8],
        to: &[u8],
        payload: &[u8],
    ) -> Result<u64, capnp::Error> {
        let mut request = self.service.enqueue_request();
        let mut params = request.get();
        params.set_recipient_key(to);
        params.set_payload(payload);
        params.set_version(1);
        put(params.init_auth(), token);
        Ok(request.send().promise.await?.get()?.get_seq())
    }

    pub(super) async fn fetch(&self, token: &[u8], of: &[u8]) -> Result<Vec<Row>, capnp::Error> {
        let mut request = self.service.fetch_request();
        let mut params = request.get();
        params.set_recipient_key(of);
        params.set_version(1);
        put(params.init_auth(), token);
        let answer = request.send().promise.await?;
        let rows = answer.get()?.get_payloads()?;
        rows.iter().map(|row| Ok((row.get_seq(), row.get_data()?.to_vec()))).collect()
    }

    pub(super) async fn fetch_wait(
        &self,
        token: &[u8],
        of: &[u8],
        wait: Duration,
    ) -> Result<Vec<Row>, capnp::Error> {
        let mut request = self.service.fetch_wait_request();
        let mut params = request.get();
        params.set_recipient_key(of);
        params.set_version(1);
        params.set_timeout_ms(u64::try_from(wait.as_millis()).expect("a short time"));
        put(params.init_auth(), token);
        let answer = request.send().promise.await?;
        let rows = answer.get()?.get_payloads()?;
        rows.iter().map(|row| Ok((row.get_seq(), row.get_data()?.to_vec()))).collect()
    }

    /// Waits until what was called on this connection before has begun.
    pub(super) async fn health(&self) -> Result<String, capnp::Error> {
        let answer = self.service.health_request().send().promise.await?;
        Ok(answer.get()?.get_status()?.to_string()?)
    }
}

pub(super) fn put(mut auth: auth::Builder<'_>, token: &[u8]) {
    auth.set_version(1);
    auth.set_access_token(token);
}
