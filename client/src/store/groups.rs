//! Groups as callers see them, mirrored from MLS in the same transaction.

use quicproquo_core::group::{Group, Role};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::provider::group_scope;
use quicproquo_core::suite::{Profile, Suite};
use serde::{Deserialize, Serialize};

use super::damage::intact;
use super::{Overlay, Owner, Store, StoreError, record};
use crate::error::SessionError;
use crate::guard::guarded;
use crate::model::{GroupInfo, GroupState, Invitation, MemberInfo};

mod health;

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
    /// At which rows of our queue the newest epochs began, and how many past ones could be read from
    /// then on, the newest last.
    #[serde(default)]
    pub(crate) commits: Vec<(u64, u8)>,
    /// The epoch in which we have joined, or were added again; 0: we have made the group.
    #[serde(default)]
    pub(crate) joined_in: u64,
    /// The state in which it was isolated, until it is well again.
    #[serde(default)]
    pub(crate) isolated_from: Option<GroupState>,
    /// The newest epoch of which the keys of messages may be here that were read: the step of a ratchet
    /// was undone after a failure.
    #[serde(default)]
    pub(crate) undone: Option<u64>,
    /// We must be added again.
    #[serde(default)]
    pub(crate) lost: Option<Lost>,
    /// The newest epoch of which it was told that members have forked.
    #[serde(default)]
    pub(crate) forked: Option<u64>,
    /// When our keys in it were last replaced, unix milliseconds; 0: not known yet.
    #[serde(default)]
    pub(crate) updated_at_ms: u64,
    /// The newest epoch that began with the removal of somebody; 0: none.
    #[serde(default)]
    pub(crate) removed_in: u64,
    /// Who was removed, the newest last, with the first epoch without it.
    #[serde(default)]
    pub(crate) removed: Vec<(IdentityKey, u64)>,
    /// Who was added of late, the newest last.
    #[serde(default)]
    pub(crate) added: Vec<Added>,
    /// The epoch since which all additions are known.
    #[serde(default)]
    pub(crate) watched_since: Option<u64>,
    /// When others are told that we are out, unix milliseconds; 0: never.
    #[serde(default)]
    pub(crate) out_due_ms: u64,
    #[serde(skip)]
    pub(crate) damage: Damage,
}

/// Somebody who was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Added {
    pub(crate) member: IdentityKey,
    /// The first epoch with it.
    pub(crate) epoch: u64,
    /// We have added it.
    pub(crate) by_us: bool,
}

/// What is known of a group that has gone on without us, or seems to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lost {
    /// Our state is an old copy: nothing may be encrypted with it.
    pub(crate) stale: bool,
    /// Our epoch when it was noticed.
    pub(crate) epoch: u64,
    /// When it was last seen, unix milliseconds.
    pub(crate) last_ms: u64,
    /// Epoch and hint of the others, as far as they were seen.
    pub(crate) seen: (u64, Option<[u8; 8]>),
    /// Requests to be added again, and when the last one was made (unix milliseconds).
    pub(crate) asked: u32,
    pub(crate) asked_at_ms: u64,
}

