//! Who waits for rows of which queue.
//!
//! Register first, then look: a row that is committed in between is found by the look, a later
//! one by the wake.

mod registry;

use quicproquo_schemas::id::IdentityKey;

/// The registry.
pub(crate) type Waiters = registry::Waiters<IdentityKey>;
