//! Whom an intent is about, and how many of them one commit takes.

use quicproquo_core::group::RepairRequest;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::Suite;

use super::actor::Actor;
use crate::model::NewGroup;
use crate::store::{GroupRecord, IntentSpec};

/// Members that one commit adds, so that it and its Welcome stay below 4 MiB: with post-quantum
/// keys each takes about 5 KB in both together, else 2 KB.
pub(super) fn at_once(suite: Suite) -> usize {
    match suite {
        _ if cfg!(test) => 3,
        Suite::Native => 500,
        Suite::Envelope => 1_000,
    }
}

/// Whom an intent is still about, given the group as it is now.
pub(super) fn wanted(spec: &IntentSpec, record: &GroupRecord) -> Vec<IdentityKey> {
    match spec {
        IntentSpec::Create(NewGroup { members, .. }) | IntentSpec::Add(members) => {
            members.iter().filter(|key| record.role(key).is_none()).copied().collect()
        }
        IntentSpec::Remove(members) => {
            members.iter().filter(|key| record.role(key).is_some()).copied().collect()
        }
        IntentSpec::Readd(bytes) => {
            let asked = RepairRequest::parse(bytes).ok();
            let here = asked.filter(|asked| asked.epoch == record.epoch);
            here.map(|asked| asked.member).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

impl Actor {
    /// Whether an intent adds more members than are in the group by now.
    pub(super) fn is_bulk(&self, n: u64) -> bool {
        let Some(intent) = self.intents.get(&n) else { return false };
        let record = self.groups.get(&intent.group).map(|slot| &slot.record);
        matches!(intent.spec, IntentSpec::Create(_) | IntentSpec::Add(_))
            && record.is_some_and(|record| !wanted(&intent.spec, record).is_empty())
    }
}
