//! Binds everything first, then serves.

mod worker;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use quicproquo_transport::Budget;
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::addresses::Addresses;
use crate::auth::bans::{self, Banned};
use crate::auth::deletion;
use crate::auth::live::Live;
use crate::clock::Clock;
use crate::config::{Limits, NodeConfig, Registration, StaticToken};
use crate::control;
use crate::delivery::fetch::WaitSlots;
use crate::delivery::leases::Leases;
use crate::delivery::waiters::Waiters;
use crate::health::Health;
use crate::health::disk::Disk;
use crate::health::store::Half;
use crate::health::watchdog::Watchdog;
use crate::lock::{DirLock, LockError};
use crate::metrics::Metrics;
use crate::ops::{Ops, Serving};
use crate::rates::Rates;
use crate::store::directory::DirectoryHalf;
use crate::store::lsm::{self, Lsm, LsmReads, Queues};
use crate::store::plan::{QueueHalf, QueueLimits};
use crate::store::sqlite::{self, Database, Sqlite, SqliteReads};
use crate::store::tails::Tails;
use crate::store::{DirectoryReads, QueueReads, StoreError};
use crate::tls::{Certificate, CertificateReload, TlsError};
use crate::writer::{Watch, WriteError, Writer, WriterTask};
pub(crate) use worker::HandshakeSlot;

/// How long threads may take to end after their work is done.
const WIND_UP: Duration = Duration::from_secs(10);

/// A node cannot start, or has stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory cannot be made or read.
    #[error("{path}: {source}")]
    DataDir {
        /// The data directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The data directory is in use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address is taken or not ours.
    #[error("cannot listen on UDP {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// A thread has ended before its time; the log says more.
    #[error("the {0} thread has stopped")]
    Stopped(&'static str),
}

/// What all connections of a process share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) registration: Registration,
    pub(crate) static_token: Option<StaticToken>,
    pub(crate) clock: Clock,
    /// Changes queues.
    pub(crate) writer: Writer<QueueHalf<Lsm>>,
    /// Changes the directory.
    pub(crate) directory: Writer<DirectoryHalf<Sqlite>>,
    /// Reads queues.
    pub(crate) queues: Arc<dyn QueueReads>,
    /// Reads the directory.
    pub(crate) reads: Arc<dyn DirectoryReads>,
    /// The newest rows of queues that are pushed.
    pub(crate) tails: Arc<Tails>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) wait_slots: WaitSlots,
    pub(crate) leases: Leases,
    pub(crate) live: Live,
    pub(crate) addresses: Arc<Addresses>,
    /// Memory for large frames of connections that have shown nothing yet.
    pub(crate) first_calls: Budget,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) banned: Banned,
    pub(crate) rates: Rates,
    /// Cancelled at the start of a shutdown.
    pub(crate) draining: CancellationToken,
    handshakes: Arc<AtomicUsize>,
    connections: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn new(config: &NodeConfig, stores: Stores, waiters: Arc<Waiters>, ops: &Ops) -> Self {
        let Stores { writer, directory, queues, reads, tails } = stores;
        let limits = config.limits.clone();
        Self {
            registration: config.registration,
            static_token: config.static_token.clone(),
            clock: config.clock.clone(),
            writer,
            directory,
            queues,
            reads,
            tails,
            waiters,
            wait_slots: WaitSlots::default(),
            leases: Leases::new(limits.lease),
            live: Live::default(),
            addresses: Arc::new(Addresses::new(
                limits.transport.unauthenticated_per_address,
                limits.transport.authenticated_per_address,
            )),
            first_calls: Budget::new(limits.transport.first_call_memory),
            health: Arc::clone(ops.health()),
            metrics: Arc::clone(ops.counters()),
            draining: ops.health().draining.clone(),
            banned: Banned::default(),
            rates: Rates::new(&limits),
            handshakes: Arc::default(),
            connections: AtomicU64::new(0),
            limits,
        }
    }

    fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }
}

