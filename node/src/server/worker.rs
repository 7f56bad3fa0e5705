//! Threads that own connections, each a current-thread runtime with a `LocalSet`, because
//! capnp-rpc is not `Send`. The first one also owns the endpoint.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures::future::select_all;
use quicproquo_transport::is_loopback;
use quinn::{Endpoint, EndpointConfig, TokioRuntime, VarInt};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::{NodeError, Shared};
use crate::addresses::Seat;
use crate::connection::{self, Handover};
use crate::delivery::leases::ConnectionId;
use crate::health::pulse::Heart;
use crate::metrics::Refused;
use crate::tls::for_loopback;

/// Threads of one worker that read the queues.
const READERS: usize = 4;
/// Connections on their way to a worker.
const HANDOVER: usize = 256;
/// How long the endpoint may take to send its last packets.
const LAST_PACKETS: Duration = Duration::from_secs(1);

/// One open handshake.
#[derive(Debug)]
pub(crate) struct HandshakeSlot(Arc<AtomicUsize>);

impl HandshakeSlot {
    pub(super) fn take(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for HandshakeSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs a future on a thread of its own. The receiver resolves when the thread has ended,
/// however it did.
pub(super) fn spawn_thread<F>(
    name: &'static str,
    heart: Heart,
    main: F,
) -> Result<oneshot::Receiver<()>, NodeError>
where
    F: AsyncFnOnce() + Send + 'static,
{
    let (ended, done) = oneshot::channel::<()>();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(READERS)
        .build()
        .map_err(NodeError::Thread)?;
    thread::Builder::new()
        .name(format!("qpq-{name}"))
        .spawn(move || {
            let local = LocalSet::new();
            local.spawn_local(heart.beat_on());
            local.block_on(&runtime, main());
            drop(local);
            drop(runtime);
            drop(ended);
        })
        .map_err(NodeError::Thread)?;
    Ok(done)
}

/// Starts all workers; the first one owns the endpoint.
pub(super) fn spawn_all(
    shared: &Arc<Shared>,
    count: usize,
    socket: UdpSocket,
    endpoint: EndpointConfig,
    tls: quinn::ServerConfig,
) -> Result<Vec<oneshot::Receiver<()>>, NodeError> {
    let mut done = Vec::with_capacity(count);
    let mut others = Vec::with_capacity(count - 1);
    for number in 1..count {
        let (sender, receiver) = mpsc::channel(HANDOVER);
        let heart = shared.health.pulses.watch(format!("connections-{number}"));
        let shared = Arc::clone(shared);
        let main = async move || serve_given(shared, receiver).await;
        done.push(spawn_thread("connections", heart, main)?);
        others.push(sender);
    }
    let heart = shared.health.pulses.watch("endpoint");
    let shared = Arc::clone(shared);
    done.push(spawn_thread("endpoint", heart, async move || {
        if let Err(error) = accept(shared, socket, endpoint, tls, others).await {
            tracing::error!(%error, "the endpoint failed");
        }
    })?);
    Ok(done)
}

/// Resolves when one of the threads has ended.
pub(super) async fn any_done(workers: &mut [oneshot::Receiver<()>]) {
    let _ = select_all(workers.iter_mut()).await;
}

/// Serves the connections that the endpoint's thread hands over.
async fn serve_given(shared: Arc<Shared>, mut given: mpsc::Receiver<Handover>) {
    let connections = TaskTracker::new();
    take_answers(&shared);
    while let Some(arrival) = given.recv().await {
        start(&connections, &shared, arrival);
    }
    connections.close();
    connections.wait().await;
}

/// Accepts connections until the node drains, and deals them out.
async fn accept(
    shared: Arc<Shared>,
    socket: UdpSocket,
    endpoint: EndpointConfig,
    tls: quinn::ServerConfig,
    others: Vec<mpsc::Sender<Handover>>,
) -> std::io::Result<()> {
    socket.set_nonblocking(true)?;
    let near = Arc::new(for_loopback(&tls, &shared.limits.transport));
    let far = Arc::new(tls.clone());
    let endpoint = Endpoint::new(endpoint, Some(tls), socket, Arc::new(TokioRuntime))?;
    take_answers(&shared);
    let connections = TaskTracker::new();
    let mut turn = 0;
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = shared.draining.cancelled() => None,
        };
        let Some(incoming) = incoming else { break };
        let Some((incoming, seat)) = admit(&shared, incoming) else { continue };
        let handshake = HandshakeSlot::take(&shared.handshakes);
        let is_near = is_loopback(incoming.remote_address().ip());
        let config = Arc::clone(if is_near { &near } else { &far });
        let arrival = Handover { incoming, config, handshake, seat };
        turn = (turn + 1) % (others.len() + 1);
        match others.get(turn) {
            Some(other) => {
                if let Err(error) = other.try_send(arrival) {
                    shared.metrics.connections.refuse(Refused::Busy);
                    error.into_inner().incoming.refuse();
                }
            }
            None => start(&connections, &shared, arrival),
        }
    }
    endpoint.set_server_config(None);
    // Ends the other workers' loops.
    drop(others);
    connections.close();
    connections.wait().await;
    endpoint.close(VarInt::from_u32(1), b"shutting down");
    let _ = timeout(LAST_PACKETS, endpoint.wait_idle()).await;
    Ok(())
}

/// Lets a handshake begin, asks who is there first (RFC 9000 section 8.1.2) when many are open or
/// the address has many connections, and refuses a validated address that has too many.
fn admit(shared: &Shared, incoming: quinn::Incoming) -> Option<(quinn::Incoming, Option<Seat>)> {
    let address = incoming.remote_address().ip();
    if incoming.remote_address_validated() {
        let Some(seat) = shared.addresses.enter(address) else {
            shared.metrics.connections.refuse(Refused::Address);
            incoming.refuse();
            return None;
        };
        return Some((incoming, Some(seat)));
    }
    let open = shared.handshakes.load(Ordering::Relaxed);
    if open < shared.limits.transport.open_handshakes && !shared.addresses.is_full(address) {
        return Some((incoming, None));
    }
    shared.metrics.connections.retries.inc();
    if let Err(error) = incoming.retry() {
        error.into_incoming().ignore();
    }
    None
}

/// Has this thread take the answers of its writes, as long as it lives.
fn take_answers(shared: &Arc<Shared>) {
    let queues = Arc::clone(shared);
    spawn_local(async move { queues.writer.take_answers().await });
    let directory = Arc::clone(shared);
    spawn_local(async move { directory.directory.take_answers().await });
}

fn start(connections: &TaskTracker, shared: &Arc<Shared>, arrival: Handover) {
    let id = ConnectionId(shared.next_connection());
    connections.spawn_local(connection::serve(arrival, Arc::clone(shared), id));
}
