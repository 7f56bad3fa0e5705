//! Tells systemd how the process does (`sd_notify(3)`). Without systemd it says nothing.

use std::time::Duration;

use quicproquo_node::Ops;
use sd_notify::NotifyState;

/// Time between two looks at the node when no watchdog asks for more.
const LOOK: Duration = Duration::from_secs(5);
/// Signs of life per period of the watchdog: one may be lost.
const PER_PERIOD: u32 = 3;

/// Everything answers.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The process is about to end.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Files are read again; followed by [`ready`].
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot tell systemd of a reload"),
    }
}

/// Tells what is wrong, and gives signs of life while no thread of the node is stalled. Runs on
/// the common runtime, so that a runtime that hangs gives none either. Never ends.
pub(crate) async fn watch(ops: Option<&Ops>, status: &str) {
    let watchdog = sd_notify::watchdog_enabled();
    let every = watchdog.map_or(LOOK, |period| (period / PER_PERIOD).min(LOOK));
    let mut told = String::new();
    loop {
        let stalled = ops.is_some_and(|ops| !ops.live().is_empty());
        if watchdog.is_some() && !stalled {
            tell(&[NotifyState::Watchdog]);
        }
        let now = match ops.map(Ops::summary) {
            Some(summary) if summary != "ok" => summary,
            _ => status.to_owned(),
        };
        if now != told {
            if !told.is_empty() {
                tell(&[NotifyState::Status(&now)]);
            }
            told = now;
        }
        tokio::time::sleep(every).await;
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot tell systemd");
    }
}
