//! The newest rows of queues that are pushed, in memory.
//!
//! Who has read a queue to its end takes what is committed next from here instead of reading it
//! back. A tail keeps little and only while somebody waits at the end of the queue; nothing hangs
//! on it: whoever finds no tail reads the store.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quicproquo_schemas::id::IdentityKey;

use super::plan::Effects;
use super::{Page, QueueReads, QueuedRow, RowContent, StoreError};

/// Rows that one tail keeps.
const ROWS: usize = 64;
/// Payload bytes that one tail keeps.
const BYTES: usize = 128 * 1024;

/// New rows that followers want.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    /// Whose tails they are for: all of their new rows are here.
    of: HashSet<IdentityKey>,
    /// In order.
    rows: Vec<(IdentityKey, QueuedRow)>,
}

/// The tails, by recipient.
#[derive(Debug, Default)]
pub(crate) struct Tails(Mutex<HashMap<IdentityKey, Arc<Tail>>>);

/// The tail of one queue.
#[derive(Debug, Default)]
struct Tail(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// New rows are kept.
    on: bool,
    /// Every row behind the follower's position is here.
    current: bool,
    rows: VecDeque<QueuedRow>,
    bytes: usize,
}

impl Kept {
    fn stop(&mut self) {
        *self = Self::default();
    }

    fn add(&mut self, row: QueuedRow) {
        self.bytes += row.size();
        self.rows.push_back(row);
        if self.rows.len() > ROWS || self.bytes > BYTES {
            self.stop();
        }
    }
}

impl Tail {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tails {
    /// Follows a queue until the follower is dropped; whoever followed it before reads the store
    /// from now on.
    pub(crate) fn follow(self: &Arc<Self>, recipient: IdentityKey) -> Follower {
        let tail = Arc::default();
        self.lock().insert(recipient, Arc::clone(&tail));
        Follower { tails: Arc::clone(self), recipient, tail }
    }

    /// What followers want of a batch that is not committed yet.
    pub(crate) fn pick(&self, effects: &Effects) -> Fresh {
        let map = self.lock();
        if map.is_empty() {
            return Fresh::default();
        }
        let wanted =
            effects.woken.iter().filter(|key| map.get(*key).is_some_and(|tail| tail.lock().on));
        let wanted: HashMap<i64, IdentityKey> = wanted
            .filter_map(|key| effects.queues.get(key).map(|queue| (queue.id, *key)))
            .collect();
        drop(map);
        if wanted.is_empty() {
            return Fresh::default();
        }
        let bodies: HashMap<i64, _> =
            effects.bodies.iter().map(|body| (body.id, &body.data)).collect();
        let rows = effects.rows.iter().filter_map(|new| {
            let recipient = wanted.get(&new.queue)?;
            let content = if new.meta.gap > 0 {
                RowContent::Gap(new.meta.gap)
            } else {
                let body = match new.meta.body {
                    Some(id) => Arc::clone(bodies.get(&id)?),
                    None => Arc::default(),
                };
                RowContent::Payload { head: Arc::clone(&new.head), body }
            };
            Some((*recipient, QueuedRow { seq: new.seq, channel: new.meta.channel, content }))
        });
        Fresh { rows: rows.collect(), of: wanted.values().copied().collect() }
    }

    /// Hands over rows that have been committed, before anybody is woken. Whoever has begun to
    /// follow since they were picked may have read the store before the commit, and reads it again.
    pub(crate) fn hand_over(&self, woken: &[IdentityKey], fresh: Fresh) {
        let map = self.lock();
        if map.is_empty() {
            return;
        }
        for key in woken.iter().filter(|key| !fresh.of.contains(*key)) {
            if let Some(tail) = map.get(key) {
                tail.lock().stop();
            }
        }
        for (recipient, row) in fresh.rows {
            let Some(tail) = map.get(&recipient) else { continue };
            let mut kept = tail.lock();
            if kept.on {
                kept.add(row);
            }
        }
    }

