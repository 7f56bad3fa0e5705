//! Why a gateway does not start or stops.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::door::ListenerError;
use crate::door::tls::CertificateError;

/// The gateway cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Without TLS the gateway speaks to this machine only.
    #[error(
        "{addr} is not a loopback address, and tokens must not travel in clear: give a \
         certificate and its key, or listen on loopback behind a proxy with TLS"
    )]
    NotLoopback {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenerError),
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
