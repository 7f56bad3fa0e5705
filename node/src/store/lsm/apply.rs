//! Writes the effects of a batch.

use fjall::OwnedWriteBatch;
use quicproquo_schemas::id::IdentityKey;

use super::{Opened, codec};
use crate::store::StoreError;
use crate::store::plan::{Effects, OldRow, Share};

pub(super) fn apply(
    opened: &Opened,
    batch: &mut OwnedWriteBatch,
    effects: &Effects,
) -> Result<(), StoreError> {
    for key in &effects.removed_identities {
        batch.remove(&opened.state, codec::identity(key));
    }
    for (sender, change) in &effects.strangers {
        let key = codec::strangers(*sender);
        let before = opened.state.get(key)?.map(|value| codec::get_share(&value)).transpose()?;
        let before = before.unwrap_or_default();
        let (rows, bytes) = (before.rows + change.rows, before.bytes + change.bytes);
        if rows <= 0 {
            batch.remove(&opened.state, key);
        } else {
            batch.insert(&opened.state, key, codec::put_share(Share { rows, bytes }));
        }
    }
    for (key, row) in &effects.identities {
        batch.insert(&opened.state, codec::identity(key), codec::put_identity(row));
    }
    for (key, row) in &effects.queues {
        batch.insert(&opened.state, codec::queue(key), codec::put_queue(row));
    }
    for (queue, recipient) in &effects.new_queues {
        batch.insert(&opened.state, codec::owner(*queue), *recipient.as_bytes());
    }
    if let Some(ids) = &effects.ids {
        let mut value = [0; 16];
        value[..8].copy_from_slice(&ids.queue.to_be_bytes());
        value[8..].copy_from_slice(&ids.body.to_be_bytes());
        batch.insert(&opened.state, codec::IDS, value);
    }
    for old in &effects.removed_rows {
        batch.remove(&opened.rows, codec::row(old.queue, old.seq));
        unlist(opened, batch, old);
    }
    for (old, lost) in &effects.gaps {
        unlist(opened, batch, old);
        batch.insert(&opened.rows, codec::row(old.queue, old.seq), codec::put_gap(*lost));
        batch.insert(&opened.index, codec::gap(old.queue, old.seq), []);
    }
    for (body, count) in &effects.released_bodies {
        let value = opened.state.get(codec::refs(*body))?.ok_or_else(codec::damaged)?;
        let left = codec::get_number(&value)?.saturating_sub(*count);
        if left == 0 {
            batch.remove(&opened.state, codec::refs(*body));
            batch.remove(&opened.bodies, codec::body(*body));
        } else {
            batch.insert(&opened.state, codec::refs(*body), left.to_be_bytes());
        }
    }
    for body in &effects.bodies {
        batch.insert(&opened.bodies, codec::body(body.id), &*body.data);
        batch.insert(&opened.state, codec::refs(body.id), body.refs.to_be_bytes());
    }
    let mut value = Vec::new();
    for row in &effects.rows {
        let key = codec::row(row.queue, row.seq);
        batch.insert(&opened.rows, key, codec::put_row(row, &mut value));
        if row.meta.gap == 0 {
            let key = codec::expiry(row.meta.expires_at, row.queue, row.seq);
            batch.insert(&opened.index, key, []);
        } else {
            batch.insert(&opened.index, codec::gap(row.queue, row.seq), []);
        }
        if let Some(channel) = &row.meta.channel {
            batch.insert(&opened.index, codec::channel(row.queue, channel, row.seq), []);
        }
    }
    for new in &effects.digests {
        let value = codec::put_digest(new.seq, new.expires_at);
        batch.insert(&opened.kept, codec::digest(new.queue, &new.digest), value);
    }
    for send in &effects.sends {
        let value = codec::put_send(&send.row, send.expires_at);
        batch.insert(&opened.kept, codec::send(&send.sender, send.id), value);
    }
    Ok(())
}

/// Takes a row out of the indexes.
fn unlist(opened: &Opened, batch: &mut OwnedWriteBatch, old: &OldRow) {
    if old.meta.gap == 0 {
        batch.remove(&opened.index, codec::expiry(old.meta.expires_at, old.queue, old.seq));
    } else {
        batch.remove(&opened.index, codec::gap(old.queue, old.seq));
    }
    if let Some(channel) = &old.meta.channel {
        batch.remove(&opened.index, codec::channel(old.queue, channel, old.seq));
    }
}

/// Removes kept sends of a sender and payload digests of its queue, at most `limit`. Returns
/// whether there may be more.
pub(super) fn forget_kept(
    opened: &Opened,
    batch: &mut OwnedWriteBatch,
    identity: &IdentityKey,
    limit: u32,
) -> Result<bool, StoreError> {
    let limit = limit as usize;
    let mut keys = Vec::new();
    for guard in opened.kept.prefix(codec::sends_of(identity)).take(limit) {
        keys.push(guard.key()?);
    }
    if let Some(queue) = super::load::queue(opened, identity)? {
        for guard in opened.kept.prefix(codec::digests_of(queue.id)).take(limit - keys.len()) {
            keys.push(guard.key()?);
        }
    }
    let more = keys.len() == limit;
    for key in keys {
        batch.remove(&opened.kept, key);
    }
    Ok(more)
}
