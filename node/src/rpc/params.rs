//! Reads parameters: everything is parsed here, once.

use std::collections::BTreeSet;
use std::sync::Arc;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::{ChannelId, IdentityKey, SendId};
use quicproquo_schemas::limits::{MAX_KEY_PACKAGE, MAX_RECIPIENTS, VERSION};
use quicproquo_schemas::node_capnp;
use quicproquo_schemas::session_capnp::{delivery, row, send_id};

use super::errors::{Fault, wire};
use crate::auth::hash;
use crate::store::write::{Channel, Delivery};
use crate::store::{QueuedRow, RowContent};

pub(super) fn identity(bytes: capnp::Result<&[u8]>) -> capnp::Result<IdentityKey> {
    wire(IdentityKey::try_from(bytes?).map_err(Fault::from))
}

/// Empty, or 16 bytes.
pub(super) fn channel(bytes: capnp::Result<&[u8]>) -> capnp::Result<Channel> {
    let bytes = bytes?;
    if bytes.is_empty() {
        return Ok(None);
    }
    wire(ChannelId::try_from(bytes).map(Some).map_err(Fault::from))
}

pub(super) fn version(version: u16) -> capnp::Result<()> {
    if version == VERSION {
        return Ok(());
    }
    wire(Err(Fault::new(ErrorCode::BadVersion, format_args!("version {version} is not {VERSION}"))))
}

/// SHA-256 of the access token. A null `Auth` has an empty one, which nobody was given.
pub(super) fn token(auth: capnp::Result<node_capnp::auth::Reader<'_>>) -> capnp::Result<[u8; 32]> {
    let auth = auth?;
    let token = auth.get_access_token()?;
    if token.is_empty() {
        return wire(Err(Fault::new(ErrorCode::Unauthenticated, "an access token is needed")));
    }
    version(auth.get_version())?;
    Ok(hash(token))
}

/// A payload of 1 to `limit` bytes.
pub(super) fn payload(bytes: capnp::Result<&[u8]>, limit: usize) -> capnp::Result<Arc<[u8]>> {
    let bytes = bytes?;
    wire(sized(bytes, limit))?;
    Ok(Arc::from(bytes))
}

/// A package of at most 1 MiB.
pub(super) fn package(bytes: capnp::Result<&[u8]>) -> capnp::Result<Vec<u8>> {
    let bytes = bytes?;
    wire(sized(bytes, MAX_KEY_PACKAGE))?;
    Ok(bytes.to_vec())
}

fn sized(bytes: &[u8], limit: usize) -> Result<(), Fault> {
    match bytes.len() {
        0 => Err(Fault::new(ErrorCode::Empty, "nothing in it")),
        len if len > limit => {
            Err(Fault::new(ErrorCode::TooLarge, format_args!("{len} bytes; the limit is {limit}")))
        }
        _ => Ok(()),
    }
}

pub(super) fn send_id(reader: send_id::Reader<'_>) -> SendId {
    SendId { incarnation: reader.get_incarnation(), counter: reader.get_counter() }
}

/// A list with 1 to `limit` entries.
pub(super) fn count(len: u32, limit: usize) -> capnp::Result<()> {
    wire(match len as usize {
        0 => Err(Fault::new(ErrorCode::Empty, "the list is empty")),
        len if len > limit => Err(Fault::new(
            ErrorCode::TooLarge,
            format_args!("{len} entries; the limit is {limit}"),
        )),
        _ => Ok(()),
    })
}

/// Fails on a repeated identity.
pub(super) fn unique<'a>(
    mut identities: impl Iterator<Item = &'a IdentityKey>,
) -> capnp::Result<()> {
    let mut seen = BTreeSet::new();
    if identities.all(|identity| seen.insert(identity)) {
        return Ok(());
    }
    wire(Err(Fault::new(ErrorCode::BadRequest, "an identity is listed twice")))
}

/// Recipients of a send, each once, with payloads of 1 to `limit` bytes.
pub(super) fn deliveries(
    list: capnp::struct_list::Reader<'_, delivery::Owned>,
    body: usize,
    limit: usize,
) -> capnp::Result<Vec<Delivery>> {
    count(list.len(), MAX_RECIPIENTS)?;
    let mut deliveries = Vec::with_capacity(list.len() as usize);
    for delivery in list {
        let prefix = delivery.get_prefix()?;
        let include_body = delivery.get_include_body();
        let size = prefix.len() + if include_body { body } else { 0 };
        if size == 0 {
            return wire(Err(Fault::new(ErrorCode::Empty, "a delivery without payload")));
        }
        if size > limit {
            return wire(Err(Fault::new(
                ErrorCode::TooLarge,
                format_args!("{size} bytes; the limit is {limit}"),
            )));
        }
        deliveries.push(Delivery {
            recipient: identity(delivery.get_recipient_key())?,
            prefix: Arc::from(prefix),
            include_body,
            banned: false,
        });
    }
    unique(deliveries.iter().map(|to| &to.recipient))?;
    Ok(deliveries)
}

pub(super) fn put_row(mut builder: row::Builder<'_>, row: &QueuedRow) {
    builder.set_seq(row.seq);
    if let Some(channel) = row.channel {
        builder.set_channel_id(channel.as_bytes());
    }
    match &row.content {
        RowContent::Gap(lost) => builder.set_gap(*lost),
        RowContent::Payload { head, body } => {
            put_parts(builder.init_payload(length(head, body)), head, body);
        }
    }
}

pub(super) fn put_envelope(
    mut builder: node_capnp::envelope::Builder<'_>,
    seq: u64,
    head: &[u8],
    body: &[u8],
) {
    builder.set_seq(seq);
    put_parts(builder.init_data(length(head, body)), head, body);
}

fn put_parts(target: &mut [u8], head: &[u8], body: &[u8]) {
    let (first, second) = target.split_at_mut(head.len());
    first.copy_from_slice(head);
    second.copy_from_slice(body);
}

/// Payloads are far below 4 GiB.
fn length(head: &[u8], body: &[u8]) -> u32 {
    u32::try_from(head.len() + body.len()).unwrap_or(u32::MAX)
}
