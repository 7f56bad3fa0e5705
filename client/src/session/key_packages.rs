//! The stock of key packages at the node.
//!
//! Packages are made on a thread of their own, a few at a time: messages never wait for them.

use futures::FutureExt as _;
use quicproquo_core::key_package::{KeyPackages, NewKeyPackage};
use quicproquo_core::provider::{MlsStore, RowWrite, key_package_scope};
use quicproquo_core::suite::Suite;

use super::actor::Actor;
use super::input::Input;
use super::unit::{NewPackages, Unit};
use super::welcome::NO_PLACE;
use crate::rpc::{Request, RpcError, Stock};
use crate::store::StoreError;

/// Packages made at once.
const AT_ONCE: u32 = 20;
/// The first packages, so that a new identity can be invited soon.
const FIRST: u32 = 4;
/// Packages are replaced after 28 days, in milliseconds: the node hands none out after 35.
const REPLACED_MS: u64 = 28 * 24 * 3600 * 1000;
/// Private halves are kept for 105 days, in milliseconds: a Welcome may come long after the
/// package was handed out.
const SECRET_KEPT_MS: u64 = 105 * 24 * 3600 * 1000;

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
        let input = |result| Input::Stock { replaced: None, result };
        self.jobs.push(self.uplink.ask(stock, input));
    }

    /// Refills what is missing, a little at a time. Below half the target counts as missing.
    pub(super) async fn stock(
        &mut self,
        replaced: Option<Suite>,
        result: Result<Vec<Stock>, RpcError>,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let stock = match result {
            Ok(stock) => stock,
            Err(error) => {
                // Asked again when the link is back.
                tracing::debug!(%error, "the stock of key packages is unknown");
                return Ok(());
            }
        };
        self.stock = stock;
        if let Some(suite) = replaced {
            self.replaced(suite, unit);
        }
        let known = self.stock.clone();
        let old = unit.now_ms.saturating_sub(REPLACED_MS);
        let fresh = self.store.fresh_packages(self.owner, old).await?;
        // Which packages were handed out only the node knows, which are old only we do.
        let foreign: Vec<Suite> =
            Suite::ALL.into_iter().filter(|suite| self.to_replace(*suite)).collect();
        let of = |suite: Suite| {
            let found = known.iter().find(|stock| stock.ciphersuite == suite.code());
            found.filter(|_| !foreign.contains(&suite)).map_or((0, false), |stock| {
                let fresh = fresh.get(&suite).copied().unwrap_or_default();
                (stock.one_time.min(fresh), stock.has_last_resort)
            })
        };
        if Suite::ALL.iter().all(|suite| of(*suite).1) {
            self.uplink.published = true;
            self.claim_waiting_names();
        }
        let stale = |suite: &Suite| self.last_resorts.get(suite).is_none_or(|made| *made < old);
        let full = if self.uplink.filling { self.stock_target } else { self.stock_target / 2 };
        let lacking = Suite::ALL.into_iter().filter(|suite| {
            let (one_time, last_resort) = of(*suite);
            !last_resort || one_time < full || stale(suite)
        });
        let Some(suite) = lacking.min_by_key(|suite| of(*suite)) else {
            self.uplink.filling = false;
            return Ok(());
        };
        self.uplink.filling = true;
        let (one_time, has_last_resort) = of(suite);
        let missing = self.stock_target.saturating_sub(one_time);
        let count = missing.min(if one_time == 0 { FIRST } else { AT_ONCE });
        let last_resort = !has_last_resort || stale(&suite);
        self.make(suite, count, last_resort, unit.now_ms / 1000);
        Ok(())
    }

    /// Forgets private halves that no Welcome needs any more.
    pub(super) async fn forget_key_packages(&mut self, unit: &mut Unit) -> Result<(), StoreError> {
        // A Welcome that waits for a place needs its package whenever the place is free.
        if self.buffered.contains_key(NO_PLACE) {
            return Ok(());
        }
        let before = unit.now_ms.saturating_sub(SECRET_KEPT_MS);
        for reference in self.store.old_packages(self.owner, before).await? {
            unit.batch.forget_mls(self.owner, &key_package_scope(&reference));
            unit.batch.forget_key_package(self.owner, reference);
        }
        self.last_resorts.retain(|_, made| *made >= before);
        Ok(())
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
        let busy = self.clock.busy();
        let made = making.map(move |made| {
            let _busy = busy;
            match made {
                Ok(made) => Input::Made(made),
                Err(error) => Input::MakingFailed(error.to_string()),
            }
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
        let replace = Some(suite).filter(|_| self.to_replace(suite));
        unit.publish = Some(NewPackages { one_time, last_resort, replace });
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
        let NewPackages { one_time, last_resort, replace } = packages;
        let publish = |answer| Request::PublishKeyPackages {
            one_time,
            last_resort,
            replace: replace.is_some(),
            answer,
        };
        let stock = move |result| Input::Stock { replaced: replace, result };
        self.jobs.push(self.uplink.ask(publish, stock));
    }
}
