//! The stock of key packages at the node.
//!
//! Packages are made on a thread of their own, a few at a time: messages never wait for them.

use futures::FutureExt as _;
use quicproquo_core::key_package::{KeyPackages, NewKeyPackage};
use quicproquo_core::provider::{MlsStore, RowWrite};
use quicproquo_core::suite::Suite;

use super::actor::Actor;
use super::input::Input;
use super::unit::{NewPackages, Unit};
use crate::rpc::{Request, RpcError, Stock};

/// Packages made at once.
const AT_ONCE: u32 = 20;
/// The first packages, so that a new identity can be invited soon.
const FIRST: u32 = 4;
/// A last-resort package is replaced after 28 days, in milliseconds.
const LAST_RESORT_MS: u64 = 28 * 24 * 3600 * 1000;

/// New packages of one suite; their private halves are in `writes`, not durable yet.
#[derive(Debug)]
pub(super) struct Made {
    suite: Suite,
    packages: Vec<NewKeyPackage>,
    writes: Vec<RowWrite>,
}

impl Actor {
    /// Asks the node for the stock; the answer refills it.
    pub(super) fn restock(&mut self) {
        let stock = |answer| Request::KeyPackageStock { answer };
        self.jobs.push(self.uplink.ask(stock, Input::Stock));
    }

    /// Refills what is missing, a little at a time. Below half the target counts as missing.
    pub(super) fn stock(&mut self, result: Result<Vec<Stock>, RpcError>, unit: &Unit) {
        let stock = match result {
            Ok(stock) => stock,
            Err(error) => {
                // Asked again when the link is back.
                tracing::debug!(%error, "the stock of key packages is unknown");
                return;
            }
        };
        self.stock = stock;
        let known = self.stock.clone();
        let of = |suite: Suite| {
            let found = known.iter().find(|stock| stock.ciphersuite == suite.code());
            found.map_or((0, false), |stock| (stock.one_time, stock.has_last_resort))
        };
        if Suite::ALL.iter().all(|suite| of(*suite).1) {
            self.uplink.published = true;
            self.claim_waiting_names();
        }
        let old = unit.now_ms.saturating_sub(LAST_RESORT_MS);
        let stale = |suite: &Suite| self.last_resorts.get(suite).is_none_or(|made| *made < old);
        let full = if self.uplink.filling { self.stock_target } else { self.stock_target / 2 };
        let lacking = Suite::ALL.into_iter().filter(|suite| {
            let (one_time, last_resort) = of(*suite);
            !last_resort || one_time < full || stale(suite)
        });
        let Some(suite) = lacking.min_by_key(|suite| of(*suite)) else {
            self.uplink.filling = false;
            return;
        };
        self.uplink.filling = true;
        let (one_time, has_last_resort) = of(suite);
        let missing = self.stock_target.saturating_sub(one_time);
        let count = missing.min(if one_time == 0 { FIRST } else { AT_ONCE });
        let last_resort = !has_last_resort || stale(&suite);
        self.make(suite, count, last_resort, unit.now_ms / 1000);
    }

    /// One batch at a time; the answer to its publication leads to the next.
    fn make(&mut self, suite: Suite, count: u32, last_resort: bool, now: u64) {
        let Some(hybrid) = self.hybrid.first().map(|secret| secret.public().clone()) else {
            return;
        };
        if std::mem::replace(&mut self.making, true) {
            return;
        }
        let identity = std::sync::Arc::clone(&self.identity);
        let making = tokio::task::spawn_blocking(move || {
            let store = MlsStore::new();
            let make = |count, last_resort| {
                KeyPackages::generate(&identity, suite, count, last_resort, &hybrid, now, &store)
            };
            let mut packages = make(count as usize, false)?;
            packages.extend(make(usize::from(last_resort), true)?);
            Ok(Made { suite, packages, writes: store.take_writes() })
        });
        let made = making.map(|made| match made {
            Ok(made) => Input::Made(made),
            Err(error) => Input::MakingFailed(error.to_string()),
        });
        self.jobs.push(made.boxed());
    }

    /// Their private halves become durable with this unit; then they are published.
    pub(super) fn made(
        &mut self,
        result: Result<Made, quicproquo_core::key_package::GenerateError>,
        unit: &mut Unit,
    ) {
        self.making = false;
        let Made { suite, packages, writes } = match result {
            Ok(made) => made,
            Err(error) => return tracing::error!(%error, "key packages cannot be made"),
        };
        for write in writes {
            self.overlay.put(write.scope, write.key, write.value);
        }
        let (mut one_time, mut last_resort) = (Vec::new(), None);
        for package in packages {
            let (code, last) = (suite.code(), package.last_resort);
            unit.batch.key_package(self.owner, package.reference, code, last, unit.now_ms);
            if last {
                last_resort = Some(package.bytes);
                self.last_resorts.insert(suite, unit.now_ms);
            } else {
                one_time.push(package.bytes);
            }
        }
        unit.publish = Some(NewPackages { one_time, last_resort });
    }

    pub(super) fn making_failed(&mut self, error: &str) {
        self.making = false;
        tracing::error!(error, "key packages cannot be made");
    }

    /// The last-resort package of a suite was used: others may hold it too.
    pub(super) fn rotate_last_resort(&mut self, suite: Suite) {
        self.last_resorts.remove(&suite);
        self.restock();
    }

    pub(super) fn publish(&mut self, packages: NewPackages) {
        let NewPackages { one_time, last_resort } = packages;
        let publish = |answer| Request::PublishKeyPackages { one_time, last_resort, answer };
        self.jobs.push(self.uplink.ask(publish, Input::Stock));
    }
}
