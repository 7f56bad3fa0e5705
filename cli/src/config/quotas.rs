//! `[node.quotas]`: what one identity, pair or address may keep and do at the node.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use quicproquo_node::{Limits, Rate};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

macro_rules! quotas {
    ($($(#[$doc:meta])* $name:ident, $flag:literal, $env:literal, $default:expr, $range:expr;)*) => {
        /// Quotas and rates of the node; `docs/quotas.md` has the table.
        #[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct QuotasLayer {
            $(
                $(#[$doc])*
                #[arg(id = $flag, long = $flag, env = $env, value_name = "N",
                      hide_short_help = true, help_heading = "Quotas of the node")]
                $name: Option<u64>,
            )*
        }

        /// The result.
        #[derive(Debug, Clone, Serialize)]
        pub(crate) struct Quotas {
            $($name: u64,)*
        }

        impl Quotas {
            /// Defaults, then the file, then environment and flags.
            pub(crate) fn load(flags: &QuotasLayer, file: &QuotasLayer) -> Result<Self, Failure> {
                let defaults = Limits::default();
                $(
                    let default: fn(&Limits) -> u64 = $default;
                    let $name = flags.$name.or(file.$name).unwrap_or_else(|| default(&defaults));
                    if !$range.contains(&$name) {
                        let (least, most) = ($range.start(), $range.end());
                        return Err(Failure::usage(format!(
                            concat!("node.quotas.", stringify!($name), " is {} to {}"), least, most
                        )));
                    }
                )*
                Ok(Self { $($name,)* })
            }
        }
    };
}

const COUNT: RangeInclusive<u64> = 1..=1_000_000_000;
const BURST: RangeInclusive<u64> = 1..=u32::MAX as u64;
const BYTES: RangeInclusive<u64> = 1..=1 << 50;
/// Zero: none at all.
const QUOTA: RangeInclusive<u64> = 0..=1 << 50;
const SECS: RangeInclusive<u64> = 1..=u32::MAX as u64;
/// Zero: no limit.
const RATE: RangeInclusive<u64> = 0..=1_000_000_000;

