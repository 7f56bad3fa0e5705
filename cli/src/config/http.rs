//! `[http]`: the gateway's door.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use quicproquo_gateway::door::DoorLimits;
use quicproquo_gateway::{self as gateway, GatewayConfig, Rate};
use serde::{Deserialize, Serialize};

use super::layers::{address, whole_number};
use super::{Matrix, MatrixLayer, Webhooks, WebhooksLayer};
use crate::exit::Failure;

/// Port of the gateway.
const PORT: u16 = 8080;

/// The gateway's HTTP door.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpLayer {
    /// Address of the gateway; needs a certificate unless it is loopback
    /// [default: 127.0.0.1:8080].
    #[arg(id = "http_listen", long = "http-listen", env = "QPQ_HTTP_LISTEN", value_name = "ADDR", value_parser = address)]
    pub(super) listen: Option<SocketAddr>,
    /// PEM file with the certificate chain: HTTPS instead of HTTP.
    #[arg(
        id = "http_certificate",
        long = "http-certificate",
        env = "QPQ_HTTP_CERTIFICATE",
        value_name = "FILE",
        requires = "http_key"
    )]
    pub(super) certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[arg(
        id = "http_key",
        long = "http-key",
        env = "QPQ_HTTP_KEY",
        value_name = "FILE",
        requires = "http_certificate"
    )]
    pub(super) key: Option<PathBuf>,
    /// HTTPS on loopback with a self-signed certificate, when none is given.
    #[arg(
        id = "http_tls",
        long = "http-tls",
        env = "QPQ_HTTP_TLS",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) tls: Option<bool>,
    /// Unix socket to listen at as well, for processes of the same user and of root.
    #[arg(id = "http_socket", long = "http-socket", env = "QPQ_HTTP_SOCKET", value_name = "FILE")]
    pub(super) socket: Option<PathBuf>,
    /// Further values of the Host header to answer, exactly as sent.
    #[arg(
        id = "http_allowed_hosts",
        long = "http-allowed-host",
        env = "QPQ_HTTP_ALLOWED_HOSTS",
        value_name = "HOST",
        value_delimiter = ','
    )]
    pub(super) allowed_hosts: Option<Vec<String>>,
    /// Further values of the Origin header to accept.
    #[arg(
        id = "http_allowed_origins",
        long = "http-allowed-origin",
        env = "QPQ_HTTP_ALLOWED_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub(super) allowed_origins: Option<Vec<String>>,
    /// Connections at once; further ones wait [default: 10240].
    #[arg(
        id = "http_connections",
        long = "http-connections",
        env = "QPQ_HTTP_CONNECTIONS",
        value_name = "COUNT",
        value_parser = whole_number
    )]
    pub(super) connections: Option<u32>,
    /// Connections of one address that is not loopback; further ones are closed [default: 256].
    #[arg(
        id = "http_connections_per_address",
        long = "http-connections-per-address",
        env = "QPQ_HTTP_CONNECTIONS_PER_ADDRESS",
        value_name = "COUNT",
        value_parser = whole_number
    )]
    pub(super) connections_per_address: Option<u32>,
    /// Requests a second of one token for long; 0: no limit [default: 5000].
    #[arg(
        id = "http_token_per_sec",
        long = "http-token-per-sec",
        env = "QPQ_HTTP_TOKEN_PER_SEC",
        value_name = "COUNT",
        value_parser = whole_number
    )]
    pub(super) token_per_sec: Option<u32>,
    /// Requests of one token that may come at once [default: 10000].
    #[arg(
        id = "http_token_burst",
        long = "http-token-burst",
        env = "QPQ_HTTP_TOKEN_BURST",
        value_name = "COUNT",
        value_parser = whole_number
    )]
    pub(super) token_burst: Option<u32>,
    /// Requests a second from one address without a valid token, for long; 0: no limit
    /// [default: 100].
    #[arg(
        id = "http_address_per_sec",
        long = "http-address-per-sec",
        env = "QPQ_HTTP_ADDRESS_PER_SEC",
        value_name = "COUNT",
        value_parser = whole_number
    )]
    pub(super) address_per_sec: Option<u32>,
    /// Requests from one address without a valid token that may come at once [default: 1000].
    #[arg(
        id = "http_address_burst",
        long = "http-address-burst",
        env = "QPQ_HTTP_ADDRESS_BURST",
        value_name = "COUNT",
        value_parser = whole_number
    )]
    pub(super) address_burst: Option<u32>,
    /// Who sees /metrics [default: open on loopback, admin elsewhere].
    #[arg(
        id = "http_metrics",
        long = "http-metrics",
        env = "QPQ_HTTP_METRICS",
        value_name = "ACCESS"
    )]
    pub(super) metrics: Option<Access>,
    /// Who sees /docs, /openapi.json and /problems [default: open on loopback, admin elsewhere].
    #[arg(id = "http_docs", long = "http-docs", env = "QPQ_HTTP_DOCS", value_name = "ACCESS")]
    pub(super) docs: Option<Access>,
    #[command(flatten)]
    pub(super) webhooks: WebhooksLayer,
    #[command(flatten)]
    pub(super) matrix: MatrixLayer,
}

