//! Rows that expired unread become gaps.

use super::{ExpiredRow, OldRow, Planner};

impl Planner<'_> {
    /// Turns each run of expired rows into one gap, at the position of its last row. A gap right
    /// before the run is taken into it, so a queue that nobody reads ends as one row.
    pub(crate) fn sweep(&mut self) {
        let expired = std::mem::take(&mut self.loaded.expired);
        let mut run: Option<(ExpiredRow, u32)> = None;
        for row in expired {
            let Some(mut queue) = self.loaded.queues.get(&row.recipient).copied() else {
                continue;
            };
            self.release(&mut queue, row.meta);
            let mut lost = 1u32;
            match (row.before, run.take()) {
                (Some((before, meta)), Some((last, count)))
                    if last.recipient == row.recipient && last.seq == before =>
                {
                    self.effects.removed_rows.push(OldRow { queue: queue.id, seq: before, meta });
                    queue.rows = queue.rows.saturating_sub(1);
                    lost = lost.saturating_add(count);
                }
                (before, ended) => {
                    self.end_run(ended);
                    if let Some((seq, meta)) = before.filter(|(_, meta)| meta.gap > 0) {
                        self.effects.removed_rows.push(OldRow { queue: queue.id, seq, meta });
                        queue.rows = queue.rows.saturating_sub(1);
                        lost = lost.saturating_add(meta.gap);
                    }
                }
            }
            self.put_queue(row.recipient, queue);
            run = Some((row, lost));
        }
        self.end_run(run);
    }

    fn end_run(&mut self, run: Option<(ExpiredRow, u32)>) {
        if let Some((row, count)) = run {
            let queue = self.queue(row.recipient).id;
            self.effects.gaps.push((OldRow { queue, seq: row.seq, meta: row.meta }, count));
        }
    }
}
