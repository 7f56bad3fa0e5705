//! `[http.webhooks]`: where the gateway delivers events to by itself.

use std::time::Duration;

use clap::Args;
use quicproquo_gateway::{GatewayConfig, WebhookTargets};
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
    targets: Vec<String>,
    retries: Vec<Span>,
}

impl Webhooks {
    /// Defaults, then the file, then environment and flags.
    pub(super) fn load(flags: WebhooksLayer, file: WebhooksLayer) -> Result<Self, Failure> {
        let targets = flags.targets.or(file.targets).unwrap_or_default();
        let retries = flags.retries.or(file.retries);
        let retries = retries.unwrap_or_else(|| RETRIES.map(Span).to_vec());
        if retries.len() > RETRIES.len() {
            let message = format!("http.webhooks.retries are at most {}", RETRIES.len());
            return Err(Failure::usage(message));
        }
        parse(&targets)?;
        Ok(Self { targets, retries })
    }

    /// Puts the settings into what the gateway takes.
    pub(super) fn apply(&self, config: &mut GatewayConfig) -> Result<(), Failure> {
        config.webhook_targets = parse(&self.targets)?;
        config.webhook_retries = self.retries.iter().map(|span| span.0).collect();
        Ok(())
    }
}

fn parse(targets: &[String]) -> Result<WebhookTargets, Failure> {
    WebhookTargets::parse(targets)
        .map_err(|error| Failure::usage(format!("http.webhooks.targets: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(text: &str) -> Result<Vec<Duration>, String> {
        let file = toml::from_str(text).unwrap();
        let loaded = Webhooks::load(WebhooksLayer::default(), file);
        let webhooks = loaded.map_err(|failure| failure.to_string())?;
        let mut config = GatewayConfig::new("data");
        webhooks.apply(&mut config).map_err(|failure| failure.to_string())?;
        Ok(config.webhook_retries)
    }

    #[test]
    fn pauses_are_those_of_standard_webhooks_unless_others_are_given() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let hours = [2, 5, 10, 14, 20, 24].map(|count| minutes(60 * count));
        let first = [Duration::from_secs(5), minutes(5), minutes(30)];
        assert_eq!(retries(""), Ok([first.as_slice(), &hours].concat()));
        assert_eq!(retries("retries = [\"1s\", \"2m\"]"), Ok(vec![minutes(1) / 60, minutes(2)]));
        assert_eq!(retries("retries = []"), Ok(Vec::new()));
        let ten = format!("retries = [{}]", "\"1s\",".repeat(10));
        assert!(retries(&ten).unwrap_err().contains("at most 9"));
    }
}
