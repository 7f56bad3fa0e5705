//! The calls of an authenticated connection.

use std::rc::Rc;
use std::time::Duration;

use capnp::capability::FromClientHook;
use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::VERSION;
use quicproquo_schemas::node_capnp::{auth, node_service};
use quicproquo_schemas::session_capnp::{delivery_result, node, row, session, sink, subscription};
use tokio::sync::mpsc;

use super::{Fault, INCARNATION, limited};

/// What a recipient got of a send: a position, or none when its queue was full.
pub type Sent = Vec<Option<u64>>;

/// A row as the node hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// Position and payload.
    Row(u64, Vec<u8>),
    /// Position, and how many rows were lost there.
    Gap(u64, u32),
}

impl Pushed {
    /// Its position.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Row(seq, _) | Self::Gap(seq, _) => *seq,
        }
    }
}

fn pushed(row: row::Reader<'_>) -> Result<Pushed, capnp::Error> {
    Ok(match row.which()? {
        row::Payload(payload) => Pushed::Row(row.get_seq(), payload?.to_vec()),
        row::Gap(lost) => Pushed::Gap(row.get_seq(), lost),
    })
}

struct Sink(mpsc::UnboundedSender<Vec<Pushed>>);

impl sink::Server for Sink {
    async fn push(
        self: Rc<Self>,
        params: sink::PushParams,
        _: sink::PushResults,
    ) -> capnp::Result<()> {
        let rows = params.get()?.get_rows()?.iter().map(pushed).collect::<Result<_, _>>()?;
        // The reader has gone; the rows stay at the node.
        let _ = self.0.send(rows);
        Ok(())
    }

    async fn displaced(
        self: Rc<Self>,
        _: sink::DisplacedParams,
        _: sink::DisplacedResults,
    ) -> capnp::Result<()> {
        Ok(())
    }
}

/// A subscription that is kept open.
pub struct Subscription {
    /// Rows as they are pushed.
    pub rows: mpsc::UnboundedReceiver<Vec<Pushed>>,
    _handle: subscription::Client,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// An authenticated Session.
#[derive(Clone)]
pub struct Session {
    calls: session::Client,
    service: node_service::Client,
    /// The counter of the newest send the node knows of.
    pub last_send: u64,
    /// The position up to which rows were acknowledged.
    pub acked_up_to: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("last_send", &self.last_send).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(
        node: &node::Client,
        calls: session::Client,
        last_send: u64,
        acked_up_to: u64,
    ) -> Self {
        let service = node_service::Client::new(node.client.hook.clone());
        Self { calls, service, last_send, acked_up_to }
    }

    /// A token for `NodeService`.
    ///
    /// # Errors
    /// When the node refuses or is gone.
    pub async fn token(&self) -> Result<Vec<u8>, Fault> {
        let answer = limited(self.calls.access_token_request().send().promise).await?;
        Ok(answer.get()?.get_token()?.to_vec())
    }

    /// Asks for rows to be pushed.
    ///
    /// # Errors
    /// When the node refuses or is gone.
    pub async fn subscribe(&self) -> Result<Subscription, Fault> {
        let (sender, rows) = mpsc::unbounded_channel();
        let mut request = self.calls.subscribe_request();
        request.get().set_sink(capnp_rpc::new_client(Sink(sender)));
        let answer = limited(request.send().promise).await?;
        Ok(Subscription { rows, _handle: answer.get()?.get_subscription()? })
    }

    /// Acknowledges rows.
    ///
    /// # Errors
    /// When the node refuses or is gone.
    pub async fn ack(&self, up_to: u64) -> Result<(), Fault> {
        let mut request = self.calls.ack_request();
        request.get().set_seq_up_to(up_to);
        limited(request.send().promise).await.map(drop)
    }

    /// Sends `prefix || body` to each recipient. The request leaves at the call, so that calls
    /// are made in the order of calling; the future waits for the answer.
    pub fn send(
        &self,
        counter: u64,
        deliveries: &[(IdentityKey, Vec<u8>)],
        body: &[u8],
    ) -> impl Future<Output = Result<Sent, Fault>> + use<> {
        let mut request = self.calls.send_request();
        let mut params = request.get();
        let mut id = params.reborrow().init_id();
        id.set_incarnation(INCARNATION);
        id.set_counter(counter);
        let count = u32::try_from(deliveries.len()).expect("few recipients");
        let mut list = params.reborrow().init_deliveries(count);
        for (index, (to, prefix)) in (0..).zip(deliveries) {
            let mut delivery = list.reborrow().get(index);
            delivery.set_recipient_key(to.as_bytes());
            delivery.set_prefix(prefix);
            delivery.set_include_body(true);
        }
        params.set_body(body);
        let promise = request.send().promise;
        async move { sent(limited(promise).await?.get()?.get_results()?) }
    }