quotas! {
    /// Rows of one queue.
    queue_rows, "node-quotas-queue-rows", "QPQ_NODE_QUOTAS_QUEUE_ROWS",
        |limits| limits.queue_rows, COUNT;
    /// Payload bytes of one queue.
    queue_bytes, "node-quotas-queue-bytes", "QPQ_NODE_QUOTAS_QUEUE_BYTES",
        |limits| limits.queue_bytes, BYTES;
    /// Seconds a row waits, by default and at most.
    ttl_secs, "node-quotas-ttl-secs", "QPQ_NODE_QUOTAS_TTL_SECS",
        |limits| limits.ttl_secs.into(), SECS;
    /// Rows of one sender in one queue.
    pair_rows, "node-quotas-pair-rows", "QPQ_NODE_QUOTAS_PAIR_ROWS",
        |limits| limits.pair_rows, COUNT;
    /// Rows of one sender that wait for recipients who have never been here.
    stranger_rows, "node-quotas-stranger-rows", "QPQ_NODE_QUOTAS_STRANGER_ROWS",
        |limits| limits.stranger_rows, (0..=1_000_000_000);
    /// Payload bytes of one sender that wait for recipients who have never been here.
    stranger_bytes, "node-quotas-stranger-bytes", "QPQ_NODE_QUOTAS_STRANGER_BYTES",
        |limits| limits.stranger_bytes, QUOTA;
    /// Names of one identity.
    names, "node-quotas-names", "QPQ_NODE_QUOTAS_NAMES",
        |limits| limits.names as u64, (0..=1_000);
    /// One-time key packages of one identity and ciphersuite.
    key_packages, "node-quotas-key-packages", "QPQ_NODE_QUOTAS_KEY_PACKAGES",
        |limits| limits.packages_per_suite.into(), (1..=100_000);
    /// One-time packages of one identity that one claimer gets at once.
    claims_per_pair, "node-quotas-claims-per-pair", "QPQ_NODE_QUOTAS_CLAIMS_PER_PAIR",
        |limits| limits.claims_per_pair.burst.into(), BURST;
    /// Seconds until that claimer gets one more; 0: no limit.
    claims_per_pair_secs, "node-quotas-claims-per-pair-secs",
        "QPQ_NODE_QUOTAS_CLAIMS_PER_PAIR_SECS",
        |limits| limits.claims_per_pair.period.as_secs(), (0..=1_000_000);
    /// One-time packages of one identity that all claimers together get at once.
    claims_per_target, "node-quotas-claims-per-target", "QPQ_NODE_QUOTAS_CLAIMS_PER_TARGET",
        |limits| limits.claims_per_target.burst.into(), BURST;
    /// Seconds until all claimers together get one more; 0: no limit.
    claims_per_target_secs, "node-quotas-claims-per-target-secs",
        "QPQ_NODE_QUOTAS_CLAIMS_PER_TARGET_SECS",
        |limits| limits.claims_per_target.period.as_secs(), (0..=1_000_000);
    /// Rows a second that one sender stores for long; 0: no limit.
    rows_per_sec, "node-quotas-rows-per-sec", "QPQ_NODE_QUOTAS_ROWS_PER_SEC",
        |limits| per_sec(limits.rows_per_sender), RATE;
    /// Rows that one sender may be ahead of that.
    rows_burst, "node-quotas-rows-burst", "QPQ_NODE_QUOTAS_ROWS_BURST",
        |limits| limits.rows_per_sender.burst.into(), BURST;
    /// KiB a second that one identity moves for long; 0: no limit.
    kib_per_sec, "node-quotas-kib-per-sec", "QPQ_NODE_QUOTAS_KIB_PER_SEC",
        |limits| per_sec(limits.kibibytes_per_sender), RATE;
    /// KiB that one identity may be ahead of that.
    kib_burst, "node-quotas-kib-burst", "QPQ_NODE_QUOTAS_KIB_BURST",
        |limits| limits.kibibytes_per_sender.burst.into(), BURST;
    /// Tries to authenticate a second from one address; 0: no limit.
    authentications_per_sec, "node-quotas-authentications-per-sec",
        "QPQ_NODE_QUOTAS_AUTHENTICATIONS_PER_SEC",
        |limits| per_sec(limits.authentications_per_address), RATE;
    /// Tries to authenticate that one address may be ahead of that.
    authentications_burst, "node-quotas-authentications-burst",
        "QPQ_NODE_QUOTAS_AUTHENTICATIONS_BURST",
        |limits| limits.authentications_per_address.burst.into(), BURST;
    /// New identities a second from one address; 0: no limit.
    registrations_per_sec, "node-quotas-registrations-per-sec",
        "QPQ_NODE_QUOTAS_REGISTRATIONS_PER_SEC",
        |limits| per_sec(limits.registrations_per_address), RATE;
    /// New identities that one address may be ahead of that.
    registrations_burst, "node-quotas-registrations-burst", "QPQ_NODE_QUOTAS_REGISTRATIONS_BURST",
        |limits| limits.registrations_per_address.burst.into(), BURST;
    /// Bytes of one blob; the protocol has at most 100 MiB.
    blob_bytes, "node-quotas-blob-bytes", "QPQ_NODE_QUOTAS_BLOB_BYTES",
        |limits| limits.blob_bytes, (0..=100 * 1024 * 1024);
    /// Bytes of all blobs of one identity.
    blob_quota_bytes, "node-quotas-blob-quota-bytes", "QPQ_NODE_QUOTAS_BLOB_QUOTA_BYTES",
        |limits| limits.blob_quota_bytes, QUOTA;
    /// Blobs of one identity.
    blobs, "node-quotas-blobs", "QPQ_NODE_QUOTAS_BLOBS",
        |limits| limits.blobs, (0..=10_000_000);
    /// Seconds a blob is kept for one owner.
    blob_ttl_secs, "node-quotas-blob-ttl-secs", "QPQ_NODE_QUOTAS_BLOB_TTL_SECS",
        |limits| limits.blob_ttl_secs.into(), SECS;
    /// Seconds an unfinished blob waits for its next piece.
    upload_ttl_secs, "node-quotas-upload-ttl-secs", "QPQ_NODE_QUOTAS_UPLOAD_TTL_SECS",
        |limits| limits.upload_ttl_secs.into(), SECS;
}

