//! One identity's link to the node: connect, authenticate, subscribe, serve, again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quicproquo_schemas::close::CloseCode;
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::limits;
use quicproquo_schemas::node_capnp::auth;
use quicproquo_schemas::session_capnp::{node, session};
use quinn::{Connection, ConnectionError, Endpoint};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::sink::{RowSink, SinkEvent};
use super::{
    Connector, LinkEvent, LinkSpec, Request, RpcError, authenticate, blobs, delivery, directory,
    system,
};

const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// With the gaps between the packets of a handshake in vain, nobody waits longer than 7 s for the
/// next attempt.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Without a link for so long is told once.
const OUTAGE: Duration = Duration::from_secs(5);
/// How long the answer to a deletion may take after the subscription has ended with it.
const DELETION: Duration = Duration::from_secs(10);
const REFUSED_WAIT: Duration = Duration::from_secs(30);

/// How one connection ended.
enum End {
    Stopped,
    Lost(String),
    Refused(ErrorCode, String),
    Displaced(String),
}

/// A connection with its proven Session.
pub(super) struct Live {
    pub(super) node: node::Client,
    pub(super) session: session::Client,
    /// For `NodeService`; dies with the Session.
    pub(super) token: Vec<u8>,
}

/// Keeps the link up until it is stopped or displaced.
pub(crate) async fn run(endpoint: Endpoint, connector: Arc<Connector>, mut spec: LinkSpec) {
    let mut backoff = BACKOFF_MIN;
    let mut outage = Outage::default();
    loop {
        let attempt = spec.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        let mut was_up = false;
        let end = connect_and_serve(&endpoint, &connector, &mut spec, attempt, &mut was_up).await;
        if was_up {
            backoff = BACKOFF_MIN;
            outage = Outage::default();
        }
        let pause = match end {
            End::Stopped => return,
            End::Displaced(by) => {
                let _ = spec.events.send(LinkEvent::Displaced { by }).await;
                return;
            }
            End::Refused(code, text) => {
                tracing::warn!(%code, "the node refuses the identity");
                let _ = spec.events.send(LinkEvent::Refused { code, text }).await;
                REFUSED_WAIT
            }
            End::Lost(reason) => {
                outage.tell(&reason);
                let _ = spec.events.send(LinkEvent::Down).await;
                let pause = some_of(backoff);
                backoff = (backoff * 2).min(BACKOFF_MAX);
                pause
            }
        };
        let waiting = tokio::time::sleep(pause);
        if refuse_until(waiting, &mut spec).await.is_none() {
            return;
        }
    }
}

/// A time without a link. A restart of the node is not worth a word, a wrong address is.
#[derive(Default)]
struct Outage {
    began: Option<Instant>,
    told: bool,
}

impl Outage {
    fn tell(&mut self, reason: &str) {
        let began = *self.began.get_or_insert_with(Instant::now);
        if self.told || began.elapsed() < OUTAGE {
            tracing::debug!(reason, "the link to the node is down");
        } else {
            tracing::warn!(reason, "the node cannot be reached; trying on");
            self.told = true;
        }
    }
}

/// Half of `most` to all of it, so that many links do not come back at once.
fn some_of(most: Duration) -> Duration {
    let random = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
    most.mul_f64(0.5 + random / 2.0)
}

/// Waits for `work`, answering requests meanwhile with "unavailable". `None`: stop.
async fn refuse_until<T>(work: impl Future<Output = T>, spec: &mut LinkSpec) -> Option<T> {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            () = spec.stop.cancelled() => return None,
            done = &mut work => return Some(done),
            request = spec.requests.recv() => match request {
                Some(request) => refuse(request),
                None => return None,
            },
        }
    }
}

