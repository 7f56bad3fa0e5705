//! Loom models of the node's concurrent cores: the registry of waiters and the group commit.
//!
//! The code under test is the node's own, file by file; only its locks are loom's.
#![cfg(all(test, loom))]

#[path = "../../src/batch.rs"]
mod batch;
mod commit;
#[path = "../../src/delivery/waiters/registry.rs"]
mod registry;
mod wakes;

/// Stands in for `node/src/sync.rs`.
mod sync {
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::{Arc, PoisonError};
}
