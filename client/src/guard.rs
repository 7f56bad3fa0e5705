//! A panic of the protocol stack concerns only what it was working on.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs what touches bytes of others, for a group or an identity (`whose`). `None`: it panicked,
/// so what it has changed in memory is to be thrown away.
pub(crate) fn guarded<T>(at: &'static str, whose: &[u8], work: impl FnOnce() -> T) -> Option<T> {
    #[cfg(not(test))]
    let _ = whose;
    let done = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(test)]
        crate::session::tests::strike(at, whose);
        work()
    }));
    if done.is_err() {
        tracing::error!(at, "the protocol stack panicked");
    }
    done.ok()
}
