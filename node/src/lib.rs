//! The node of quicproquo: a blind store-and-forward server.
//!
//! It keeps key packages and queues, and passes on bytes that it cannot read. [`Node::bind`]
//! takes everything it needs, [`Node::serve`] runs until it is told to stop.

mod addresses;
mod auth;
mod backup;
mod batch;
mod blobs;
mod clock;
mod config;
mod connection;
mod control;
mod delivery;
mod directory;
pub mod floor;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod health;
mod key_package;
mod lock;
mod metrics;
mod operator;
mod ops;
mod rates;
mod rpc;
mod server;
mod store;
mod sync;
#[cfg(test)]
mod tests;
mod tls;
mod writer;

pub use auth::{
    AccessToken, IssuedToken, ProofError, TokenError, TokenProof, issue_access_token,
    issue_proven_token, list_access_tokens, revoke_access_token,
};
pub use backup::{Backup, BackupError, Restored, backup, restore};
pub use clock::Clock;
pub use config::{
    CertificateFiles, Limits, NodeConfig, Rate, Registration, StaticToken, Sync, TransportLimits,
};
pub use health::{Check, Problem};
pub use lock::LockError;
pub use metrics::metrics_example;
pub use operator::{Invite, Operator, OperatorError};
pub use ops::Ops;
pub use quicproquo_schemas::id::IdentityKey;
pub use server::{Node, NodeError};
pub use store::{IdentityInfo, InviteInfo, NameInfo, StoreError};
pub use tls::{CertificateReload, TlsError, self_signed};
