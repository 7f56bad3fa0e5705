//! Rows come and go.

use std::sync::Arc;

use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::DEDUP_GRACE_SECS;

use super::{NewBody, NewDigest, NewRow, OldRow, Planner, QueueRow, RowMeta, Share};
use crate::store::write::{Ack, Channel, Enqueue, QueueWritten, Remove, Sender};
use crate::store::{Bytes, Refusal};

/// A queue before its first row; ids of queues start at 1.
const NEW_QUEUE: QueueRow =
    QueueRow { id: 0, next_seq: 1, first: 1, acked: 0, rows: 0, bytes: 0, lost: 0, stranger: true };

/// Whether one more row fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// The queue has no room for it.
    Full,
    /// The sender has as much waiting for strangers as it may.
    Strangers,
    /// The recipient is banned.
    Banned,
}

/// A row on its way into a queue.
pub(super) struct Incoming {
    pub(super) sender: Sender,
    pub(super) channel: Channel,
    pub(super) size: u64,
    pub(super) head: Bytes,
    pub(super) body: Option<i64>,
    pub(super) expires_at: u64,
}

impl Planner<'_> {
    pub(super) fn enqueue(&mut self, request: &Enqueue) -> Result<QueueWritten, Refusal> {
        let key = (request.recipient, request.digest);
        if let Some(seq) = self.loaded.digests.get(&key) {
            return Ok(QueueWritten::Seq(*seq));
        }
        let size = request.payload.len() as u64;
        let room = self.room(&request.recipient, request.sender, size, Share::default());
        if room != Room::Free {
            self.lose(request.recipient, room);
            return Err(Refusal::QueueFull);
        }
        let expires_at = self.now + self.ttl(request.ttl_secs);
        let seq = self.append(
            request.recipient,
            Incoming {
                sender: request.sender,
                channel: request.channel,
                size,
                head: Arc::clone(&request.payload),
                body: None,
                expires_at,
            },
        );
        self.loaded.digests.insert(key, seq);
        let queue = self.queue(request.recipient).id;
        self.effects.digests.push(NewDigest {
            queue,
            digest: request.digest,
            seq,
            expires_at: expires_at + u64::from(DEDUP_GRACE_SECS),
        });
        Ok(QueueWritten::Seq(seq))
    }

    pub(super) fn ack(&mut self, request: &Ack) -> Result<QueueWritten, Refusal> {
        self.fenced(&request.identity, request.session)?;
        // Rows of this very batch cannot have been seen by anybody.
        let up_to =
            request.up_to.min(self.committed.get(&request.identity).copied().unwrap_or_default());
        let Some(mut queue) = self.loaded.queues.get(&request.identity).copied() else {
            return Ok(QueueWritten::Done);
        };
        let rows = self.loaded.rows.entry(request.identity).or_default();
        let kept = rows.split_off(&(up_to + 1));
        let gone = std::mem::replace(rows, kept);
        if gone.is_empty() && up_to <= queue.acked {
            return Ok(QueueWritten::Done);
        }
        for (seq, meta) in gone {
            self.drop_row(&mut queue, seq, meta);
        }
        queue.acked = queue.acked.max(up_to);
        queue.first = queue.first.max(up_to + 1);
        self.put_queue(request.identity, queue);
        self.mark_gap(request.identity);
        Ok(QueueWritten::Done)
    }

    pub(super) fn remove(&mut self, request: &Remove) {
        let Some(mut queue) = self.loaded.queues.get(&request.recipient).copied() else {
            return;
        };
        for seq in &request.seqs {
            let row = self.loaded.rows.entry(request.recipient).or_default().remove(seq);
            if let Some(meta) = row {
                self.drop_row(&mut queue, *seq, meta);
            }
        }
        self.put_queue(request.recipient, queue);
        self.mark_gap(request.recipient);
    }

    /// Removes all rows that were committed before this batch; the counters stay.
    pub(super) fn empty_queue(&mut self, recipient: IdentityKey) {
        let Some(mut queue) = self.loaded.queues.get(&recipient).copied() else {
            return;
        };
        let rows = std::mem::take(self.loaded.rows.entry(recipient).or_default());
        for (seq, meta) in rows {
            self.drop_row(&mut queue, seq, meta);
        }
        queue.acked = self.committed.get(&recipient).copied().unwrap_or(queue.acked);
        queue.first = queue.first.max(queue.acked + 1);
        queue.lost = 0;
        queue.stranger = true;
        self.put_queue(recipient, queue);
    }

    /// Whether one more row fits. Above half full a sender has at most a quarter, and never more
    /// than the limit of a pair. Of rows for recipients who have never been here a sender has so
    /// many in all; `pending` are those it is about to add. Callers are told the same words in
    /// every case, so that refusals do not say who is here.
    pub(super) fn room(
        &self,
        recipient: &IdentityKey,
        sender: Sender,
        size: u64,
        pending: Share,
    ) -> Room {
        let limits = self.limits;
        // A queue that does not exist yet has no shares either.
        let queue = self.loaded.queues.get(recipient).copied().unwrap_or(NEW_QUEUE);
        if queue.stranger {
            let before = self.strangers.get(&sender).copied().unwrap_or_default();
            let change = self.effects.strangers.get(&sender).copied().unwrap_or_default();
            let sum = |of: fn(Share) -> i64| {
                u64::try_from(of(before) + of(change) + of(pending)).unwrap_or_default()
            };
            if sum(|share| share.rows) + 1 > limits.stranger_rows
                || sum(|share| share.bytes) + size > limits.stranger_bytes
            {
                return Room::Strangers;
            }
        }
        let (rows, bytes) = (queue.rows + 1, queue.bytes + size);
        if rows > limits.rows || bytes > limits.bytes {
            return Room::Full;
        }
        let half_free = rows * 2 <= limits.rows && bytes * 2 <= limits.bytes;
        if half_free && rows <= limits.pair_rows {
            return Room::Free;
        }
        let key = (queue.id, sender);
        let before = self.shares.get(&key).copied().unwrap_or_default();
        let change = self.effects.shares.get(&key).copied().unwrap_or_default();
        let own_rows = u64::try_from(before.rows + change.rows).unwrap_or_default() + 1;
        let own_bytes = u64::try_from(before.bytes + change.bytes).unwrap_or_default() + size;
        let quarter = own_rows * 4 <= limits.rows && own_bytes * 4 <= limits.bytes;
        if own_rows <= limits.pair_rows && (half_free || quarter) { Room::Free } else { Room::Full }
    }

    /// Counts a row that found no room; a queue is made for it only where the queue's room is the
    /// trouble.
    pub(super) fn lose(&mut self, recipient: IdentityKey, room: Room) {
        if room != Room::Full && !self.loaded.queues.contains_key(&recipient) {
            return;
        }
        let mut queue = self.queue(recipient);
        queue.lost += 1;
        self.put_queue(recipient, queue);
    }

    /// Gives a row the next position, after the gap that may be due.
    pub(super) fn append(&mut self, recipient: IdentityKey, incoming: Incoming) -> u64 {
        self.mark_gap(recipient);
        let mut queue = self.queue(recipient);
        let seq = queue.next_seq;
        queue.next_seq += 1;
        queue.rows += 1;
        queue.bytes += incoming.size;
        self.put_queue(recipient, queue);
        self.change_share(queue.id, incoming.sender, 1, incoming.size.cast_signed());
        if queue.stranger {
            self.change_strangers(incoming.sender, 1, incoming.size.cast_signed());
        }
        self.effects.rows.push(NewRow {
            queue: queue.id,
            seq,
            meta: RowMeta {
                sender: incoming.sender,
                size: incoming.size,
                gap: 0,
                channel: incoming.channel,
                body: incoming.body,
                expires_at: incoming.expires_at,
                stranger: queue.stranger,
            },
            head: incoming.head,
        });
        self.effects.woken.insert(recipient);
        seq
    }

    pub(super) fn put_body(&mut self, data: Bytes, refs: u64) -> i64 {
        let id = self.ids.take_body();
        self.effects.bodies.push(NewBody { id, refs, data });
        id
    }

    /// Turns the count of lost rows into a row, if there is room for it.
    fn mark_gap(&mut self, recipient: IdentityKey) {
        let mut queue = self.queue(recipient);
        if queue.lost == 0 || queue.rows >= self.limits.rows {
            return;
        }
        let gap = u32::try_from(queue.lost).unwrap_or(u32::MAX);
        self.effects.rows.push(NewRow {
            queue: queue.id,
            seq: queue.next_seq,
            meta: RowMeta::of_gap(gap),
            head: Bytes::default(),
        });
        queue.next_seq += 1;
        queue.rows += 1;
        queue.lost = 0;
        self.put_queue(recipient, queue);
        self.effects.woken.insert(recipient);
    }

    /// Takes a row out of the counters and lets go of its bodies.
    fn drop_row(&mut self, queue: &mut QueueRow, seq: u64, meta: RowMeta) {
        self.effects.removed_rows.push(OldRow { queue: queue.id, seq, meta });
        queue.rows = queue.rows.saturating_sub(1);
        if queue.rows == 0 {
            queue.first = queue.next_seq;
        } else if queue.first == seq {
            queue.first = seq + 1;
        }
        self.release(queue, meta);
    }

    /// Lets go of what a row holds, leaving the row.
    pub(super) fn release(&mut self, queue: &mut QueueRow, meta: RowMeta) {
        if meta.gap > 0 {
            return;
        }
        queue.bytes = queue.bytes.saturating_sub(meta.size);
        self.change_share(queue.id, meta.sender, -1, -meta.size.cast_signed());
        if meta.stranger {
            self.change_strangers(meta.sender, -1, -meta.size.cast_signed());
        }
        if let Some(body) = meta.body {
            *self.effects.released_bodies.entry(body).or_default() += 1;
        }
    }

    pub(super) fn queue(&mut self, recipient: IdentityKey) -> QueueRow {
        let ids = &mut *self.ids;
        *self
            .loaded
            .queues
            .entry(recipient)
            .or_insert_with(|| QueueRow { id: ids.take_queue(), ..NEW_QUEUE })
    }

    pub(super) fn put_queue(&mut self, recipient: IdentityKey, queue: QueueRow) {
        self.loaded.queues.insert(recipient, queue);
        self.effects.queues.insert(recipient, queue);
    }

    fn change_share(&mut self, queue: i64, sender: Sender, rows: i64, bytes: i64) {
        let share = self.effects.shares.entry((queue, sender)).or_default();
        share.rows += rows;
        share.bytes += bytes;
    }

    fn change_strangers(&mut self, sender: Sender, rows: i64, bytes: i64) {
        let share = self.effects.strangers.entry(sender).or_default();
        share.rows += rows;
        share.bytes += bytes;
    }
}
