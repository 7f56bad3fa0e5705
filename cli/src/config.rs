//! Configuration: defaults < file (TOML) < environment (`QPQ_*`) < flags, read once.
//!
//! Each group of settings is one struct of options that is both a table of the file and a group
//! of flags with their variables, so that a setting has one name and one description.

mod fingerprint;
mod http;
pub(crate) mod keys;
mod layers;
mod limits;
mod matrix;
mod quotas;
mod span;
pub(crate) mod static_token;
mod webhooks;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Parser, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
pub(crate) use fingerprint::Fingerprint;
pub(crate) use http::{Http, HttpLayer};
pub(crate) use keys::KeySource;
pub(crate) use layers::{BotsLayer, LinkLayer, NodeLayer, Registration};
pub(crate) use limits::{Limits, LimitsLayer};
pub(crate) use matrix::{Matrix, MatrixLayer};
pub(crate) use quotas::{Quotas, QuotasLayer};
pub(crate) use span::Span;
pub(crate) use webhooks::{Webhooks, WebhooksLayer};

/// Port of the node.
const NODE_PORT: u16 = 7000;

/// Name in a self-signed certificate.
const LOCALHOST: &str = "localhost";
/// Silence of a thread that counts as a stall.
const STALL_SECONDS: u64 = 10;

/// One-time key packages per bot and ciphersuite.
const KEY_PACKAGES: u32 = 100;

/// How long messages and events are kept.
const RETENTION: Span = Span(Duration::from_hours(30 * 24));
/// Memory for loaded groups.
const GROUP_MEMORY: ByteSize = ByteSize::mib(128);

/// Most that the node keeps.
const MAX_KEY_PACKAGES: u32 = 500;

/// Settings that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CommonArgs {
    /// Configuration file (TOML).
    #[arg(long, env = "QPQ_CONFIG", value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Where the data is [default: the platform's data directory].
    #[arg(long, env = "QPQ_DATA_DIR", value_name = "DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Log filter, like `info` or `quicproquo_node=debug,warn` [default: warn].
    #[arg(long, env = "QPQ_LOG", value_name = "FILTER", global = true)]
    pub(crate) log: Option<String>,
    /// How logs are written [default: text].
    #[arg(long, env = "QPQ_LOG_FORMAT", value_name = "FORMAT", global = true)]
    pub(crate) log_format: Option<LogFormat>,
    /// Collector that traces go to, by OTLP over HTTP, like `http://127.0.0.1:4318` [default: none].
    #[arg(long, env = "QPQ_OTLP_ENDPOINT", value_name = "URL", global = true)]
    pub(crate) otlp_endpoint: Option<String>,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// The configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data_dir: Option<PathBuf>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    otlp_endpoint: Option<String>,
    http: HttpLayer,
    node: NodeLayer,
    link: LinkLayer,
    bots: BotsLayer,
}

/// The result: complete and checked.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) otlp_endpoint: Option<String>,
    pub(crate) http: Http,
    pub(crate) node: Node,
    pub(crate) link: Link,
    pub(crate) bots: Bots,
}

/// The bots of the gateway.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Bots {
    pub(crate) key_package_stock: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) master_key: Option<KeySource>,
    pub(crate) retention: Span,
    pub(crate) group_memory: ByteSize,
}

/// The node's own door.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Node {
    pub(crate) listen: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    pub(crate) limits: Limits,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ops_listen: Option<SocketAddr>,
    pub(crate) ops_public: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_free_disk: Option<ByteSize>,
    pub(crate) stall_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) static_token_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registration: Option<Registration>,
    pub(crate) quotas: Quotas,
}

/// The node that a gateway of its own speaks to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Link {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<Fingerprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
    pub(crate) system_roots: bool,
    pub(crate) server_name: String,
    /// A secret, so it is not printed.
    #[serde(skip_serializing)]
    pub(crate) invite: Option<String>,
}

/// The groups of settings that a command takes; what it does not take stays at its default.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    pub(crate) http: HttpLayer,
    pub(crate) node: NodeLayer,
    pub(crate) link: LinkLayer,
    pub(crate) bots: BotsLayer,
}

/// The gateway's door as the environment has it.
#[derive(Debug, Parser)]
struct Variables {
    #[command(flatten)]
    door: HttpLayer,
}

impl Settings {
    /// Puts the layers over each other.
    pub(crate) fn load(common: CommonArgs, layers: Layers) -> Result<Self, Failure> {
        Self::load_from(common, layers, default_data_dir)
    }

    /// The settings of a command that asks a gateway and keeps nothing itself: its `data_dir`, where
    /// a token may be, is empty when none is given and there is no home. It has no flags for the
    /// door of the gateway, but finds it where the variables have put it.
    pub(crate) fn of_caller(common: CommonArgs) -> Result<Self, Failure> {
        let home = || Ok(default_data_dir().unwrap_or_default());
        let http = Variables::try_parse_from([""]).map_err(|error| {
            let text = error.to_string();
            let said = text.lines().next().unwrap_or_default();
            Failure::usage(said.trim_start_matches("error: "))
        })?;
        Self::load_from(common, Layers { http: http.door, ..Layers::default() }, home)
    }

