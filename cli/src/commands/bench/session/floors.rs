//! Bare openmls in a group of the same size, and syncs of the same disk.

use std::path::Path;
use std::time::Duration;

use quicproquo_client::Suite;
use quicproquo_client::floor::BarePair;
use quicproquo_node::floor::sync_append;

use super::super::Sample;
use super::BYTES;
use crate::clock::Stopwatch;
use crate::exit::Failure;

/// The medians of a round, in nanoseconds.
pub(super) struct Floors {
    encrypt: f64,
    decrypt: f64,
    sync: f64,
}

impl Floors {
    pub(super) fn measure(
        dir: &Path,
        suite: Suite,
        members: usize,
        messages: usize,
    ) -> Result<Self, Failure> {
        let sync: Sample = sync_append(dir, Duration::from_millis(200), BYTES, Duration::ZERO)
            .map_err(Failure::other)?
            .into();
        let mut pair = BarePair::among(suite, members).map_err(Failure::other)?;
        let (mut encrypt, mut decrypt) = (Sample::default(), Sample::default());
        let plaintext = [0x5a; BYTES];
        for _ in 0..messages {
            let watch = Stopwatch::start();
            let message = pair.encrypt(&plaintext).map_err(Failure::other)?;
            encrypt.push(watch.nanos());
            let watch = Stopwatch::start();
            pair.decrypt(&message).map_err(Failure::other)?;
            decrypt.push(watch.nanos());
        }
        let (encrypt, decrypt) = (encrypt.median(), decrypt.median());
        Ok(Self { encrypt, decrypt, sync: sync.median() })
    }

    /// One encryption and one sync.
    pub(super) fn send_nanos(&self) -> f64 {
        self.encrypt + self.sync
    }

    /// Messages per second, one sync for as many as are in flight.
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    pub(super) fn send_rate(&self, in_flight: usize) -> f64 {
        1e9 / (self.encrypt + self.sync / in_flight as f64)
    }

    /// Messages per second, one sync for a unit of 256.
    pub(super) fn receive_rate(&self) -> f64 {
        1e9 / (self.decrypt + self.sync / 256.0)
    }
}
