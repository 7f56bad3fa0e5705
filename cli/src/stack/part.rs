//! One serving half of the process.

use std::fmt::Display;
use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exit::Failure;

/// A task that serves until it is told to stop.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Failure>>,
}

impl Part {
    /// Starts serving.
    pub(crate) fn start<F, E>(
        tasks: &TaskTracker,
        name: &'static str,
        serve: impl FnOnce(CancellationToken) -> F,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure> + 'static,
    {
        let stop = CancellationToken::new();
        let work = serve(stop.clone());
        let task = tasks.spawn(async move { work.await.map_err(Into::into) });
        Self { name, stop, task }
    }

    /// Tells it to stop and waits for its end.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.stop.cancel();
        let name = self.name;
        self.task.await.unwrap_or_else(|error| Err(broken(name, error)))
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> Failure {
        match (&mut self.task).await {
            Ok(Err(failure)) => failure,
            Ok(Ok(())) => Failure::other(format!("the {} has ended by itself", self.name)),
            Err(error) => broken(self.name, error),
        }
    }
}

fn broken(name: &str, error: impl Display) -> Failure {
    tracing::error!(%error, "the {name} is broken");
    Failure::other(format!("the {name} has failed; the log says why"))
}
