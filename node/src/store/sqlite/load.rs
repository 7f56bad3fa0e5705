//! Loads the working set of a batch.

use std::collections::HashMap;

use quicproquo_schemas::id::{IdentityKey, Instance, SendId};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::script::{Script, chunks};
use crate::store::StoreError;
use crate::store::plan::{
    ExpiredRow, IdentityRow, Loaded, QueueRow, RowMeta, SendRow, Share, ShareKey, Shares, Wanted,
};
use crate::store::write::{Delivered, Sender};

const ROW_COLUMNS: &str = "e.queue, e.seq, e.sender, e.size, e.gap, e.head, e.body";

pub(super) async fn load(
    connection: &mut SqliteConnection,
    wanted: &Wanted,
) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    identities(connection, wanted, &mut loaded).await?;
    let owners = queues(connection, wanted, &mut loaded).await?;
    if !owners.is_empty() {
        digests(connection, wanted, &owners, &mut loaded).await?;
        rows(connection, wanted, &owners, &mut loaded).await?;
    }
    sends(connection, wanted, &mut loaded).await?;
    Ok(loaded)
}

async fn identities(
    connection: &mut SqliteConnection,
    wanted: &Wanted,
    loaded: &mut Loaded,
) -> Result<(), StoreError> {
    let keys: Vec<_> = wanted.identities.iter().collect();
    for keys in chunks(&keys, 1) {
        let mut script = Script::new(
            "SELECT identity, incarnation, instance, attempt, session, sent_incarnation,
                    sent_counter FROM identities WHERE identity IN (VALUES ",
        );
        script.tuples(keys, 1, |script, key| {
            script.bind(key.as_bytes().as_slice());
        });
        script.push(")");
        for row in script.fetch(connection).await? {
            let instance: &[u8] = row.try_get(2)?;
            let identity = IdentityRow {
                incarnation: unsigned(&row, 1)?,
                instance: Instance::try_from(instance).map_err(|error| damaged(&error))?,
                attempt: unsigned(&row, 3)?,
                session: unsigned(&row, 4)?,
                last_send: SendId { incarnation: unsigned(&row, 5)?, counter: unsigned(&row, 6)? },
            };
            loaded.identities.insert(key(&row, 0)?, identity);
        }
    }
    Ok(())
}

/// Returns whose queue an id is.
async fn queues(
    connection: &mut SqliteConnection,
    wanted: &Wanted,
    loaded: &mut Loaded,
) -> Result<HashMap<i64, IdentityKey>, StoreError> {
    let mut owners = HashMap::new();
    let keys: Vec<_> = wanted.queues.iter().collect();
    for keys in chunks(&keys, 1) {
        let mut script = Script::new(
            "SELECT recipient, id, next_seq, acked, row_count, bytes, lost FROM queues
             WHERE recipient IN (VALUES ",
        );
        script.tuples(keys, 1, |script, key| {
            script.bind(key.as_bytes().as_slice());
        });
        script.push(")");
        for row in script.fetch(connection).await? {
            let recipient = key(&row, 0)?;
            let queue = queue(&row, 1)?;
            owners.insert(queue.id, recipient);
            loaded.queues.insert(recipient, queue);
        }
    }
    Ok(owners)
}

async fn digests(
    connection: &mut SqliteConnection,
    wanted: &Wanted,
    owners: &HashMap<i64, IdentityKey>,
    loaded: &mut Loaded,
) -> Result<(), StoreError> {
    let keys: Vec<(i64, &[u8])> = wanted
        .digests
        .iter()
        .filter_map(|(key, digest)| Some((loaded.queues.get(key)?.id, digest.as_slice())))
        .collect();
    for keys in chunks(&keys, 2) {
        let mut script =
            Script::new("SELECT queue, digest, seq FROM digests WHERE (queue, digest) IN (VALUES ");
        script.tuples(keys, 2, |script, (queue, digest)| {
            script.bind(*queue).bind(*digest);
        });
        script.push(")");
        for row in script.fetch(connection).await? {
            let owner = owner(owners, &row)?;
            let digest: &[u8] = row.try_get(1)?;
            let digest = digest.try_into().map_err(|error| damaged(&error))?;
            loaded.digests.insert((owner, digest), unsigned(&row, 2)?);
        }
    }
    Ok(())
}

async fn rows(
    connection: &mut SqliteConnection,
    wanted: &Wanted,
    owners: &HashMap<i64, IdentityKey>,
    loaded: &mut Loaded,
) -> Result<(), StoreError> {
    let queue_of = |loaded: &Loaded, key: &IdentityKey| loaded.queues.get(key).map(|row| row.id);
    let ranges: Vec<(i64, i64)> = wanted
        .ranges
        .iter()
        .filter_map(|(key, up_to)| {
            Some((queue_of(loaded, key)?, up_to.min(&SEQ_MAX).cast_signed()))
        })
        .collect();
    let picks: Vec<(i64, i64)> = wanted
        .picks
        .iter()
        .filter_map(|(key, seqs)| Some((queue_of(loaded, key)?, seqs)))
        .flat_map(|(queue, seqs)| seqs.iter().map(move |seq| (queue, seq.cast_signed())))
        .collect();
    let statements = [(ranges, "e.seq <= w.column2"), (picks, "e.seq = w.column2")];
    for (pairs, condition) in statements {
        for pairs in chunks(&pairs, 2) {
            let mut script = Script::new(&format!("SELECT {ROW_COLUMNS} FROM (VALUES "));
            script.tuples(pairs, 2, |script, (queue, seq)| {
                script.bind(*queue).bind(*seq);
            });
            script.push(") AS w CROSS JOIN entries AS e ON e.queue = w.column1 AND ");
            script.push(condition);
            for row in script.fetch(connection).await? {
                let owner = owner(owners, &row)?;
                loaded.rows.entry(owner).or_default().insert(unsigned(&row, 1)?, meta(&row, 2)?);
            }
        }
    }
    Ok(())
}

async fn sends(
    connection: &mut SqliteConnection,
    wanted: &Wanted,
    loaded: &mut Loaded,
) -> Result<(), StoreError> {
    let keys: Vec<_> = wanted.sends.iter().collect();
    for keys in chunks(&keys, 3) {
        let mut script = Script::new(
            "SELECT sender, incarnation, counter, request, results FROM sends
             WHERE (sender, incarnation, counter) IN (VALUES ",
        );
        script.tuples(keys, 3, |script, (sender, id)| {
            script
                .bind(sender.as_bytes().as_slice())
                .bind(id.incarnation.cast_signed())
                .bind(id.counter.cast_signed());
        });
        script.push(")");
        for row in script.fetch(connection).await? {
            let id = SendId { incarnation: unsigned(&row, 1)?, counter: unsigned(&row, 2)? };
            let request: &[u8] = row.try_get(3)?;
            let kept = SendRow {
                request: request.try_into().map_err(|error| damaged(&error))?,
                results: decode_results(row.try_get(4)?),
            };
            loaded.sends.insert((key(&row, 0)?, id), kept);
        }
    }
    Ok(())
}

pub(super) async fn shares(
    connection: &mut SqliteConnection,
    wanted: &[ShareKey],
) -> Result<Shares, StoreError> {
    let mut shares = Shares::new();
    for keys in chunks(wanted, 2) {
        let mut script = Script::new(
            "SELECT queue, sender, row_count, bytes FROM shares
             WHERE (queue, sender) IN (VALUES ",
        );
        script.tuples(keys, 2, |script, (queue, sender)| {
            script.bind(*queue).bind(sender.0);
        });
        script.push(")");
        for row in script.fetch(connection).await? {
            let share = Share { rows: row.try_get(2)?, bytes: row.try_get(3)? };
            shares.insert((row.try_get(0)?, Sender(row.try_get(1)?)), share);
        }
    }
    Ok(shares)
}

pub(super) async fn expired(
    connection: &mut SqliteConnection,
    now: u64,
    limit: u32,
) -> Result<Loaded, StoreError> {
    let mut script = Script::new(&format!(
        "SELECT {ROW_COLUMNS}, p.seq, p.gap, q.recipient, q.id, q.next_seq, q.acked, q.row_count,
                q.bytes, q.lost
         FROM (SELECT * FROM entries WHERE gap = 0 AND expires_at <= ?
               ORDER BY expires_at LIMIT ?) AS e
         JOIN queues AS q ON q.id = e.queue
         LEFT JOIN entries AS p ON p.queue = e.queue
             AND p.seq = (SELECT max(b.seq) FROM entries AS b
                          WHERE b.queue = e.queue AND b.seq < e.seq)
         ORDER BY e.queue, e.seq"
    ));
    script.bind(now.cast_signed()).bind(i64::from(limit));
    let mut loaded = Loaded::default();
    for row in script.fetch(connection).await? {
        let before: Option<i64> = row.try_get(7)?;
        let gap: Option<u32> = row.try_get(8)?;
        let recipient = key(&row, 9)?;
        loaded.queues.insert(recipient, queue(&row, 10)?);
        loaded.expired.push(ExpiredRow {
            recipient,
            seq: unsigned(&row, 1)?,
            meta: meta(&row, 2)?,
            before: before.map(|seq| (seq.cast_unsigned(), gap.unwrap_or_default())),
        });
    }
    Ok(loaded)
}

/// Positions stay below what the database can hold.
const SEQ_MAX: u64 = i64::MAX.cast_unsigned();

fn meta(row: &SqliteRow, at: usize) -> Result<RowMeta, StoreError> {
    Ok(RowMeta {
        sender: Sender(row.try_get(at)?),
        size: unsigned(row, at + 1)?,
        gap: row.try_get(at + 2)?,
        head: row.try_get(at + 3)?,
        body: row.try_get(at + 4)?,
    })
}

fn queue(row: &SqliteRow, at: usize) -> Result<QueueRow, StoreError> {
    Ok(QueueRow {
        id: row.try_get(at)?,
        next_seq: unsigned(row, at + 1)?,
        acked: unsigned(row, at + 2)?,
        rows: unsigned(row, at + 3)?,
        bytes: unsigned(row, at + 4)?,
        lost: unsigned(row, at + 5)?,
    })
}

fn owner(owners: &HashMap<i64, IdentityKey>, row: &SqliteRow) -> Result<IdentityKey, StoreError> {
    let queue: i64 = row.try_get(0)?;
    owners.get(&queue).copied().ok_or_else(|| damaged(&"a row of a queue that was not asked for"))
}

pub(super) fn key(row: &SqliteRow, at: usize) -> Result<IdentityKey, StoreError> {
    let bytes: &[u8] = row.try_get(at)?;
    IdentityKey::try_from(bytes).map_err(|error| damaged(&error))
}

pub(super) fn unsigned(row: &SqliteRow, at: usize) -> Result<u64, StoreError> {
    Ok(row.try_get::<i64, _>(at)?.cast_unsigned())
}

pub(super) fn damaged(detail: &dyn std::fmt::Display) -> StoreError {
    StoreError::Database(detail.to_string())
}

/// Nine bytes per delivery: 0 queued or 1 full, and the position.
pub(super) fn encode_results(results: &[Delivered]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(results.len() * 9);
    for result in results {
        let (status, seq) = match result {
            Delivered::Queued(seq) => (0, *seq),
            Delivered::Full => (1, 0),
        };
        bytes.push(status);
        bytes.extend(seq.to_be_bytes());
    }
    bytes
}

pub(super) fn decode_results(bytes: &[u8]) -> Vec<Delivered> {
    let (entries, _) = bytes.as_chunks::<9>();
    entries
        .iter()
        .map(|[status, seq @ ..]| match status {
            0 => Delivered::Queued(u64::from_be_bytes(*seq)),
            _ => Delivered::Full,
        })
        .collect()
}