/// Who sees pages that belong to no bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Access {
    /// Everybody who reaches the gateway.
    Open,
    /// Whoever has the admin token.
    Admin,
    /// Nobody.
    Closed,
}

impl From<Access> for gateway::Access {
    fn from(access: Access) -> Self {
        match access {
            Access::Open => Self::Open,
            Access::Admin => Self::Admin,
            Access::Closed => Self::Closed,
        }
    }
}

/// The result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    pub(crate) tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) socket: Option<PathBuf>,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) allowed_origins: Vec<String>,
    connections: u32,
    connections_per_address: u32,
    token_per_sec: u32,
    token_burst: u32,
    address_per_sec: u32,
    address_burst: u32,
    metrics: Access,
    docs: Access,
    webhooks: Webhooks,
    matrix: Matrix,
}

impl Http {
    /// Defaults, then the file, then environment and flags.
    pub(super) fn load(flags: HttpLayer, file: HttpLayer) -> Result<Self, Failure> {
        let listen = flags.listen.or(file.listen);
        let listen = listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)));
        let doors = DoorLimits::default();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let access = if listen.ip().is_loopback() { Access::Open } else { Access::Admin };
        let certificate = flags.certificate.or(file.certificate);
        Self {
            listen,
            tls: flags.tls.or(file.tls).unwrap_or(certificate.is_some()),
            certificate,
            key: flags.key.or(file.key),
            socket: flags.socket.or(file.socket),
            allowed_hosts: flags.allowed_hosts.or(file.allowed_hosts).unwrap_or_default(),
            allowed_origins: flags.allowed_origins.or(file.allowed_origins).unwrap_or_default(),
            connections: flags.connections.or(file.connections).unwrap_or(count(doors.connections)),
            connections_per_address: flags
                .connections_per_address
                .or(file.connections_per_address)
                .unwrap_or(count(doors.per_address)),
            token_per_sec: flags
                .token_per_sec
                .or(file.token_per_sec)
                .unwrap_or(Rate::TOKEN.per_sec),
            token_burst: flags.token_burst.or(file.token_burst).unwrap_or(Rate::TOKEN.burst),
            address_per_sec: flags
                .address_per_sec
                .or(file.address_per_sec)
                .unwrap_or(Rate::ADDRESS.per_sec),
            address_burst: flags
                .address_burst
                .or(file.address_burst)
                .unwrap_or(Rate::ADDRESS.burst),
            metrics: flags.metrics.or(file.metrics).unwrap_or(access),
            docs: flags.docs.or(file.docs).unwrap_or(access),
            webhooks: Webhooks::load(flags.webhooks, file.webhooks)?,
            matrix: Matrix::load(flags.matrix, file.matrix)?,
        }
        .check()
    }

    fn check(self) -> Result<Self, Failure> {
        if self.certificate.is_some() != self.key.is_some() {
            return Err(Failure::usage("http.certificate and http.key go together"));
        }
        if self.certificate.is_some() && !self.tls {
            return Err(Failure::usage("http.tls is off, and http.certificate is for TLS"));
        }
        self.check_address("http.listen", self.listen)?;
        if let Some(own) = self.matrix.listen {
            self.check_address("http.matrix.listen", own)?;
            if own == self.listen && own.port() != 0 {
                return Err(Failure::usage(format!(
                    "http.matrix.listen is {own}, as http.listen: without it, Matrix is served there"
                )));
            }
        }
        for (name, count) in [
            ("connections", self.connections),
            ("connections_per_address", self.connections_per_address),
            ("token_burst", self.token_burst),
            ("address_burst", self.address_burst),
        ] {
            if count == 0 {
                return Err(Failure::usage(format!("http.{name} is 1 or more")));
            }
        }
        Ok(self)
    }

    fn check_address(&self, name: &str, listen: SocketAddr) -> Result<(), Failure> {
        if !listen.ip().is_loopback() && self.certificate.is_none() {
            return Err(Failure::usage(format!(
                "{name} {listen} is not loopback, and tokens must not travel in clear: give \
                 http.certificate and http.key, or listen on loopback and put a proxy with TLS \
                 before it"
            )));
        }
        if listen.ip().is_unspecified() && self.allowed_hosts.is_empty() {
            return Err(Failure::usage(format!(
                "{name} {listen} has many names: give http.allowed_hosts, those that callers have \
                 in their URLs, with the port unless it is 443"
            )));
        }
        Ok(())
    }

    /// Puts the settings into what the gateway takes; files of certificates apart.
    pub(crate) fn apply(&self, config: &mut GatewayConfig) -> Result<(), Failure> {
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        config.listen = self.listen;
        config.socket.clone_from(&self.socket);
        config.allowed_hosts.clone_from(&self.allowed_hosts);
        config.allowed_origins.clone_from(&self.allowed_origins);
        config.door.connections = count(self.connections);
        config.door.per_address = count(self.connections_per_address);
        config.token_rate = Rate { per_sec: self.token_per_sec, burst: self.token_burst };
        config.address_rate = Rate { per_sec: self.address_per_sec, burst: self.address_burst };
        config.metrics = self.metrics.into();
        config.docs = self.docs.into();
        self.matrix.apply(config);
        self.webhooks.apply(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Http, String> {
        let file = toml::from_str(text).unwrap();
        Http::load(HttpLayer::default(), file).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_public_address_needs_a_certificate_and_names() {
        let refused = load("listen = \"0.0.0.0:1\"").unwrap_err();
        assert!(refused.contains("http.certificate") && refused.contains("proxy"), "{refused}");
        let keys = "certificate = \"c\"\nkey = \"k\"";
        let nameless = load(&format!("listen = \"[::]:1\"\n{keys}")).unwrap_err();
        assert!(nameless.contains("http.allowed_hosts"), "{nameless}");
        let http = load(&format!("listen = \"192.0.2.1:1\"\n{keys}")).unwrap();
        assert!(http.tls);
        assert_eq!((http.metrics, http.docs), (Access::Admin, Access::Admin));
        let half = load("certificate = \"c\"").unwrap_err();
        assert!(half.contains("go together"), "{half}");
        let off = load(&format!("{keys}\ntls = false")).unwrap_err();
        assert!(off.contains("http.tls"), "{off}");
    }

    #[test]
    fn an_address_for_matrix_is_another_one_under_the_same_rules() {
        let own = |addr: &str| format!("[matrix]\nlisten = {addr:?}");
        let same = load(&own("127.0.0.1:8080")).unwrap_err();
        assert!(same.contains("http.matrix.listen is 127.0.0.1:8080"), "{same}");
        let clear = load(&own("192.0.2.1:1")).unwrap_err();
        assert!(clear.contains("http.matrix.listen 192.0.2.1:1 is not loopback"), "{clear}");
        let keys = "certificate = \"c\"\nkey = \"k\"\n";
        let nameless = load(&format!("{keys}{}", own("0.0.0.0:8448"))).unwrap_err();
        assert!(nameless.contains("http.matrix.listen 0.0.0.0:8448 has many names"), "{nameless}");
        load(&format!("{keys}allowed_hosts = [\"a.example:8448\"]\n{}", own("0.0.0.0:8448")))
            .unwrap();
        load(&own("127.0.0.1:8008")).unwrap();
    }

    #[test]
    fn on_loopback_there_is_no_tls_unless_asked_for_and_pages_are_open() {
        let http = load("").unwrap();
        assert!(!http.tls && http.metrics == Access::Open && http.docs == Access::Open);
        assert!(load("tls = true").unwrap().tls);
        let closed = load("docs = \"closed\"\ntoken_per_sec = 0").unwrap();
        assert_eq!((closed.docs, closed.token_per_sec), (Access::Closed, 0));
        assert!(load("connections = 0").unwrap_err().contains("http.connections is 1 or more"));
    }
}
