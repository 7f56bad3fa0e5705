//! What a gateway must be told.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::webhooks::WebhookTargets;

use quicproquo_client::Sync;

use crate::door::DoorLimits;
use crate::door::tls::CertificateFiles;

/// Configuration of a [`crate::Gateway`].
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Folder of `gateway.db`; created when absent.
    pub data_dir: PathBuf,
    /// File of the admin token, created with mode 0600 on the first start.
    pub admin_token: PathBuf,
    /// Where to listen; loopback only unless there is a certificate. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// With it the address speaks TLS 1.3, without it plain HTTP.
    pub certificate: Option<CertificateFiles>,
    /// A Unix socket to listen at as well, for processes of the same user and of root.
    pub socket: Option<PathBuf>,
    /// Bounds of connections.
    pub door: DoorLimits,
    /// Requests of one token.
    pub token_rate: Rate,
    /// Requests without a valid token from one address.
    pub address_rate: Rate,
    /// Who sees `/metrics`.
    pub metrics: Access,
    /// Who sees `/docs`, `/openapi.json` and `/problems`.
    pub docs: Access,
    /// Values of the `Host` header to answer besides `localhost` and the bound address, each
    /// exactly as sent (`name` or `name:port`).
    pub allowed_hosts: Vec<String>,
    /// Values of the `Origin` header to accept besides those of the allowed hosts.
    pub allowed_origins: Vec<String>,
    /// The Matrix facade; `None`: there is none.
    pub matrix: Option<MatrixConfig>,
    /// What bots may have events delivered to.
    pub webhook_targets: WebhookTargets,
    /// Pauses between the attempts of a delivery; at most nine count.
    pub webhook_retries: Vec<Duration>,
    /// Whether `/health/ready` may say so from the start; see [`crate::ReadySwitch`].
    pub ready: bool,
    /// When commits of `gateway.db` are synced.
    pub sync: Sync,
}

/// What Matrix clients see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixConfig {
    /// Behind the colon of every room, user and file. It is part of what clients keep: with
    /// another one they do not find their rooms again.
    pub server_name: String,
    /// An address of its own, loopback only unless there is a certificate; `None`: it is served
    /// where the native API is. Port 0 takes a free one.
    pub listen: Option<SocketAddr>,
    /// Values of the `Origin` header whose pages may use the Matrix routes (CORS).
    pub allowed_origins: Vec<String>,
    /// Whether whoever knows the id of a file gets it at `/_matrix/media` without a token, as
    /// clients want it that were made before version 1.11.
    pub open_media: bool,
}

impl Default for MatrixConfig {
    fn default() -> Self {
        Self {
            server_name: "localhost".to_owned(),
            listen: None,
            allowed_origins: Vec::new(),
            open_media: false,
        }
    }
}

/// How many requests there may be in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// For long; 0: no limit.
    pub per_sec: u32,
    /// How many may come at once, at least 1.
    pub burst: u32,
}

impl Rate {
    /// Of one token: what a bot in a loop by mistake does not reach, and a gateway can answer.
    pub const TOKEN: Self = Self { per_sec: 5_000, burst: 10_000 };
    /// Of one address without a valid token.
    pub const ADDRESS: Self = Self { per_sec: 100, burst: 1_000 };
}

/// Who sees pages that belong to no bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody who reaches the gateway.
    Open,
    /// Whoever has the admin token.
    Admin,
    /// Nobody.
    Closed,
}

impl GatewayConfig {
    /// The usual configuration: everything in `data_dir`, `127.0.0.1:8080`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        Self {
            admin_token: data_dir.join("admin-token"),
            data_dir,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            certificate: None,
            socket: None,
            door: DoorLimits::default(),
            token_rate: Rate::TOKEN,
            address_rate: Rate::ADDRESS,
            metrics: Access::Open,
            docs: Access::Open,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            matrix: Some(MatrixConfig::default()),
            webhook_targets: WebhookTargets::default(),
            webhook_retries: vec![Duration::from_secs(5)],
            ready: true,
            sync: Sync::Full,
        }
    }
}
