//! What a node is told at its start.

mod transport;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use quicproquo_schemas::limits;
use sha2::{Digest, Sha256};

use crate::clock::Clock;
pub use transport::TransportLimits;

/// Who may become an identity of this node by authenticating for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Everybody who proves a key.
    Open,
    /// Whoever has an invite of the operator.
    Invite,
    /// Nobody; identities that were seen before go on.
    Closed,
}

/// Where the certificate of a public node lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM file with the certificate chain, the node's own first.
    pub chain: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// The operator's static token, kept as its SHA-256.
#[derive(Clone, PartialEq, Eq)]
pub struct StaticToken([u8; 32]);

impl StaticToken {
    /// Hashes the token; the token itself is not kept.
    pub fn new(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    pub(crate) fn matches(&self, hash: &[u8; 32]) -> bool {
        self.0 == *hash
    }
}

impl fmt::Debug for StaticToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticToken(redacted)")
    }
}

/// A token bucket: so many at once, then one per period. Period zero: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// Time until one more is allowed.
    pub period: Duration,
}

/// Bounds of everything that a caller can make the node hold.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest payload of one row, in bytes.
    pub payload_bytes: usize,
    /// Rows of one queue.
    pub queue_rows: u64,
    /// Payload bytes of one queue.
    pub queue_bytes: u64,
    /// Default and longest time a row waits, in seconds.
    pub ttl_secs: u32,
    /// One-time `KeyPackage`s of one identity and ciphersuite.
    pub packages_per_suite: u32,
    /// One-time packages that one claimer gets of one target.
    pub claims_per_pair: Rate,
    /// One-time packages that all claimers together get of one target.
    pub claims_per_target: Rate,
    /// Waiting fetches of one identity.
    pub waiting_fetches: usize,
    /// How long rows stay leased to a connection that does not come back.
    pub lease: Duration,
    /// Life of an access token, in seconds.
    pub token_secs: u64,
    /// How long calls in flight may take to finish at a shutdown.
    pub drain: Duration,
    /// Connections and what goes over them.
    pub transport: TransportLimits,
    /// Rows that one sender has in one queue.
    pub pair_rows: u64,
    /// Rows of one sender that wait for recipients who have never been here.
    pub stranger_rows: u64,
    /// Payload bytes of such rows.
    pub stranger_bytes: u64,
    /// Names of one identity.
    pub names: usize,
    /// Rows that one sender stores; a multicast has as many as it has recipients.
    pub rows_per_sender: Rate,
    /// Payload that one identity moves, in KiB; the body of a multicast counts once.
    pub kibibytes_per_sender: Rate,
    /// Tries to authenticate, successful or not, from one IP address (of IPv6: one /64).
    pub authentications_per_address: Rate,
    /// Identities that come for the first time, from one IP address.
    pub registrations_per_address: Rate,
    /// Largest blob, in bytes.
    pub blob_bytes: u64,
    /// Bytes of all blobs of one identity, unfinished ones included.
    pub blob_quota_bytes: u64,
    /// Number of all blobs of one identity.
    pub blobs: u64,
    /// How long a blob is kept for one owner, in seconds.
    pub blob_ttl_secs: u32,
    /// How long an upload waits for its next piece, in seconds.
    pub upload_ttl_secs: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload_bytes: limits::MAX_PAYLOAD,
            queue_rows: limits::QUEUE_ROWS,
            queue_bytes: limits::QUEUE_BYTES,
            ttl_secs: limits::DEFAULT_TTL_SECS,
            packages_per_suite: 500,
            claims_per_pair: Rate { burst: 6, period: Duration::from_mins(10) },
            claims_per_target: Rate { burst: 60, period: Duration::from_mins(1) },
            waiting_fetches: 4,
            lease: Duration::from_mins(1),
            token_secs: 24 * 3600,
            drain: Duration::from_secs(5),
            transport: TransportLimits::default(),
            pair_rows: limits::QUEUE_ROWS / 2,
            stranger_rows: 1_000_000,
            stranger_bytes: 4 * 1024 * 1024 * 1024,
            names: limits::MAX_NAMES,
            rows_per_sender: Rate { burst: 2_000_000, period: Duration::from_millis(1) },
            kibibytes_per_sender: Rate {
                burst: 16 * 1024 * 1024,
                period: Duration::from_micros(25),
            },
            authentications_per_address: Rate { burst: 5_000, period: Duration::from_millis(20) },
            registrations_per_address: Rate { burst: 5_000, period: Duration::from_secs(1) },
            blob_bytes: limits::MAX_BLOB,
            blob_quota_bytes: limits::BLOB_QUOTA,
            blobs: 10_000,
            blob_ttl_secs: limits::BLOB_TTL_SECS,
            upload_ttl_secs: 24 * 3600,
        }
    }
}

/// When commits reach the disk.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sync {
    /// Before they are answered.
    #[default]
    Full,
    /// Some time later: what a power cut then takes is what tests look for.
    None,
}

/// Everything a node is told at its start.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Directory of the database, the lock and the self-signed certificate; made when missing.
    pub data_dir: PathBuf,
    /// UDP address.
    pub listen: SocketAddr,
    /// Certificate and key. Required unless `listen` is a loopback address.
    pub certificate: Option<CertificateFiles>,
    /// Registration policy.
    pub registration: Registration,
    /// Token that opens enqueue, fetchKeyPackage and fetchHybridKey, and counts as one sender.
    pub static_token: Option<StaticToken>,
    /// Threads that serve connections; at least one.
    pub workers: usize,
    /// Free bytes of the data directory's file system below which new rows are refused, while
    /// fetching and acknowledging go on; 0: none. Without one it is 256 MiB, or 5 % of the file
    /// system when that is less.
    pub min_free_disk: Option<u64>,
    /// Silence after which a thread counts as stalled. Requests may wait half as long before the
    /// node says that it is not well.
    pub stall: Duration,
    /// Bounds.
    pub limits: Limits,
    /// Wall clock.
    pub clock: Clock,
    /// For tests of durability.
    #[doc(hidden)]
    pub sync: Sync,
}

impl NodeConfig {
    /// Defaults: registration is open on loopback and by invite elsewhere, one worker.
    pub fn new(data_dir: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        let registration =
            if listen.ip().is_loopback() { Registration::Open } else { Registration::Invite };
        Self {
            data_dir: data_dir.into(),
            listen,
            certificate: None,
            registration,
            static_token: None,
            workers: 1,
            min_free_disk: None,
            stall: Duration::from_secs(10),
            limits: Limits::default(),
            clock: Clock::system(),
            sync: Sync::Full,
        }
    }
}
