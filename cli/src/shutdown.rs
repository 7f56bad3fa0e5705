//! SIGTERM and Ctrl-C end the process, SIGHUP reads certificates again.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::exit::Failure;

/// Signals this close together are one.
const SAME_WISH: Duration = Duration::from_millis(500);

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To end.
    End,
    /// To read certificates again.
    Reload,
}

/// The signals that the process handles.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on the signals are ours to handle.
    pub(crate) fn install() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|e| Failure::other(format!("signals: {e}")));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Waits for the next one that asks for the end.
    pub(crate) async fn end(&mut self) {
        while self.next().await != Asked::End {}
    }

    /// Waits for another one that asks for the end. One that follows the first closely is the
    /// same wish: who signals a group of processes reaches some of them twice.
    pub(crate) async fn end_again(&mut self) {
        let first = Instant::now();
        while self.next().await != Asked::End || first.elapsed() < SAME_WISH {}
    }
}
