//! The floors of a round: each is measured once, right before the first case that needs it, and
//! those at the pace of an open loop right before each.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quicproquo_node::floor::{
    Figures, FloorError, Shape, fjall_insert, quic_echo, quic_echo_paced, rpc_ping, sqlite_delete,
    sqlite_insert, sync_append, sync_overwrite,
};

use super::Effort;
use super::cases::{Case, PACE, PER_SECOND, size};
use super::table::{Figure, Floor};
use crate::commands::bench::Sample;
use crate::exit::Failure;

/// Bytes of a block that is synced.
const BLOCK: usize = 4096;

/// One thing that the machine does without us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    /// capnp-rpc over QUIC with nothing behind it.
    Ping(Shape),
    /// QUIC alone.
    Echo(Shape, usize),
    /// Transactions of so many rows of so many bytes.
    Insert { rows: usize, bytes: usize },
    /// The same rows into the store that the node's queues lie in.
    Log { rows: usize, bytes: usize },
    /// The same rows read and deleted.
    Delete { rows: usize, bytes: usize },
    /// A block appended and synced.
    Append,
    /// A block overwritten and synced.
    Overwrite,
    /// A block appended and synced, at the pace of an open loop: the machine sleeps in between.
    PacedAppend,
    /// One round trip at that pace.
    PacedEcho,
}

impl Bare {
    /// Whether the machine sleeps in between, for a time that changes with its neighbours.
    fn is_paced(self) -> bool {
        matches!(self, Self::PacedAppend | Self::PacedEcho)
    }
}

impl fmt::Display for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = |shape: &Shape| {
            let connections = if shape.connections == 1 { "conn" } else { "conns" };
            format!("{} in flight, {} {connections}", shape.in_flight, shape.connections)
        };
        match self {
            Self::Ping(of) => write!(f, "capnp ping, {}", shape(of)),
            Self::Echo(of, bytes) => write!(f, "QUIC echo {}, {}", size(*bytes), shape(of)),
            Self::Insert { rows, bytes } => write!(f, "insert {rows} x {}", size(*bytes)),
            Self::Log { rows, bytes } => write!(f, "fjall {rows} x {}", size(*bytes)),
            Self::Delete { rows, bytes } => write!(f, "delete {rows} x {}", size(*bytes)),
            Self::Append => f.write_str("append 4 KiB, fdatasync"),
            Self::PacedAppend => write!(f, "append 4 KiB, fdatasync, {PER_SECOND}/s"),
            Self::PacedEcho => write!(f, "QUIC echo 1 KiB, {PER_SECOND}/s"),
            Self::Overwrite => f.write_str("overwrite 4 KiB, fdatasync"),
        }
    }
}

/// What a case is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Against {
    /// Its rate, and its time unless `sum` says otherwise.
    pub(super) main: Bare,
    /// Times that the case's time is compared with, taken together, and a rate is not.
    pub(super) sum: Option<[Bare; 2]>,
    /// Shown beside it.
    pub(super) beside: [Option<Bare>; 4],
}

/// One round of floors.
#[derive(Debug)]
pub(super) struct Floors {
    dir: PathBuf,
    effort: Effort,
    measured: Vec<(Bare, Figure)>,
}

impl Floors {
    /// Files lie in `dir`.
    pub(super) fn new(dir: &Path, effort: Effort) -> Self {
        Self { dir: dir.to_owned(), effort, measured: Vec::new() }
    }

    /// The floor of a case.
    pub(super) async fn of(&mut self, case: &Case) -> Result<Floor, Failure> {
        let against = case.against();
        for bare in against.beside.into_iter().flatten() {
            self.get(bare).await?;
        }
        let main = self.get(against.main).await?;
        let Some([first, second]) = against.sum else {
            return Ok(Floor { rows: main.rows, p50: main.p50 });
        };
        let p50 = self.get(first).await?.p50 + self.get(second).await?.p50;
        Ok(Floor { rows: main.rows.filter(|_| case.has_rate()), p50 })
    }

    /// All that were measured, by name.
    pub(super) fn measured(self) -> impl Iterator<Item = (String, Figure)> {
        self.measured.into_iter().map(|(bare, figure)| (bare.to_string(), figure))
    }

    async fn get(&mut self, bare: Bare) -> Result<Figure, Failure> {
        let known = self.measured.iter().find(|(known, _)| *known == bare && !bare.is_paced());
        if let Some((_, figure)) = known {
            return Ok(*figure);
        }
        let time = if bare.is_paced() { self.effort.paced() } else { self.effort.time };
        let dir = self.dir.clone();
        let work = tokio::task::spawn_blocking(move || alone(bare, &dir, time));
        let figures = work.await.map_err(Failure::other)?.map_err(Failure::other)?;
        let rows = match bare {
            Bare::Insert { rows, .. } | Bare::Log { rows, .. } | Bare::Delete { rows, .. } => rows,
            _ => 1,
        };
        let calls = figures.per_second();
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let rate = calls * rows as f64;
        let figure = Figure::new(Some(calls), Some(rate), &Sample::from(figures));
        self.measured.push((bare, figure));
        Ok(figure)
    }
}

fn alone(bare: Bare, dir: &Path, time: Duration) -> Result<Figures, FloorError> {
    match bare {
        Bare::Ping(shape) => rpc_ping(shape, time),
        Bare::Echo(shape, bytes) => quic_echo(shape, time, bytes),
        Bare::PacedEcho => quic_echo_paced(PACE, time, 1024),
        Bare::Append => sync_append(dir, time, BLOCK, Duration::ZERO),
        Bare::PacedAppend => sync_append(dir, time, BLOCK, PACE),
        Bare::Overwrite => sync_overwrite(dir, time, BLOCK),
        Bare::Insert { rows, bytes } => sqlite_insert(dir, time, rows, bytes),
        Bare::Log { rows, bytes } => fjall_insert(dir, time, rows, bytes),
        Bare::Delete { rows, bytes } => sqlite_delete(dir, time, rows, bytes),
    }
}
