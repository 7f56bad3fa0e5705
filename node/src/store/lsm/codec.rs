//! Keys and values. Numbers are big-endian in keys, so that they sort.

use quicproquo_schemas::id::{ChannelId, IdentityKey, Instance, SendId};

use crate::store::StoreError;
use crate::store::plan::{IdentityRow, NewRow, QueueRow, RowMeta, SendRow, Share};
use crate::store::write::{Channel, Delivered, Sender, Sent};

/// Key in `state` of the number of commits.
pub(super) const COMMITS: &[u8] = b"commits";
/// Key in `state` of what a test write writes.
pub(super) const PROBE: &[u8] = b"test";
/// Key in `state` of the next ids of queues and bodies.
pub(super) const IDS: &[u8] = b"ids";
/// Key in `state` of the version of this layout.
pub(super) const VERSION: &[u8] = b"version";

const QUEUE: u8 = b'q';
/// What the keys of all queues start with.
pub(super) const QUEUES: [u8; 1] = [QUEUE];
const OWNER: u8 = b'o';
const IDENTITY: u8 = b'i';
const REFS: u8 = b'r';
const EXPIRY: u8 = b'e';
const CHANNEL: u8 = b'c';
const GAP: u8 = b'g';
const DIGEST: u8 = b'd';
const SEND: u8 = b's';
const STRANGERS: u8 = b'x';

/// Bytes of a payload digest that are kept: a collision would cost its maker 2^64 work and give
/// him the position of his own other payload.
const DIGEST_LEN: usize = 16;

const FLAG_GAP: u8 = 1;
const FLAG_BODY: u8 = 2;
const FLAG_CHANNEL: u8 = 4;
const FLAG_STRANGER: u8 = 8;

pub(super) fn row(queue: i64, seq: u64) -> [u8; 16] {
    concat([&queue.to_be_bytes(), &seq.to_be_bytes()])
}

/// Position in the key of a row.
pub(super) fn seq_of(key: &[u8]) -> Result<u64, StoreError> {
    let bytes = key.last_chunk::<8>().ok_or_else(damaged)?;
    Ok(u64::from_be_bytes(*bytes))
}

pub(super) fn body(id: i64) -> [u8; 8] {
    id.to_be_bytes()
}

pub(super) fn refs(body: i64) -> [u8; 9] {
    concat([&[REFS], &body.to_be_bytes()])
}

pub(super) fn queue(recipient: &IdentityKey) -> [u8; 33] {
    concat([&[QUEUE], recipient.as_bytes()])
}

pub(super) fn owner(queue: i64) -> [u8; 9] {
    concat([&[OWNER], &queue.to_be_bytes()])
}

pub(super) fn identity(identity: &IdentityKey) -> [u8; 33] {
    concat([&[IDENTITY], identity.as_bytes()])
}

pub(super) fn expiry(expires_at: u64, queue: i64, seq: u64) -> [u8; 25] {
    concat([&[EXPIRY], &expires_at.to_be_bytes(), &queue.to_be_bytes(), &seq.to_be_bytes()])
}

/// Queue and position in a key of the expiry index.
pub(super) fn expired(key: &[u8]) -> Result<(i64, u64), StoreError> {
    let queue = key.get(9..17).and_then(|bytes| bytes.try_into().ok()).ok_or_else(damaged)?;
    Ok((i64::from_be_bytes(queue), seq_of(key)?))
}

pub(super) fn channel(queue: i64, channel: &ChannelId, seq: u64) -> [u8; 33] {
    concat([&[CHANNEL], &queue.to_be_bytes(), channel.as_bytes(), &seq.to_be_bytes()])
}

pub(super) fn gap(queue: i64, seq: u64) -> [u8; 17] {
    concat([&[GAP], &queue.to_be_bytes(), &seq.to_be_bytes()])
}

pub(super) fn digest(queue: i64, digest: &[u8; 32]) -> [u8; 9 + DIGEST_LEN] {
    concat([&[DIGEST], &queue.to_be_bytes(), &digest[..DIGEST_LEN]])
}

pub(super) fn send(sender: &IdentityKey, id: SendId) -> [u8; 49] {
    concat([&[SEND], sender.as_bytes(), &id.incarnation.to_be_bytes(), &id.counter.to_be_bytes()])
}