    /// What became of a send; none when the node does not know it.
    ///
    /// # Errors
    /// When the node refuses or is gone.
    pub async fn send_result(&self, counter: u64) -> Result<Option<Sent>, Fault> {
        let mut request = self.calls.send_result_request();
        let mut id = request.get().init_id();
        id.set_incarnation(INCARNATION);
        id.set_counter(counter);
        let answer = limited(request.send().promise).await?;
        let answer = answer.get()?;
        if answer.get_known() { Ok(Some(sent(answer.get_results()?)?)) } else { Ok(None) }
    }

    /// Reads everything without removing it.
    ///
    /// # Errors
    /// When the node refuses or is gone.
    pub async fn peek_all(&self) -> Result<Vec<Pushed>, Fault> {
        let mut rows: Vec<Pushed> = Vec::new();
        loop {
            let after = rows.last().map_or(0, Pushed::seq);
            let page = self.peek(after).await?;
            if page.is_empty() {
                return Ok(rows);
            }
            rows.extend(page);
        }
    }

    /// Reads without removing.
    ///
    /// # Errors
    /// When the node refuses or is gone.
    pub async fn peek(&self, after: u64) -> Result<Vec<Pushed>, Fault> {
        let mut request = self.calls.peek_request();
        request.get().set_after(after);
        let answer = limited(request.send().promise).await?;
        let rows = answer.get()?.get_rows()?;
        Ok(rows.iter().map(pushed).collect::<Result<_, _>>()?)
    }

    /// `NodeService.enqueue`.
    ///
    /// # Errors
    /// When the node refuses or is gone.
    pub async fn enqueue(
        &self,
        token: &[u8],
        to: IdentityKey,
        payload: &[u8],
    ) -> Result<u64, Fault> {
        let mut request = self.service.enqueue_request();
        let mut params = request.get();
        params.set_recipient_key(to.as_bytes());
        params.set_payload(payload);
        params.set_version(VERSION);
        put_token(params.init_auth(), token);
        Ok(limited(request.send().promise).await?.get()?.get_seq())
    }

    /// `NodeService.fetchWait`: acknowledges what this connection was answered before.
    ///
    /// # Errors
    /// When the node refuses or is gone.
    pub async fn fetch_wait(
        &self,
        token: &[u8],
        who: IdentityKey,
        limit: u32,
        wait: Duration,
    ) -> Result<Vec<(u64, Vec<u8>)>, Fault> {
        let mut request = self.service.fetch_wait_request();
        let mut params = request.get();
        params.set_recipient_key(who.as_bytes());
        params.set_version(VERSION);
        params.set_limit(limit);
        params.set_timeout_ms(u64::try_from(wait.as_millis()).expect("a short time"));
        put_token(params.init_auth(), token);
        let answer = limited(request.send().promise).await?;
        let rows = answer.get()?.get_payloads()?;
        let rows = rows.iter().map(|row| Ok((row.get_seq(), row.get_data()?.to_vec())));
        Ok(rows.collect::<Result<_, capnp::Error>>()?)
    }

    /// `NodeService.uploadHybridKey`.
    ///
    /// # Errors
    /// When the node refuses or is gone.
    pub async fn upload_hybrid_key(
        &self,
        token: &[u8],
        who: IdentityKey,
        key: &[u8],
    ) -> Result<(), Fault> {
        let mut request = self.service.upload_hybrid_key_request();
        let mut params = request.get();
        params.set_identity_key(who.as_bytes());
        params.set_hybrid_public_key(key);
        put_token(params.init_auth(), token);
        limited(request.send().promise).await.map(drop)
    }

    /// `NodeService.fetchHybridKey`; empty when there is none.
    ///
    /// # Errors
    /// When the node refuses or is gone.
    pub async fn fetch_hybrid_key(&self, token: &[u8], who: IdentityKey) -> Result<Vec<u8>, Fault> {
        let mut request = self.service.fetch_hybrid_key_request();
        let mut params = request.get();
        params.set_identity_key(who.as_bytes());
        put_token(params.init_auth(), token);
        Ok(limited(request.send().promise).await?.get()?.get_hybrid_public_key()?.to_vec())
    }
}

fn put_token(mut auth: auth::Builder<'_>, token: &[u8]) {
    auth.set_version(VERSION);
    auth.set_access_token(token);
}

fn sent(list: capnp::struct_list::Reader<'_, delivery_result::Owned>) -> Result<Sent, Fault> {
    list.iter()
        .map(|result| {
            Ok(match result.get_status().map_err(capnp::Error::from)? {
                delivery_result::Status::Queued => Some(result.get_seq()),
                delivery_result::Status::Full => None,
            })
        })
        .collect()
}