    fn load_from(
        common: CommonArgs,
        layers: Layers,
        home: impl FnOnce() -> Result<PathBuf, Failure>,
    ) -> Result<Self, Failure> {
        let file = common.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let Layers { http, node, link, bots } = layers;
        let data_dir = match common.data_dir.or(file.data_dir) {
            Some(path) => std::path::absolute(&path)
                .map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?,
            None => home()?,
        };
        let settings = Self {
            data_dir,
            log: common.log.or(file.log).unwrap_or_else(|| "warn".to_owned()),
            log_format: common.log_format.or(file.log_format).unwrap_or_default(),
            otlp_endpoint: common.otlp_endpoint.or(file.otlp_endpoint),
            http: Http::load(http, file.http)?,
            node: Node {
                listen: node.listen.or(file.node.listen).unwrap_or(loopback(NODE_PORT)),
                certificate: node.certificate.or(file.node.certificate),
                key: node.key.or(file.node.key),
                limits: Limits::load(&node.limits, &file.node.limits)?,
                ops_listen: node.ops_listen.or(file.node.ops_listen),
                ops_public: node.ops_public.or(file.node.ops_public).unwrap_or_default(),
                min_free_disk: node.min_free_disk.or(file.node.min_free_disk),
                stall_seconds: node
                    .stall_seconds
                    .or(file.node.stall_seconds)
                    .unwrap_or(STALL_SECONDS),
                static_token_file: node.static_token_file.or(file.node.static_token_file),
                registration: node.registration.or(file.node.registration),
                quotas: Quotas::load(&node.quotas, &file.node.quotas)?,
            },
            link: Link {
                node: link.node.or(file.link.node),
                fingerprint: link.fingerprint.or(file.link.fingerprint),
                ca: link.ca.or(file.link.ca),
                system_roots: link.system_roots.or(file.link.system_roots).unwrap_or(false),
                server_name: link
                    .server_name
                    .or(file.link.server_name)
                    .unwrap_or_else(|| LOCALHOST.to_owned()),
                invite: link.invite.or(file.link.invite),
            },
            bots: Bots {
                key_package_stock: bots
                    .key_package_stock
                    .or(file.bots.key_package_stock)
                    .unwrap_or(KEY_PACKAGES),
                master_key: bots.master_key.or(file.bots.master_key),
                retention: bots.retention.or(file.bots.retention).unwrap_or(RETENTION),
                group_memory: bots.group_memory.or(file.bots.group_memory).unwrap_or(GROUP_MEMORY),
            },
        };
        settings.check()
    }

    fn check(self) -> Result<Self, Failure> {
        if !(1..=MAX_KEY_PACKAGES).contains(&self.bots.key_package_stock) {
            let message = format!("bots.key_package_stock is 1 to {MAX_KEY_PACKAGES}");
            return Err(Failure::usage(message));
        }
        if !self.node.listen.ip().is_loopback() && self.node.certificate.is_none() {
            return Err(Failure::usage(format!(
                "node.listen {} is not loopback: give node.certificate and node.key",
                self.node.listen
            )));
        }
        if self.node.certificate.is_some() != self.node.key.is_some() {
            return Err(Failure::usage("node.certificate and node.key go together"));
        }
        let Link { fingerprint, ca, system_roots, server_name, .. } = &self.link;
        if [fingerprint.is_some(), ca.is_some(), *system_roots].iter().filter(|x| **x).count() > 1 {
            return Err(Failure::usage(
                "link.fingerprint, link.ca and link.system_roots exclude each other",
            ));
        }
        if *system_roots && server_name == LOCALHOST {
            return Err(Failure::usage(
                "link.system_roots needs link.server_name, the name in the node's certificate",
            ));
        }
        if let Some(listen) = self.node.ops_listen
            && !listen.ip().is_loopback()
            && !self.node.ops_public
        {
            return Err(Failure::usage(format!(
                "node.ops_listen {listen} is not loopback, and whoever reaches it sees the whole \
                 node's figures; set node.ops_public if they may"
            )));
        }
        if self.node.stall_seconds == 0 {
            return Err(Failure::usage("node.stall_seconds is 1 or more"));
        }
        Ok(self)
    }
}

fn read(path: &Path) -> Result<File, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        Failure::usage(format!("{} line {line}: {}", path.display(), error.message()))
    })
}

fn default_data_dir() -> Result<PathBuf, Failure> {
    directories::ProjectDirs::from("", "", "quicproquo")
        .map(|dirs| dirs.data_dir().to_owned())
        .ok_or_else(|| Failure::usage("no home directory: give --data-dir"))
}

#[cfg(test)]
mod tests;
