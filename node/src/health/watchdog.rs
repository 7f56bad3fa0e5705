//! The thread that looks after the others, and at the disk.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use super::Health;
use super::disk::DiskChange;
use super::pulse::{Change, Heart};
use crate::metrics::Metrics;

/// Ends the watchdog when dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    _stop: mpsc::Sender<()>,
}

impl Watchdog {
    /// Starts to watch. The watchdog has a pulse of its own, so that it is missed as well.
    pub(crate) fn start(health: &Arc<Health>, metrics: &Arc<Metrics>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let (health, metrics) = (Arc::clone(health), Arc::clone(metrics));
        let heart = health.pulses.watch("watchdog");
        let run = move || watch(&health, &metrics, &heart, &stopped);
        thread::Builder::new().name("qpq-watchdog".to_owned()).spawn(run)?;
        Ok(Self { _stop: stop })
    }
}

fn watch(health: &Health, metrics: &Metrics, heart: &Heart, stopped: &mpsc::Receiver<()>) {
    let mut disk_unknown = false;
    while stopped.recv_timeout(health.pulses.interval()) == Err(RecvTimeoutError::Timeout) {
        heart.pulse().beat();
        for change in health.pulses.changes() {
            tell(&change, metrics);
        }
        let measured = health.disk.measure();
        let failed = measured.is_err();
        match measured {
            Ok(Some(DiskChange::Low)) => {
                let state = health.disk.describe();
                tracing::error!(%state, "the disk is almost full; new rows are refused");
            }
            Ok(Some(DiskChange::Enough)) => {
                tracing::info!("the disk has room again; new rows are taken");
            }
            Err(error) if !disk_unknown => {
                tracing::warn!(%error, "cannot see how full the disk is");
            }
            Ok(None) | Err(_) => {}
        }
        disk_unknown = failed;
    }
}

fn tell(change: &Change, metrics: &Metrics) {
    match change {
        Change::Stalled(beat) => {
            metrics.process.stalls.inc();
            let silent_ms = u64::try_from(beat.age.as_millis()).unwrap_or(u64::MAX);
            tracing::error!(thread = beat.name, silent_ms, "a thread is stalled");
        }
        Change::Recovered(name) => {
            tracing::info!(thread = name, "a thread that was stalled goes on");
        }
    }
}
