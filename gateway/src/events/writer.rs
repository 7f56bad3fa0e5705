//! Makes consumers' cursors durable, many in one transaction.

use std::collections::HashMap;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::problem::{Kind, Problem};
use crate::store::{CursorRow, Store};

const QUEUE: usize = 1024;
const BATCH: usize = 512;

#[derive(Debug)]
struct Write {
    row: CursorRow,
    done: Option<oneshot::Sender<bool>>,
}

/// Takes cursors to write; clones share one queue.
#[derive(Debug, Clone)]
pub(crate) struct CursorQueue(mpsc::Sender<Write>);

impl CursorQueue {
    /// Writes a cursor soon.
    pub(crate) async fn put(&self, row: CursorRow) {
        // A closed queue means that the gateway stops: the event will be delivered again.
        let _ = self.0.send(Write { row, done: None }).await;
    }

    /// Writes a cursor and waits until it is durable.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub(crate) async fn put_durably(&self, row: CursorRow) -> Result<(), Problem> {
        let (done, written) = oneshot::channel();
        let _ = self.0.send(Write { row, done: Some(done) }).await;
        match written.await {
            Ok(true) => Ok(()),
            _ => Err(Problem::new(Kind::StorageUnavailable)),
        }
    }
}

/// The task that writes.
#[derive(Debug)]
pub(crate) struct CursorWriter {
    queue: mpsc::Receiver<Write>,
    store: Store,
}

impl CursorWriter {
    /// A writer and the way to it.
    pub(crate) fn new(store: Store) -> (CursorQueue, Self) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (CursorQueue(sender), Self { queue, store })
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
            self.write(&mut batch).await;
        }
    }

    async fn write(&self, batch: &mut Vec<Write>) {
        let mut rows = HashMap::new();
        let mut waiting = Vec::new();
        for Write { row, done } in batch.drain(..) {
            waiting.extend(done);
            // Later cursors of a consumer replace earlier ones.
            rows.insert((row.bot_id.clone(), row.name.clone()), row);
        }
        if rows.is_empty() {
            return;
        }
        let rows: Vec<_> = rows.into_values().collect();
        let written = self.store.put_consumers(&rows).await;
        if let Err(error) = &written {
            tracing::error!(%error, "cannot write the cursors of consumers");
        }
        for done in waiting {
            let _ = done.send(written.is_ok());
        }
    }
}
