//! The door for operators: metrics and health over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use quicproquo_gateway::door::{Door, DoorEnd, DoorLimits, Listener, ListenerError};
use quicproquo_node::{Ops, Problem};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exit::{Exit, Failure};

/// Kind of the problem that an unhealthy node answers with (RFC 9457).
const NOT_READY: &str = "urn:quicproquo:problem:not-ready";
/// How long answers may take to leave at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A door that is bound and does not answer yet.
#[derive(Debug)]
pub(crate) struct OpsDoor {
    listener: Listener,
    address: SocketAddr,
}

impl OpsDoor {
    /// Takes the address.
    pub(crate) async fn bind(listen: SocketAddr) -> Result<Self, Failure> {
        let listener = Listener::tcp(listen).await.map_err(|error| {
            let exit = match error {
                ListenerError::Taken(_) => Exit::AddressTaken,
                ListenerError::Failed { .. } => Exit::Failed,
            };
            Failure::new(exit, format!("the door for operators: {error}"))
        })?;
        let address = listener.local_addr().unwrap_or(listen);
        Ok(Self { listener, address })
    }

    /// The address that is bound; the port is the real one.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is cancelled.
    pub(crate) async fn serve(self, ops: Ops, shutdown: CancellationToken) -> Result<(), Failure> {
        // Some scrapers and a person. A scraper that comes every 15 s opens a connection each time.
        let limits = DoorLimits {
            connections: 32,
            per_address: 32,
            head: Duration::from_secs(5),
            stalled: Duration::from_secs(5),
            head_bytes: 16 * 1024,
        };
        let tasks = TaskTracker::new();
        let end = DoorEnd { soft: shutdown.clone(), closed: shutdown, ..DoorEnd::default() };
        Door::new(router(ops), limits, tasks.clone(), end).serve(vec![self.listener]).await;
        tasks.close();
        let _ = tokio::time::timeout(LAST_WORDS, tasks.wait()).await;
        Ok(())
    }
}

fn router(ops: Ops) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(ops)
}

async fn metrics(State(ops): State<Ops>) -> Response {
    let content_type = HeaderValue::from_static(Ops::METRICS_TYPE);
    ([(CONTENT_TYPE, content_type)], ops.metrics()).into_response()
}

async fn live(State(ops): State<Ops>) -> Response {
    health("live", "the node is stalled", &ops.live())
}

async fn ready(State(ops): State<Ops>) -> Response {
    health("ready", "the node is not ready", &ops.ready().await)
}

fn health(status: &str, title: &str, problems: &[Problem]) -> Response {
    let (code, media_type, body) = if problems.is_empty() {
        (StatusCode::OK, "application/json", json!({ "status": status }))
    } else {
        let names: Vec<_> = problems.iter().map(|problem| problem.check.name()).collect();
        let list: Vec<_> = problems
            .iter()
            .map(|problem| json!({ "check": problem.check.name(), "detail": problem.detail }))
            .collect();
        let code = StatusCode::SERVICE_UNAVAILABLE;
        let body = json!({
            "type": NOT_READY,
            "title": format!("{title}: {}", names.join(", ")),
            "status": code.as_u16(),
            "problems": list,
        });
        (code, "application/problem+json", body)
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (code, headers, body.to_string()).into_response()
}
