//! What a member sends that keeps to no rules, with the state of its session but without the session
//! knowing: for the proving ground and the tests of hostile members.

use quicproquo_core::group::Group;
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::Identity;
#[cfg(feature = "simulation")]
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::provider::group_scope;

use super::Session;
#[cfg(feature = "simulation")]
use super::recipients::{recipients, wrap};
use crate::store::Overlay;

/// A session's own state of a group, and the key that it signs with.
pub(crate) async fn stolen(session: &Session, group: &GroupId) -> Option<(Group, Identity)> {
    let overlay = Overlay::default();
    let scope = group_scope(group.as_bytes());
    let rows = session.store.mls_scope(session.owner, &scope, &overlay).await.ok()?;
    let mls = Group::load(group, rows).ok()?;
    let all = session.store.identities().await.ok()?;
    let own = all.iter().find(|record| record.owner == session.owner)?;
    Some((mls, Identity::from_seed(own.identity.seed())))
}

#[cfg(feature = "simulation")]
impl Session {
    /// A proposal by reference to remove a member, which may be this one, as the payloads that the
    /// other members get. Its next handshake of the same epoch uses the same key, so that the
    /// group must go on before. `None`: it is not in the group.
    pub async fn forge_removal(
        &self,
        group: &GroupId,
        member: &IdentityKey,
    ) -> Option<Vec<(IdentityKey, Vec<u8>)>> {
        let (mut mls, own) = stolen(self, group).await?;
        let proposal = mls.forge_removal(&own, member)?;
        let others = recipients(&mls, |key| *key != own.key());
        let parcel = wrap(mls.suite(), &proposal, others).ok()?;
        let payload = |(key, prefix): (_, serde_bytes::ByteBuf)| {
            (key, [prefix.as_slice(), &parcel.body].concat())
        };
        Some(parcel.recipients.into_iter().map(payload).collect())
    }
}
