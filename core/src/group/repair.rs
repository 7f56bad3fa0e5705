//! Getting a lost member back in, on its own signed request.
//!
//! A member whose state is lost or forked asks to be added again. Any other
//! member may do so, admin or not, in both profiles: with exactly a Remove and
//! an Add of that identity, and the request in the authenticated data of the
//! commit, behind the hint. All members check it alike.

use std::collections::BTreeSet;

use openmls::group::{MlsGroup, StagedCommit};
use openmls::prelude::{LeafNodeIndex, Proposal, ProposalOrRefType};

use super::commit::{CommitError, Staged};
use super::{Group, hint_of};
use crate::credential::identity_of;
use crate::id::GroupId;
use crate::identity::{Identity, IdentityKey, verify};

/// First byte of a request.
const KIND: u8 = 0x03;
/// Domain of the signature.
const DOMAIN: &[u8] = b"quicproquo-repair-v1";

/// A signed request to be added again:
/// `0x03 | u8 length, group id | u64 epoch | hint 8 | nonce 8 | identity 32 |
/// signature 64`, the signature over `"quicproquo-repair-v1"` and all before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairRequest {
    /// The group.
    pub group_id: GroupId,
    /// The epoch that the commit must be made in: the newest its maker has
    /// seen in the headers of messages.
    pub epoch: u64,
    /// The hint of the epoch authenticator that messages of that epoch carry:
    /// where members have forked, it names the branch. `None` (zeros) when none
    /// was seen.
    pub hint: Option<[u8; 8]>,
    /// Random: what answers it names it.
    pub nonce: [u8; 8],
    /// Who asks.
    pub member: IdentityKey,
    bytes: Vec<u8>,
}

/// The bytes are not a request, or its signature does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid repair request")]
pub struct BadRequest;

/// Why a requester was not added again. The state is as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepairError {
    /// The request is for another group, epoch or branch, or the key package is
    /// of somebody else.
    #[error("the repair request does not fit")]
    OtherRequest,
    /// The commit could not be made.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl RepairRequest {
    /// Whether a payload claims to be a request, by its first byte.
    pub fn is_request(payload: &[u8]) -> bool {
        payload.first() == Some(&KIND)
    }

    /// Signs a request with a random nonce.
    ///
    /// # Panics
    /// When the operating system cannot give random bytes.
    pub fn sign(
        identity: &Identity,
        group_id: &GroupId,
        epoch: u64,
        hint: Option<[u8; 8]>,
    ) -> Self {
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        // A group id has at most 64 bytes.
        let length = u8::try_from(group_id.as_bytes().len()).unwrap_or(u8::MAX);
        let mut bytes = [
            [KIND, length].as_slice(),
            group_id.as_bytes(),
            &epoch.to_be_bytes(),
            &hint.unwrap_or_default(),
            &nonce,
            identity.key().as_bytes(),
        ]
        .concat();
        let signature = identity.sign(&[DOMAIN, &bytes].concat());
        bytes.extend(signature);
        Self { group_id: group_id.clone(), epoch, hint, nonce, member: identity.key(), bytes }
    }

    /// Reads a request and verifies its signature.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadRequest> {
        let take = |bytes: &mut &[u8], len: usize| {
            let (taken, rest) = bytes.split_at_checked(len).ok_or(BadRequest)?;
            *bytes = rest;
            Ok::<Vec<u8>, BadRequest>(taken.to_vec())
        };
        let mut rest = bytes;
        let head = take(&mut rest, 2)?;
        if head[0] != KIND {
            return Err(BadRequest);
        }
        let group_id = take(&mut rest, usize::from(head[1]))?;
        let group_id = GroupId::from_slice(&group_id).map_err(|_| BadRequest)?;
        let epoch = take(&mut rest, 8)?.try_into().map_err(|_| BadRequest)?;
        let hint = take(&mut rest, 8)?.try_into().map_err(|_| BadRequest)?;
        let nonce = take(&mut rest, 8)?.try_into().map_err(|_| BadRequest)?;
        let member = take(&mut rest, 32)?;
        let member = IdentityKey::from_slice(&member).map_err(|_| BadRequest)?;
        let signed = &bytes[..bytes.len() - rest.len()];
        verify(&member, &[DOMAIN, signed].concat(), rest).map_err(|_| BadRequest)?;
        Ok(Self {
            group_id,
            epoch: u64::from_be_bytes(epoch),
            hint: Some(hint).filter(|hint| *hint != [0; 8]),
            nonce,
            member,
            bytes: bytes.to_vec(),
        })
    }

    /// The encoding, to be sealed like MLS bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The request in the authenticated data of a message, if one is there.
    pub(super) fn in_aad(aad: &[u8]) -> Option<Self> {
        Self::parse(aad.get(8..)?).ok()
    }

    /// Whether it asks to be added to this state of the group.
    fn is_for(&self, group: &MlsGroup) -> bool {
        self.group_id.as_bytes() == group.group_id().as_slice()
            && self.epoch == group.epoch().as_u64()
            && self.hint.is_none_or(|hint| hint == hint_of(group))
    }

    /// Whether a commit is nothing but what the request asks for.
    pub(super) fn covers(&self, group: &MlsGroup, staged: &StagedCommit) -> bool {
        if !self.is_for(group) {
            return false;
        }
        let is_member = |leaf: LeafNodeIndex| {
            group.public_group().leaf(leaf).map(identity_of) == Some(Ok(self.member))
        };
        let (mut removes, mut adds) = (0, 0);
        for proposal in staged.queued_proposals() {
            match (proposal.proposal_or_ref_type(), proposal.proposal()) {
                (ProposalOrRefType::Proposal, Proposal::Remove(remove))
                    if is_member(remove.removed()) =>
                {
                    removes += 1;
                }
                (ProposalOrRefType::Proposal, Proposal::Add(add))
                    if identity_of(add.key_package().leaf_node()) == Ok(self.member) =>
                {
                    adds += 1;
                }
                _ => return false,
            }
        }
        removes == 1 && adds == 1
    }
}

impl Group {
    /// Stages a commit that removes the requester and adds it again by a fresh
    /// key package of its own. Any member but the requester may.
    pub fn readd(
        &mut self,
        identity: &Identity,
        request: &RepairRequest,
        key_package: &[u8],
        now: u64,
    ) -> Result<Staged, RepairError> {
        let member = request.member;
        if !request.is_for(&self.mls) {
            return Err(RepairError::OtherRequest);
        }
        if member == identity.key() {
            return Err(CommitError::RemoveSelf.into());
        }
        let leaf = self.leaf_of(&member).ok_or(CommitError::NotAMember(member))?;
        let mut others: BTreeSet<IdentityKey> =
            self.identities().map(|(_, key)| key).filter(|key| *key != member).collect();
        let package = self.addable(0, key_package, now, &mut others)?;
        if identity_of(package.leaf_node()) != Ok(member) {
            return Err(RepairError::OtherRequest);
        }
        let staged = self.stage_with(identity, Some(request), |builder| {
            Ok(builder.propose_removals([leaf]).propose_adds([package]))
        })?;
        Ok(staged)
    }
}
