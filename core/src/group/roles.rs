//! Who may change what: one fixed rule, checked by every member alike, before
//! a commit is merged.
//!
//! In both profiles: by reference only the Remove of its own proposer; no
//! pre-shared keys, re-initialization, external or custom proposals; nobody
//! changes its identity. In the standard profile only an admin adds, removes
//! or changes the group context, the context keeps to the profile, an admin is
//! left, and every leaf has a hybrid key. One exception: a member that asked for it may be added again
//! by anybody ([`super::repair`]).

use std::collections::{BTreeMap, BTreeSet};

use openmls::framing::Sender;
use openmls::group::{MlsGroup, QueuedProposal, StagedCommit};
use openmls::prelude::{LeafNode, LeafNodeIndex, Proposal, ProposalOrRefType};

use super::event::CommitSummary;
use super::repair::RepairRequest;
use super::{Group, leaves, member};
use crate::credential::identity_of;
use crate::extension::{ExtensionError, StandardContext, hybrid_of, supports_standard};
use crate::identity::IdentityKey;

/// Which rule a message breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// Only an admin may commit this.
    #[error("the committer is not an admin")]
    NotAdmin,
    /// Only the Remove of its own proposer may be proposed by reference.
    #[error("only leaving may be proposed by reference")]
    ByReference,
    /// Such proposals are refused from anybody.
    #[error("the commit has a proposal of a kind that is refused")]
    ForbiddenProposal,
    /// Senders outside the group are refused.
    #[error("the sender is outside the group")]
    External,
    /// Handshakes in the clear are refused.
    #[error("the handshake is not encrypted")]
    NotEncrypted,
    /// A leaf's credential is not its signature key, or an identity would change.
    #[error("a leaf does not keep to its identity")]
    Identity,
    /// A new member cannot be in a group of this profile.
    #[error("a new member does not support the profile")]
    Capabilities,
    /// A leaf of a standard group has no hybrid key: nothing could be sealed for its owner.
    #[error("a leaf has no hybrid key")]
    NoHybridKey,
    /// The group would change its profile.
    #[error("the profile of a group is fixed")]
    Profile,
    /// No admin would be left.
    #[error("no admin would be left")]
    NoAdminLeft,
    /// An extension is malformed.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
}

/// Judges a staged commit of the member at `committer` against the group as it
/// is before, and tells what it changes. `request` is the repair request that
/// came with it.
pub(super) fn authorize(
    mls: &MlsGroup,
    committer: LeafNodeIndex,
    staged: &StagedCommit,
    request: Option<&RepairRequest>,
) -> Result<CommitSummary, Unauthorized> {
    if !request.is_some_and(|request| request.covers(mls, staged)) {
        let by = committer_of(mls, committer)?;
        let context = StandardContext::read(mls.extensions())?;
        let admin = context.is_none_or(|context| context.admins.contains(&by));
        for proposal in staged.queued_proposals() {
            judge_proposal(proposal, committer, admin)?;
        }
        // Whoever is added sees the group as it is after, and joins only by an admin.
        let after = StandardContext::read(staged.group_context().extensions())?;
        if staged.add_proposals().next().is_some()
            && after.is_some_and(|after| !after.admins.contains(&by))
        {
            return Err(Unauthorized::NotAdmin);
        }
    }
    describe(mls, committer, staged)
}

fn committer_of(mls: &MlsGroup, committer: LeafNodeIndex) -> Result<IdentityKey, Unauthorized> {
    let leaf = mls.public_group().leaf(committer).ok_or(Unauthorized::External)?;
    identity_of(leaf).map_err(|_| Unauthorized::Identity)
}