    /// Sends all followers to the store: what was committed is not known.
    pub(crate) fn stop_all(&self) {
        self.lock().values().for_each(|tail| tail.lock().stop());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IdentityKey, Arc<Tail>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who reads the end of a queue.
#[derive(Debug)]
pub(crate) struct Follower {
    tails: Arc<Tails>,
    recipient: IdentityKey,
    tail: Arc<Tail>,
}

impl Follower {
    /// Rows behind a position, from the tail or from the store. What came from the tail is not
    /// there a second time.
    pub(crate) async fn rows(
        &self,
        reads: &dyn QueueReads,
        page: Page,
    ) -> Result<Vec<QueuedRow>, StoreError> {
        if let Some(rows) = self.take(page) {
            return Ok(rows);
        }
        self.start();
        let rows = reads.rows(self.recipient, page).await?;
        if rows.is_empty() {
            self.at_end();
        }
        Ok(rows)
    }

    /// Keeps nothing; the next rows come from the store.
    pub(crate) fn stop(&self) {
        self.tail.lock().stop();
    }

    /// Keeps rows that are committed from now on.
    fn start(&self) {
        let mut kept = self.tail.lock();
        kept.stop();
        kept.on = true;
    }

    /// The store had nothing behind the follower's position when it was read after
    /// [`Self::start`].
    fn at_end(&self) {
        let mut kept = self.tail.lock();
        kept.current = kept.on;
    }

    /// Takes the rows right behind a position. `None`: read the store. An empty page: there are
    /// none.
    fn take(&self, page: Page) -> Option<Vec<QueuedRow>> {
        let mut kept = self.tail.lock();
        if !kept.current {
            return None;
        }
        while kept.rows.front().is_some_and(|row| row.seq <= page.after) {
            kept.rows.pop_front();
        }
        if kept.rows.front().is_some_and(|row| row.seq != page.after + 1) {
            kept.stop();
            return None;
        }
        let (mut rows, mut bytes) = (page.rows as usize, page.bytes);
        let mut taken = Vec::new();
        while let Some(row) = kept.rows.front() {
            // As when the store is read, the first row is taken whatever its size.
            if rows == 0 || (row.size() > bytes && !taken.is_empty()) {
                break;
            }
            rows -= 1;
            bytes = bytes.saturating_sub(row.size());
            taken.extend(kept.rows.pop_front());
        }
        kept.bytes = kept.rows.iter().map(QueuedRow::size).sum();
        Some(taken)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut map = self.tails.lock();
        if map.get(&self.recipient).is_some_and(|tail| Arc::ptr_eq(tail, &self.tail)) {
            map.remove(&self.recipient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::{NewRow, QueueRow, RowMeta};
    use crate::store::write::Sender;

    const KEY: IdentityKey = IdentityKey::new([2; 32]);
    const PAGE: Page = Page { after: 0, rows: 10, bytes: 1000 };

    /// One new row at position 1 of the queue.
    fn batch() -> Effects {
        let mut effects = Effects::default();
        let queue = QueueRow {
            id: 7,
            next_seq: 2,
            first: 1,
            acked: 0,
            rows: 1,
            bytes: 1,
            lost: 0,
            stranger: false,
        };
        let sender = Sender::from(&KEY);
        let meta = RowMeta { sender, size: 1, gap: 0, expires_at: 9, ..RowMeta::of_gap(0) };
        effects.woken.insert(KEY);
        effects.queues.insert(KEY, queue);
        effects.rows.push(NewRow { queue: 7, seq: 1, meta, head: Arc::from([1].as_slice()) });
        effects
    }

    #[test]
    fn who_begins_to_follow_in_the_middle_of_a_commit_reads_the_store() {
        let tails = Arc::<Tails>::default();
        for followed_before in [false, true] {
            let before = followed_before.then(|| tails.follow(KEY));
            let fresh = tails.pick(&batch());
            let follower = before.unwrap_or_else(|| tails.follow(KEY));
            // The store was read before the commit and had nothing.
            follower.start();
            follower.at_end();
            assert_eq!(follower.take(PAGE), Some(Vec::new()));
            tails.hand_over(&[KEY], fresh);
            assert_eq!(follower.take(PAGE), None);
        }
    }

    #[test]
    fn who_follows_is_handed_the_row() {
        let tails = Arc::<Tails>::default();
        let follower = tails.follow(KEY);
        follower.start();
        let fresh = tails.pick(&batch());
        follower.at_end();
        tails.hand_over(&[KEY], fresh);
        assert_eq!(follower.take(PAGE).map(|rows| rows.len()), Some(1));
    }
}
