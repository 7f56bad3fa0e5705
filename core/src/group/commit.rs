//! Staging commits of our own, and what becomes of them.
//!
//! A staged commit is part of the state ("pending") and survives a reload.
//! When its own bytes come back first for their epoch (the caller compares
//! [`Staged::commit_hash`]), [`Group::merge_pending`]; when another commit
//! comes first, processing that one drops it.

use std::collections::BTreeSet;

use openmls::group::{
    CommitBuilderStageError, LeaveGroupError, MergePendingCommitError, RemoveProposalError,
};
use openmls::prelude::{KeyPackage, LeafNodeIndex, LeafNodeParameters, ProposalOrRefType};
use openmls_traits::OpenMlsProvider as _;
use sha2::{Digest as _, Sha256};

use super::context::{Builder, propose};
use super::encrypt::to_bytes;
use super::event::CommitSummary;
use super::repair::RepairRequest;
use super::roles::{Unauthorized, authorize, describe, leaver};
use super::{Group, Member, Role};
use crate::extension::{ExtensionError, capabilities, leaf_extensions};
use crate::identity::{Identity, IdentityKey};
use crate::kem::HybridPublic;
use crate::key_package::{KeyPackageError, for_adding};
use crate::provider::{IdentitySigner, StoreError};
use crate::suite::Profile;

/// Why a commit or a proposal could not be made. The state is as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// We are no longer a member.
    #[error("not a member of the group any more")]
    Inactive,
    /// A commit of our own is already pending.
    #[error("a commit of our own is pending")]
    Pending,
    /// There is nothing to merge or to commit.
    #[error("there is nothing to commit")]
    Nothing,
    /// The identity is not that of the group.
    #[error("the group belongs to another identity")]
    WrongIdentity,
    /// A plain group has no name, topic or admins.
    #[error("a group of the plain profile has no name, topic or admins")]
    PlainProfile,
    /// Not a member.
    #[error("{0} is not a member")]
    NotAMember(IdentityKey),
    /// Already a member, or named twice.
    #[error("{0} is a member already")]
    AlreadyMember(IdentityKey),
    /// A member is not removed by its own commit: it leaves.
    #[error("a member leaves by a proposal")]
    RemoveSelf,
    /// A key package is not usable; the number is its place in the list.
    #[error("key package {0}: {1}")]
    KeyPackage(usize, KeyPackageError),
    /// A key package is of the other ciphersuite.
    #[error("the key package of {0} has another ciphersuite than the group")]
    Suite(IdentityKey),
    /// A key package lacks the extensions that a standard group needs.
    #[error("{0} cannot be in a group of the standard profile")]
    NotStandard(IdentityKey),
    /// The others would refuse it.
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    /// Name, topic or admins are not acceptable.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// The rows could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// openmls refused.
    #[error("the commit could not be made: {0}")]
    Mls(String),
}

/// A commit of our own that is now pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The commit, an `MLSMessage`.
    pub commit: Vec<u8>,
    /// The SHA-256 of `commit`.
    pub commit_hash: [u8; 32],
    /// The Welcome for those who are added, an `MLSMessage`; to be sent after
    /// the commit has won.
    pub welcome: Option<Vec<u8>>,
    /// The members before the commit: who must get it, ourselves included.
    pub recipients: Vec<Member>,
    /// Who is added: who must get the Welcome.
    pub added: Vec<Member>,
    /// What the commit will change.
    pub summary: CommitSummary,
}

impl Group {
    /// Stages a commit that adds the owners of key packages (raw `KeyPackage`s),
    /// one Welcome for all. Each must have 35 days of life left at `now`.
    pub fn add(
        &mut self,
        identity: &Identity,
        key_packages: &[Vec<u8>],
        now: u64,
    ) -> Result<Staged, CommitError> {
        if key_packages.is_empty() {
            return Err(CommitError::Nothing);
        }
        let mut known: BTreeSet<IdentityKey> = self.identities().map(|(_, key)| key).collect();
        let packages = key_packages
            .iter()
            .enumerate()
            .map(|(place, bytes)| self.addable(place, bytes, now, &mut known))
            .collect::<Result<Vec<_>, _>>()?;
        let context = self.context_after(&BTreeSet::new());
        self.stage(identity, |builder| propose(builder.propose_adds(packages), context.as_ref()))
    }

