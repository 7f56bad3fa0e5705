//! The quicproquo SDK: node connection, MLS session engine and its durable store.
//!
//! A [`Client`] owns one database and the sessions in it. A [`Session`] is a cheap handle on one
//! identity's live MLS state; one task owns that state. Whatever a call answers is durable.

#[cfg(test)]
extern crate self as quicproquo_client;

mod archive;
pub mod bench;
pub mod client;
pub mod clock;
pub mod config;
pub mod error;
pub mod event;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod mark;
pub use quicproquo_core::floor;
pub mod model;
pub mod pages;
mod rpc;
mod seals;
pub mod session;
#[cfg(feature = "simulation")]
pub mod simulation;
mod store;

pub use archive::{Archive, ArchiveError, ArchiveKey};
pub use client::{Client, Usage};
pub use config::{ClientConfig, MasterKey, NodeAddress, Pin, Sync, Trust};
pub use error::{OpenError, SessionError};
pub use event::{Cursor, Event, EventData, EventPage, SharedEvent, SharedPage, TYPING_LIVES_MS};
pub use mark::{Commit, Mark, MarkError};
pub use model::*;
pub use quicproquo_core::attachment::{AttachmentId, MAX_FILE as MAX_ATTACHMENT};
pub use quicproquo_core::content::RelatesTo;
pub use quicproquo_core::group::Role;
pub use quicproquo_core::id::{GroupId, MessageId};
pub use quicproquo_core::identity::{IdentityKey, SafetyNumber, fingerprint};
pub use quicproquo_core::suite::{Profile, Suite};
pub use seals::Seals;
pub use session::attachments::{Attachment, Download, Upload};
pub use session::{BlobHash, Session};
pub use store::rekey;
