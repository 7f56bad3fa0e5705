//! Groups as callers see them, mirrored from MLS in the same transaction.

use quicproquo_core::group::Role;
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::{Profile, Suite};
use serde::{Deserialize, Serialize};

use super::{Owner, Store, StoreError, record};
use crate::error::SessionError;
use crate::model::{GroupInfo, GroupState, Invitation, MemberInfo};

/// What is kept of a group beside its MLS state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(crate) state: GroupState,
    pub(crate) epoch: u64,
    pub(crate) name: String,
    pub(crate) topic: String,
    pub(crate) suite: Suite,
    pub(crate) profile: Profile,
    pub(crate) members: Vec<(IdentityKey, Role)>,
    /// Who added us, with when; `None` for groups of our own.
    pub(crate) inviter: Option<(IdentityKey, u64)>,
    /// We were in this group before.
    pub(crate) known_group: bool,
    /// Our commit that is on its way.
    pub(crate) pending: Option<PendingCommit>,
    /// The epoch in which our proposal to leave is out.
    pub(crate) leave_proposed: Option<u64>,
    /// The newest proposal of somebody else to leave: its epoch, and who leaves.
    #[serde(default)]
    pub(crate) proposed: Option<(u64, IdentityKey)>,
    /// When the newest past epochs ended whose secrets may be here (unix milliseconds), the
    /// newest last.
    #[serde(default)]
    pub(crate) ended: Vec<u64>,
    /// The state in which it was isolated, until it is well again.
    #[serde(default)]
    pub(crate) isolated_from: Option<GroupState>,
}

/// A commit of ours, until the queue has decided its epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingCommit {
    /// SHA-256 of its MLS bytes: it has won when these come back first.
    pub(crate) hash: [u8; 32],
    /// What asked for it.
    pub(crate) intent: u64,
    /// Its send.
    pub(crate) counter: u64,
    /// Goes to `added` once the commit has won.
    #[serde(with = "serde_bytes")]
    pub(crate) welcome: Option<Vec<u8>>,
    /// Who the Welcome is for, with the hybrid key of the claimed package.
    pub(crate) added: Vec<(IdentityKey, Option<serde_bytes::ByteBuf>)>,
}

impl GroupRecord {
    /// As callers see it.
    pub(crate) fn info(
        &self,
        id: &GroupId,
        own: &IdentityKey,
        contacts: &super::contacts::Names,
    ) -> GroupInfo {
        let members = self
            .members
            .iter()
            .map(|(identity, role)| MemberInfo {
                identity: *identity,
                name: contacts.name(identity),
                role: *role,
                trust: contacts.trust(own, identity),
            })
            .collect();
        GroupInfo {
            id: id.clone(),
            name: self.name.clone(),
            topic: self.topic.clone(),
            epoch: self.epoch,
            suite: self.suite,
            profile: self.profile,
            state: self.state,
            members,
        }
    }

    /// Whether callers may know of it.
    pub(crate) fn is_visible(&self) -> bool {
        let state = self.isolated_from.unwrap_or(self.state);
        !matches!(state, GroupState::Invited | GroupState::Declined)
    }
}

impl Store {
    /// Every group of an identity, hidden ones included.
    pub(crate) async fn group_records(
        &self,
        owner: Owner,
    ) -> Result<Vec<(GroupId, GroupRecord)>, StoreError> {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT group_id, record FROM groups WHERE owner = ? ORDER BY changed_at DESC",
        )
        .bind(owner.0)
        .fetch_all(&self.reads)
        .await?;
        rows.into_iter().map(|(id, sealed)| self.group_row(owner, &id, &sealed)).collect()
    }

    pub(crate) async fn groups(
        &self,
        owner: Owner,
        own: &IdentityKey,
    ) -> Result<Vec<GroupInfo>, SessionError> {
        let contacts = self.names(owner).await?;
        let records = self.group_records(owner).await?;
        let visible = records.iter().filter(|(_, group)| group.is_visible());
        Ok(visible.map(|(id, group)| group.info(id, own, &contacts)).collect())
    }

    pub(crate) async fn group(
        &self,
        owner: Owner,
        own: &IdentityKey,
        id: &GroupId,
    ) -> Result<Option<GroupInfo>, SessionError> {
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT record FROM groups WHERE owner = ? AND group_id = ?")
                .bind(owner.0)
                .bind(id.as_bytes())
                .fetch_optional(&self.reads)
                .await
                .map_err(StoreError::from)?;
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let (_, group) = self.group_row(owner, id.as_bytes(), &sealed)?;
        if !group.is_visible() {
            return Ok(None);
        }
        let contacts = self.names(owner).await?;
        Ok(Some(group.info(id, own, &contacts)))
    }

    pub(crate) async fn invitations(&self, owner: Owner) -> Result<Vec<Invitation>, SessionError> {
        let contacts = self.names(owner).await?;
        let records = self.group_records(owner).await?;
        let mut invitations: Vec<_> = records
            .iter()
            .filter(|(_, group)| group.state == GroupState::Invited)
            .filter_map(|(id, group)| invitation(id, group, &contacts))
            .collect();
        invitations.sort_by_key(|invitation| invitation.received_at_ms);
        Ok(invitations)
    }

    fn group_row(
        &self,
        owner: Owner,
        id: &[u8],
        sealed: &[u8],
    ) -> Result<(GroupId, GroupRecord), StoreError> {
        let row = record::named(owner.0, id);
        let group = record::open(&self.sealer, "groups", &row, sealed)?;
        let id = GroupId::from_slice(id)
            .map_err(|error| StoreError::Row("groups", error.to_string()))?;
        Ok((id, group))
    }
}

fn invitation(
    id: &GroupId,
    group: &GroupRecord,
    contacts: &super::contacts::Names,
) -> Option<Invitation> {
    let (inviter, received_at_ms) = group.inviter?;
    Some(Invitation {
        id: id.clone(),
        inviter,
        inviter_name: contacts.name(&inviter),
        group_name: group.name.clone(),
        member_count: u32::try_from(group.members.len()).unwrap_or(u32::MAX),
        received_at_ms,
        known_group: group.known_group,
    })
}

/// The word in the `state` column.
pub(super) fn state_text(state: GroupState) -> String {
    let word = serde_json::to_value(state).ok();
    word.as_ref().and_then(|word| word.as_str()).unwrap_or_default().to_owned()
}
