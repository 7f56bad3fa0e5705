//! What a commit changed.

use std::collections::BTreeSet;

use openmls::group::StagedCommit;

use super::Member;
use crate::extension::StandardContext;
use crate::identity::IdentityKey;

/// The changes of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSummary {
    /// The epoch that the commit begins.
    pub epoch: u64,
    /// Who committed.
    pub by: IdentityKey,
    /// New members.
    pub added: Vec<Member>,
    /// Members that were removed or left.
    pub removed: Vec<IdentityKey>,
    /// Those of them that asked to leave, as far as their proposals are here.
    pub left: Vec<IdentityKey>,
    /// The new name, when it changed.
    pub renamed: Option<String>,
    /// The new topic, when it changed.
    pub topic: Option<String>,
    /// The new list of admins, when it changed.
    pub admins: Option<BTreeSet<IdentityKey>>,
    /// Whether we are no longer a member.
    pub self_removed: bool,
}

impl CommitSummary {
    pub(super) fn new(
        staged: &StagedCommit,
        by: IdentityKey,
        added: Vec<Member>,
        (removed, left): (Vec<IdentityKey>, Vec<IdentityKey>),
        before: Option<&StandardContext>,
        after: Option<&StandardContext>,
    ) -> Self {
        let mut summary = Self {
            epoch: staged.epoch().as_u64(),
            by,
            added,
            removed,
            left,
            renamed: None,
            topic: None,
            admins: None,
            self_removed: staged.self_removed(),
        };
        if let (Some(before), Some(after)) = (before, after) {
            summary.renamed = (before.name != after.name).then(|| after.name.clone());
            summary.topic = (before.topic != after.topic).then(|| after.topic.clone());
            summary.admins = (before.admins != after.admins).then(|| after.admins.clone());
        }
        summary
    }
}
