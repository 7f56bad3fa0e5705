//! Why the store could not do something, or would not.

use std::path::PathBuf;

use quicproquo_schemas::id::Instance;

use crate::delivery::order::HeldUp;

/// Why somebody new is not let in.
pub(super) const NOBODY_NEW: &str = "this node admits no new identities";
pub(super) const INVITE_NEEDED: &str = "this node asks for an invite";
pub(super) const INVITE_BAD: &str = "the invite is not known, is used up or has expired";

/// The database failed or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is damaged; restore a backup.
    #[error("the database {path} is corrupt: {detail}")]
    Corrupt {
        /// Its file.
        path: PathBuf,
        /// What the check said.
        detail: String,
    },
    /// The database was written by a newer version of the program.
    #[error("the database {path} has schema version {found}; this program knows up to {known}")]
    Newer {
        /// Its file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// The database was written by a version of the program that is too old.
    #[error(
        "the database {path} has schema version {found}; this program reads {oldest} and later"
    )]
    Older {
        /// Its file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Oldest version that can be read.
        oldest: i64,
    },
    /// The file is a database of something else.
    #[error("{0} is not a database of a quicproquo node")]
    Foreign(PathBuf),
    /// The data directory had a database, which is gone.
    #[error("the database {0} is missing, and a new one would hide the loss; restore it")]
    Missing(PathBuf),
    /// The database lacks commits that were acknowledged.
    #[error(
        "the database {path} ends at commit {commits}, and commit {acknowledged} was acknowledged: \
         restore a backup, or remove {mark} to go on without what is lost"
    )]
    Behind {
        /// Its file.
        path: PathBuf,
        /// Its last commit.
        commits: u64,
        /// The last commit that was acknowledged.
        acknowledged: u64,
        /// The file that says so.
        mark: PathBuf,
    },
    /// The database is of an earlier version, and only a node brings it to today's.
    #[error(
        "the database {path} has schema version {found}, which this program replaces by {known} \
         when the node is started: start it once"
    )]
    Unmigrated {
        /// Its file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Version that it will have.
        known: i64,
    },
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// Any other failure.
    #[error("database: {0}")]
    Database(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Why a write was refused; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The queue has no room.
    #[error("the queue is full")]
    QueueFull,
    /// Another Session is the live one.
    #[error("displaced by {0}")]
    Displaced(Instance),
    /// An incarnation or attempt below one seen before.
    #[error("an older incarnation or attempt of this identity")]
    Fenced,
    /// The policy does not admit this new identity.
    #[error("{0}")]
    RegistrationRefused(&'static str),
    /// The operator has shut the identity out.
    #[error("the operator of this node has banned this identity")]
    Banned,
    /// A send before it was refused for now.
    #[error(transparent)]
    HeldUp(#[from] HeldUp),
    /// The send id names another send, or another incarnation.
    #[error("{0}")]
    BadSendId(&'static str),
    /// The name is somebody else's.
    #[error("the name is taken")]
    NameTaken,
    /// The name was somebody's who is gone.
    #[error("the name was that of a deleted identity; its heir or the operator can free it")]
    NameRetired,
    /// As many names as allowed.
    #[error("no more names for this identity")]
    TooManyNames,
    /// As many packages as allowed.
    #[error("no more key packages of this ciphersuite")]
    StockFull,
    /// The packages of a claim are too large together.
    #[error("the packages have {bytes} bytes together; the limit is {limit}: claim fewer at once")]
    ClaimTooLarge {
        /// What they have.
        bytes: u64,
        /// What they may have.
        limit: u64,
    },
    /// The bytes are not those of the blob.
    #[error("{0}")]
    BadBlob(&'static str),
    /// The piece is not the next one.
    #[error("the upload goes on at {0}")]
    BadOffset(u64),
    /// The identity keeps as much as it may.
    #[error("{0}")]
    QuotaExceeded(&'static str),
}
