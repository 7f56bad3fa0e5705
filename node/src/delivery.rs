//! Queues: rows in, rows out.

pub(crate) mod fetch;
pub(crate) mod leases;
pub(crate) mod order;
pub(crate) mod subscribers;
pub(crate) mod waiters;

use std::sync::Arc;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::{FETCH_BYTES, MAX_WINDOW_ROWS};
use sha2::{Digest, Sha256};

use crate::auth::Caller;
use crate::rates::OverRate;
use crate::server::Shared;
use crate::store::write::{
    Ack, Channel, Enqueue, Multicast, QueueWrite, QueueWritten, Sender, Sent,
};
use crate::store::{Page, QueuedRow, StoreError};
use crate::writer::WriteError;

/// Why delivery refuses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliveryError {
    #[error("the identity is subscribed")]
    Subscribed,
    #[error("too many waiting fetches")]
    TooManyWaits,
    #[error("the node's disk is almost full")]
    DiskLow,
    #[error("the operator of this node has banned this identity")]
    Banned,
    #[error("the operator of this node has banned the recipient")]
    RecipientBanned,
    #[error(transparent)]
    OverRate(#[from] OverRate),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Queues one payload; the same payload again gives the same position.
pub(crate) async fn enqueue(
    shared: &Shared,
    caller: Caller,
    recipient: IdentityKey,
    channel: Channel,
    payload: Arc<[u8]>,
    ttl_secs: u32,
) -> Result<u64, DeliveryError> {
    if shared.banned.contains(&recipient) {
        return Err(DeliveryError::RecipientBanned);
    }
    room_on_disk(shared)?;
    shared.rates.transfer(caller.sender(), 1, payload.len() as u64)?;
    let mut digest = Sha256::new();
    update_channel(&mut digest, channel);
    digest.update(&payload);
    let write = QueueWrite::Enqueue(Enqueue {
        recipient,
        sender: caller.sender(),
        channel,
        payload,
        digest: digest.finalize().into(),
        ttl_secs,
    });
    match shared.writer.submit(write).await? {
        QueueWritten::Seq(seq) => Ok(seq),
        _ => Err(WriteError::Failed.into()),
    }
}

/// Queues one row for each recipient, all or none; a banned one counts as full. `send.request` and
/// the bans are filled in here. To be polled first in the order of [`order::Order::enter`].
pub(crate) async fn send(shared: &Shared, mut send: Multicast) -> Result<Sent, DeliveryError> {
    room_on_disk(shared).inspect_err(|_| send.turn.refuse(ErrorCode::StorageFull))?;
    let prefixes = send.deliveries.iter().map(|to| to.prefix.len()).sum::<usize>();
    let bytes = (prefixes + send.body.len()) as u64;
    shared
        .rates
        .transfer(Sender::from(&send.sender), send.deliveries.len(), bytes)
        .inspect_err(|_| send.turn.refuse(ErrorCode::RateLimited))?;
    send.request = request_digest(&send);
    for to in &mut send.deliveries {
        to.banned = shared.banned.contains(&to.recipient);
    }
    match shared.writer.submit(QueueWrite::Multicast(send)).await? {
        QueueWritten::Sent(sent) => Ok(sent),
        _ => Err(WriteError::Failed.into()),
    }
}

/// Refuses what would grow the database while the disk is almost full, and before it costs the
/// writer anything.
fn room_on_disk(shared: &Shared) -> Result<(), DeliveryError> {
    if shared.health.disk.is_low() { Err(DeliveryError::DiskLow) } else { Ok(()) }
}

/// Removes all rows up to a position.
pub(crate) async fn ack(
    shared: &Shared,
    identity: IdentityKey,
    session: u64,
    up_to: u64,
) -> Result<(), DeliveryError> {
    shared.writer.submit(QueueWrite::Ack(Ack { identity, session, up_to })).await?;
    Ok(())
}

/// Reads rows above a position without removing them.
pub(crate) async fn peek(
    shared: &Shared,
    identity: IdentityKey,
    after: u64,
    limit: u32,
) -> Result<Vec<QueuedRow>, DeliveryError> {
    let page = Page { after: position(after), rows: rows_asked(limit), bytes: FETCH_BYTES };
    Ok(shared.queues.rows(identity, page).await?)
}

/// Limit 0 and limits above the window mean the window.
fn rows_asked(limit: u32) -> u32 {
    if limit == 0 { MAX_WINDOW_ROWS } else { limit.min(MAX_WINDOW_ROWS) }
}

/// Payload bytes of rows.
fn bytes_of(rows: &[QueuedRow]) -> u64 {
    rows.iter().map(|row| row.size() as u64).sum()
}

/// Positions stay below what the database can hold.
fn position(seq: u64) -> u64 {
    seq.min(i64::MAX.cast_unsigned())
}

fn update_channel(digest: &mut Sha256, channel: Channel) {
    match channel {
        None => digest.update([0]),
        Some(channel) => {
            digest.update([1]);
            digest.update(channel.as_bytes());
        }
    }
}

/// Over everything that makes a send what it is, lengths included.
fn request_digest(send: &Multicast) -> [u8; 32] {
    let mut digest = Sha256::new();
    update_channel(&mut digest, send.channel);
    digest.update(send.ttl_secs.to_be_bytes());
    digest.update((send.body.len() as u64).to_be_bytes());
    digest.update(&send.body);
    for to in &send.deliveries {
        digest.update(to.recipient.as_bytes());
        digest.update([u8::from(to.include_body)]);
        digest.update((to.prefix.len() as u64).to_be_bytes());
        digest.update(&to.prefix);
    }
    digest.finalize().into()
}
