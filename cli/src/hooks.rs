//! What only the project's own tests may switch, in builds with debug assertions alone.

use quicproquo_node::Sync;

/// Whether the node syncs its commits. Tests of power cuts switch it off to see that they would
/// notice.
#[cfg(debug_assertions)]
#[expect(clippy::disallowed_methods, reason = "no setting: it must not be found in any other way")]
pub(crate) fn sync() -> Sync {
    let wanted = std::env::var("QPQ_TEST_SYNC");
    if wanted.is_ok_and(|value| value == "none") { Sync::None } else { Sync::Full }
}

/// Always, in a release.
#[cfg(not(debug_assertions))]
pub(crate) fn sync() -> Sync {
    Sync::Full
}
