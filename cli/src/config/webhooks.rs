//! `[http.webhooks]`: where the gateway delivers events to by itself.

use std::time::Duration;

use clap::Args;
use quicproquo_gateway::WebhookTargets;
use serde::{Deserialize, Serialize};

use super::Span;
use crate::exit::Failure;

/// Pauses between the attempts of a webhook's delivery, as Standard Webhooks recommends.
const RETRIES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// Where the gateway delivers events to by itself.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WebhooksLayer {
    /// What bots may have events delivered to, like `https://hooks.example.org`,
    /// `https://*.example.org` or `http://127.0.0.1:9000`; addresses that are not public need an
    /// entry of their own, like `https://10.1.0.0/16` [default: nothing].
    #[arg(
        id = "http_webhooks_targets",
        long = "webhook-target",
        env = "QPQ_HTTP_WEBHOOKS_TARGETS",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub(super) targets: Option<Vec<String>>,
    /// Pauses between the attempts of a delivery, at most nine
    /// [default: 5s,5m,30m,2h,5h,10h,14h,20h,24h].
    #[arg(
        id = "http_webhooks_retries",
        long = "webhook-retries",
        env = "QPQ_HTTP_WEBHOOKS_RETRIES",
        value_name = "TIMES",
        value_delimiter = ','
    )]
    pub(super) retries: Option<Vec<Span>>,
}

/// The result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Webhooks {
    pub(crate) targets: Vec<String>,
    pub(crate) retries: Vec<Span>,
}

impl Webhooks {
    /// Defaults, then the file, then environment and flags.
    pub(super) fn load(flags: WebhooksLayer, file: WebhooksLayer) -> Result<Self, Failure> {
        let retries = flags.retries.or(file.retries);
        let loaded = Self {
            targets: flags.targets.or(file.targets).unwrap_or_default(),
            retries: retries.unwrap_or_else(|| RETRIES.map(Span).to_vec()),
        };
        if loaded.retries.len() > RETRIES.len() {
            let message = format!("http.webhooks.retries are at most {}", RETRIES.len());
            return Err(Failure::usage(message));
        }
        loaded.parse()?;
        Ok(loaded)
    }

    /// The targets, as the gateway takes them.
    pub(crate) fn parse(&self) -> Result<WebhookTargets, Failure> {
        WebhookTargets::parse(&self.targets)
            .map_err(|error| Failure::usage(format!("http.webhooks.targets: {error}")))
    }
}
