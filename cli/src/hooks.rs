//! What only the project's own tests may switch, in builds with debug assertions alone.

/// Variables that such a build reads.
#[cfg(debug_assertions)]
pub(crate) const VARIABLES: [&str; 1] = [SYNC];
/// None, in a release.
#[cfg(not(debug_assertions))]
pub(crate) const VARIABLES: [&str; 0] = [];

#[cfg(debug_assertions)]
const SYNC: &str = "QPQ_TEST_SYNC";

/// Whether commits are not synced before they are answered. Tests of power cuts ask for that to see
/// that they would notice.
#[cfg(debug_assertions)]
#[expect(clippy::disallowed_methods, reason = "no setting: it must not be found in any other way")]
fn unsynced() -> bool {
    std::env::var(SYNC).is_ok_and(|value| value == "none")
}

/// Never, in a release.
#[cfg(not(debug_assertions))]
fn unsynced() -> bool {
    false
}

/// When the node syncs its commits.
pub(crate) fn node_sync() -> quicproquo_node::Sync {
    if unsynced() { quicproquo_node::Sync::None } else { quicproquo_node::Sync::Full }
}

/// When the gateway syncs its commits.
pub(crate) fn gateway_sync() -> quicproquo_client::Sync {
    if unsynced() { quicproquo_client::Sync::Late } else { quicproquo_client::Sync::Full }
}