/// Answers a request that finds no link.
pub(crate) fn refuse(request: Request) {
    let error = || RpcError::Unavailable("no link".into());
    match request {
        Request::Send { answer, .. } => drop(answer.send(Err(error()))),
        Request::SendResult { answer, .. } => drop(answer.send(Err(error()))),
        Request::Drained { answer, .. } => drop(answer.send(Err(error()))),
        Request::PublishKeyPackages { answer, .. } | Request::KeyPackageStock { answer } => {
            drop(answer.send(Err(error())));
        }
        Request::ClaimKeyPackages { answer, .. } => drop(answer.send(Err(error()))),
        Request::ClaimName { answer, .. }
        | Request::UploadHybridKey { answer, .. }
        | Request::ReleaseBlob { answer, .. }
        | Request::DeleteIdentity { answer }
        | Request::Ack { answer, .. } => {
            drop(answer.send(Err(error())));
        }
        Request::ResolveName { answer, .. } => drop(answer.send(Err(error()))),
        Request::NamesOf { answer, .. } => drop(answer.send(Err(error()))),
        Request::FetchHybridKey { answer, .. } => drop(answer.send(Err(error()))),
        Request::PutBlob { answer, .. } => drop(answer.send(Err(error()))),
        Request::GetBlob { answer, .. } => drop(answer.send(Err(error()))),
        Request::BlobSize { answer, .. } => drop(answer.send(Err(error()))),
    }
}

async fn connect_and_serve(
    endpoint: &Endpoint,
    connector: &Connector,
    spec: &mut LinkSpec,
    attempt: u64,
    was_up: &mut bool,
) -> End {
    let connection = match refuse_until(connector.connect(endpoint), spec).await {
        None => return End::Stopped,
        Some(Err(reason)) => return End::Lost(reason),
        Some(Ok(connection)) => connection,
    };
    let end = serve(&connection, spec, attempt, was_up).await;
    connection.close(0u32.into(), b"");
    end
}

async fn serve(
    connection: &Connection,
    spec: &mut LinkSpec,
    attempt: u64,
    was_up: &mut bool,
) -> End {
    let (node, mut system) = match system::start(connection).await {
        Ok(started) => started,
        Err(error) => return End::Lost(error.to_string()),
    };

    let (sink_events, mut pushed) = mpsc::unbounded_channel();
    let opening = open(connection, spec, attempt, node, sink_events);
    let live = tokio::select! {
        opened = opening => match opened {
            Ok((live, up, subscription)) => {
                *was_up = true;
                if spec.events.send(up).await.is_err() {
                    return End::Stopped;
                }
                (live, subscription)
            }
            Err(RpcError::Coded { code: ErrorCode::Displaced, text }) => {
                return End::Displaced(instance_in(&text));
            }
            Err(RpcError::Coded { code, text }) => return refused(code, text),
            Err(RpcError::Unavailable(reason)) => return End::Lost(reason),
        },
        _ = &mut system => return ended(connection, &spec.instance.to_string()),
        () = spec.stop.cancelled() => return End::Stopped,
    };
    let (live, _subscription) = live;
    // A link whose identity is being deleted waits for the answer, and does not come back by
    // itself to register it again.
    let mut deleting = false;
    let mut answered_until = None;
    loop {
        tokio::select! {
            biased;
            () = spec.stop.cancelled() => return End::Stopped,
            event = pushed.recv(), if answered_until.is_none() => match event {
                Some(SinkEvent::Rows(rows, taken)) => {
                    if spec.events.send(LinkEvent::Rows(rows)).await.is_err() {
                        return End::Stopped;
                    }
                    let _ = taken.send(());
                }
                Some(SinkEvent::Displaced(by)) if by == spec.instance.to_string() => {
                    return End::Lost("a newer connection of this session".into());
                }
                Some(SinkEvent::Displaced(by)) => return End::Displaced(by),
                None if deleting => answered_until = Some(Instant::now() + DELETION),
                None => return ended(connection, &spec.instance.to_string()),
            },
            request = spec.requests.recv() => match request {
                Some(request) => {
                    deleting |= matches!(request, Request::DeleteIdentity { .. });
                    dispatch(&live, spec.identity.key(), request);
                }
                None => return End::Stopped,
            },
            () = sleep_until(answered_until.unwrap_or_else(Instant::now)),
                if answered_until.is_some() =>
            {
                return ended(connection, &spec.instance.to_string());
            }
            _ = &mut system => return ended(connection, &spec.instance.to_string()),
        }
    }
}

type Opened = (Live, LinkEvent, quicproquo_schemas::session_capnp::subscription::Client);