pub(super) fn strangers(sender: Sender) -> [u8; 9] {
    concat([&[STRANGERS], &sender.0.to_be_bytes()])
}

/// What the keys of all kept sends of a sender begin with.
pub(super) fn sends_of(sender: &IdentityKey) -> [u8; 33] {
    concat([&[SEND], sender.as_bytes()])
}

/// What the keys of all payload digests of a queue begin with.
pub(super) fn digests_of(queue: i64) -> [u8; 9] {
    concat([&[DIGEST], &queue.to_be_bytes()])
}

/// What a row holds beside its payload, and where the payload starts in the value.
pub(super) fn meta(value: &[u8]) -> Result<(RowMeta, usize), StoreError> {
    let mut reader = Reader { value, at: 0 };
    let [flags] = reader.take()?;
    let sender = Sender(i64::from_be_bytes(reader.take()?));
    let size = reader.number()?;
    let expires_at = reader.number()?;
    let gap = if flags & FLAG_GAP == 0 { 0 } else { u32::from_be_bytes(reader.take()?) };
    let body = if flags & FLAG_BODY == 0 { None } else { Some(i64::from_be_bytes(reader.take()?)) };
    let channel =
        if flags & FLAG_CHANNEL == 0 { None } else { Some(ChannelId::new(reader.take()?)) };
    let stranger = flags & FLAG_STRANGER != 0;
    Ok((RowMeta { sender, size, gap, channel, body, expires_at, stranger }, reader.at))
}

/// Value of a row, made in `value`, whose memory may serve for many.
pub(super) fn put_row<'a>(row: &NewRow, value: &'a mut Vec<u8>) -> &'a [u8] {
    value.clear();
    put_meta(&row.meta, &row.head, value);
    value
}

/// Value of a gap.
pub(super) fn put_gap(lost: u32) -> Vec<u8> {
    let mut value = Vec::new();
    put_meta(&RowMeta::of_gap(lost), &[], &mut value);
    value
}

fn put_meta(meta: &RowMeta, head: &[u8], value: &mut Vec<u8>) {
    value.reserve(head.len() + 53);
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    value.push(
        flag(meta.gap > 0, FLAG_GAP)
            | flag(meta.body.is_some(), FLAG_BODY)
            | flag(meta.channel.is_some(), FLAG_CHANNEL)
            | flag(meta.stranger, FLAG_STRANGER),
    );
    value.extend(meta.sender.0.to_be_bytes());
    value.extend(meta.size.to_be_bytes());
    value.extend(meta.expires_at.to_be_bytes());
    if meta.gap > 0 {
        value.extend(meta.gap.to_be_bytes());
    }
    value.extend(meta.body.iter().flat_map(|body| body.to_be_bytes()));
    value.extend(meta.channel.iter().flat_map(|channel: &ChannelId| *channel.as_bytes()));
    value.extend_from_slice(head);
}

pub(super) fn get_queue(value: &[u8]) -> Result<QueueRow, StoreError> {
    let mut reader = Reader { value, at: 0 };
    Ok(QueueRow {
        id: i64::from_be_bytes(reader.take()?),
        next_seq: reader.number()?,
        first: reader.number()?,
        acked: reader.number()?,
        rows: reader.number()?,
        bytes: reader.number()?,
        lost: reader.number()?,
        stranger: reader.take::<1>()? != [0],
    })
}

pub(super) fn put_queue(row: &QueueRow) -> [u8; 57] {
    concat([
        &row.id.to_be_bytes(),
        &row.next_seq.to_be_bytes(),
        &row.first.to_be_bytes(),
        &row.acked.to_be_bytes(),
        &row.rows.to_be_bytes(),
        &row.bytes.to_be_bytes(),
        &row.lost.to_be_bytes(),
        &[u8::from(row.stranger)],
    ])
}

pub(super) fn get_identity(value: &[u8]) -> Result<IdentityRow, StoreError> {
    let mut reader = Reader { value, at: 0 };
    Ok(IdentityRow {
        incarnation: reader.number()?,
        instance: Instance::new(reader.take()?),
        attempt: reader.number()?,
        session: reader.number()?,
        last_send: SendId { incarnation: reader.number()?, counter: reader.number()? },
    })
}

