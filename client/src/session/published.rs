//! Members whose leaf carries no hybrid key: peers that know only the published formats. Their
//! keys are asked for at the node, and what is for them goes in envelopes of version 1.

use std::collections::{BTreeSet, HashMap};

use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::kem::HybridPublic;
use quicproquo_core::suite::{Profile, Suite};

use super::actor::Actor;
use super::bulk::at_once;
use super::input::Input;
use super::outbox::RETRY;
use super::recipients::{Recipients, SealFor};
use super::unit::Unit;
use crate::model::NewGroup;
use crate::rpc::{Request, RpcError};
use crate::store::{IntentSpec, StoreError};

/// Keys of members whose leaf has none, as the node tells them; `None`: there is none.
pub(super) type Published = HashMap<IdentityKey, Option<HybridPublic>>;

impl Actor {
    /// Whether keys of members of a group, or of these who are about to come, are still to be
    /// asked for; asks for them.
    pub(super) async fn lacks_keys(
        &mut self,
        group: &GroupId,
        coming: &[IdentityKey],
    ) -> Result<bool, StoreError> {
        let plain = self.groups.get(group).is_some_and(|slot| {
            slot.record.profile == Profile::Plain && slot.record.suite == Suite::Envelope
        });
        if !plain {
            return Ok(false);
        }
        let own = self.identity.key();
        let Some(mls) = self.mls(group).await? else { return Ok(false) };
        let members = mls.members().into_iter().filter(|member| member.hybrid.is_none());
        let without = members.map(|member| member.identity).filter(|key| *key != own);
        let needed: Vec<IdentityKey> = without.chain(coming.iter().copied()).collect();
        Ok(self.lacks_any(&needed))
    }

    /// The same of a group that is still to be made, and those whom its first commit adds.
    pub(super) fn lacks_keys_for(&mut self, new: &NewGroup) -> bool {
        if new.profile != Profile::Plain || new.suite != Suite::Envelope {
            return false;
        }
        let own = self.identity.key();
        let others = new.members.iter().filter(|key| **key != own);
        let first: Vec<IdentityKey> = others.take(at_once(new.suite)).copied().collect();
        self.lacks_any(&first)
    }

    fn lacks_any(&mut self, needed: &[IdentityKey]) -> bool {
        let unknown = |key: &&IdentityKey| !self.published.contains_key(*key);
        let unknown: Vec<IdentityKey> = needed.iter().filter(unknown).copied().collect();
        for key in &unknown {
            self.ask_key(*key);
        }
        !unknown.is_empty()
    }

    pub(super) fn ask_key(&mut self, identity: IdentityKey) {
        if self.uplink.up && self.asked_keys.insert(identity) {
            let fetch = |answer| Request::FetchHybridKey { identity, answer };
            let input = move |result| Input::HybridKey { identity, result };
            self.jobs.push(self.uplink.ask(fetch, input));
        }
    }

    /// Whether somebody's published key is here.
    pub(super) fn knows_key(&self, identity: &IdentityKey) -> bool {
        matches!(self.published.get(identity), Some(Some(_)))
    }

    /// Whoever asks where the group is may be an old copy, without the private half of the key that
    /// is in its leaf now: it has published one of its own. Each of the two is tried in turn.
    pub(super) fn leaf_or_published(&mut self, asker: Recipients) -> Recipients {
        let turn = |(member, seal)| match seal {
            SealFor::Leaf(leaf) => {
                // Taken: it is asked for anew, since the other copy may have published its own.
                if let Some(Some(key)) = self.published.remove(&member) {
                    return (member, SealFor::Published(key));
                }
                self.ask_key(member);
                (member, SealFor::Leaf(leaf))
            }
            seal => (member, seal),
        };
        asker.into_iter().map(turn).collect()
    }

    /// The node has told a published key, or that there is none.
    pub(super) fn hybrid_key(
        &mut self,
        identity: IdentityKey,
        result: Result<Vec<u8>, RpcError>,
        unit: &mut Unit,
    ) {
        self.asked_keys.remove(&identity);
        let found = match result {
            Ok(bytes) => {
                self.published.insert(identity, HybridPublic::from_slice(&bytes).ok());
                true
            }
            Err(error) => {
                tracing::debug!(%error, "a published key is unknown");
                false
            }
        };
        let groups = self.groups.iter().filter(|(_, slot)| slot.record.profile == Profile::Plain);
        let to_be_made = self.intents.values().filter(
            |it| matches!(&it.spec, IntentSpec::Create(new) if new.profile == Profile::Plain),
        );
        let groups: BTreeSet<GroupId> = groups
            .map(|(group, _)| group.clone())
            .chain(to_be_made.map(|intent| intent.group.clone()))
            .collect();
        for group in groups {
            if found {
                unit.touched.insert(group);
            } else {
                self.after(RETRY, Input::Wake(group));
            }
        }
    }
}

/// Recipients with the keys that were asked for.
pub(super) fn with_published(recipients: Recipients, published: &Published) -> Recipients {
    let known = |key: &IdentityKey| published.get(key).and_then(Option::as_ref);
    recipients
        .into_iter()
        .map(|(key, seal)| match (seal, known(&key)) {
            (SealFor::Nobody, Some(hybrid)) => (key, SealFor::Published(hybrid.clone())),
            (seal, _) => (key, seal),
        })
        .collect()
}
