//! The accept loop: HTTP/1.1 connections with limits that `axum::serve` does not have.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::events::ConnectionPermit;
use crate::state::AppState;

/// Connections at once, streams included; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 10_240;
/// From a connection's first byte, or the end of its last answer, to the end of the headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
const MAX_HEADERS: usize = 64;
const MAX_BUFFER: usize = 64 * 1024;

/// Accepts until `shutdown`; connections go on in the state's tasks.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    state: &AppState,
    shutdown: &CancellationToken,
    hard: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let socket = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    // Out of file descriptors, most likely: others must close theirs first.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let permit: ConnectionPermit = Arc::new(place);
        let connection =
            serve(socket, router.clone(), permit, state.stopping.clone(), hard.clone());
        state.tasks.spawn(connection);
    }
}

async fn serve(
    socket: TcpStream,
    router: Router,
    permit: ConnectionPermit,
    stopping: CancellationToken,
    hard: CancellationToken,
) {
    // Small answers must not wait for the peer's delayed acknowledgements.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(permit.clone());
        let router = router.clone();
        async move {
            let response: Result<Response, Infallible> = router.oneshot(request).await;
            response
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    tokio::pin!(connection);
    let mut soft = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = stopping.cancelled(), if !soft => {
                soft = true;
                connection.as_mut().graceful_shutdown();
            }
            () = hard.cancelled() => return,
        }
    }
}
