//! Makes what changes of consumers durable, many in one transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::consumers::Consumer;
use crate::problem::{Kind, Problem};
use crate::store::Store;

const BATCH: usize = 512;
/// Pause after a transaction that failed.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Write {
    consumer: Arc<Consumer>,
    done: Option<oneshot::Sender<bool>>,
}

/// Takes consumers to write; clones share one queue. It holds each consumer once, and callers that
/// wait.
#[derive(Debug, Clone)]
pub(crate) struct WriteQueue(mpsc::UnboundedSender<Write>);

impl WriteQueue {
    /// Writes a consumer soon.
    pub(super) fn put(&self, consumer: &Arc<Consumer>) {
        // A closed queue means that the gateway stops: the events will be delivered again.
        let _ = self.0.send(Write { consumer: Arc::clone(consumer), done: None });
    }

    /// Writes a consumer and waits until it is durable.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub(super) async fn flush(&self, consumer: &Arc<Consumer>) -> Result<(), Problem> {
        let (done, written) = oneshot::channel();
        let _ = self.0.send(Write { consumer: Arc::clone(consumer), done: Some(done) });
        match written.await {
            Ok(true) => Ok(()),
            _ => Err(Problem::new(Kind::StorageUnavailable)),
        }
    }
}

/// The task that writes.
#[derive(Debug)]
pub(crate) struct ConsumerWriter {
    queue: mpsc::UnboundedReceiver<Write>,
    store: Store,
}

impl ConsumerWriter {
    /// A writer and the way to it.
    pub(crate) fn new(store: Store) -> (WriteQueue, Self) {
        let (sender, queue) = mpsc::unbounded_channel();
        (WriteQueue(sender), Self { queue, store })
    }

    /// Writes until told to close, then what is left in the queue.
    pub(crate) async fn run(mut self, close: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                count = self.queue.recv_many(&mut batch, BATCH) => if count == 0 { return },
                () = close.cancelled(), if !self.queue.is_closed() => self.queue.close(),
            }
            if !self.write(&mut batch).await {
                close.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
            }
        }
    }

    async fn write(&self, batch: &mut Vec<Write>) -> bool {
        let mut waiting = Vec::new();
        let mut consumers = Vec::with_capacity(batch.len());
        for Write { consumer, done } in batch.drain(..) {
            waiting.extend(done);
            if !consumers.iter().any(|other| Arc::ptr_eq(other, &consumer)) {
                consumers.push(consumer);
            }
        }
        if consumers.is_empty() {
            return true;
        }
        let changes: Vec<_> = consumers.iter().map(|consumer| consumer.to_write()).collect();
        let written = self.store.put_consumers(&changes).await;
        for done in waiting {
            let _ = done.send(written.is_ok());
        }
        let Err(error) = written else { return true };
        tracing::error!(%error, "cannot write the places of consumers");
        for (consumer, change) in consumers.iter().zip(changes) {
            consumer.not_written(change);
        }
        false
    }
}
