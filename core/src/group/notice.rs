//! Telling a former member that it was removed.
//!
//! Who lost the commit by which it was removed cannot read anything that the group says since. A
//! member that may remove others signs for it with its identity key; the former member knows who
//! that is from its own, older state.

use crate::id::GroupId;
use crate::identity::{Identity, IdentityKey, verify};

/// First byte of a notice.
const KIND: u8 = 0x04;
/// Domain of the signature.
const DOMAIN: &[u8] = b"quicproquo-removed-v1";

/// A signed notice that somebody was removed from a group:
/// `0x04 | u8 length, group id | u64 epoch | member 32 | signer 32 | signature 64`, the signature
/// over `"quicproquo-removed-v1"` and all before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalNotice {
    /// The group.
    pub group_id: GroupId,
    /// The first epoch without the member.
    pub epoch: u64,
    /// Who was removed.
    pub member: IdentityKey,
    /// Who says so.
    pub by: IdentityKey,
    bytes: Vec<u8>,
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
    pub fn sign(identity: &Identity, group_id: &GroupId, epoch: u64, member: IdentityKey) -> Self {
        // A group id has at most 64 bytes.
        let length = u8::try_from(group_id.as_bytes().len()).unwrap_or(u8::MAX);
        let mut bytes = [
            [KIND, length].as_slice(),
            group_id.as_bytes(),
            &epoch.to_be_bytes(),
            member.as_bytes(),
            identity.key().as_bytes(),
        ]
        .concat();
        let signature = identity.sign(&[DOMAIN, &bytes].concat());
        bytes.extend(signature);
        Self { group_id: group_id.clone(), epoch, member, by: identity.key(), bytes }
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
        let epoch = take(&mut rest, 8)?.try_into().map_err(|_| BadNotice)?;
        let member = IdentityKey::from_slice(&take(&mut rest, 32)?).map_err(|_| BadNotice)?;
        let by = IdentityKey::from_slice(&take(&mut rest, 32)?).map_err(|_| BadNotice)?;
        let signed = &bytes[..bytes.len() - rest.len()];
        verify(&by, &[DOMAIN, signed].concat(), rest).map_err(|_| BadNotice)?;
        let epoch = u64::from_be_bytes(epoch);
        Ok(Self { group_id, epoch, member, by, bytes: bytes.to_vec() })
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
        let notice = RemovalNotice::sign(&admin, &GroupId::random(), 7, member);
        assert_eq!(RemovalNotice::parse(notice.as_bytes()), Ok(notice.clone()));
        for place in 0..notice.as_bytes().len() {
            let mut other = notice.as_bytes().to_vec();
            other[place] ^= 1;
            assert_eq!(RemovalNotice::parse(&other), Err(BadNotice), "{place}");
            assert_eq!(RemovalNotice::parse(&other[..place]), Err(BadNotice), "{place}");
        }
    }
}
