//! Requests on their way to a writer, and the batches that it takes of them. Loom checks this
//! file (`node/loom`).

use tokio::sync::{mpsc, oneshot};

use crate::sync::Arc;

/// The writer has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// A request, and the way back for its answer.
#[derive(Debug)]
pub(crate) struct Request<W, A> {
    pub(crate) write: W,
    pub(crate) reply: Reply<A>,
}

/// The way back of an answer. While it lives, its request is under way.
#[derive(Debug)]
pub(crate) struct Reply<A> {
    caller: oneshot::Sender<A>,
    under_way: Arc<()>,
}

impl<A> Reply<A> {
    /// Ends the request. The caller may have gone.
    pub(crate) fn send(self, answer: A) {
        drop(self.under_way);
        let _ = self.caller.send(answer);
    }
}

/// A request that is done, with its answer.
#[derive(Debug)]
pub(crate) struct Answered<W, A> {
    pub(crate) write: W,
    pub(crate) reply: Reply<A>,
    pub(crate) answer: A,
}

impl<W, A> Answered<W, A> {
    /// Answers the caller, and gives the memory of the request back: at the least cost on the
    /// thread that asked.
    pub(crate) fn deliver(self) {
        drop(self.write);
        self.reply.send(self.answer);
    }
}

/// Hands requests in.
#[derive(Debug)]
pub(crate) struct Requests<W, A> {
    way: mpsc::Sender<Request<W, A>>,
    /// A clone is with every request that is under way.
    under_way: Arc<()>,
}

impl<W, A> Requests<W, A> {
    /// Requests are done in the order of the first poll of this future. Dropping it later does
    /// not take the request back.
    pub(crate) async fn submit(&self, write: W) -> Result<A, Closed> {
        let (caller, answer) = oneshot::channel();
        let reply = Reply { caller, under_way: Arc::clone(&self.under_way) };
        self.way.send(Request { write, reply }).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }

    /// Requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.way.max_capacity() - self.way.capacity()
    }

    /// Whether all requests are done that this thread has polled, and those of others as far as it
    /// knows: what it writes by itself now overtakes nothing of its own.
    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.under_way) == 1
    }
}

/// Bounds of one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) requests: usize,
    /// Bytes after which no further request is taken.
    pub(crate) bytes: usize,
}

/// The other end of [`Requests`].
#[derive(Debug)]
pub(crate) struct Backlog<W, A> {
    requests: mpsc::Receiver<Request<W, A>>,
    /// Did not fit into the batch before, so it goes first.
    left_over: Option<Request<W, A>>,
    bounds: Bounds,
    size: fn(&W) -> usize,
}

/// A way for at most `capacity` waiting requests, of which `size` says how many bytes they bring.
pub(crate) fn backlog<W, A>(
    capacity: usize,
    bounds: Bounds,
    size: fn(&W) -> usize,
) -> (Requests<W, A>, Backlog<W, A>) {
    let (sender, requests) = mpsc::channel(capacity);
    let under_way = Arc::default();
    (Requests { way: sender, under_way }, Backlog { requests, left_over: None, bounds, size })
}

impl<W, A> Backlog<W, A> {
    /// What has queued up, in its order; waits for the first. None: every [`Requests`] is gone and
    /// everything was taken. Cancel-safe.
    pub(crate) async fn take(&mut self) -> Option<Vec<Request<W, A>>> {
        let first = match self.left_over.take() {
            Some(left_over) => left_over,
            None => self.requests.recv().await?,
        };
        let mut bytes = (self.size)(&first.write);
        let mut batch = vec![first];
        while batch.len() < self.bounds.requests {
            let Ok(request) = self.requests.try_recv() else {
                break;
            };
            bytes += (self.size)(&request.write);
            if bytes > self.bounds.bytes {
                self.left_over = Some(request);
                break;
            }
            batch.push(request);
        }
        Some(batch)
    }
}