/// What a staged commit changes, when the identities, leaves and context that
/// come of it are acceptable, whoever made it.
pub(super) fn describe(
    mls: &MlsGroup,
    committer: LeafNodeIndex,
    staged: &StagedCommit,
) -> Result<CommitSummary, Unauthorized> {
    let by = committer_of(mls, committer)?;
    let before = StandardContext::read(mls.extensions())?;
    let after = StandardContext::read(staged.group_context().extensions())?;
    if before.is_some() != after.is_some() {
        return Err(Unauthorized::Profile);
    }
    if let Some(leaf) = staged.update_path_leaf_node() {
        if identity_of(leaf) != Ok(by) {
            return Err(Unauthorized::Identity);
        }
        check_hybrid(leaf, after.is_some())?;
    }

    let mut present: BTreeMap<u32, IdentityKey> = leaves(mls)
        .filter_map(|(leaf, node)| Some((leaf.u32(), identity_of(node).ok()?)))
        .collect();
    // An admin removes by value who has proposed to leave.
    let proposals = mls.pending_proposals().chain(staged.queued_proposals());
    let leaving: BTreeSet<u32> =
        proposals.filter_map(|proposal| leaver(proposal).ok()).map(|leaf| leaf.u32()).collect();
    let (mut removed, mut left) = (Vec::new(), Vec::new());
    for proposal in staged.remove_proposals() {
        let leaf = proposal.remove_proposal().removed().u32();
        if let Some(identity) = present.remove(&leaf) {
            removed.push(identity);
            if leaving.contains(&leaf) {
                left.push(identity);
            }
        }
    }
    let mut added = Vec::new();
    let mut places = 0..=u32::MAX;
    for proposal in staged.add_proposals() {
        let leaf = proposal.add_proposal().key_package().leaf_node();
        check_hybrid(leaf, after.is_some())?;
        if after.is_some() && !supports_standard(leaf) {
            return Err(Unauthorized::Capabilities);
        }
        // A new leaf takes the leftmost free place (RFC 9420, section 12.1.1).
        let place = places.find(|place| !present.contains_key(place)).unwrap_or_default();
        let new = member(LeafNodeIndex::new(place), leaf, after.as_ref())
            .ok_or(Unauthorized::Identity)?;
        present.insert(place, new.identity);
        added.push(new);
    }
    if let Some(context) = &after
        && !present.values().any(|identity| context.admins.contains(identity))
    {
        return Err(Unauthorized::NoAdminLeft);
    }
    Ok(CommitSummary::new(staged, by, added, (removed, left), before.as_ref(), after.as_ref()))
}

/// A hybrid key is well-formed; in a standard group there is one.
fn check_hybrid(leaf: &LeafNode, standard: bool) -> Result<(), Unauthorized> {
    if hybrid_of(leaf)?.is_none() && standard {
        return Err(Unauthorized::NoHybridKey);
    }
    Ok(())
}

fn judge_proposal(
    proposal: &QueuedProposal,
    committer: LeafNodeIndex,
    admin: bool,
) -> Result<(), Unauthorized> {
    if proposal.proposal_or_ref_type() == ProposalOrRefType::Reference {
        return leaver(proposal).map(drop);
    }
    if *proposal.sender() != Sender::Member(committer) {
        return Err(Unauthorized::External);
    }
    match proposal.proposal() {
        Proposal::Add(_) | Proposal::Remove(_) | Proposal::GroupContextExtensions(_) if admin => {
            Ok(())
        }
        Proposal::Add(_) | Proposal::Remove(_) | Proposal::GroupContextExtensions(_) => {
            Err(Unauthorized::NotAdmin)
        }
        _ => Err(Unauthorized::ForbiddenProposal),
    }
}

/// Who leaves by this proposal: its proposer, or nobody may.
pub(super) fn leaver(proposal: &QueuedProposal) -> Result<LeafNodeIndex, Unauthorized> {
    match (proposal.sender(), proposal.proposal()) {
        (Sender::Member(sender), Proposal::Remove(remove)) if remove.removed() == *sender => {
            Ok(*sender)
        }
        #[cfg(any(test, feature = "fuzzing"))]
        (Sender::Member(_), Proposal::Remove(remove)) if super::forge::obeys() => {
            Ok(remove.removed())
        }
        (Sender::Member(_), _) => Err(Unauthorized::ByReference),
        _ => Err(Unauthorized::External),
    }
}

impl Group {
    /// Whether somebody is left who is an admin, when these leave.
    pub(super) fn admin_left_without(&self, leaving: &BTreeSet<u32>) -> bool {
        self.standard().is_none_or(|context| {
            self.identities()
                .any(|(leaf, key)| !leaving.contains(&leaf.u32()) && context.admins.contains(&key))
        })
    }

    /// The stored leaves that a commit of ours may cover, one per member: not
    /// our own, and not so many that no admin is left.
    pub(super) fn leaves_to_commit(&self) -> Vec<QueuedProposal> {
        let mut leaving = BTreeSet::new();
        self.mls
            .pending_proposals()
            .filter(|proposal| {
                let Ok(leaf) = leaver(proposal) else {
                    return false;
                };
                if leaf == self.mls.own_leaf_index() || !leaving.insert(leaf.u32()) {
                    return false;
                }
                let acceptable = self.admin_left_without(&leaving);
                if !acceptable {
                    leaving.remove(&leaf.u32());
                }
                acceptable
            })
            .cloned()
            .collect()
    }
}
