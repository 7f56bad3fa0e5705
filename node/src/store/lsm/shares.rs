//! How much of a queue is whose.
//!
//! Only queues above half full ask. Their rows are counted once and the count is kept in memory,
//! so that every other queue pays nothing: the rows that fill a queue to its half pay for one
//! count.

use std::collections::HashMap;

use super::{Opened, codec};
use crate::store::StoreError;
use crate::store::plan::{Effects, Share, ShareKey, Shares};
use crate::store::write::Sender;

/// Counted queues; above it the cache starts anew.
const QUEUES: usize = 16_384;

/// Counts of queues that were asked for.
#[derive(Debug, Default)]
pub(super) struct ShareCache {
    queues: HashMap<i64, HashMap<Sender, Share>>,
}

impl ShareCache {
    pub(super) fn clear(&mut self) {
        self.queues.clear();
    }

    pub(super) fn load(
        &mut self,
        opened: &Opened,
        wanted: &[ShareKey],
    ) -> Result<Shares, StoreError> {
        if self.queues.len() > QUEUES {
            self.clear();
        }
        let mut shares = Shares::default();
        for (queue, sender) in wanted {
            if !self.queues.contains_key(queue) {
                self.queues.insert(*queue, count(opened, *queue)?);
            }
            let share = self.queues.get(queue).and_then(|senders| senders.get(sender));
            shares.extend(share.map(|share| ((*queue, *sender), *share)));
        }
        Ok(shares)
    }

    /// Follows what a batch changes in counted queues.
    pub(super) fn apply(&mut self, effects: &Effects) {
        for row in effects.queues.values() {
            if row.rows == 0 {
                self.queues.remove(&row.id);
            }
        }
        for ((queue, sender), change) in &effects.shares {
            if let Some(senders) = self.queues.get_mut(queue) {
                let share = senders.entry(*sender).or_default();
                share.rows += change.rows;
                share.bytes += change.bytes;
                if share.rows <= 0 {
                    senders.remove(sender);
                }
            }
        }
    }
}

fn count(opened: &Opened, queue: i64) -> Result<HashMap<Sender, Share>, StoreError> {
    let mut senders: HashMap<Sender, Share> = HashMap::new();
    for guard in opened.rows.range(codec::row(queue, 0)..=codec::row(queue, u64::MAX)) {
        let value = guard.value()?;
        let (meta, _) = codec::meta(&value)?;
        if meta.gap == 0 {
            let share = senders.entry(meta.sender).or_default();
            share.rows += 1;
            share.bytes += meta.size.cast_signed();
        }
    }
    Ok(senders)
}
