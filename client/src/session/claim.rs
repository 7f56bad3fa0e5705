//! Key packages of others, claimed for an intent and kept with it.

use std::collections::BTreeSet;

use quicproquo_core::identity::IdentityKey;
use quicproquo_core::key_package;
use quicproquo_schemas::code::ErrorCode;
use serde_bytes::ByteBuf;

use super::actor::Actor;
use super::input::Input;
use super::outbox::RETRY;
use super::unit::Unit;
use crate::error::SessionError;
use crate::rpc::{Request, RpcError};
use crate::store::{IntentRecord, IntentSpec};

impl Actor {
    /// Whether the packages for these members are here; claims them if not.
    pub(super) fn have_packages(
        &mut self,
        intent: &IntentRecord,
        members: &[IdentityKey],
        ciphersuite: u16,
    ) -> bool {
        let missing: Vec<IdentityKey> = members
            .iter()
            .filter(|member| intent.packages.iter().all(|(key, _)| key != *member))
            .copied()
            .collect();
        if missing.is_empty() {
            return true;
        }
        let n = intent.n;
        if self.uplink.up && self.claiming.insert(n) {
            let identities = missing.clone();
            let claim = |answer| Request::ClaimKeyPackages { identities, ciphersuite, answer };
            let input = move |result| Input::Claimed { intent: n, asked: missing, result };
            self.jobs.push(self.uplink.ask(claim, input));
        }
        false
    }

    /// Claimed packages are kept with the intent, in the same unit that goes on with it.
    pub(super) fn claimed(
        &mut self,
        n: u64,
        asked: &[IdentityKey],
        result: Result<Vec<Option<Vec<u8>>>, RpcError>,
        unit: &mut Unit,
    ) {
        self.claiming.remove(&n);
        let Some(intent) = self.intents.get_mut(&n) else {
            return;
        };
        let packages = match result {
            Ok(packages) => packages,
            // Without a link, claimed again when it is back.
            Err(
                RpcError::Unavailable(_)
                | RpcError::Coded {
                    code:
                        ErrorCode::RateLimited
                        | ErrorCode::StorageFull
                        | ErrorCode::Internal
                        | ErrorCode::ShuttingDown,
                    ..
                },
            ) => {
                let group = intent.group.clone();
                return self.after(RETRY, Input::Wake(group));
            }
            Err(RpcError::Coded { text, .. }) => {
                return self.settle(n, &Err(SessionError::NodeRefused(text)), unit);
            }
        };
        unit.touched.insert(intent.group.clone());
        let members = match &intent.spec {
            IntentSpec::Create(new) => &new.members,
            IntentSpec::Add(members) => members,
            IntentSpec::Readd(_) => asked,
            _ => return,
        };
        let again = matches!(intent.spec, IntentSpec::Readd(_));
        let record = self.groups.get(&intent.group).map(|slot| &slot.record);
        // Meanwhile somebody else may have added one of them.
        let wanted: BTreeSet<IdentityKey> = members
            .iter()
            .filter(|key| again || record.is_none_or(|record| record.role(key).is_none()))
            .filter(|key| intent.packages.iter().all(|(known, _)| known != *key))
            .copied()
            .collect();
        let now = unit.now_ms / 1000;
        let mut failure = (asked.len() != packages.len())
            .then(|| SessionError::Internal("the node answered another question".into()));
        for (identity, package) in asked.iter().copied().zip(packages) {
            if !wanted.contains(&identity) {
                continue;
            }
            let Some(package) = package else {
                failure.get_or_insert(SessionError::NoKeyPackage(identity));
                continue;
            };
            match key_package::inspect(&package, now) {
                Ok(info) if info.identity == identity => {
                    intent.packages.push((identity, ByteBuf::from(package)));
                }
                Ok(_) => {
                    let reason = "it belongs to another identity".to_owned();
                    failure.get_or_insert(SessionError::BadKeyPackage { identity, reason });
                }
                Err(error) => {
                    let reason = error.to_string();
                    failure.get_or_insert(SessionError::BadKeyPackage { identity, reason });
                }
            }
        }
        match failure {
            Some(error) => self.settle(n, &Err(error), unit),
            None => unit.batch.intent(self.owner, intent),
        }
    }
}
