//! Writes the effects of a batch in one trip.

use sqlx::SqliteConnection;

use super::GAP_CHANNEL;
use super::load::encode_results;
use super::script::Script;
use crate::store::StoreError;
use crate::store::plan::{Effects, NewRow};

pub(super) async fn apply(
    connection: &mut SqliteConnection,
    effects: Effects,
) -> Result<(), StoreError> {
    let mut script = Script::default();
    counters(&mut script, &effects);
    removals(&mut script, &effects);
    additions(&mut script, &effects);
    script.execute(connection).await
}

fn counters(script: &mut Script, effects: &Effects) {
    let identities: Vec<_> = effects.identities.iter().collect();
    script.rows(
        "INSERT INTO identities VALUES ",
        &identities,
        7,
        " ON CONFLICT DO UPDATE SET incarnation = excluded.incarnation,
            instance = excluded.instance, attempt = excluded.attempt,
            session = excluded.session, sent_incarnation = excluded.sent_incarnation,
            sent_counter = excluded.sent_counter",
        |script, (key, row)| {
            script
                .bind(key.as_bytes().as_slice())
                .bind(row.incarnation.cast_signed())
                .bind(row.instance.as_bytes().as_slice())
                .bind(row.attempt.cast_signed())
                .bind(row.session.cast_signed())
                .bind(row.last_send.incarnation.cast_signed())
                .bind(row.last_send.counter.cast_signed());
        },
    );
    let queues: Vec<_> = effects.queues.iter().collect();
    script.rows(
        "INSERT INTO queues (id, recipient, next_seq, acked, row_count, bytes, lost) VALUES ",
        &queues,
        7,
        " ON CONFLICT (id) DO UPDATE SET next_seq = excluded.next_seq, acked = excluded.acked,
            row_count = excluded.row_count, bytes = excluded.bytes, lost = excluded.lost",
        |script, (recipient, row)| {
            script
                .bind(row.id)
                .bind(recipient.as_bytes().as_slice())
                .bind(row.next_seq.cast_signed())
                .bind(row.acked.cast_signed())
                .bind(row.rows.cast_signed())
                .bind(row.bytes.cast_signed())
                .bind(row.lost.cast_signed());
        },
    );
    let shares: Vec<_> = effects.shares.iter().collect();
    script.rows(
        "INSERT INTO shares VALUES ",
        &shares,
        4,
        " ON CONFLICT DO UPDATE SET row_count = row_count + excluded.row_count,
            bytes = bytes + excluded.bytes",
        |script, ((queue, sender), share)| {
            script.bind(*queue).bind(sender.0).bind(share.rows).bind(share.bytes);
        },
    );
    let reduced: Vec<_> = effects.shares.iter().filter(|(_, share)| share.rows < 0).collect();
    script.rows(
        "DELETE FROM shares WHERE row_count <= 0 AND (queue, sender) IN (VALUES ",
        &reduced,
        2,
        ")",
        |script, ((queue, sender), _)| {
            script.bind(*queue).bind(sender.0);
        },
    );
}

fn removals(script: &mut Script, effects: &Effects) {
    script.rows(
        "DELETE FROM entries WHERE (queue, seq) IN (VALUES ",
        &effects.removed_rows,
        2,
        ")",
        |script, (queue, seq)| {
            script.bind(queue).bind(seq.cast_signed());
        },
    );
    for (queue, seq, lost) in &effects.gaps {
        script.push(
            "UPDATE entries SET channel = ?, sender = 0, size = 0, gap = ?, head = NULL,
                body = NULL, expires_at = ? WHERE queue = ? AND seq = ?;",
        );
        script.bind(GAP_CHANNEL).bind(*lost).bind(i64::MAX).bind(*queue).bind(seq.cast_signed());
    }
    script.rows(
        "DELETE FROM bodies WHERE id IN (VALUES ",
        &effects.removed_bodies,
        1,
        ")",
        |script, id| {
            script.bind(id);
        },
    );
    let released: Vec<_> = effects.released_bodies.iter().collect();
    script.rows(
        "UPDATE bodies SET refs = refs - w.column2 FROM (VALUES ",
        &released,
        2,
        ") AS w WHERE bodies.id = w.column1",
        |script, (id, count)| {
            script.bind(*id).bind(count.cast_signed());
        },
    );
    script.rows(
        "DELETE FROM bodies WHERE refs <= 0 AND id IN (VALUES ",
        &released,
        1,
        ")",
        |script, (id, _)| {
            script.bind(*id);
        },
    );
}

fn additions(script: &mut Script, effects: &Effects) {
    let bodies: Vec<_> = effects.bodies.iter().collect();
    script.rows("INSERT INTO bodies VALUES ", &bodies, 3, "", |script, body| {
        script.bind(body.id).bind(body.refs.cast_signed()).bind(body.data.to_vec());
    });
    let rows: Vec<_> = effects.rows.iter().collect();
    script.rows("INSERT INTO entries VALUES ", &rows, 9, "", |script, row| {
        script
            .bind(row.queue)
            .bind(row.seq.cast_signed())
            .bind(channel(row))
            .bind(row.meta.sender.0)
            .bind(row.meta.size.cast_signed())
            .bind(row.meta.gap)
            .bind(row.meta.head)
            .bind(row.meta.body)
            .bind(row.expires_at.cast_signed());
    });
    let digests: Vec<_> = effects.digests.iter().collect();
    script.rows("INSERT INTO digests VALUES ", &digests, 4, "", |script, new| {
        script
            .bind(new.queue)
            .bind(new.digest.as_slice())
            .bind(new.seq.cast_signed())
            .bind(new.expires_at.cast_signed());
    });
    let sends: Vec<_> = effects.sends.iter().collect();
    script.rows("INSERT INTO sends VALUES ", &sends, 6, "", |script, send| {
        script
            .bind(send.sender.as_bytes().as_slice())
            .bind(send.id.incarnation.cast_signed())
            .bind(send.id.counter.cast_signed())
            .bind(send.row.request.as_slice())
            .bind(encode_results(&send.row.results))
            .bind(send.expires_at.cast_signed());
    });
}

fn channel(row: &NewRow) -> &[u8] {
    if row.meta.gap > 0 {
        GAP_CHANNEL
    } else {
        row.channel.as_ref().map_or(&[], |channel| channel.as_bytes().as_slice())
    }
}

pub(super) async fn purge(
    connection: &mut SqliteConnection,
    now: u64,
    limit: u32,
) -> Result<(), StoreError> {
    let (now, limit) = (now.cast_signed(), i64::from(limit));
    let mut script = Script::default();
    for statement in [
        "DELETE FROM digests WHERE (queue, digest) IN
            (SELECT queue, digest FROM digests WHERE expires_at <= ? LIMIT ?);",
        "DELETE FROM sends WHERE (sender, incarnation, counter) IN
            (SELECT sender, incarnation, counter FROM sends WHERE expires_at <= ? LIMIT ?);",
        "DELETE FROM packages WHERE id IN
            (SELECT id FROM packages WHERE not_after < ? LIMIT ?);",
        "DELETE FROM tokens WHERE hash IN
            (SELECT hash FROM tokens WHERE expires_at <= ? LIMIT ?);",
    ] {
        script.push(statement);
        script.bind(now).bind(limit);
    }
    script.execute(connection).await
}