/// Whether the record is what its row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Damage {
    #[default]
    None,
    /// The row does not read: this stands for it, and is never written.
    Untold,
    /// The same, and the log says so.
    Told,
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

    /// Of an active group in which nothing has happened yet.
    pub(crate) fn fresh(suite: Suite, profile: Profile) -> Self {
        Self {
            state: GroupState::Active,
            epoch: 0,
            name: String::new(),
            topic: String::new(),
            suite,
            profile,
            members: Vec::new(),
            inviter: None,
            known_group: false,
            pending: None,
            leave_proposed: None,
            proposed: None,
            ended: Vec::new(),
            commits: Vec::new(),
            joined_in: 0,
            isolated_from: None,
            undone: None,
            lost: None,
            forked: None,
            updated_at_ms: 0,
            removed_in: 0,
            removed: Vec::new(),
            added: Vec::new(),
            watched_since: None,
            out_due_ms: 0,
            damage: Damage::None,
        }
    }

    /// What MLS knows of a group whose record does not read.
    fn unread(mls: &Group, damage: Damage) -> Self {
        let members = mls.members();
        Self {
            state: GroupState::Isolated,
            epoch: mls.epoch(),
            name: mls.name(),
            topic: mls.topic(),
            members: members.into_iter().map(|member| (member.identity, member.role)).collect(),
            damage,
            ..Self::fresh(mls.suite(), mls.profile())
        }
    }

    /// Whether we are in it, accepted or not, and its state here is not broken.
    pub(crate) fn is_member(&self) -> bool {
        use GroupState::{Active, Declined, Invited, Leaving, NeedsReadd};
        match self.state {
            Active | NeedsReadd | Leaving | Invited => true,
            // Until the others know.
            Declined => !self.members.is_empty(),
            _ => false,
        }
    }

    /// Whether what was accepted for it can still be said. Who leaves is a member until others know,
    /// and may have to stay.
    pub(crate) fn may_speak(&self) -> bool {
        self.state.is_active() || self.state == GroupState::Leaving
    }

    /// It need not be joined again, or has been.
    pub(crate) fn recover(&mut self) {
        self.lost = None;
        if self.state == GroupState::NeedsReadd {
            self.state = GroupState::Active;
        }
    }

    /// Whether callers may know of it.
    pub(crate) fn is_visible(&self) -> bool {
        let state = self.isolated_from.unwrap_or(self.state);
        !matches!(state, GroupState::Invited | GroupState::Declined)
    }
}

/// Id, state, sealed record.
type Row = (Vec<u8>, String, Vec<u8>);

impl Store {
    /// Every group of an identity, hidden ones included.
    pub(crate) async fn group_records(
        &self,
        owner: Owner,
    ) -> Result<Vec<(GroupId, GroupRecord)>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT group_id, state, record FROM groups WHERE owner = ? ORDER BY changed_at DESC",
        )
        .bind(owner.0)
        .fetch_all(&self.reads)
        .await?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            let name = hex::encode(&row.0);
            let read = self.group_row(owner, row).await;
            records.extend(intact("groups", owner, name, read)?);
        }
        Ok(records)
    }

    /// One group, hidden or not.
    pub(crate) async fn group_record(
        &self,
        owner: Owner,
        id: &GroupId,
    ) -> Result<Option<GroupRecord>, StoreError> {
        let query = "SELECT group_id, state, record FROM groups WHERE owner = ? AND group_id = ?";
        let row: Option<Row> = sqlx::query_as(query)
            .bind(owner.0)
            .bind(id.as_bytes())
            .fetch_optional(&self.reads)
            .await?;
        match row {
            Some(row) => self.group_row(owner, row).await.map(|(_, record)| Some(record)),
            None => Ok(None),
        }
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
        let group = self.group_record(owner, id).await?;
        let Some(group) = group.filter(GroupRecord::is_visible) else {
            return Ok(None);
        };
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

    async fn group_row(
        &self,
        owner: Owner,
        (id, state, sealed): Row,
    ) -> Result<(GroupId, GroupRecord), StoreError> {
        let bad = |error: String| StoreError::Row("groups", error);
        let row = record::named(owner.0, &id);
        let read = record::open::<GroupRecord>(&self.sealer, "groups", &row, &sealed);
        let id = GroupId::from_slice(&id).map_err(|error| bad(error.to_string()))?;
        let isolated = state == state_text(GroupState::Isolated);
        if let Some(mut group) = intact("groups", owner, hex::encode(id.as_bytes()), read)? {
            // The row did not read for a while: what was kept meanwhile comes first.
            if isolated && group.state != GroupState::Isolated {
                group.isolated_from = Some(group.state);
                group.state = GroupState::Isolated;
            }
            return Ok((id, group));
        }
        let scope = group_scope(id.as_bytes());
        let rows = self.mls_scope(owner, &scope, &Overlay::default()).await?;
        let mls = guarded("load", id.as_bytes(), || Group::load(&id, rows));
        let mls = mls.ok_or_else(|| bad("its MLS state panics".into()))?;
        let mls = mls.map_err(|error| bad(error.to_string()))?;
        let damage = if isolated { Damage::Told } else { Damage::Untold };
        Ok((id, GroupRecord::unread(&mls, damage)))
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