    pub(super) fn addable(
        &self,
        place: usize,
        bytes: &[u8],
        now: u64,
        known: &mut BTreeSet<IdentityKey>,
    ) -> Result<KeyPackage, CommitError> {
        let (package, info) = for_adding(&self.provider, bytes, now)
            .map_err(|error| CommitError::KeyPackage(place, error))?;
        if info.suite != self.suite {
            return Err(CommitError::Suite(info.identity));
        }
        if self.profile() == Profile::Standard && (!info.standard || info.hybrid.is_none()) {
            return Err(CommitError::NotStandard(info.identity));
        }
        if known.insert(info.identity) {
            Ok(package)
        } else {
            Err(CommitError::AlreadyMember(info.identity))
        }
    }

    /// Stages a commit that removes members; those that were admins are none
    /// any more.
    pub fn remove(
        &mut self,
        identity: &Identity,
        members: &[IdentityKey],
    ) -> Result<Staged, CommitError> {
        let members: BTreeSet<IdentityKey> = members.iter().copied().collect();
        if members.is_empty() {
            return Err(CommitError::Nothing);
        }
        if members.contains(&identity.key()) {
            return Err(CommitError::RemoveSelf);
        }
        let leaves = members
            .iter()
            .map(|key| self.leaf_of(key).ok_or(CommitError::NotAMember(*key)))
            .collect::<Result<Vec<LeafNodeIndex>, _>>()?;
        let context = self.context_after(&members);
        self.stage(identity, |builder| propose(builder.propose_removals(leaves), context.as_ref()))
    }

    /// Stages a commit with new keys for our leaf, and a new hybrid key when
    /// one is given.
    pub fn update_keys(
        &mut self,
        identity: &Identity,
        hybrid: Option<&HybridPublic>,
    ) -> Result<Staged, CommitError> {
        let mut leaf = LeafNodeParameters::builder().with_capabilities(capabilities());
        if let Some(hybrid) = hybrid {
            leaf = leaf.with_extensions(leaf_extensions(hybrid)?);
        }
        let leaf = leaf.build();
        self.stage(identity, |builder| {
            Ok(builder.leaf_node_parameters(leaf).force_self_update(true))
        })
    }

    /// Stages a commit of the stored leave proposals. An admin removes who
    /// leaves by value: others may not have the proposal.
    pub fn commit_proposals(&mut self, identity: &Identity) -> Result<Staged, CommitError> {
        if self.leaves_to_commit().is_empty() {
            return Err(CommitError::Nothing);
        }
        self.stage(identity, |builder| propose(builder, None))
    }

    /// Proposes that we leave; any other member commits it. Returns the
    /// proposal, an `MLSMessage`. The last admin names a successor first.
    pub fn propose_leave(&mut self, identity: &Identity) -> Result<Vec<u8>, CommitError> {
        self.ready(identity)?;
        let own: BTreeSet<u32> = [self.mls.own_leaf_index().u32()].into();
        if self.mls.members().count() > 1 && !self.admin_left_without(&own) {
            return Err(Unauthorized::NoAdminLeft.into());
        }
        self.transact(|group| {
            group.mls.set_aad(group.hint().to_vec());
            let message = group
                .mls
                .leave_group(&group.provider, &IdentitySigner(identity))
                .map_err(|error| match error {
                    LeaveGroupError::StorageError(error) => CommitError::Store(error),
                    other => CommitError::Mls(other.to_string()),
                })?;
            to_bytes(&message).map_err(CommitError::Mls)
        })
    }

    /// Takes back a proposal to leave that has not been sent.
    pub fn withdraw_leave(&mut self) -> Result<(), StoreError> {
        let own = self.mls.own_leaf_index();
        let proposals = self.mls.pending_proposals().filter(|it| leaver(it) == Ok(own));
        let references: Vec<_> = proposals.map(|it| it.proposal_reference_ref().clone()).collect();
        self.transact(|group| {
            for reference in &references {
                let removed =
                    group.mls.remove_pending_proposal(group.provider.storage(), reference);
                match removed {
                    Ok(()) | Err(RemoveProposalError::ProposalNotFound) => {}
                    Err(RemoveProposalError::Storage(error)) => return Err(error),
                }
            }
            Ok(())
        })
    }

