//! What the parts that loom checks take from the standard library. `node/loom` compiles the same
//! files with loom's locks in place of these.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
