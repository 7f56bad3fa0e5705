//! How a group does, from what is in the database.

use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;

use super::super::{Owner, Store, StoreError, uint};
use super::GroupRecord;
use crate::error::SessionError;
use crate::model::{GroupHealth, TrustState};

/// Own messages that may wait in all.
const NEWEST: u32 = 10_000;

impl Store {
    pub(crate) async fn group_health(
        &self,
        owner: Owner,
        own: &IdentityKey,
        id: &GroupId,
    ) -> Result<Option<GroupHealth>, SessionError> {
        let record = self.group_record(owner, id).await?;
        let Some(record) = record.filter(GroupRecord::is_visible) else {
            return Ok(None);
        };
        let members = record.members.iter().map(|(member, _)| *member).collect();
        let names = self.names_of(owner, members).await?;
        let verified = |member: &IdentityKey| names.trust(own, member) == TrustState::Verified;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let members = record.members.iter().map(|(member, _)| member);
        let (changes, queued, last) = self.group_counts(owner, own, id).await?;
        Ok(Some(GroupHealth {
            state: record.state,
            epoch: record.epoch,
            members: count(record.members.len()),
            unverified: count(members.filter(|member| !verified(member)).count()),
            change_pending: record.pending.is_some() || changes > 0,
            queued,
            keys_updated_at_ms: Some(record.updated_at_ms).filter(|at| *at > 0),
            last_message_at_ms: last,
        }))
    }

    /// Open intents, queued messages, and when the newest message came.
    async fn group_counts(
        &self,
        owner: Owner,
        own: &IdentityKey,
        id: &GroupId,
    ) -> Result<(u32, u32, Option<u64>), StoreError> {
        let (changes, queued, last): (u32, u32, Option<i64>) = sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM intents \
             WHERE owner = ?1 AND group_id = ?2 AND settled = 0), \
             (SELECT COUNT(*) FROM (SELECT state, sender FROM messages \
             WHERE owner = ?1 AND group_id = ?2 ORDER BY seq DESC LIMIT ?4) \
             WHERE sender = ?3 AND state = '{\"state\":\"queued\"}'), \
             (SELECT received_at FROM messages WHERE owner = ?1 AND group_id = ?2 \
             AND class IN (0, 1, 2, 3, 9) ORDER BY seq DESC LIMIT 1)",
        )
        .bind(owner.0)
        .bind(id.as_bytes())
        .bind(&own.as_bytes()[..])
        .bind(NEWEST)
        .fetch_one(&self.reads)
        .await?;
        Ok((changes, queued, last.map(uint)))
    }
}
