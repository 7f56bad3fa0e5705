//! What this machine can do at all, measured in the same run.

use std::path::Path;
use std::time::Duration;

use quicproquo_client::Suite;
use quicproquo_client::floor::BarePair;
use quicproquo_node::floor::{FloorError, Shape, quic_echo, sqlite_insert, sync_append};

use super::{BYTES, Sample};
use crate::clock::Stopwatch;
use crate::exit::Failure;

/// Durable transactions on the way of a message: the sender's outbox, the node's queue, the
/// receiver's log.
const SYNCS: f64 = 3.0;

/// Rows of one raw transaction, as the floor of a rate at so many in flight.
const BATCHES: [usize; 4] = [1, 16, 32, 256];

/// One round of all floors.
#[derive(Debug)]
pub(in crate::commands::bench) struct Floors {
    fsync: Sample,
    echo: Sample,
    encrypt: Sample,
    decrypt: Sample,
    insert: Vec<(usize, Sample)>,
}

/// Measures all floors once; files lie in `dir` and are removed.
pub(in crate::commands::bench) async fn measure(
    dir: &Path,
    time: Duration,
    count: usize,
) -> Result<Floors, Failure> {
    let folder = dir.to_owned();
    let blocking = tokio::task::spawn_blocking(move || {
        let fsync = sync_append(&folder, time, BYTES, Duration::ZERO)?;
        let echo = quic_echo(Shape { connections: 1, in_flight: 1 }, time, BYTES)?;
        let mut insert = Vec::new();
        for batch in BATCHES {
            insert.push((batch, sqlite_insert(&folder, time, batch, BYTES)?.into()));
        }
        Ok::<_, FloorError>((fsync.into(), echo.into(), insert))
    });
    let measured = blocking.await.map_err(Failure::other)?;
    let (fsync, echo, insert) = measured.map_err(Failure::other)?;
    let (encrypt, decrypt) = mls(count)?;
    Ok(Floors { fsync, echo, encrypt, decrypt, insert })
}

fn mls(count: usize) -> Result<(Sample, Sample), Failure> {
    let mut pair = BarePair::new(Suite::Envelope).map_err(Failure::other)?;
    let plaintext = vec![0x5a; BYTES];
    let (mut encrypt, mut decrypt) = (Sample::default(), Sample::default());
    for _ in 0..count {
        let watch = Stopwatch::start();
        let sealed = pair.encrypt(&plaintext).map_err(Failure::other)?;
        encrypt.push(watch.nanos());
        let watch = Stopwatch::start();
        pair.decrypt(&sealed).map_err(Failure::other)?;
        decrypt.push(watch.nanos());
    }
    Ok((encrypt, decrypt))
}

impl Floors {
    /// The least a message can take: three syncs, one round trip to the node and back, one
    /// encryption, one decryption.
    pub(in crate::commands::bench) fn message_nanos(&self) -> f64 {
        SYNCS * self.fsync.median()
            + self.echo.median()
            + self.encrypt.median()
            + self.decrypt.median()
    }

    /// The most messages per second: three raw synced transactions for each batch.
    pub(in crate::commands::bench) fn messages_per_second(&self, in_flight: usize) -> f64 {
        self.rows_per_second(in_flight) / SYNCS
    }

    /// The most rows per second: one raw synced transaction for each batch.
    pub(in crate::commands::bench) fn rows_per_second(&self, in_flight: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let rows = in_flight as f64;
        rows * 1e9 / self.insert_nanos(in_flight)
    }

    /// The least an enqueued row can take: one round trip and its batch's transaction.
    pub(in crate::commands::bench) fn enqueue_nanos(&self, in_flight: usize) -> f64 {
        self.echo.median() + self.insert_nanos(in_flight)
    }

    fn insert_nanos(&self, rows: usize) -> f64 {
        let batch = self.insert.iter().find(|(batch, _)| *batch == rows);
        batch.map_or(f64::INFINITY, |(_, sample)| sample.median())
    }

    /// The floors themselves, by name.
    pub(in crate::commands::bench) fn rows(self) -> impl Iterator<Item = (&'static str, Sample)> {
        let inserts = self.insert.into_iter().map(|(batch, sample)| {
            let name = match batch {
                1 => "floor: raw insert, 1 row",
                16 => "floor: raw insert, 16 rows",
                32 => "floor: raw insert, 32 rows",
                _ => "floor: raw insert, 256 rows",
            };
            (name, sample)
        });
        [
            ("floor: fsync", self.fsync),
            ("floor: QUIC echo", self.echo),
            ("floor: MLS encrypt", self.encrypt),
            ("floor: MLS decrypt", self.decrypt),
        ]
        .into_iter()
        .chain(inserts)
    }
}