pub(super) fn put_identity(row: &IdentityRow) -> [u8; 56] {
    concat([
        &row.incarnation.to_be_bytes(),
        row.instance.as_bytes(),
        &row.attempt.to_be_bytes(),
        &row.session.to_be_bytes(),
        &row.last_send.incarnation.to_be_bytes(),
        &row.last_send.counter.to_be_bytes(),
    ])
}

/// Position of an equal payload, and until when it counts.
pub(super) fn get_digest(value: &[u8]) -> Result<(u64, u64), StoreError> {
    let mut reader = Reader { value, at: 0 };
    let expires_at = reader.number()?;
    Ok((reader.number()?, expires_at))
}

pub(super) fn put_digest(seq: u64, expires_at: u64) -> [u8; 16] {
    concat([&expires_at.to_be_bytes(), &seq.to_be_bytes()])
}

/// Every value of `kept` starts with the time at which it is over.
pub(super) fn is_over(value: &[u8], now: u64) -> bool {
    value.first_chunk::<8>().is_some_and(|bytes| u64::from_be_bytes(*bytes) <= now)
}

/// The kept result of a send: nine bytes per delivery, 0 queued or 1 full, and the position; behind
/// them 2 and the next position of the sender's own queue, which sends of former versions lack.
pub(super) fn get_send(value: &[u8]) -> Result<SendRow, StoreError> {
    let mut reader = Reader { value, at: 8 };
    let request = reader.take()?;
    let (entries, rest) = value[reader.at..].as_chunks::<9>();
    if !rest.is_empty() {
        return Err(damaged());
    }
    let mut sent = Sent::default();
    for [status, seq @ ..] in entries {
        let seq = u64::from_be_bytes(*seq);
        match status {
            0 => sent.results.push(Delivered::Queued(seq)),
            2 => sent.own_next = seq,
            _ => sent.results.push(Delivered::Full),
        }
    }
    Ok(SendRow { request, sent })
}

pub(super) fn put_send(row: &SendRow, expires_at: u64) -> Vec<u8> {
    let mut value = Vec::with_capacity(49 + row.sent.results.len() * 9);
    value.extend(expires_at.to_be_bytes());
    value.extend(row.request);
    let results = row.sent.results.iter().map(|result| match result {
        Delivered::Queued(seq) => (0, *seq),
        Delivered::Full => (1, 0),
    });
    for (status, seq) in results.chain([(2, row.sent.own_next)]) {
        value.push(status);
        value.extend(seq.to_be_bytes());
    }
    value
}

/// What a sender has waiting for strangers.
pub(super) fn get_share(value: &[u8]) -> Result<Share, StoreError> {
    let mut reader = Reader { value, at: 0 };
    Ok(Share {
        rows: i64::from_be_bytes(reader.take()?),
        bytes: i64::from_be_bytes(reader.take()?),
    })
}

pub(super) fn put_share(share: Share) -> [u8; 16] {
    concat([&share.rows.to_be_bytes(), &share.bytes.to_be_bytes()])
}

pub(super) fn get_number(value: &[u8]) -> Result<u64, StoreError> {
    Reader { value, at: 0 }.number()
}

pub(super) fn get_key(value: &[u8]) -> Result<IdentityKey, StoreError> {
    IdentityKey::try_from(value).map_err(|_| damaged())
}

/// Whether a row is of a channel; gaps are of all.
pub(super) fn is_of(meta: &RowMeta, channel: Channel) -> bool {
    meta.gap > 0 || meta.channel == channel
}

pub(super) fn damaged() -> StoreError {
    StoreError::Database("a record of the queues is damaged".into())
}

/// Joins parts that fill the array exactly.
fn concat<const N: usize, const P: usize>(parts: [&[u8]; P]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut rest = bytes.as_mut_slice();
    for part in parts {
        let (head, tail) = rest.split_at_mut(part.len());
        head.copy_from_slice(part);
        rest = tail;
    }
    bytes
}

struct Reader<'a> {
    value: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let bytes = self.value.get(self.at..).and_then(<[u8]>::first_chunk);
        self.at += N;
        bytes.copied().ok_or_else(damaged)
    }

    fn number(&mut self) -> Result<u64, StoreError> {
        Ok(u64::from_be_bytes(self.take()?))
    }
}
