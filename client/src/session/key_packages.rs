//! The stock of key packages at the node.

use quicproquo_core::key_package::KeyPackages;
use quicproquo_core::provider::{MlsStore, key_package_scope};
use quicproquo_core::suite::Suite;

use super::actor::Actor;
use super::input::Input;
use super::unit::{NewPackages, Unit};
use crate::rpc::{Request, RpcError, Stock};

/// Packages made in one unit, so that making them never holds up messages for long.
const AT_ONCE: u32 = 20;
/// The first packages, so that a new identity can be invited soon.
const FIRST: u32 = 4;

impl Actor {
    /// Asks the node for the stock; the answer refills it.
    pub(super) fn restock(&mut self) {
        let stock = |answer| Request::KeyPackageStock { answer };
        self.jobs.push(self.uplink.ask(stock, Input::Stock));
    }

    /// Refills what is missing, a little at a time. Below half the target counts as missing.
    pub(super) fn stock(&mut self, result: Result<Vec<Stock>, RpcError>, unit: &mut Unit) {
        let stock = match result {
            Ok(stock) => stock,
            Err(error) => {
                // Asked again when the link is back.
                tracing::debug!(%error, "the stock of key packages is unknown");
                return;
            }
        };
        let filling = !self.stock.is_empty() && self.uplink.filling;
        self.stock = stock;
        let known = self.stock.clone();
        let of = |suite: Suite| {
            let found = known.iter().find(|stock| stock.ciphersuite == suite.code());
            found.map_or((0, false), |stock| (stock.one_time, stock.has_last_resort))
        };
        let everywhere = Suite::ALL.iter().all(|suite| of(*suite).1);
        let full = if filling { self.stock_target } else { self.stock_target / 2 };
        let lacking = Suite::ALL.iter().copied().filter(|suite| {
            let (one_time, last_resort) = of(*suite);
            !last_resort || one_time < full
        });
        let rotate = std::mem::take(&mut self.rotate_last_resort);
        let suite = lacking.min_by_key(|suite| of(*suite)).or(rotate.then_some(Suite::Envelope));
        if everywhere {
            self.uplink.published = true;
            self.claim_waiting_names();
        }
        let Some(suite) = suite else {
            self.uplink.filling = false;
            return;
        };
        self.uplink.filling = true;
        let (one_time, has_last_resort) = of(suite);
        let missing = self.stock_target.saturating_sub(one_time);
        let count = missing.min(if one_time == 0 { FIRST } else { AT_ONCE });
        self.make(suite, count, !has_last_resort || rotate, unit);
    }

    fn make(&mut self, suite: Suite, count: u32, last_resort: bool, unit: &mut Unit) {
        let Some(hybrid) = self.hybrid.first().map(|secret| secret.public().clone()) else {
            return;
        };
        let now = unit.now_ms / 1000;
        let store = MlsStore::new();
        let identity = &self.identity;
        let made =
            KeyPackages::generate(identity, suite, count as usize, false, &hybrid, now, &store)
                .and_then(|one_time| {
                    let more = usize::from(last_resort);
                    let last =
                        KeyPackages::generate(identity, suite, more, true, &hybrid, now, &store)?;
                    Ok((one_time, last))
                });
        let (one_time, last) = match made {
            Ok(made) => made,
            Err(error) => return tracing::error!(%error, "key packages cannot be made"),
        };
        for package in one_time.iter().chain(&last) {
            let reference = package.reference.clone();
            let (code, last) = (suite.code(), package.last_resort);
            unit.batch.key_package(self.owner, reference, code, last, unit.now_ms);
        }
        for write in store.take_writes() {
            debug_assert!(
                one_time
                    .iter()
                    .chain(&last)
                    .any(|package| { write.scope == key_package_scope(&package.reference) })
            );
            self.overlay.put(write.scope, write.key, write.value);
        }
        let one_time = one_time.into_iter().map(|package| package.bytes).collect();
        unit.publish = Some(NewPackages {
            one_time,
            last_resort: last.into_iter().next().map(|package| package.bytes),
        });
    }

    /// Their private halves are durable: hand them to the node.
    pub(super) fn publish(&mut self, packages: NewPackages) {
        let NewPackages { one_time, last_resort } = packages;
        let publish = |answer| Request::PublishKeyPackages { one_time, last_resort, answer };
        self.jobs.push(self.uplink.ask(publish, Input::Stock));
    }
}
