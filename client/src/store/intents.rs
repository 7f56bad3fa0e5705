//! Intents: membership changes somebody asked for, until their commit has won.

use quicproquo_core::attachment::AttachmentId;
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::bound::{Field, bind};
use super::damage::{DamagedRow, Place, intact};
use super::tables::FINGERPRINT;
use super::{Owner, Store, StoreError, int, record, uint};
use crate::error::SessionError;
use crate::model::{ContextChange, NewGroup};

/// One intent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct IntentRecord {
    /// Numbers count up per identity.
    pub(crate) n: u64,
    pub(crate) group: GroupId,
    pub(crate) spec: IntentSpec,
    /// Claimed key packages; kept so that losing a race does not claim again.
    pub(crate) packages: Vec<(IdentityKey, ByteBuf)>,
    /// Set when it is over.
    pub(crate) outcome: Option<Result<(), SessionError>>,
    pub(crate) created_at_ms: u64,
}

/// What is to be changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum IntentSpec {
    Create(NewGroup),
    Add(Vec<IdentityKey>),
    Remove(Vec<IdentityKey>),
    Context(ContextChange),
    Update,
    Leave,
    /// Commit what others proposed.
    CommitProposals,
    /// Add a member again, by its signed request.
    Readd(ByteBuf),
}

/// What an idempotency key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyRecord {
    pub(crate) key: String,
    pub(crate) fingerprint: [u8; 32],
    pub(crate) target: IdempotencyTarget,
    pub(crate) created_at_ms: u64,
}

/// What the first request led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdempotencyTarget {
    Intent(u64),
    Message(u64),
    Attachment(AttachmentId),
}

/// What is bound to the fingerprint of a request, from which its content could be guessed.
pub(super) fn key_row(owner: Owner, key: &str, target: IdempotencyTarget) -> Vec<u8> {
    let bytes;
    let (intent, message, attachment) = match target {
        IdempotencyTarget::Intent(n) => (n.into(), Field::Null, Field::Null),
        IdempotencyTarget::Message(seq) => (Field::Null, seq.into(), Field::Null),
        IdempotencyTarget::Attachment(id) => {
            bytes = *id.as_bytes();
            (Field::Null, Field::Null, Field::Bytes(&bytes))
        }
    };
    bind(&record::named(owner.0, key.as_bytes()), [intent, message, attachment])
}

/// Sealed fingerprint, intent, message, attachment, when.
type IdempotencyRow = (Vec<u8>, Option<i64>, Option<i64>, Option<Vec<u8>>, i64);

impl Store {
    /// Intents that are not over, in order.
    pub(crate) async fn open_intents(
        &self,
        owner: Owner,
        damaged: &mut Vec<DamagedRow>,
    ) -> Result<Vec<IntentRecord>, StoreError> {
        let rows: Vec<(i64, Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT n, group_id, record FROM intents WHERE owner = ? AND settled = 0 ORDER BY n",
        )
        .bind(owner.0)
        .fetch_all(&self.reads)
        .await?;
        let mut intents = Vec::with_capacity(rows.len());
        for (n, group, sealed) in rows {
            let n = uint(n);
            match intact("intents", owner, n, self.intent_row(owner, n, &sealed))? {
                Some(intent) => intents.push(intent),
                None => {
                    if let Ok(group) = GroupId::from_slice(&group) {
                        damaged.push(DamagedRow { place: Place::Intent(group, n), bytes: sealed });
                    }
                }
            }
        }
        Ok(intents)
    }

    /// One intent, over or not.
    pub(crate) async fn intent(
        &self,
        owner: Owner,
        n: u64,
    ) -> Result<Option<IntentRecord>, StoreError> {
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT record FROM intents WHERE owner = ? AND n = ?")
                .bind(owner.0)
                .bind(int(n))
                .fetch_optional(&self.reads)
                .await?;
        sealed.map(|sealed| self.intent_row(owner, n, &sealed)).transpose()
    }

    /// The highest number given to an intent.
    pub(crate) async fn last_intent(&self, owner: Owner) -> Result<u64, StoreError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(n) FROM intents WHERE owner = ?")
            .bind(owner.0)
            .fetch_one(&self.reads)
            .await?;
        Ok(uint(last.unwrap_or(0)))
    }

    pub(crate) fn idempotency(
        &self,
        owner: Owner,
        key: &str,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let row: Option<IdempotencyRow> = self.lookup.row(
            "SELECT fingerprint, intent, message, attachment, created_at FROM idempotency \
             WHERE owner = ? AND key = ?",
            owner,
            key,
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        )?;
        let Some((fingerprint, intent, message, attachment, created_at)) = row else {
            return Ok(None);
        };
        let bad = |text: &str| StoreError::Row("idempotency", text.to_owned());
        let target = match (intent, message, attachment) {
            (Some(n), ..) => IdempotencyTarget::Intent(uint(n)),
            (None, Some(seq), _) => IdempotencyTarget::Message(uint(seq)),
            (None, None, Some(id)) => {
                let id = AttachmentId::from_slice(&id).map_err(|_| bad("attachment"))?;
                IdempotencyTarget::Attachment(id)
            }
            (None, None, None) => return Err(bad("no target")),
        };
        let bound = key_row(owner, key, target);
        let fingerprint = self.sealer.open(FINGERPRINT, &bound, &fingerprint)?;
        let fingerprint = fingerprint.as_slice().try_into().map_err(|_| bad("fingerprint"))?;
        let created_at_ms = uint(created_at);
        Ok(Some(IdempotencyRecord { key: key.to_owned(), fingerprint, target, created_at_ms }))
    }

    fn intent_row(&self, owner: Owner, n: u64, sealed: &[u8]) -> Result<IntentRecord, StoreError> {
        record::open(&self.sealer, "intents", &record::row(owner.0, n), sealed)
    }
}
