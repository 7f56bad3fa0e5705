//! Sizes, counts and names that both ends of the wire know.

/// ALPN protocol of the QUIC connection.
pub const ALPN: &[u8] = b"capnp";

/// UDP port of a node.
pub const DEFAULT_PORT: u16 = 7000;

/// Label of the TLS exporter that `authenticate` signs over (RFC 8446 section 7.5).
pub const AUTH_EXPORTER_LABEL: &[u8] = b"EXPORTER-quicproquo-auth-v1";

/// Bytes of TLS exporter that `authenticate` signs over.
pub const AUTH_EXPORTER_LEN: usize = 32;

/// Domain string in front of the bytes that `authenticate` signs.
pub const AUTH_DOMAIN: &[u8] = b"quicproquo-auth-v1";

/// Domain string in front of the bytes that `claimName` signs.
pub const NAME_DOMAIN: &[u8] = b"quicproquo-name-v1";

/// Domain string in front of the bytes that prove a key for an access token.
pub const TOKEN_DOMAIN: &[u8] = b"quicproquo-token-v1";

/// Version every `NodeService` call carries.
pub const VERSION: u16 = 1;

/// Bytes of a published hybrid key: X25519 32 and ML-KEM-768 encapsulation key 1184.
pub const HYBRID_PUBLIC_KEY_LEN: usize = 1216;

/// Largest `KeyPackage`, in bytes.
pub const MAX_KEY_PACKAGE: usize = 1024 * 1024;

/// Largest payload of one queue row, in bytes.
pub const MAX_PAYLOAD: usize = 5 * 1024 * 1024;

/// Most recipients of one `send`.
pub const MAX_RECIPIENTS: usize = 2_000;

/// Most identities of one `claimKeyPackages`.
pub const MAX_CLAIMS: usize = 2_000;

/// Most rows that one answer or the push window holds.
pub const MAX_WINDOW_ROWS: u32 = 256;

/// Payload bytes of a push window; one row may exceed it.
pub const PUSH_WINDOW_BYTES: usize = 1024 * 1024;

/// Payload bytes of a `fetch` or `peek` answer; one row may exceed it.
pub const FETCH_BYTES: usize = 4 * 1024 * 1024;

/// Longest `fetchWait`, in milliseconds.
pub const MAX_WAIT_MS: u64 = 60_000;

/// Longest name, in bytes; names are 1..=63 of `a-z0-9._-`.
pub const MAX_NAME: usize = 63;

/// Most names of one identity.
pub const MAX_NAMES: usize = 4;

/// Rows one queue holds.
pub const QUEUE_ROWS: u64 = 10_000;

/// Payload bytes one queue holds.
pub const QUEUE_BYTES: u64 = 64 * 1024 * 1024;

/// Default and longest time a row waits, in seconds (30 days).
pub const DEFAULT_TTL_SECS: u32 = 30 * 24 * 3600;

/// How long deduplication outlives a row, in seconds (24 h).
pub const DEDUP_GRACE_SECS: u32 = 24 * 3600;

/// Least life a claimed `KeyPackage` has left, in seconds (35 days).
pub const MIN_CLAIM_LIFE_SECS: u64 = 35 * 24 * 3600;

/// Largest frame before and after authentication, in bytes.
pub const FRAME_BEFORE_AUTH: usize = 64 * 1024;
/// Largest frame of an authenticated connection, in bytes.
pub const FRAME_AFTER_AUTH: usize = 8 * 1024 * 1024;

/// Domain string in front of the bytes that name the heir of a deleted identity's names.
pub const TRANSFER_DOMAIN: &[u8] = b"quicproquo-transfer-v1";

/// Largest blob, in bytes (100 MiB).
pub const MAX_BLOB: u64 = 100 * 1024 * 1024;

/// Bytes of all blobs of one identity (1 GiB).
pub const BLOB_QUOTA: u64 = 1024 * 1024 * 1024;

/// Largest piece of a blob, in bytes.
pub const BLOB_PIECE: usize = 1024 * 1024;

/// Smallest piece of a blob but the last, in bytes.
pub const MIN_BLOB_PIECE: usize = 64 * 1024;

/// How long a blob is kept for one owner, in seconds (30 days).
pub const BLOB_TTL_SECS: u32 = 30 * 24 * 3600;

/// Longest invite, in bytes.
pub const MAX_INVITE: usize = 128;
