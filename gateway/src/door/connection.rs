//! One connection: HTTP/1.1 requests, one after the other, and upgrades.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use super::places::ConnectionPermit;
use super::{Door, Peer};

const MAX_HEADERS: usize = 64;

/// A stream whose writes fail once its peer has taken no byte of them for so long: whoever reads
/// slowly is served all the same. Beneath TLS, where each byte shows.
pub(super) fn watched<S>(stream: S, stalled: Duration) -> Pin<Box<TimeoutStream<S>>>
where
    S: AsyncRead + AsyncWrite,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(stalled));
    Box::pin(stream)
}

/// Serves a connection to its end.
pub(super) async fn serve<S>(
    door: &Door,
    router: &Router,
    stream: S,
    peer: Peer,
    place: ConnectionPermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(place.clone());
        request.extensions_mut().insert(peer);
        let router = router.clone();
        async move {
            let response: Result<Response, Infallible> = router.oneshot(request).await;
            response
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(door.limits.head)
        .max_headers(MAX_HEADERS)
        .max_buf_size(door.limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service)
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
            () = door.end.soft.cancelled(), if !soft => {
                soft = true;
                connection.as_mut().graceful_shutdown();
            }
            () = door.end.hard.cancelled() => return,
        }
    }
}
