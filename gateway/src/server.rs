//! The gateway as a whole: opened, serving, stopped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quicproquo_client::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Tokens, load_or_create};
use crate::config::GatewayConfig;
use crate::door::tls::CertificateReload;
use crate::door::{Door, DoorEnd, DoorLimits, Listener};
use crate::error::GatewayError;
use crate::events::{ConsumerWriter, Consumers, Tickets};
use crate::guard::Guard;
use crate::idempotency::Running;
use crate::matrix::Matrix;
use crate::metrics::Metrics;
use crate::rates::Rates;
use crate::router::Address;
use crate::routes::pages::Pages;
use crate::state::{AppState, ReadySwitch, Shared};
use crate::store::Store;
use crate::webhooks::Webhooks;
use crate::{bots, router};

/// How long requests may go on after the gateway was told to stop. What starts it waits 10 s, in
/// which the sessions must end as well.
const GRACE: Duration = Duration::from_secs(8);

/// A gateway that is bound and does not answer yet.
#[derive(Debug)]
pub struct Gateway {
    /// For the native API.
    listeners: Vec<Listener>,
    guard: Guard,
    /// For Matrix alone.
    matrix: Option<(Listener, Guard)>,
    limits: DoorLimits,
    pages: Pages,
    local_addr: SocketAddr,
    admin_token: PathBuf,
    reload: Option<CertificateReload>,
    state: AppState,
    writer: ConsumerWriter,
}

impl Gateway {
    /// Opens the database, makes the admin token on the first start, and binds the listeners.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn bind(config: GatewayConfig, client: Client) -> Result<Self, GatewayError> {
        let reload = config.certificate.clone().map(CertificateReload::load).transpose()?;
        let (tcp, guard) = listen(config.listen, reload.as_ref(), &config).await?;
        let local_addr = tcp.local_addr().unwrap_or(config.listen);
        let own = config.matrix.as_ref().and_then(|matrix| matrix.listen);
        let matrix = match own {
            Some(addr) => Some(listen(addr, reload.as_ref(), &config).await?),
            None => None,
        };
        let socket = config.socket.as_deref().map(Listener::unix).transpose()?;
        let folder = config.data_dir.as_path();
        let store = Store::open(folder, config.sync, client.seals()).await?;
        if !client.is_application_sealed() {
            store.seal_former().await.map_err(|error| (folder, error))?;
            client.application_sealed().await.map_err(|_| GatewayError::Database {
                path: folder.join("client.db"),
                detail: "it cannot note that the rows of gateway.db are sealed".to_owned(),
            })?;
        }
        let admin = load_or_create(&config.admin_token)?;
        let (bots, unfinished) = bots::load(&store).await.map_err(|error| (folder, error))?;
        let tokens = Tokens::default();
        for grant in store.tokens().await.map_err(|error| (folder, error))? {
            tokens.insert(grant);
        }
        let (queue, writer) = ConsumerWriter::new(store.clone());
        let rows = store.consumers().await.map_err(|error| (folder, error))?;
        let state = AppState(Arc::new(Shared {
            client,
            admin,
            bots,
            tokens,
            consumers: Consumers::new(rows, queue),
            tickets: Tickets::default(),
            webhooks: Webhooks::default(),
            targets: config.webhook_targets.clone(),
            retries: config.webhook_retries.clone(),
            running: Running::default(),
            metrics: Metrics::new(),
            secure: reload.is_some(),
            matrix: config.matrix.clone().map(Matrix::new),
            rates: Rates::new(config.token_rate, config.address_rate),
            ready: ReadySwitch::new(config.ready),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            store,
        }));
        for row in unfinished {
            let state = state.clone();
            let tasks = state.tasks.clone();
            tasks.spawn(async move { bots::remove(&state, row.bot_id, row.identity).await });
        }
        Ok(Self {
            listeners: [tcp].into_iter().chain(socket).collect(),
            guard,
            matrix,
            limits: config.door,
            pages: Pages { metrics: config.metrics, docs: config.docs },
            local_addr,
            admin_token: config.admin_token,
            reload,
            state,
            writer,
        })
    }

    /// The address that is bound; the port is the real one.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where the Matrix facade is, when it has an address of its own; the port is the real one.
    pub fn matrix_addr(&self) -> Option<SocketAddr> {
        self.matrix.as_ref().and_then(|(listener, _)| listener.local_addr())
    }

    /// The file of the admin token.
    pub fn admin_token_path(&self) -> &Path {
        &self.admin_token
    }

    /// Reads the certificate again, if there is one.
    pub fn certificate_reload(&self) -> Option<CertificateReload> {
        self.reload.clone()
    }

    /// Turns `/health/ready` on and off.
    pub fn ready_switch(&self) -> ReadySwitch {
        self.state.ready.clone()
    }

    /// Asks, from inside of the process, what `/health/ready` answers.
    pub fn readiness(&self) -> Readiness {
        Readiness(self.state.clone())
    }

    /// Answers until `shutdown` is cancelled, then lets requests end for at most 8 s: waiting
    /// polls answer at once, streams close with 1012. The client is left open for its owner.
    ///
    /// # Errors
    /// None so far; faults of single connections are logged.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), GatewayError> {
        let Self { mut listeners, guard, matrix, limits, pages, state, writer, .. } = self;
        let (hard, close_writer) = (CancellationToken::new(), CancellationToken::new());
        let writing = TaskTracker::new();
        writing.spawn(writer.run(close_writer.clone()));
        match state.store.webhooks().await {
            Ok(rows) => state.webhooks.start_all(&state, rows),
            Err(error) => tracing::error!(%error, "no webhook delivers: the database failed"),
        }
        let end = DoorEnd { closed: shutdown, soft: state.stopping.clone(), hard: hard.clone() };
        if let Some((listener, guard)) = matrix {
            let router = router::router(&state, Address::Matrix, pages, guard);
            listeners.push(listener.with_router(router));
        }
        let router = router::router(&state, Address::Main, pages, guard);
        let door = Door::new(router, limits, state.tasks.clone(), end);
        door.counted_by(state.metrics.door.clone()).serve(listeners).await;
        state.stopping.cancel();
        state.tasks.close();
        if tokio::time::timeout(GRACE, state.tasks.wait()).await.is_err() {
            tracing::warn!("some requests did not end in time");
            hard.cancel();
            // Work that writes to two databases ends by itself; the next start finishes the rest.
            let _ = tokio::time::timeout(Duration::from_secs(1), state.tasks.wait()).await;
        }
        close_writer.cancel();
        writing.close();
        writing.wait().await;
        state.store.close().await;
        Ok(())
    }
}

/// Listens at an address, and knows under which names.
async fn listen(
    addr: SocketAddr,
    tls: Option<&CertificateReload>,
    config: &GatewayConfig,
) -> Result<(Listener, Guard), GatewayError> {
    if !addr.ip().is_loopback() && tls.is_none() {
        return Err(GatewayError::NotLoopback { addr });
    }
    let mut tcp = Listener::tcp(addr).await?;
    if let Some(tls) = tls {
        tcp = tcp.with_tls(tls.server_config()?);
    }
    let guard = Guard::new(tcp.local_addr().unwrap_or(addr), config);
    Ok((tcp, guard))
}

/// Whether a gateway is ready.
#[derive(Debug, Clone)]
pub struct Readiness(AppState);

impl Readiness {
    /// Asks once.
    pub async fn is_ready(&self) -> bool {
        self.0.is_ready().await.is_ok()
    }
}
