//! What HTTP costs by itself here: a bare axum route that takes and answers JSON.

use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::super::Sample;
use super::circle::message;
use super::doors::reads;
use crate::clock::Stopwatch;
use crate::exit::Failure;
use crate::rest::Rest;

const PATH: &str = "/echo";

/// A running server.
pub(super) struct Echo {
    rest: Rest,
    _serving: AbortOnDropHandle<()>,
}

impl Echo {
    pub(super) async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(Failure::other)?;
        let rest =
            Rest::new(&format!("http://{}", listener.local_addr().map_err(Failure::other)?), "")?;
        let echo =
            get(|| async { Json(message(0)) }).post(|Json(body): Json<Value>| async { Json(body) });
        let router = Router::new().route(PATH, echo);
        let serving = TaskTracker::new().spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the echo of the bench failed");
            }
        });
        Ok(Self { rest, _serving: AbortOnDropHandle::new(serving) })
    }

    /// Nanoseconds of calls, one after the other.
    pub(super) async fn calls(&self, count: usize) -> Result<Sample, Failure> {
        let body = message(0);
        let mut sample = Sample::default();
        for _ in 0..count {
            let watch = Stopwatch::start();
            self.rest.post(PATH, &body).await?;
            sample.push(watch.nanos());
        }
        Ok(sample)
    }

    /// Reads per second.
    pub(super) async fn reads(&self, count: usize) -> Result<f64, Failure> {
        reads(&self.rest, PATH, count).await
    }
}
