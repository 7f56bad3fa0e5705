//! Why a gateway does not start or stops.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The gateway cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Without TLS the gateway speaks to this machine only.
    #[error(
        "{addr} is not a loopback address, and the gateway has no TLS yet: listen on 127.0.0.1 or [::1]"
    )]
    NotLoopback {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// Another program listens there.
    #[error("{addr} is taken by another program")]
    AddressTaken {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The listener cannot be opened.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The admin token's file holds no token.
    #[error("{path} holds no admin token; delete it to have a new one made")]
    AdminToken {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the database.
    #[error("the gateway's database {path} is in use by another process")]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The database cannot be used; it is never replaced by an empty one.
    #[error("the gateway's database {path} cannot be used: {detail}")]
    Database {
        /// The database file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}