    /// Merges the pending commit: the node has ordered it first.
    pub fn merge_pending(&mut self) -> Result<CommitSummary, CommitError> {
        self.transact(|group| {
            let staged = group.mls.pending_commit().ok_or(CommitError::Nothing)?;
            let summary = describe(&group.mls, group.mls.own_leaf_index(), staged)?;
            group.mls.merge_pending_commit(&group.provider).map_err(|error| match error {
                MergePendingCommitError::MergeCommitError(
                    openmls::group::MergeCommitError::StorageError(error),
                ) => CommitError::Store(error),
                other => CommitError::Mls(other.to_string()),
            })?;
            group.fit_windows()?;
            Ok(summary)
        })
    }

    /// Drops the pending commit, if there is one.
    pub fn clear_pending(&mut self) -> Result<(), StoreError> {
        self.transact(|group| group.mls.clear_pending_commit(group.provider.storage()))
    }

    fn ready(&self, identity: &Identity) -> Result<(), CommitError> {
        if !self.is_active() {
            return Err(CommitError::Inactive);
        }
        if self.has_pending() {
            return Err(CommitError::Pending);
        }
        if self.own_identity() == Some(identity.key()) {
            Ok(())
        } else {
            Err(CommitError::WrongIdentity)
        }
    }

    /// Stages a commit of what `build` adds and of the stored leaves.
    pub(super) fn stage<F>(&mut self, identity: &Identity, build: F) -> Result<Staged, CommitError>
    where
        F: FnOnce(Builder<'_>) -> Result<Builder<'_>, CommitError>,
    {
        self.stage_with(identity, None, build)
    }

    /// [`Group::stage`], or, when a member asked to be added again, a commit of
    /// nothing else.
    pub(super) fn stage_with<F>(
        &mut self,
        identity: &Identity,
        request: Option<&RepairRequest>,
        build: F,
    ) -> Result<Staged, CommitError>
    where
        F: FnOnce(Builder<'_>) -> Result<Builder<'_>, CommitError>,
    {
        self.ready(identity)?;
        let recipients = self.members();
        let leaves = if request.is_some() { Vec::new() } else { self.leaves_to_commit() };
        let by_value = self.role_of(&identity.key()) == Some(Role::Admin);
        let removed: Vec<_> =
            leaves.iter().filter(|_| by_value).filter_map(|leave| leaver(leave).ok()).collect();
        self.transact(|group| {
            let request_bytes = request.map(RepairRequest::as_bytes).unwrap_or_default();
            group.mls.set_aad([group.hint().as_slice(), request_bytes].concat());
            let builder = group.mls.commit_builder().consume_proposal_store(!by_value);
            let builder = builder.propose_removals(removed);
            let (commit, welcome, _) = build(builder)?
                .load_psks(group.provider.storage())
                .map_err(refused)?
                .create_group_info(false)
                .build(
                    group.provider.rand(),
                    group.provider.crypto(),
                    &IdentitySigner(identity),
                    |proposal| {
                        proposal.proposal_or_ref_type() == ProposalOrRefType::Proposal
                            || leaves.iter().any(|leave| {
                                leave.proposal_reference_ref() == proposal.proposal_reference_ref()
                            })
                    },
                )
                .map_err(refused)?
                .stage_commit(&group.provider)
                .map_err(|error| match error {
                    CommitBuilderStageError::KeyStoreError(error) => CommitError::Store(error),
                    other @ CommitBuilderStageError::LibraryError(_) => {
                        CommitError::Mls(other.to_string())
                    }
                })?
                .into_messages();
            let staged = group.mls.pending_commit().ok_or(CommitError::Nothing)?;
            let summary = authorize(&group.mls, group.mls.own_leaf_index(), staged, request)?;
            let commit = to_bytes(&commit).map_err(CommitError::Mls)?;
            let welcome = welcome.as_ref().map(to_bytes).transpose().map_err(CommitError::Mls)?;
            Ok(Staged {
                commit_hash: Sha256::digest(&commit).into(),
                commit,
                welcome,
                recipients,
                added: summary.added.clone(),
                summary,
            })
        })
    }
}

fn refused(error: impl std::fmt::Display) -> CommitError {
    CommitError::Mls(error.to_string())
}
