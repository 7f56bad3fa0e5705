//! A client made from the published signatures alone, on a connection of its own.

use std::time::Duration;

use quicproquo_tests::Running;
use quicproquo_tests::rpc::{Dialer, Target};

use crate::older_capnp;
use crate::published_capnp::{auth, node_service};

/// A row as it was fetched: position and payload.
pub(super) type Row = (u64, Vec<u8>);

/// One connection.
pub(super) struct Client {
    pub(super) service: node_service::Client,
    pub(super) connection: quinn::Connection,
    _dialer: Dialer,
}

impl Client {
    pub(super) async fn connect(node: &Running) -> Self {
        let dialer = Dialer::new(Target::of(node), Duration::from_secs(30));
        let (service, connection, _) = dialer.open().await.expect("a connection");
        Self { service, connection, _dialer: dialer }
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
