//! What can go wrong, by who can mend it.

use std::path::PathBuf;

use quicproquo_core::identity::IdentityKey;
use serde::{Deserialize, Serialize};

/// A client could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the database.
    #[error("the data directory {path} is in use by process {holder}")]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// Process id, or what the lock file says.
        holder: String,
    },
    /// The database was written by a newer version.
    #[error("the database {path} has schema version {found}; this program knows up to {known}")]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version known.
        known: i64,
    },
    /// The database exists and is not usable; it is never replaced by an empty one.
    #[error("the database {path} is damaged: {detail}")]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The master key does not open the database.
    #[error("{key} does not open this database")]
    WrongKey {
        /// Which key.
        key: String,
    },
    /// The master key is malformed.
    #[error("{key} is not 64 hexadecimal digits")]
    KeyInvalid {
        /// Which key.
        key: String,
    },
    /// A new master key can be made only where this program keeps it.
    #[error("{key} is kept elsewhere: name the new key")]
    KeyElsewhere {
        /// Which key.
        key: String,
    },
    /// The master key is gone, and there is a database that needs it.
    #[error("{key} is missing, and nothing else opens this database; restore it")]
    KeyMissing {
        /// Which key.
        key: String,
    },
    /// The certificate to trust cannot be read.
    #[error("cannot use the certificate {path}: {detail}")]
    Certificate {
        /// The PEM file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The node's certificate cannot be judged in the way that was asked for.
    #[error("{0}")]
    Trust(String),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The database driver failed.
    #[error("database: {0}")]
    Database(String),
}

/// A call on a session failed. Nothing was done unless the variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum SessionError {
    /// No such group, or it is not visible to this identity.
    #[error("there is no such group")]
    GroupNotFound,
    /// The group is known, but this identity is no longer a member of it.
    #[error("this identity is not an active member of the group")]
    GroupInactive,
    /// The role does not permit it.
    #[error("only an admin of the group may do this")]
    NotAdmin,
    /// The last admin must name a successor first.
    #[error("the last admin names a successor before leaving or stepping down")]
    LastAdmin,
    /// An identity is not a member.
    #[error("{0} is not a member of the group")]
    NotAMember(IdentityKey),
    /// An identity is a member already.
    #[error("{0} is a member of the group already")]
    AlreadyMember(IdentityKey),
    /// The node has no usable key package for an identity.
    #[error("there is no key package to be had for {0}")]
    NoKeyPackage(IdentityKey),
    /// An identity's key package cannot be added to this group.
    #[error("the key package of {identity} cannot be used: {reason}")]
    BadKeyPackage {
        /// Whose.
        identity: IdentityKey,
        /// Why.
        reason: String,
    },
    /// The roster moved since the epoch the caller named.
    #[error("the group is at epoch {current}")]
    EpochMismatch {
        /// The epoch now.
        current: u64,
    },
    /// The idempotency key was used with other content.
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
    /// The first request with this idempotency key is still running.
    #[error("the first request with this idempotency key is still running")]
    IdempotencyRunning,
    /// No such invitation, or it is answered already.
    #[error("there is no such invitation")]
    InvitationNotFound,
    /// No such message.
    #[error("there is no such message")]
    MessageNotFound,
    /// Only its sender may edit or delete a message.
    #[error("only its sender may edit or delete a message")]
    NotYourMessage,
    /// The message cannot be edited: it was deleted, or its type does not permit it.
    #[error("{0}")]
    NotEditable(String),
    /// No such attachment, or none that the caller may see.
    #[error("there is no such attachment")]
    AttachmentNotFound,
    /// The node does not keep the attachment any more.
    #[error("the node does not keep the attachment any more")]
    AttachmentExpired,
    /// What the node has is not what was uploaded.
    #[error("the attachment is damaged at the node")]
    AttachmentDamaged,
    /// As many uploads as may run at once do.
    #[error("too many uploads are running")]
    UploadsBusy,
    /// The node has no such blob.
    #[error("the node has no such blob")]
    BlobNotFound,
    /// The name belongs to another identity.
    #[error("the name is taken")]
    NameTaken,
    /// The name is malformed.
    #[error("a name is 1 to 63 of a-z, 0-9, '.', '_' and '-'")]
    NameInvalid,
    /// The identity holds as many names as it may.
    #[error("the identity holds as many names as it may")]
    TooManyNames,
    /// The safety number that was given is not that of this identity and the other.
    #[error("the safety number is not the one of this identity and {0}")]
    SafetyNumberMismatch(IdentityKey),
    /// A member of the group is not verified, and the caller wants all to be.
    #[error("{0} is not verified")]
    NotVerified(IdentityKey),
    /// Nobody has this name.
    #[error("nobody has the name {0}")]
    NameUnknown(String),
    /// The input breaks a limit or a rule.
    #[error("{0}")]
    Invalid(String),
    /// Larger than the limit, in bytes.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// The cursor is older than what is kept.
    #[error("the cursor is older than what is kept")]
    CursorExpired,
    /// The cursor does not belong to this log.
    #[error("the cursor does not belong to this event log")]
    CursorInvalid,
    /// The node cannot be reached and the call needs it.
    #[error("the node cannot be reached")]
    NodeUnreachable,
    /// The node does not register this identity, or has banned it.
    #[error("the node refused this identity: {0}")]
    RegistrationRefused(String),
    /// The node refused with a code.
    #[error("the node refused: {0}")]
    NodeRefused(String),
    /// Another process runs this identity; this session stopped.
    #[error("another instance runs this identity: {0}")]
    Displaced(String),
    /// The identity was exported and goes on elsewhere.
    #[error("this identity was exported")]
    Exported,
    /// The session is stopping or stopped.
    #[error("the session is stopped")]
    Stopped,
    /// Too many sends are on their way, or too many bytes.
    #[error("too much is waiting to be sent")]
    OutboxFull,
    /// The database cannot take more.
    #[error("the database cannot be written")]
    StorageUnavailable,
    /// A fault of ours; the log says more under this id.
    #[error("internal error {0}")]
    Internal(String),
}