/// Both halves of the store.
struct Stores {
    writer: Writer<QueueHalf<Lsm>>,
    directory: Writer<DirectoryHalf<Sqlite>>,
    queues: Arc<dyn QueueReads>,
    reads: Arc<dyn DirectoryReads>,
    tails: Arc<Tails>,
}

/// A node that is bound and not yet serving.
#[derive(Debug)]
pub struct Node {
    config: NodeConfig,
    lock: DirLock,
    socket: UdpSocket,
    address: SocketAddr,
    certificate: Certificate,
    tls: quinn::ServerConfig,
    queues: Queues,
    database: Database,
    control: UnixListener,
    ops: Ops,
}

impl Node {
    /// Takes the data directory, opens the database, loads the certificate and binds the socket.
    /// Must be called inside a tokio runtime with time enabled.
    pub async fn bind(config: NodeConfig) -> Result<Self, NodeError> {
        let data_dir = |source| NodeError::DataDir { path: config.data_dir.clone(), source };
        make_private_dir(&config.data_dir).map_err(data_dir)?;
        let lock = DirLock::take(&config.data_dir)?;
        let certificate =
            Certificate::load(config.certificate.as_ref(), &config.data_dir, config.listen)?;
        let tls = certificate.server_config(&config.limits.transport)?;
        let bind = |source| NodeError::Bind { address: config.listen, source };
        let socket = quicproquo_transport::bind(config.listen).map_err(bind)?;
        let address = socket.local_addr().map_err(bind)?;
        let database = sqlite::open(&config.data_dir).await?;
        let queues = lsm::open(&config.data_dir, &config.clock, config.sync)?;
        let control = control::bind(&config.data_dir)
            .map_err(|source| NodeError::DataDir { path: config.data_dir.clone(), source })?;
        let disk = Disk::new(&config.data_dir, config.min_free_disk).map_err(data_dir)?;
        let ops = Ops::new(Health::new(disk, config.stall), &config.clock);
        Ok(Self { config, lock, socket, address, certificate, tls, queues, database, control, ops })
    }

    /// The bound UDP address.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// SHA-256 of the DER of the node's certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.certificate.fingerprint()
    }

    /// The PEM file with the node's certificate, for clients to trust.
    pub fn certificate_pem_path(&self) -> &Path {
        &self.certificate.path
    }

    /// Reads the certificate files again while the node serves.
    pub fn certificate_reload(&self) -> CertificateReload {
        let NodeConfig { certificate, data_dir, listen, .. } = &self.config;
        CertificateReload::new(&self.certificate, certificate.clone(), data_dir.clone(), *listen)
    }

    /// What operators ask: metrics and health.
    pub fn ops(&self) -> Ops {
        self.ops.clone()
    }

    /// Serves until `shutdown` is cancelled, then lets calls in flight finish for at most
    /// [`Limits::drain`] and returns. Dropping the future stops in the same way, without waiting.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), NodeError> {
        let Self { config, lock, socket, certificate, tls, queues, database, control, ops, .. } =
            self;
        let draining = ops.health().draining.clone();
        let _drain_on_drop = draining.clone().drop_guard();
        let Running { shared, writer_done, directory_done, reads, queues, watchdog } =
            Running::start(&config, lock, queues, database, &ops)?;
        let (mut writer_done, mut directory_done) = (writer_done, directory_done);
        bans::load(&shared).await?;
        let unfinished = |error: WriteError| StoreError::Database(error.to_string());
        deletion::resume(&shared).await.map_err(unfinished)?;
        let endpoint = certificate.endpoint_config();
        let mut workers = worker::spawn_all(&shared, config.workers.max(1), socket, endpoint, tls)?;

        let outcome = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            () = control::serve(&control, &queues, &config.data_dir) => {
                Err(NodeError::Stopped("control"))
            }
            _ = &mut writer_done => Err(NodeError::Stopped("writer")),
            _ = &mut directory_done => Err(NodeError::Stopped("directory")),
            () = worker::any_done(&mut workers) => Err(NodeError::Stopped("connection")),
            () = ops.upkeep(&*shared.queues) => Ok(()),
            () = bans::watch(&shared) => Ok(()),
        };
        tracing::info!("draining");
        draining.cancel();
        let limit = config.limits.drain + WIND_UP;
        for worker in workers {
            wind_up("connection", limit, worker).await;
        }
        reads.close().await;
        // The writers end when nobody is left who could ask them.
        drop(shared);
        if outcome.is_ok() {
            wind_up("writer", limit, writer_done).await;
            wind_up("directory", limit, directory_done).await;
        }
        drop(watchdog);
        outcome
    }
}

