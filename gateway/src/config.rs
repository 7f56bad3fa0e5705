//! What a gateway must be told.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::webhooks::WebhookTargets;

use quicproquo_client::Sync;

/// Configuration of a [`crate::Gateway`].
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Folder of `gateway.db`; created when absent.
    pub data_dir: PathBuf,
    /// File of the admin token, created with mode 0600 on the first start.
    pub admin_token: PathBuf,
    /// Where to listen; loopback only. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Values of the `Host` header to answer besides `localhost` and the bound address, each
    /// exactly as sent (`name` or `name:port`).
    pub allowed_hosts: Vec<String>,
    /// Values of the `Origin` header to accept besides those of the allowed hosts.
    pub allowed_origins: Vec<String>,
    /// What bots may have events delivered to.
    pub webhook_targets: WebhookTargets,
    /// Pauses between the attempts of a delivery; at most nine count.
    pub webhook_retries: Vec<Duration>,
    /// Whether `/health/ready` may say so from the start; see [`crate::ReadySwitch`].
    pub ready: bool,
    /// When commits of `gateway.db` are synced.
    pub sync: Sync,
}

impl GatewayConfig {
    /// The usual configuration: everything in `data_dir`, `127.0.0.1:8080`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        Self {
            admin_token: data_dir.join("admin-token"),
            data_dir,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            webhook_targets: WebhookTargets::default(),
            webhook_retries: vec![Duration::from_secs(5)],
            ready: true,
            sync: Sync::Full,
        }
    }
}
