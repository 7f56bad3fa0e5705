//! The node, as the session engine sees it: requests in, link events out.
//!
//! capnp-rpc is not `Send`; [`driver`] keeps it on one thread, everything here is `Send`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use quicproquo_core::identity::{Identity, IdentityKey};
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::{Instance, SendId};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub(crate) mod authenticate;
mod blobs;
mod connection;
mod delivery;
mod directory;
pub(crate) mod driver;
pub(crate) mod link;
mod sink;
pub(crate) mod system;
mod trust;

pub(crate) use connection::Connector;
pub(crate) use driver::Driver;
#[cfg(feature = "simulation")]
pub(crate) use link::refuse;

/// What a request ends with.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, RpcError>>;

/// A request did not get its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RpcError {
    /// The node said no, with a code of the wire.
    #[error("{text}")]
    Coded { code: ErrorCode, text: String },
    /// The link went away; nobody knows whether the request arrived.
    #[error("the node cannot be reached: {0}")]
    Unavailable(String),
}

impl From<capnp::Error> for RpcError {
    fn from(error: capnp::Error) -> Self {
        match ErrorCode::find(&error.extra) {
            Some(code) => Self::Coded { code, text: error.extra },
            None => Self::Unavailable(error.to_string()),
        }
    }
}

/// One recipient of a multicast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) recipient: IdentityKey,
    pub(crate) prefix: Vec<u8>,
    pub(crate) include_body: bool,
}

/// What became of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryResult {
    Queued,
    Full,
}

/// What became of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    /// One per delivery, in order.
    pub(crate) results: Vec<DeliveryResult>,
    /// The position that our own queue was to give next; 0: the node does not say.
    pub(crate) own_next: u64,
}

/// One row of our queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) seq: u64,
    pub(crate) content: RowContent,
}

/// What a row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowContent {
    Payload(Vec<u8>),
    Gap(u32),
}

/// Key packages of one ciphersuite at the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) ciphersuite: u16,
    pub(crate) one_time: u32,
    pub(crate) has_last_resort: bool,
}

/// A request to the node.
pub(crate) enum Request {
    Send {
        id: SendId,
        deliveries: Vec<Delivery>,
        body: Vec<u8>,
        answer: Answer<Sent>,
    },
    SendResult {
        id: SendId,
        answer: Answer<Option<Sent>>,
    },
    Ack {
        up_to: u64,
        answer: Answer<()>,
    },
    /// Whether no row lies behind this position.
    Drained {
        after: u64,
        answer: Answer<bool>,
    },
    PublishKeyPackages {
        one_time: Vec<Vec<u8>>,
        last_resort: Option<Vec<u8>>,
        /// Forget those of their ciphersuite that nobody has claimed.
        replace: bool,
        answer: Answer<Vec<Stock>>,
    },
    ClaimKeyPackages {
        identities: Vec<IdentityKey>,
        ciphersuite: u16,
        answer: Answer<Vec<Option<Vec<u8>>>>,
    },
    KeyPackageStock {
        answer: Answer<Vec<Stock>>,
    },
    ClaimName {
        name: String,
        signature: [u8; 64],
        answer: Answer<()>,
    },
    ResolveName {
        name: String,
        answer: Answer<Option<(IdentityKey, Vec<u8>)>>,
    },
    NamesOf {
        identity: IdentityKey,
        answer: Answer<Vec<String>>,
    },
    UploadHybridKey {
        key: Vec<u8>,
        answer: Answer<()>,
    },
    /// The key that an identity has published; empty: none.
    FetchHybridKey {
        identity: IdentityKey,
        answer: Answer<Vec<u8>>,
    },
    /// A piece of a blob; an empty one asks how far the upload is.
    PutBlob {
        sha256: [u8; 32],
        size: u64,
        offset: u64,
        piece: Vec<u8>,
        answer: Answer<BlobProgress>,
    },
    /// At most one piece of a complete blob, and its size.
    GetBlob {
        sha256: [u8; 32],
        offset: u64,
        answer: Answer<(Vec<u8>, u64)>,
    },
    /// The size of a complete blob.
    BlobSize {
        sha256: [u8; 32],
        answer: Answer<Option<u64>>,
    },
    ReleaseBlob {
        sha256: [u8; 32],
        answer: Answer<()>,
    },
    /// Everything of the identity, its names for nobody.
    DeleteIdentity {
        answer: Answer<()>,
    },
}

/// How far a blob is at the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlobProgress {
    pub(crate) received: u64,
    pub(crate) complete: bool,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send { .. } => "Send",
            Self::SendResult { .. } => "SendResult",
            Self::Ack { .. } => "Ack",
            Self::Drained { .. } => "Drained",
            Self::PublishKeyPackages { .. } => "PublishKeyPackages",
            Self::ClaimKeyPackages { .. } => "ClaimKeyPackages",
            Self::KeyPackageStock { .. } => "KeyPackageStock",
            Self::ClaimName { .. } => "ClaimName",
            Self::ResolveName { .. } => "ResolveName",
            Self::NamesOf { .. } => "NamesOf",
            Self::UploadHybridKey { .. } => "UploadHybridKey",
            Self::FetchHybridKey { .. } => "FetchHybridKey",
            Self::PutBlob { .. } => "PutBlob",
            Self::GetBlob { .. } => "GetBlob",
            Self::BlobSize { .. } => "BlobSize",
            Self::ReleaseBlob { .. } => "ReleaseBlob",
            Self::DeleteIdentity { .. } => "DeleteIdentity",
        })
    }
}

/// What the link tells the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkEvent {
    /// Authenticated and subscribed; rows follow. The time is that of the node's clock, in unix
    /// seconds; 0: unknown.
    Up { last_send: SendId, acked_up_to: u64, node_time: u64 },
    /// Rows in order, from the oldest unacknowledged one on.
    Rows(Vec<Row>),
    /// The link is gone and will be tried again.
    Down,
    /// The node refuses this identity; it will be tried again, rarely.
    Refused { code: ErrorCode, text: String },
    /// Another instance took over. The link has ended for good.
    Displaced { by: String },
}

/// What a link needs to run.
#[derive(Debug)]
pub(crate) struct LinkSpec {
    pub(crate) identity: Arc<Identity>,
    pub(crate) incarnation: u64,
    pub(crate) instance: Instance,
    /// For a first authentication, where the node asks for one.
    pub(crate) invite: Option<Arc<str>>,
    /// Tries of this instance so far: the node refuses a lower one, so all links share it.
    pub(crate) attempts: Arc<AtomicU64>,
    pub(crate) requests: mpsc::UnboundedReceiver<Request>,
    pub(crate) events: mpsc::Sender<LinkEvent>,
    pub(crate) stop: CancellationToken,
}
