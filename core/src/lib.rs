//! Cryptography and MLS for quicproquo, without any input or output.
//!
//! Bytes go in; bytes and events come out. Nothing here waits, opens a file or
//! a socket, or reads a clock: where time matters, `now` (unix seconds) is a
//! parameter. (`openmls` itself consults the system clock when it validates the
//! lifetime of a key package in an Add; see [`key_package`].)
//!
//! State lives in a [`provider::MlsStore`]: the caller loads the rows of a
//! scope, runs one or more operations, and writes what
//! [`MlsStore::take_writes`](provider::MlsStore::take_writes) returns in one
//! transaction of its own.

pub mod aead;
pub mod attachment;
pub mod content;
mod credential;
pub mod envelope;
mod extension;
pub mod floor;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod group;
pub mod id;
pub mod identity;
pub mod kem;
pub mod key_package;
pub mod message;
pub mod provider;
pub mod suite;
#[cfg(test)]
mod vectors;

pub use content::{Content, RelatesTo, Version};
pub use envelope::{OpenError, PayloadKind, SealedV2};
pub use extension::{ExtensionError, MAX_ADMINS, MAX_NAME_LEN, MAX_TOPIC_LEN};
pub use group::{
    CommitError, CommitSummary, CreateError, EncryptError, Group, GroupParams, JoinError, Joined,
    LoadError, Member, ProcessError, Processed, RepairError, RepairRequest, Role, Staged,
    Unauthorized, Undecryptable, WelcomeInfo,
};
pub use id::{GroupId, IdError, MessageId};
pub use identity::{Identity, IdentityKey};
pub use kem::{HybridPublic, HybridSecret};
pub use key_package::{KeyPackageInfo, KeyPackages, NewKeyPackage};
pub use message::{MessageInfo, MessageKind};
pub use provider::{MlsStore, Row, RowWrite, ScopedRow, StoreError};
pub use suite::{Profile, Suite};
