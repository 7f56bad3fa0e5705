//! Whom the operator has shut out, as this process knows it.
//!
//! The operator's commands write into the database beside the running node. The node asks twice
//! a second whether the version of the bans has changed, which reads one row. A token that is taken
//! back raises it too.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use quicproquo_schemas::id::IdentityKey;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::live::Ended;
use crate::server::Shared;
use crate::store::StoreError;

/// A ban holds within this time and a read.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The bans of a process.
#[derive(Debug, Default)]
pub(crate) struct Banned {
    state: RwLock<State>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    version: Option<u64>,
    identities: HashSet<IdentityKey>,
}

impl Banned {
    /// Whether an identity is shut out.
    pub(crate) fn contains(&self, identity: &IdentityKey) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).identities.contains(identity)
    }

    /// Tells of every ban, and of every token that is taken back.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Reads the bans if they have changed, and ends what new ones forbid: live Sessions with their
/// tokens, and waiting fetches.
async fn look(shared: &Shared) -> Result<(), StoreError> {
    let known = shared.banned.state.read().unwrap_or_else(PoisonError::into_inner).version;
    let Some(bans) = shared.reads.bans(known).await? else {
        return Ok(());
    };
    let identities: HashSet<IdentityKey> = bans.identities.into_iter().collect();
    let new: Vec<IdentityKey> = {
        let mut state = shared.banned.state.write().unwrap_or_else(PoisonError::into_inner);
        let new = identities.difference(&state.identities).copied().collect();
        *state = State { version: Some(bans.version), identities };
        new
    };
    for identity in &new {
        shared.live.expel(identity, Ended::Banned);
    }
    shared.waiters.wake(&new);
    shared.banned.changes.send_replace(bans.version);
    if !new.is_empty() {
        tracing::info!(count = new.len(), "identities were banned");
    }
    Ok(())
}

/// Keeps looking until the node drains.
pub(crate) async fn watch(shared: &Shared) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.draining.cancelled() => return,
        }
        if let Err(error) = look(shared).await {
            tracing::error!(%error, "the bans cannot be read");
        }
    }
}

/// Reads the bans before the first caller comes.
pub(crate) async fn load(shared: &Shared) -> Result<(), StoreError> {
    look(shared).await
}