async fn open(
    connection: &Connection,
    spec: &LinkSpec,
    attempt: u64,
    node: node::Client,
    pushed: mpsc::UnboundedSender<SinkEvent>,
) -> Result<Opened, RpcError> {
    let proof = authenticate::Proof {
        identity: &spec.identity,
        incarnation: spec.incarnation,
        instance: spec.instance,
        attempt,
        invite: spec.invite.as_deref().unwrap_or_default(),
    };
    let authenticate::Authenticated { session, last_send, acked_up_to, node_time } =
        authenticate::run(connection, &node, &proof).await?;
    let mut request = session.subscribe_request();
    request.get().set_sink(capnp_rpc::new_client(RowSink::new(pushed)));
    let subscription = request.send().promise.await?.get()?.get_subscription()?;
    let token = session.access_token_request().send().promise.await?;
    let token = token.get()?.get_token()?.to_vec();
    let up = LinkEvent::Up { last_send, acked_up_to, node_time };
    Ok((Live { node, session, token }, up, subscription))
}

/// Starts a request at once, so that requests leave in the order they came.
fn dispatch(live: &Live, identity: quicproquo_core::identity::IdentityKey, request: Request) {
    match request {
        Request::Send { id, deliveries, body, answer } => {
            delivery::send(live, id, &deliveries, &body, answer);
        }
        Request::SendResult { id, answer } => delivery::send_result(live, id, answer),
        Request::Ack { up_to, answer } => delivery::ack(live, up_to, answer),
        Request::Drained { after, answer } => delivery::drained(live, after, answer),
        Request::PublishKeyPackages { one_time, last_resort, replace, answer } => {
            directory::publish(live, &one_time, last_resort.as_deref(), replace, answer);
        }
        Request::ClaimKeyPackages { identities, ciphersuite, answer } => {
            directory::claim(live, identities, ciphersuite, answer);
        }
        Request::KeyPackageStock { answer } => directory::stock(live, answer),
        Request::ClaimName { name, signature, answer } => {
            directory::claim_name(live, &name, &signature, answer);
        }
        Request::ResolveName { name, answer } => directory::resolve_name(live, &name, answer),
        Request::NamesOf { identity, answer } => directory::names_of(live, &identity, answer),
        Request::UploadHybridKey { key, answer } => {
            directory::upload_hybrid_key(live, identity, &key, answer);
        }
        Request::FetchHybridKey { identity, answer } => {
            directory::fetch_hybrid_key(live, identity, answer);
        }
        Request::PutBlob { sha256, size, offset, piece, answer } => {
            blobs::put(live, &sha256, size, offset, &piece, answer);
        }
        Request::GetBlob { sha256, offset, answer } => blobs::get(live, &sha256, offset, answer),
        Request::BlobSize { sha256, answer } => blobs::size(live, &sha256, answer),
        Request::ReleaseBlob { sha256, answer } => blobs::release(live, &sha256, answer),
        Request::DeleteIdentity { answer } => directory::delete_identity(live, answer),
    }
}

fn refused(code: ErrorCode, text: String) -> End {
    match code {
        ErrorCode::Internal
        | ErrorCode::ShuttingDown
        | ErrorCode::RateLimited
        | ErrorCode::StorageFull => End::Lost(text),
        _ => End::Refused(code, text),
    }
}

/// A DISPLACED text ends with the instance that took over.
pub(super) fn instance_in(text: &str) -> String {
    text.rsplit(' ').next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// Fills in what every `NodeService` call carries.
pub(crate) fn set_auth(mut auth: auth::Builder<'_>, token: &[u8]) {
    auth.set_version(limits::VERSION);
    auth.set_access_token(token);
}

/// How a connection ended whose stream has: the node says so when another instance took over.
fn ended(connection: &Connection, own: &str) -> End {
    if let Some(ConnectionError::ApplicationClosed(close)) = connection.close_reason()
        && CloseCode::find(close.error_code.into_inner()) == Some(CloseCode::Displaced)
    {
        let by = instance_in(&String::from_utf8_lossy(&close.reason));
        if by != own {
            return End::Displaced(by);
        }
    }
    match connection.close_reason() {
        Some(reason) => End::Lost(reason.to_string()),
        None => End::Lost("the stream ended".into()),
    }
}
