//! Loads the working set of a batch.

use std::collections::HashMap;

use quicproquo_schemas::id::IdentityKey;

use super::heads::Heads;
use super::{Opened, codec};
use crate::store::StoreError;
use crate::store::plan::{ExpiredRow, Loaded, QueueRow, RowMeta, Strangers, Wanted};
use crate::store::write::Sender;

pub(super) fn load(
    opened: &Opened,
    heads: &mut Heads,
    wanted: &Wanted,
    now: u64,
) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    for key in &wanted.identities {
        if let Some(value) = opened.state.get(codec::identity(key))? {
            loaded.identities.insert(*key, codec::get_identity(&value)?);
        }
    }
    for key in &wanted.queues {
        if let Some(head) = heads.get(key) {
            loaded.queues.insert(*key, head);
        } else if let Some(queue) = queue(opened, key)? {
            heads.keep(*key, queue);
            loaded.queues.insert(*key, queue);
        }
    }
    for key in &wanted.digests {
        let Some(queue) = loaded.queues.get(&key.0) else { continue };
        if let Some(value) = opened.kept.get(codec::digest(queue.id, &key.1))? {
            let (seq, expires_at) = codec::get_digest(&value)?;
            if expires_at > now {
                loaded.digests.insert(*key, seq);
            }
        }
    }
    for (sender, id) in &wanted.sends {
        if let Some(value) = opened.kept.get(codec::send(sender, *id))? {
            loaded.sends.insert((*sender, *id), codec::get_send(&value)?);
        }
    }
    for (key, up_to) in &wanted.ranges {
        let Some(queue) = loaded.queues.get(key) else { continue };
        let rows = loaded.rows.entry(*key).or_default();
        if queue.first > *up_to {
            continue;
        }
        for guard in
            opened.rows.range(codec::row(queue.id, queue.first)..=codec::row(queue.id, *up_to))
        {
            let (key, value) = guard.into_inner()?;
            rows.insert(codec::seq_of(&key)?, codec::meta(&value)?.0);
        }
    }
    for (key, seqs) in &wanted.picks {
        let Some(queue) = loaded.queues.get(key) else { continue };
        let rows = loaded.rows.entry(*key).or_default();
        for seq in seqs {
            if let Some(value) = opened.rows.get(codec::row(queue.id, *seq))? {
                rows.insert(*seq, codec::meta(&value)?.0);
            }
        }
    }
    Ok(loaded)
}

pub(super) fn strangers(opened: &Opened, wanted: &[Sender]) -> Result<Strangers, StoreError> {
    let mut strangers = Strangers::default();
    for sender in wanted {
        if let Some(value) = opened.state.get(codec::strangers(*sender))? {
            strangers.insert(*sender, codec::get_share(&value)?);
        }
    }
    Ok(strangers)
}

pub(super) fn queue(opened: &Opened, key: &IdentityKey) -> Result<Option<QueueRow>, StoreError> {
    let value = opened.state.get(codec::queue(key))?;
    value.map(|value| codec::get_queue(&value)).transpose()
}

/// Rows that expired from `since` to `now`, those of a queue together and in order.
pub(super) fn expired(
    opened: &Opened,
    since: u64,
    now: u64,
    limit: u32,
) -> Result<Loaded, StoreError> {
    let mut found = Vec::new();
    let range = codec::expiry(since, 0, 0)..=codec::expiry(now, i64::MAX, u64::MAX);
    for guard in opened.index.range(range).take(limit as usize) {
        found.push(codec::expired(&guard.key()?)?);
    }
    found.sort_unstable();
    let mut loaded = Loaded::default();
    let mut owners: HashMap<i64, IdentityKey> = HashMap::new();
    for (id, seq) in found {
        let recipient = if let Some(owner) = owners.get(&id) {
            *owner
        } else {
            let value = opened.state.get(codec::owner(id))?.ok_or_else(codec::damaged)?;
            let owner = codec::get_key(&value)?;
            let queue = queue(opened, &owner)?.ok_or_else(codec::damaged)?;
            loaded.queues.insert(owner, queue);
            owners.insert(id, owner);
            owner
        };
        let value = opened.rows.get(codec::row(id, seq))?.ok_or_else(codec::damaged)?;
        let first = loaded.queues.get(&recipient).map_or(0, |queue| queue.first);
        loaded.expired.push(ExpiredRow {
            recipient,
            seq,
            meta: codec::meta(&value)?.0,
            before: before(opened, id, first, seq)?,
        });
    }
    Ok(loaded)
}

fn before(
    opened: &Opened,
    queue: i64,
    first: u64,
    seq: u64,
) -> Result<Option<(u64, RowMeta)>, StoreError> {
    if first >= seq {
        return Ok(None);
    }
    let mut rows = opened.rows.range(codec::row(queue, first)..codec::row(queue, seq));
    let Some(guard) = rows.next_back() else { return Ok(None) };
    let (key, value) = guard.into_inner()?;
    Ok(Some((codec::seq_of(&key)?, codec::meta(&value)?.0)))
}
