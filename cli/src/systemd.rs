//! Tells systemd how the process does (`sd_notify(3)`). Without systemd it says nothing.

use std::io;
use std::time::Duration;

use quicproquo_node::Ops;
use sd_notify::NotifyState;
use tokio::time::timeout;

/// Time between two looks at the node when no watchdog asks for more.
const LOOK: Duration = Duration::from_secs(5);
/// How long systemd may take to listen.
const PATIENCE: Duration = Duration::from_secs(1);
/// Signs of life per period of the watchdog: one may be lost.
const PER_PERIOD: u32 = 3;

/// Everything answers.
pub(crate) async fn ready(status: &str) {
    let status = status.to_owned();
    tell(move || sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)])).await;
}

/// The process is about to end.
pub(crate) async fn stopping() {
    tell(|| sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status("stopping")])).await;
}

/// Files are read again; followed by [`ready`].
pub(crate) async fn reloading() {
    tell(|| {
        let now = NotifyState::monotonic_usec_now()?;
        sd_notify::notify(&[NotifyState::Reloading, now])
    })
    .await;
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
            tell(|| sd_notify::notify(&[NotifyState::Watchdog])).await;
        }
        let now = match ops.map(Ops::summary) {
            Some(summary) if summary != "ok" => summary,
            _ => status.to_owned(),
        };
        if now != told {
            if !told.is_empty() {
                let status = now.clone();
                tell(move || sd_notify::notify(&[NotifyState::Status(&status)])).await;
            }
            told = now;
        }
        tokio::time::sleep(every).await;
    }
}

/// Sends on a thread of its own: the socket makes its writers wait while nobody reads.
async fn tell(send: impl FnOnce() -> io::Result<()> + Send + 'static) {
    let sent = timeout(PATIENCE, tokio::task::spawn_blocking(send));
    match sent.await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(%error, "cannot tell systemd"),
        Ok(Err(error)) => tracing::warn!(%error, "cannot tell systemd"),
        Err(_) => tracing::warn!("systemd does not listen"),
    }
}
