//! Telling a former member that it was removed, and a group that somebody is out of it.
//!
//! Who lost the commit by which it was removed cannot read anything that the group says since. A
//! member that may remove others signs for it with its identity key; the former member knows who
//! that is from its own, older state. Who is out on a branch that has lost signs for itself.

use crate::id::GroupId;
use crate::identity::{Identity, IdentityKey, verify};

/// First byte of a notice.
const KIND: u8 = 0x04;
/// Domain of the signature.
const DOMAIN: &[u8] = b"quicproquo-removed-v1";

/// A signed notice that somebody is out of a group: was removed, as one says who may remove it, or
/// has left, as it says itself.
/// `0x04 | u8 length, group id | u64 epoch | hint 8 | u64 since | nonce 8 | member 32 | signer 32 |
/// signature 64`, the signature over `"quicproquo-removed-v1"` and all before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalNotice {
    /// The group.
    pub group_id: GroupId,
    /// Who is out.
    pub member: IdentityKey,
    /// Who says so: the member itself, or another one.
    pub by: IdentityKey,
    /// What is said.
    pub removal: Removal,
    bytes: Vec<u8>,
}

/// What a notice says of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removal {
    /// Where the signer is; of itself, the first epoch without it, or the one that it is in.
    pub epoch: u64,
    /// The hint of the epoch authenticator there, which names the branch. `None` (zeros): the
    /// signer has no state of the group any more.
    pub hint: Option<[u8; 8]>,
    /// The first epoch without the member; 0 in what a member says of itself.
    pub since: u64,
    /// The nonce of the [request](super::RepairRequest) that it answers. `None` (zeros): nobody
    /// asked.
    pub answers: Option<[u8; 8]>,
}

/// The bytes are not a notice, or its signature does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid notice of a removal")]
pub struct BadNotice;

impl RemovalNotice {
    /// Whether a payload claims to be a notice, by its first byte.
    pub fn is_notice(payload: &[u8]) -> bool {
        payload.first() == Some(&KIND)
    }

    /// Signs a notice.
    pub fn sign(
        identity: &Identity,
        group_id: &GroupId,
        member: IdentityKey,
        removal: Removal,
    ) -> Self {
        // A group id has at most 64 bytes.
        let length = u8::try_from(group_id.as_bytes().len()).unwrap_or(u8::MAX);
        let mut bytes = [
            [KIND, length].as_slice(),
            group_id.as_bytes(),
            &removal.epoch.to_be_bytes(),
            &removal.hint.unwrap_or_default(),
            &removal.since.to_be_bytes(),
            &removal.answers.unwrap_or_default(),
            member.as_bytes(),
            identity.key().as_bytes(),
        ]
        .concat();
        let signature = identity.sign(&[DOMAIN, &bytes].concat());
        bytes.extend(signature);
        Self { group_id: group_id.clone(), member, by: identity.key(), removal, bytes }
    }

    /// Reads a notice and verifies its signature.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadNotice> {
        let take = |bytes: &mut &[u8], len: usize| {
            let (taken, rest) = bytes.split_at_checked(len).ok_or(BadNotice)?;
            *bytes = rest;
            Ok::<Vec<u8>, BadNotice>(taken.to_vec())
        };
        let mut rest = bytes;
        let head = take(&mut rest, 2)?;
        if head[0] != KIND {
            return Err(BadNotice);
        }
        let group_id = take(&mut rest, usize::from(head[1]))?;
        let group_id = GroupId::from_slice(&group_id).map_err(|_| BadNotice)?;
        let mut eight = || take(&mut rest, 8)?.try_into().map_err(|_| BadNotice);
        let (epoch, hint, since, nonce): ([u8; 8], [u8; 8], [u8; 8], [u8; 8]) =
            (eight()?, eight()?, eight()?, eight()?);
        let some = |bytes: [u8; 8]| Some(bytes).filter(|bytes| *bytes != [0; 8]);
        let removal = Removal {
            epoch: u64::from_be_bytes(epoch),
            hint: some(hint),
            since: u64::from_be_bytes(since),
            answers: some(nonce),
        };
        let member = IdentityKey::from_slice(&take(&mut rest, 32)?).map_err(|_| BadNotice)?;
        let by = IdentityKey::from_slice(&take(&mut rest, 32)?).map_err(|_| BadNotice)?;
        let signed = &bytes[..bytes.len() - rest.len()];
        verify(&by, &[DOMAIN, signed].concat(), rest).map_err(|_| BadNotice)?;
        Ok(Self { group_id, member, by, removal, bytes: bytes.to_vec() })
    }

    /// The encoding, to be sealed like MLS bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_reads_as_it_was_signed_and_in_no_other_way() {
        let (admin, member) = (Identity::generate(), Identity::generate().key());
        let unasked = Removal { epoch: 9, since: 7, ..Removal::default() };
        let removal = Removal { hint: Some([3; 8]), answers: Some([5; 8]), ..unasked };
        let sign = |removal| RemovalNotice::sign(&admin, &GroupId::random(), member, removal);
        let (unasked, notice) = (sign(unasked), sign(removal));
        for notice in [&unasked, &notice] {
            assert_eq!(RemovalNotice::parse(notice.as_bytes()).as_ref(), Ok(notice));
        }
        for place in 0..notice.as_bytes().len() {
            let mut other = notice.as_bytes().to_vec();
            other[place] ^= 1;
            assert_eq!(RemovalNotice::parse(&other), Err(BadNotice), "{place}");
            assert_eq!(RemovalNotice::parse(&other[..place]), Err(BadNotice), "{place}");
        }
    }
}
