//! Reads beside the writer.
//!
//! A read may wait for the disk, so it runs on a thread for such work and not on the one that
//! serves connections.

use std::ops::ControlFlow;
use std::sync::Arc;

use fjall::{Readable, Snapshot};
use futures::FutureExt;
use quicproquo_schemas::id::{ChannelId, IdentityKey, SendId};
use tokio::task::spawn_blocking;

use super::{Opened, Place, codec};
use crate::store::plan::RowMeta;
use crate::store::write::{Channel, Sent};
use crate::store::{Bytes, Page, QueueReads, QueuedRow, Read, RowContent, StoreError, Totals};

/// The reading end.
#[derive(Debug, Clone)]
pub(crate) struct LsmReads {
    pub(super) place: Arc<Place>,
}

impl LsmReads {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self { place }
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Read<'_, T> {
        let place = Arc::clone(&self.place);
        let done = spawn_blocking(move || {
            // Held to the end, so that the store is not closed under a reader.
            let place = place.read();
            let opened = place
                .as_ref()
                .ok_or_else(|| StoreError::Database("the queues are closed".into()))?;
            work(&View { opened, snapshot: opened.db.snapshot() })
        });
        async move { done.await.map_err(|error| StoreError::Database(error.to_string()))? }.boxed()
    }
}

impl QueueReads for LsmReads {
    fn rows(&self, recipient: IdentityKey, page: Page) -> Read<'_, Vec<QueuedRow>> {
        self.run(move |view| view.rows(&recipient, page, |_| true))
    }

    fn channel_rows(
        &self,
        recipient: IdentityKey,
        channel: Channel,
        page: Page,
    ) -> Read<'_, Vec<QueuedRow>> {
        self.run(move |view| match channel {
            None => view.rows(&recipient, page, |meta| codec::is_of(meta, None)),
            Some(channel) => view.labelled(&recipient, &channel, page),
        })
    }

    fn send_result(&self, sender: IdentityKey, id: SendId, now: u64) -> Read<'_, Option<Sent>> {
        self.run(move |view| {
            let kept = view.snapshot.get(&view.opened.kept, codec::send(&sender, id))?;
            kept.filter(|value| !codec::is_over(value, now))
                .map(|value| Ok(codec::get_send(&value)?.sent))
                .transpose()
        })
    }

    fn totals(&self) -> Read<'_, Totals> {
        self.run(|view| {
            let mut totals = Totals::default();
            for guard in view.snapshot.prefix(&view.opened.state, codec::QUEUES) {
                let queue = codec::get_queue(&guard.value()?)?;
                totals.queues += 1;
                totals.rows += queue.rows;
                totals.bytes += queue.bytes;
            }
            Ok(totals)
        })
    }
}

/// One moment of the store.
struct View<'a> {
    opened: &'a Opened,
    snapshot: Snapshot,
}

/// Rows until a page is full.
struct Filling {
    page: Page,
    rows: Vec<QueuedRow>,
}

impl Filling {
    /// Whether a row of this size still fits; the first one always does.
    fn fits(&self, size: u64) -> bool {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.rows.is_empty() || (self.page.rows > 0 && size <= self.page.bytes)
    }

    fn add(&mut self, row: QueuedRow) -> ControlFlow<()> {
        self.page.rows = self.page.rows.saturating_sub(1);
        self.page.bytes = self.page.bytes.saturating_sub(row.size());
        self.rows.push(row);
        if self.page.rows == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl View<'_> {
    /// Id of a queue, and the first position that may be a row behind `after`.
    fn start(&self, recipient: &IdentityKey, after: u64) -> Result<Option<(i64, u64)>, StoreError> {
        let Some(value) = self.snapshot.get(&self.opened.state, codec::queue(recipient))? else {
            return Ok(None);
        };
        let queue = codec::get_queue(&value)?;
        let from = after.saturating_add(1).max(queue.first);
        Ok((from < queue.next_seq).then_some((queue.id, from)))
    }

    fn rows(
        &self,
        recipient: &IdentityKey,
        page: Page,
        wanted: impl Fn(&RowMeta) -> bool,
    ) -> Result<Vec<QueuedRow>, StoreError> {
        let mut filling = Filling { page, rows: Vec::new() };
        let Some((queue, from)) = self.start(recipient, page.after)? else {
            return Ok(filling.rows);
        };
        let range = codec::row(queue, from)..=codec::row(queue, u64::MAX);
        for guard in self.snapshot.range(&self.opened.rows, range) {
            let (key, value) = guard.into_inner()?;
            let (meta, at) = codec::meta(&value)?;
            if !wanted(&meta) {
                continue;
            }
            if !filling.fits(meta.size) {
                break;
            }
            if filling.add(self.row(codec::seq_of(&key)?, &meta, &value[at..])?).is_break() {
                break;
            }
        }
        Ok(filling.rows)
    }

    /// Rows of a channel, and the gaps between them, found through their index.
    fn labelled(
        &self,
        recipient: &IdentityKey,
        channel: &ChannelId,
        page: Page,
    ) -> Result<Vec<QueuedRow>, StoreError> {
        let mut filling = Filling { page, rows: Vec::new() };
        let Some((queue, from)) = self.start(recipient, page.after)? else {
            return Ok(filling.rows);
        };
        let index = &self.opened.index;
        let seq_of = |guard: fjall::Guard| codec::seq_of(&guard.key()?);
        let range = codec::channel(queue, channel, from)..=codec::channel(queue, channel, u64::MAX);
        let mut own = self.snapshot.range(index, range).map(seq_of).peekable();
        let range = codec::gap(queue, from)..=codec::gap(queue, u64::MAX);
        let mut gaps = self.snapshot.range(index, range).map(seq_of).peekable();
        loop {
            let next = match (own.peek(), gaps.peek()) {
                (Some(Ok(row)), Some(Ok(gap))) if gap < row => gaps.next(),
                (None, _) => gaps.next(),
                _ => own.next(),
            };
            let Some(seq) = next.transpose()? else { break };
            let key = codec::row(queue, seq);
            let value = self.snapshot.get(&self.opened.rows, key)?.ok_or_else(codec::damaged)?;
            let (meta, at) = codec::meta(&value)?;
            if !filling.fits(meta.size) {
                break;
            }
            if filling.add(self.row(seq, &meta, &value[at..])?).is_break() {
                break;
            }
        }
        Ok(filling.rows)
    }

    fn row(&self, seq: u64, meta: &RowMeta, head: &[u8]) -> Result<QueuedRow, StoreError> {
        let content = if meta.gap > 0 {
            RowContent::Gap(meta.gap)
        } else {
            let body = match meta.body {
                None => Bytes::default(),
                Some(id) => {
                    let body = self.snapshot.get(&self.opened.bodies, codec::body(id))?;
                    Bytes::from(&*body.ok_or_else(codec::damaged)?)
                }
            };
            RowContent::Payload { head: Bytes::from(head), body }
        };
        Ok(QueuedRow { seq, channel: meta.channel, content })
    }
}
