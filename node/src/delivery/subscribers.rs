//! Pushes a queue to its subscribed Session, within a window of unacknowledged rows.

use std::cell::RefCell;
use std::collections::VecDeque;

use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::{MAX_WINDOW_ROWS, PUSH_WINDOW_BYTES};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::bytes_of;
use crate::server::Shared;
use crate::store::{Page, QueuedRow, StoreError};

/// Where rows are pushed to.
pub(crate) trait RowSink {
    /// Hands rows over, in order. Ready when the client has taken them; false: it is gone.
    fn push(&self, rows: &[QueuedRow]) -> LocalBoxFuture<'static, bool>;
}

/// Rows that were pushed and not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Position and size of each.
    pushed: RefCell<VecDeque<(u64, usize)>>,
    moved: Notify,
}

impl Window {
    /// Takes rows up to a position out of the window.
    pub(crate) fn ack(&self, up_to: u64) {
        let mut pushed = self.pushed.borrow_mut();
        while pushed.front().is_some_and(|(seq, _)| *seq <= up_to) {
            pushed.pop_front();
        }
        drop(pushed);
        self.moved.notify_one();
    }

    /// Rows and bytes that may still be pushed; none: wait for an acknowledgement.
    fn room(&self) -> Option<(u32, usize)> {
        let pushed = self.pushed.borrow();
        let bytes: usize = pushed.iter().map(|(_, size)| size).sum();
        let rows = MAX_WINDOW_ROWS.saturating_sub(u32::try_from(pushed.len()).unwrap_or(u32::MAX));
        let bytes = PUSH_WINDOW_BYTES.saturating_sub(bytes);
        (rows > 0 && bytes > 0).then_some((rows, bytes))
    }

    /// Whether a page, which always has one row, is within the room that was asked for.
    fn admits(&self, rows: &[QueuedRow], bytes: usize) -> bool {
        self.pushed.borrow().is_empty() || rows.iter().map(QueuedRow::size).sum::<usize>() <= bytes
    }

    fn add(&self, rows: &[QueuedRow]) {
        self.pushed.borrow_mut().extend(rows.iter().map(|row| (row.seq, row.size())));
    }
}

/// Pushes from the oldest unacknowledged row on, until cancelled or the sink is gone.
pub(crate) async fn run(
    shared: &Shared,
    identity: IdentityKey,
    window: &Window,
    sink: &impl RowSink,
    cancelled: &CancellationToken,
) -> Result<(), StoreError> {
    let mut wakes = shared.waiters.register(identity);
    let tail = shared.tails.follow(identity);
    let mut taken = FuturesUnordered::new();
    let mut after = 0;
    loop {
        let mut waits_for_rows = false;
        if let Some((rows, bytes)) = window.room() {
            let wanted = Page { after, rows, bytes };
            let page = tail.rows(&*shared.queues, wanted).await?;
            match page.last() {
                None => waits_for_rows = true,
                Some(last) if window.admits(&page, bytes) => {
                    after = last.seq;
                    window.add(&page);
                    let counters = &shared.metrics.rows;
                    counters.pushed.inc_by(page.len() as u64);
                    counters.pushed_bytes.inc_by(bytes_of(&page));
                    taken.push(sink.push(&page));
                    if cancelled.is_cancelled() {
                        return Ok(());
                    }
                    continue;
                }
                Some(_) => tail.stop(),
            }
        } else {
            tail.stop();
        }
        tokio::select! {
            () = cancelled.cancelled() => return Ok(()),
            () = wakes.woken(), if waits_for_rows => {}
            () = window.moved.notified(), if !waits_for_rows => {}
            Some(took) = taken.next(), if !taken.is_empty() => {
                if !took {
                    return Ok(());
                }
            }
        }
    }
}
