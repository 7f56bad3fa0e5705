//! What a client must be told: where its data is, which node, whom to trust.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use zeroize::Zeroizing;

/// Memory for loaded groups, unless configured.
const LOADED_BYTES: usize = 128 * 1024 * 1024;

/// Configuration of a [`crate::Client`].
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Folder of the database and, unless `master_key` says otherwise, of the master key.
    pub data_dir: PathBuf,
    /// Opens the database.
    pub master_key: MasterKey,
    /// How long messages and events are kept after they were written; deleted within an hour
    /// after that.
    pub retention: Duration,
    /// The node that serves all identities of this client.
    pub node: NodeAddress,
    /// One-time key packages to keep in stock per ciphersuite.
    pub key_package_stock: u32,
    /// Bytes of memory, about, that groups may take which are loaded but not in use; those that were
    /// not used for longest leave memory. A group that is in use takes what it needs.
    pub loaded_bytes: usize,
    /// Invite for identities that the node has not seen, when they come without one of their own.
    pub invite: Option<String>,
    /// When commits of the database are synced.
    pub sync: Sync,
}

/// When commits of a database are synced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sync {
    /// Before they are answered.
    #[default]
    Full,
    /// Some time later: a power cut loses what was answered. For tests that must notice that.
    Late,
}

impl ClientConfig {
    /// The usual configuration: everything in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>, node: NodeAddress) -> Self {
        let data_dir = data_dir.into();
        Self {
            master_key: MasterKey::File(data_dir.join("master.key")),
            data_dir,
            retention: Duration::from_hours(30 * 24),
            node,
            key_package_stock: 100,
            loaded_bytes: LOADED_BYTES,
            invite: None,
            sync: Sync::Full,
        }
    }
}

/// Where the master key comes from: 32 bytes as 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub enum MasterKey {
    /// A file of ours, made with mode 0600 for a new database.
    File(PathBuf),
    /// A file that somebody else provides, like a credential of systemd; never made or changed.
    Provided(PathBuf),
    /// The key itself.
    Text {
        /// What to call it in errors, like "the environment variable X".
        name: String,
        /// The digits.
        text: Zeroizing<String>,
    },
}

impl MasterKey {
    /// The key itself, and what to call it in errors.
    pub fn text(name: impl Into<String>, text: String) -> Self {
        Self::Text { name: name.into(), text: Zeroizing::new(text) }
    }
}

/// Never the key.
impl fmt::Display for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::Provided(path) => {
                write!(f, "the master key {}", path.display())
            }
            Self::Text { name, .. } => write!(f, "the master key in {name}"),
        }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({self})")
    }
}

/// Where the node is and how its certificate is judged.
#[derive(Debug, Clone)]
pub struct NodeAddress {
    /// UDP address.
    pub addr: SocketAddr,
    /// Name for SNI and, with [`Trust::CaFile`], for the certificate.
    pub server_name: String,
    /// How the certificate is judged.
    pub trust: Trust,
}

/// How the node's certificate is judged.
#[derive(Debug, Clone)]
pub enum Trust {
    /// It must chain to a certificate in this PEM file.
    CaFile(PathBuf),
    /// Its SHA-256 must be this, whatever its name.
    Fingerprint([u8; 32]),
    /// Its SHA-256 must be what this says at the time, whatever its name.
    Pin(Pin),
    /// It must chain to a root certificate of the operating system.
    SystemRoots,
    /// It is believed at the first connection and kept in this file; from then on its SHA-256
    /// must stay the same. On loopback only.
    FirstUse(PathBuf),
}

/// SHA-256 of a certificate, which who owns the node can change while clients run. Clones share it.
#[derive(Debug, Clone)]
pub struct Pin(Arc<RwLock<[u8; 32]>>);

impl Pin {
    /// Pins a certificate by its SHA-256.
    pub fn new(sha256: [u8; 32]) -> Self {
        Self(Arc::new(RwLock::new(sha256)))
    }

    /// Replaces it, for connections from now on.
    pub fn set(&self, sha256: [u8; 32]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sha256;
    }

    /// What is pinned.
    pub fn get(&self) -> [u8; 32] {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
