//! The gateway as a whole: opened, serving, stopped.

mod accept;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use quicproquo_client::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Tokens, load_or_create};
use crate::config::GatewayConfig;
use crate::error::GatewayError;
use crate::events::{ConsumerWriter, Consumers, Tickets};
use crate::guard::Guard;
use crate::idempotency::Running;
use crate::state::{AppState, ReadySwitch, Shared};
use crate::store::Store;
use crate::{bots, router};

/// How long requests may go on after the gateway was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A gateway that is bound and does not answer yet.
#[derive(Debug)]
pub struct Gateway {
    listener: TcpListener,
    local_addr: SocketAddr,
    admin_token: PathBuf,
    state: AppState,
    writer: ConsumerWriter,
}

impl Gateway {
    /// Opens the database, makes the admin token on the first start, and binds the listener.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn bind(config: GatewayConfig, client: Client) -> Result<Self, GatewayError> {
        if !config.listen.ip().is_loopback() {
            return Err(GatewayError::NotLoopback { addr: config.listen });
        }
        let (listener, local_addr) = listen(config.listen).await?;
        let folder = config.data_dir.as_path();
        let store = Store::open(folder, config.sync).await?;
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
            running: Running::default(),
            guard: Guard::new(local_addr, &config),
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
        Ok(Self { listener, local_addr, admin_token: config.admin_token, state, writer })
    }

    /// The address that is bound; the port is the real one.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The file of the admin token.
    pub fn admin_token_path(&self) -> &Path {
        &self.admin_token
    }

    /// Turns `/health/ready` on and off.
    pub fn ready_switch(&self) -> ReadySwitch {
        self.state.ready.clone()
    }

    /// Answers until `shutdown` is cancelled, then lets requests end for at most 10 s: waiting
    /// polls answer at once, streams close with 1012. The client is left open for its owner.
    ///
    /// # Errors
    /// None so far; faults of single connections are logged.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), GatewayError> {
        let Self { listener, state, writer, .. } = self;
        let (hard, close_writer) = (CancellationToken::new(), CancellationToken::new());
        let writing = TaskTracker::new();
        writing.spawn(writer.run(close_writer.clone()));
        let router: Router = router::router(state.clone());
        accept::accept(listener, router, &state, &shutdown, &hard).await;
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

async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), GatewayError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::AddrInUse => GatewayError::AddressTaken { addr },
        _ => GatewayError::Bind { addr, source },
    };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}