/// The writers' threads, and what everybody shares.
struct Running {
    shared: Arc<Shared>,
    writer_done: oneshot::Receiver<()>,
    directory_done: oneshot::Receiver<()>,
    /// To be closed when nobody asks any more.
    reads: SqliteReads,
    queues: LsmReads,
    watchdog: Watchdog,
}

impl Running {
    /// The threads end, and give the lock back, when nobody is left who could ask them.
    fn start(
        config: &NodeConfig,
        lock: DirLock,
        queues: Queues,
        database: Database,
        ops: &Ops,
    ) -> Result<Self, NodeError> {
        let (health, metrics) = (ops.health(), ops.counters());
        let waiters = Arc::new(Waiters::default());
        let queue_limits = QueueLimits {
            rows: config.limits.queue_rows,
            bytes: config.limits.queue_bytes,
            ttl_secs: config.limits.ttl_secs,
            pair_rows: config.limits.pair_rows,
            stranger_rows: config.limits.stranger_rows,
            stranger_bytes: config.limits.stranger_bytes,
        };
        // The lock goes with the writers: it is given back after the last write.
        let lock = Arc::new(lock);
        let tails = Arc::<Tails>::default();
        let half =
            QueueHalf { backend: queues.writer, limits: queue_limits, tails: Arc::clone(&tails) };
        let watch = |half| Watch { health: Arc::clone(health), metrics: Arc::clone(metrics), half };
        let watchdog = Watchdog::start(health, metrics).map_err(NodeError::Thread)?;
        let told = watch(Half::Queues);
        let (writer, task) =
            WriterTask::new(half, Arc::clone(&waiters), config.clock.clone(), told);
        let held = Arc::clone(&lock);
        let heart = health.pulses.watch("writer");
        let writer_done = worker::spawn_thread("writer", heart, async move || {
            if let Some(half) = task.run().await {
                half.backend.close();
            }
            drop(held);
        })?;
        let half = DirectoryHalf { backend: database.writer };
        let told = watch(Half::Directory);
        let (directory, task) =
            WriterTask::new(half, Arc::clone(&waiters), config.clock.clone(), told);
        let heart = health.pulses.watch("directory");
        let directory_done = worker::spawn_thread("directory", heart, async move || {
            if let Some(half) = task.run().await {
                half.backend.close().await;
            }
            drop(lock);
        })?;
        let (queues, reads) = (queues.reads, database.reads);
        let stores = Stores {
            writer,
            directory,
            queues: Arc::new(queues.clone()),
            reads: Arc::new(reads.clone()),
            tails,
        };
        let shared = Arc::new(Shared::new(config, stores, waiters, ops));
        ops.serves(Serving {
            queues: shared.writer.downgrade(),
            directory: shared.directory.downgrade(),
            waiters: Arc::clone(&shared.waiters),
            handshakes: Arc::clone(&shared.handshakes),
        });
        Ok(Self { shared, writer_done, directory_done, reads, queues, watchdog })
    }
}

/// The database says who talks to whom: nobody else may read it. An existing directory is left as
/// its operator made it.
fn make_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

async fn wind_up(name: &str, limit: Duration, done: oneshot::Receiver<()>) {
    if timeout(limit, done).await.is_err() {
        tracing::warn!(name, "a thread did not end in time");
    }
}

#[cfg(test)]
mod tests;