fn per_sec(rate: Rate) -> u64 {
    let nanos = u64::try_from(rate.period.as_nanos()).unwrap_or(u64::MAX);
    1_000_000_000_u64.checked_div(nanos).unwrap_or_default()
}

/// Every range above ends within 32 bits where this is used.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn rate(burst: u64, per_sec: u64) -> Rate {
    let nanos = 1_000_000_000_u64.checked_div(per_sec).unwrap_or_default();
    Rate { burst: small(burst), period: Duration::from_nanos(nanos) }
}

impl Quotas {
    /// Puts them into what the node takes.
    pub(crate) fn apply(&self, limits: &mut Limits) {
        let every = |burst, secs| Rate { burst: small(burst), period: Duration::from_secs(secs) };
        limits.queue_rows = self.queue_rows;
        limits.queue_bytes = self.queue_bytes;
        limits.ttl_secs = small(self.ttl_secs);
        limits.pair_rows = self.pair_rows;
        limits.stranger_rows = self.stranger_rows;
        limits.stranger_bytes = self.stranger_bytes;
        limits.names = usize::try_from(self.names).unwrap_or(usize::MAX);
        limits.packages_per_suite = small(self.key_packages);
        limits.claims_per_pair = every(self.claims_per_pair, self.claims_per_pair_secs);
        limits.claims_per_target = every(self.claims_per_target, self.claims_per_target_secs);
        limits.rows_per_sender = rate(self.rows_burst, self.rows_per_sec);
        limits.kibibytes_per_sender = rate(self.kib_burst, self.kib_per_sec);
        limits.authentications_per_address =
            rate(self.authentications_burst, self.authentications_per_sec);
        limits.registrations_per_address =
            rate(self.registrations_burst, self.registrations_per_sec);
        limits.blob_bytes = self.blob_bytes;
        limits.blob_quota_bytes = self.blob_quota_bytes;
        limits.blobs = self.blobs;
        limits.blob_ttl_secs = small(self.blob_ttl_secs);
        limits.upload_ttl_secs = small(self.upload_ttl_secs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_survives_the_way_through_the_settings() {
        let layer = QuotasLayer::default();
        let mut limits = Limits::default();
        let before = format!("{limits:?}");
        Quotas::load(&layer, &layer).unwrap().apply(&mut limits);
        assert_eq!(format!("{limits:?}"), before);
    }

    #[test]
    fn flags_are_over_the_file_and_ranges_are_named() {
        let file = QuotasLayer { queue_rows: Some(5), names: Some(9), ..Default::default() };
        let flags =
            QuotasLayer { queue_rows: Some(6), rows_per_sec: Some(0), ..Default::default() };
        let mut limits = Limits::default();
        Quotas::load(&flags, &file).unwrap().apply(&mut limits);
        assert_eq!((limits.queue_rows, limits.names), (6, 9));
        assert_eq!(limits.rows_per_sender.period, Duration::ZERO);
        let flags = QuotasLayer { queue_rows: Some(0), ..Default::default() };
        let failure = Quotas::load(&flags, &file).unwrap_err().to_string();
        assert!(failure.contains("node.quotas.queue_rows is 1 to"), "{failure}");
    }
}
