//! What only the project's own tests may switch, in builds with debug assertions alone.

use quicproquo_node::Sync;

/// Variables that such a build reads.
#[cfg(debug_assertions)]
pub(crate) const VARIABLES: [&str; 1] = [SYNC];
/// None, in a release.
#[cfg(not(debug_assertions))]
pub(crate) const VARIABLES: [&str; 0] = [];

#[cfg(debug_assertions)]
const SYNC: &str = "QPQ_TEST_SYNC";

/// Whether the node syncs its commits. Tests of power cuts switch it off to see that they would
/// notice.
#[cfg(debug_assertions)]
#[expect(clippy::disallowed_methods, reason = "no setting: it must not be found in any other way")]
pub(crate) fn sync() -> Sync {
    let wanted = std::env::var(SYNC);
    if wanted.is_ok_and(|value| value == "none") { Sync::None } else { Sync::Full }
}

/// Always, in a release.
#[cfg(not(debug_assertions))]
pub(crate) fn sync() -> Sync {
    Sync::Full
}
