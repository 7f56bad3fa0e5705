//! What the machine can do at all: floors for `qpq bench` to compare the node with.

mod disk;
mod echo;
mod ping;
mod quic;
mod rows;

use std::io;
use std::time::Duration;

pub use disk::{sync_append, sync_overwrite};
pub use echo::{quic_echo, quic_echo_paced};
pub use ping::rpc_ping;
pub use rows::{fjall_insert, sqlite_delete, sqlite_insert};

/// A floor could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// A file or a socket.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The database.
    #[error("database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The log-structured store.
    #[error("store: {0}")]
    Fjall(#[from] fjall::Error),
    /// QUIC or TLS.
    #[error("QUIC: {0}")]
    Quic(String),
    /// Cap'n Proto.
    #[error("RPC: {0}")]
    Rpc(#[from] capnp::Error),
}

impl FloorError {
    fn quic(error: &dyn std::fmt::Display) -> Self {
        Self::Quic(error.to_string())
    }
}

/// What a floor measured.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// How long each operation took, in nanoseconds.
    pub nanos: Vec<u64>,
    /// How long all of them took.
    pub elapsed: Duration,
}

impl Figures {
    /// Operations per second.
    pub fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let count = self.nanos.len() as f64;
        count / self.elapsed.as_secs_f64()
    }
}

/// How requests are spread over connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Connections, each with one stream.
    pub connections: usize,
    /// Requests under way at once, over all connections; at least as many as those.
    pub in_flight: usize,
}

impl Shape {
    /// Requests under way on one of its connections.
    fn depth(self, connection: usize) -> usize {
        let (each, over) = (self.in_flight / self.connections, self.in_flight % self.connections);
        (each + usize::from(connection < over)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_millis(20);

    #[test]
    fn each_floor_gives_its_times_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!sync_append(dir.path(), TIME, 4096, Duration::ZERO).unwrap().nanos.is_empty());
        assert!(!sync_overwrite(dir.path(), TIME, 4096).unwrap().nanos.is_empty());
        assert!(!sqlite_insert(dir.path(), TIME, 32, 1024).unwrap().nanos.is_empty());
        assert!(!fjall_insert(dir.path(), TIME, 32, 1024).unwrap().nanos.is_empty());
        assert!(!sqlite_delete(dir.path(), TIME, 32, 1024).unwrap().nanos.is_empty());
        let pace = Duration::from_millis(4);
        assert!(sync_append(dir.path(), TIME, 4096, pace).unwrap().nanos.len() <= 6);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn networks_answer_over_one_connection_and_over_more() {
        for shape in
            [Shape { connections: 1, in_flight: 1 }, Shape { connections: 3, in_flight: 8 }]
        {
            let echo = quic_echo(shape, TIME, 1024).unwrap();
            let ping = rpc_ping(shape, TIME).unwrap();
            for figures in [echo, ping] {
                assert!(figures.nanos.len() > shape.in_flight);
                assert!(figures.per_second() > 0.0);
            }
        }
    }

    #[test]
    fn an_echo_may_be_larger_than_the_windows() {
        let shape = Shape { connections: 1, in_flight: 64 };
        assert!(!quic_echo(shape, TIME, 256 * 1024).unwrap().nanos.is_empty());
    }

    #[test]
    fn a_pace_is_kept() {
        let figures = quic_echo_paced(Duration::from_millis(4), TIME, 1024).unwrap();
        assert!((1..=6).contains(&figures.nanos.len()));
    }

    #[test]
    fn depths_of_connections_add_up() {
        let shape = Shape { connections: 3, in_flight: 8 };
        assert_eq!((0..3).map(|at| shape.depth(at)).collect::<Vec<_>>(), [3, 3, 2]);
    }
}
