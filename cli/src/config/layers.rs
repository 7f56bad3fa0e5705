//! Each group of settings as options: a table of the file, and flags with their variables.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{Fingerprint, KeySource, LimitsLayer, QuotasLayer, Span};

/// The node's own door.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NodeLayer {
    /// UDP address of the node [default: 127.0.0.1:7000].
    #[arg(id = "node_listen", long = "node-listen", env = "QPQ_NODE_LISTEN", value_name = "ADDR", value_parser = address)]
    pub(super) listen: Option<SocketAddr>,
    /// PEM file with the certificate chain; needed unless the address is loopback.
    #[arg(
        id = "node_certificate",
        long = "node-certificate",
        env = "QPQ_NODE_CERTIFICATE",
        value_name = "FILE",
        requires = "node_key"
    )]
    pub(super) certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[arg(
        id = "node_key",
        long = "node-key",
        env = "QPQ_NODE_KEY",
        value_name = "FILE",
        requires = "node_certificate"
    )]
    pub(super) key: Option<PathBuf>,
    #[command(flatten)]
    pub(super) limits: LimitsLayer,
    /// TCP address for operators: metrics and health; loopback unless --node-ops-public
    /// [default: none].
    #[arg(
        id = "node_ops_listen",
        long = "node-ops-listen",
        env = "QPQ_NODE_OPS_LISTEN",
        value_name = "ADDR",
        value_parser = address
    )]
    pub(super) ops_listen: Option<SocketAddr>,
    /// Let everybody who reaches the address for operators see them.
    #[arg(
        id = "node_ops_public",
        long = "node-ops-public",
        env = "QPQ_NODE_OPS_PUBLIC",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) ops_public: Option<bool>,
    /// Free disk space below which the node takes no new rows, like `256 MiB`; 0: none
    /// [default: 256 MiB, or 5 % of the disk when that is less].
    #[arg(
        id = "node_min_free_disk",
        long = "node-min-free-disk",
        env = "QPQ_NODE_MIN_FREE_DISK",
        value_name = "SIZE"
    )]
    pub(super) min_free_disk: Option<ByteSize>,
    /// Silence after which a thread of the node counts as stalled [default: 10].
    #[arg(
        id = "node_stall_seconds",
        long = "node-stall-seconds",
        env = "QPQ_NODE_STALL_SECONDS",
        value_name = "SECONDS"
    )]
    pub(super) stall_seconds: Option<u64>,
    /// File (0600) with a token that opens enqueue and the fetches of keys, for one trusted sender.
    #[arg(
        id = "node_static_token_file",
        long = "node-static-token-file",
        env = "QPQ_NODE_STATIC_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub(super) static_token_file: Option<PathBuf>,
    /// Who may become an identity of the node [default: open on loopback, invite elsewhere].
    #[arg(
        id = "node_registration",
        long = "node-registration",
        env = "QPQ_NODE_REGISTRATION",
        value_name = "POLICY"
    )]
    pub(super) registration: Option<Registration>,
    #[command(flatten)]
    pub(super) quotas: QuotasLayer,
}

/// Who may become an identity of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Registration {
    /// Everybody.
    Open,
    /// Whoever has an invite (`qpq node invite create`).
    Invite,
    /// Nobody new.
    Closed,
}

/// The node that a gateway of its own speaks to.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LinkLayer {
    /// UDP address of the node.
    #[arg(long = "node", env = "QPQ_NODE", value_name = "ADDR", id = "link_node", value_parser = address)]
    pub(super) node: Option<SocketAddr>,
    /// SHA-256 of the node's certificate, as `qpq node` prints it.
    #[arg(
        id = "link_fingerprint",
        long = "node-fingerprint",
        env = "QPQ_NODE_FINGERPRINT",
        value_name = "HEX",
        conflicts_with_all = ["link_ca", "link_system_roots"]
    )]
    pub(super) fingerprint: Option<Fingerprint>,
    /// PEM file with the certificate that signed the node's.
    #[arg(
        id = "link_ca",
        long = "node-ca",
        env = "QPQ_NODE_CA",
        value_name = "FILE",
        conflicts_with = "link_system_roots"
    )]
    pub(super) ca: Option<PathBuf>,
    /// Trust the system's root certificates; needs --node-server-name.
    #[arg(
        id = "link_system_roots",
        long = "node-system-roots",
        env = "QPQ_NODE_SYSTEM_ROOTS",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) system_roots: Option<bool>,
    /// Name in the node's certificate [default: localhost].
    #[arg(
        id = "link_server_name",
        long = "node-server-name",
        env = "QPQ_NODE_SERVER_NAME",
        value_name = "NAME"
    )]
    pub(super) server_name: Option<String>,
    /// Invite for bots that the node has not seen, where it asks for one.
    #[arg(
        id = "link_invite",
        long = "node-invite",
        env = "QPQ_NODE_INVITE",
        value_name = "CODE",
        hide_env_values = true
    )]
    pub(super) invite: Option<String>,
}

/// The bots of the gateway.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BotsLayer {
    /// One-time key packages to keep at the node, per bot and ciphersuite [default: 100].
    #[arg(long, env = "QPQ_KEY_PACKAGE_STOCK", value_name = "COUNT", value_parser = whole_number)]
    pub(super) key_package_stock: Option<u32>,
    /// The key that seals the bots' database: `file:PATH`, `credential:NAME` (of systemd) or
    /// `env:VARIABLE`, 64 hexadecimal digits [default: master.key beside the database].
    #[arg(long, env = "QPQ_MASTER_KEY_SOURCE", value_name = "SOURCE")]
    pub(super) master_key: Option<KeySource>,
    /// How long messages and events are kept, like `30d` or `12h` [default: 30d].
    #[arg(long, env = "QPQ_RETENTION", value_name = "TIME")]
    pub(super) retention: Option<Span>,
    /// Memory for groups that are not in use at the moment, of all bots together; the least recently
    /// used ones leave it [default: 128 MiB].
    #[arg(long, env = "QPQ_GROUP_MEMORY", value_name = "SIZE")]
    pub(super) group_memory: Option<ByteSize>,
}

/// An address with a port; a host name is looked up once.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let form = || "not HOST:PORT, like 127.0.0.1:7000".to_owned();
    if !text.contains(':') {
        return Err(form());
    }
    let mut found = text.to_socket_addrs().map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => form(),
        _ => "the host is not known".to_owned(),
    })?;
    found.next().ok_or_else(|| "the host has no address".to_owned())
}

pub(super) fn whole_number(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "not a whole number that fits")
}
