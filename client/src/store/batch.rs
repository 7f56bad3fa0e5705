//! Everything one unit of work changes.
//!
//! Values are sealed when they are added, by the session's own task; the writer only binds them.

use std::sync::Arc;

use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use sqlx::QueryBuilder;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use super::seal::Sealer;
use super::{
    Contact, GroupRecord, IdempotencyRecord, IdempotencyTarget, IntentRecord, OutboxRecord, Owner,
    Positions, StoreError, StoredMessage, int, record,
};
use crate::event::EventData;
use crate::model::{DeliveryState, InvitePolicy};

/// Rows of one multi-row statement; SQLite takes at most 32,766 bound values.
const ROWS: usize = 1_000;

enum Op {
    Positions {
        owner: i64,
        positions: Positions,
    },
    Policy {
        owner: i64,
        policy: String,
    },
    KeyPackage {
        owner: i64,
        reference: Vec<u8>,
        suite: u16,
        last_resort: bool,
        at: u64,
    },
    ForgetKeyPackage {
        owner: i64,
        reference: Vec<u8>,
    },
    Group {
        owner: i64,
        id: GroupId,
        state: String,
        epoch: u64,
        at: u64,
        sealed: Vec<u8>,
    },
    Message {
        owner: i64,
        message: Box<StoredMessage>,
        sealed: Vec<u8>,
    },
    MessageState {
        owner: i64,
        seq: u64,
        epoch: u64,
        recipients: u32,
        state: String,
    },
    Event {
        owner: i64,
        event: EventRow,
    },
    Hidden {
        owner: i64,
        group: GroupId,
        n: u64,
        at: u64,
        sealed: Vec<u8>,
    },
    DropHidden {
        owner: i64,
        group: GroupId,
    },
    Outbox {
        owner: i64,
        counter: u64,
        at: u64,
        sealed: Vec<u8>,
    },
    DropOutbox {
        owner: i64,
        counter: u64,
    },
    Inbox {
        owner: i64,
        hash: [u8; 32],
        at: u64,
    },
    Buffer {
        owner: i64,
        group: Vec<u8>,
        n: u64,
        at: u64,
        sealed: Vec<u8>,
    },
    DropBuffered {
        owner: i64,
        group: Vec<u8>,
    },
    SetAside {
        owner: i64,
        hash: [u8; 32],
        reason: &'static str,
        at: u64,
        payload: Vec<u8>,
    },
    Intent {
        owner: i64,
        n: u64,
        group: GroupId,
        settled: bool,
        at: u64,
        sealed: Vec<u8>,
    },
    Idempotency {
        owner: i64,
        record: IdempotencyRecord,
    },
    Contact {
        owner: i64,
        contact: Contact,
    },
}

struct EventRow {
    seq: u64,
    kind: &'static str,
    group: Option<GroupId>,
    at: u64,
    message: Option<u64>,
    sealed: Option<Vec<u8>>,
}

/// One row of MLS state, its names hidden and its value sealed.
struct MlsRow {
    owner: i64,
    scope: [u8; 32],
    key: [u8; 32],
    value: Option<Vec<u8>>,
}

/// A unit of work: all of it becomes durable, or nothing.
pub(crate) struct Batch {
    sealer: Arc<Sealer>,
    mls: Vec<MlsRow>,
    ops: Vec<Op>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Batch({} MLS rows, {} others)",
            self.mls.len(),
            self.ops.len()
        )
    }
}

impl Batch {
    pub(super) fn new(sealer: Arc<Sealer>) -> Self {
        Self {
            sealer,
            mls: Vec::new(),
            ops: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.mls.is_empty() && self.ops.is_empty()
    }

    /// Writes or deletes one row of MLS state.
    pub(crate) fn mls(&mut self, owner: Owner, scope: &[u8], key: &[u8], value: Option<&[u8]>) {
        let scope_name = super::mls::scope_name(&self.sealer, owner, scope);
        let key_name = self.sealer.name(&[scope, key]);
        let value = value
            .map(|value| super::mls::seal(&self.sealer, owner, &scope_name, &key_name, key, value));
        self.mls.push(MlsRow {
            owner: owner.0,
            scope: scope_name,
            key: key_name,
            value,
        });
    }

    pub(crate) fn positions(&mut self, owner: Owner, positions: Positions) {
        self.ops.push(Op::Positions {
            owner: owner.0,
            positions,
        });
    }

    pub(crate) fn invite_policy(&mut self, owner: Owner, policy: &InvitePolicy) {
        let policy = super::identities::policy_text(policy);
        self.ops.push(Op::Policy {
            owner: owner.0,
            policy,
        });
    }

    pub(crate) fn key_package(
        &mut self,
        owner: Owner,
        reference: Vec<u8>,
        suite: u16,
        last_resort: bool,
        at: u64,
    ) {
        self.ops.push(Op::KeyPackage {
            owner: owner.0,
            reference,
            suite,
            last_resort,
            at,
        });
    }

    pub(crate) fn forget_key_package(&mut self, owner: Owner, reference: Vec<u8>) {
        self.ops.push(Op::ForgetKeyPackage {
            owner: owner.0,
            reference,
        });
    }

    pub(crate) fn group(&mut self, owner: Owner, id: &GroupId, group: &GroupRecord, at: u64) {
        let row = record::named(owner.0, id.as_bytes());
        let sealed = record::seal(&self.sealer, "groups", &row, group);
        let state = super::groups::state_text(group.state);
        let (id, epoch) = (id.clone(), group.epoch);
        self.ops.push(Op::Group {
            owner: owner.0,
            id,
            state,
            epoch,
            at,
            sealed,
        });
    }

    /// Ignored when this sender has used this message id in this group before.
    pub(crate) fn message(&mut self, owner: Owner, message: StoredMessage) {
        let row = record::row(owner.0, message.seq);
        let sealed = record::seal(&self.sealer, "messages", &row, &message.content);
        self.ops.push(Op::Message {
            owner: owner.0,
            message: Box::new(message),
            sealed,
        });
    }

    pub(crate) fn message_state(
        &mut self,
        owner: Owner,
        seq: u64,
        epoch: u64,
        recipients: u32,
        state: &DeliveryState,
    ) {
        let state = super::messages::state_text(state);
        self.ops.push(Op::MessageState {
            owner: owner.0,
            seq,
            epoch,
            recipients,
            state,
        });
    }

    /// An event that carries its own data.
    pub(crate) fn event(
        &mut self,
        owner: Owner,
        seq: u64,
        group: Option<GroupId>,
        at: u64,
        data: &EventData,
    ) {
        let sealed = record::seal(&self.sealer, "events", &record::row(owner.0, seq), data);
        let kind = data.kind();
        let event = EventRow {
            seq,
            kind,
            group,
            at,
            message: None,
            sealed: Some(sealed),
        };
        self.ops.push(Op::Event {
            owner: owner.0,
            event,
        });
    }

    /// An event about a stored message; ignored when that message was.
    pub(crate) fn message_event(
        &mut self,
        owner: Owner,
        seq: u64,
        kind: &'static str,
        group: GroupId,
        at: u64,
        message: u64,
    ) {
        let event = EventRow {
            seq,
            kind,
            group: Some(group),
            at,
            message: Some(message),
            sealed: None,
        };
        self.ops.push(Op::Event {
            owner: owner.0,
            event,
        });
    }

    /// An event of a group whose invitation is not answered.
    pub(crate) fn hidden_event(
        &mut self,
        owner: Owner,
        group: &GroupId,
        n: u64,
        at: u64,
        data: &EventData,
    ) {
        let sealed = super::events::seal_hidden(&self.sealer, owner, group, n, data);
        self.ops.push(Op::Hidden {
            owner: owner.0,
            group: group.clone(),
            n,
            at,
            sealed,
        });
    }

    pub(crate) fn drop_hidden(&mut self, owner: Owner, group: GroupId) {
        self.ops.push(Op::DropHidden {
            owner: owner.0,
            group,
        });
    }

    pub(crate) fn outbox(&mut self, owner: Owner, counter: u64, outgoing: &OutboxRecord) {
        let row = record::row(owner.0, counter);
        let sealed = record::seal(&self.sealer, "outbox", &row, outgoing);
        let at = outgoing.created_at_ms;
        self.ops.push(Op::Outbox {
            owner: owner.0,
            counter,
            at,
            sealed,
        });
    }

    pub(crate) fn drop_outbox(&mut self, owner: Owner, counter: u64) {
        self.ops.push(Op::DropOutbox {
            owner: owner.0,
            counter,
        });
    }

    pub(crate) fn inbox(&mut self, owner: Owner, hash: [u8; 32], at: u64) {
        self.ops.push(Op::Inbox {
            owner: owner.0,
            hash,
            at,
        });
    }

    pub(crate) fn buffer(&mut self, owner: Owner, group: &[u8], n: u64, at: u64, payload: &[u8]) {
        let sealed = super::inbox::seal_buffered(&self.sealer, owner, group, n, payload);
        self.ops.push(Op::Buffer {
            owner: owner.0,
            group: group.to_vec(),
            n,
            at,
            sealed,
        });
    }

    pub(crate) fn drop_buffered(&mut self, owner: Owner, group: &[u8]) {
        self.ops.push(Op::DropBuffered {
            owner: owner.0,
            group: group.to_vec(),
        });
    }

    pub(crate) fn set_aside(
        &mut self,
        owner: Owner,
        hash: [u8; 32],
        reason: &'static str,
        at: u64,
        payload: &[u8],
    ) {
        let payload = payload.to_vec();
        self.ops.push(Op::SetAside {
            owner: owner.0,
            hash,
            reason,
            at,
            payload,
        });
    }

    pub(crate) fn intent(&mut self, owner: Owner, intent: &IntentRecord) {
        let row = record::row(owner.0, intent.n);
        let sealed = record::seal(&self.sealer, "intents", &row, intent);
        self.ops.push(Op::Intent {
            owner: owner.0,
            n: intent.n,
            group: intent.group.clone(),
            settled: intent.outcome.is_some(),
            at: intent.created_at_ms,
            sealed,
        });
    }

    pub(crate) fn idempotency(&mut self, owner: Owner, record: IdempotencyRecord) {
        self.ops.push(Op::Idempotency {
            owner: owner.0,
            record,
        });
    }

    pub(crate) fn contact(&mut self, owner: Owner, contact: Contact) {
        self.ops.push(Op::Contact {
            owner: owner.0,
            contact,
        });
    }

    pub(super) async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        self.apply_mls(connection).await?;
        for op in &self.ops {
            op.apply(connection).await?;
        }
        Ok(())
    }

    async fn apply_mls(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let written: Vec<_> = self.mls.iter().filter(|row| row.value.is_some()).collect();
        for rows in written.chunks(ROWS) {
            let mut query =
                QueryBuilder::<Sqlite>::new("INSERT INTO mls (owner, scope, key, value) ");
            query.push_values(rows, |mut values, row| {
                values.push_bind(row.owner).push_bind(&row.scope[..]);
                values
                    .push_bind(&row.key[..])
                    .push_bind(row.value.as_deref());
            });
            query.push(" ON CONFLICT (owner, scope, key) DO UPDATE SET value = excluded.value");
            query.build().execute(&mut *connection).await?;
        }
        for row in self.mls.iter().filter(|row| row.value.is_none()) {
            sqlx::query("DELETE FROM mls WHERE owner = ? AND scope = ? AND key = ?")
                .bind(row.owner)
                .bind(&row.scope[..])
                .bind(&row.key[..])
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

impl Op {
    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let query = match self {
            Self::Positions { owner, positions } => sqlx::query(
                "UPDATE identities SET next_counter = ?, received_up_to = ?, tail = ? WHERE id = ?",
            )
            .bind(int(positions.next_counter))
            .bind(int(positions.received_up_to))
            .bind(int(positions.tail))
            .bind(owner),
            Self::Policy { owner, policy } => {
                sqlx::query("UPDATE identities SET invite_policy = ? WHERE id = ?")
                    .bind(policy)
                    .bind(owner)
            }
            Self::KeyPackage {
                owner,
                reference,
                suite,
                last_resort,
                at,
            } => sqlx::query(
                "INSERT OR IGNORE INTO key_packages (owner, reference, suite, last_resort, \
                 created_at) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(owner)
            .bind(&reference[..])
            .bind(suite)
            .bind(last_resort)
            .bind(int(*at)),
            Self::ForgetKeyPackage { owner, reference } => {
                sqlx::query("DELETE FROM key_packages WHERE owner = ? AND reference = ?")
                    .bind(owner)
                    .bind(&reference[..])
            }
            Self::Group {
                owner,
                id,
                state,
                epoch,
                at,
                sealed,
            } => sqlx::query(
                "INSERT OR REPLACE INTO groups (owner, group_id, state, epoch, changed_at, \
                 record) VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(owner)
            .bind(id.as_bytes())
            .bind(state)
            .bind(int(*epoch))
            .bind(int(*at))
            .bind(&sealed[..]),
            Self::Message {
                owner,
                message,
                sealed,
            } => sqlx::query(
                "INSERT OR IGNORE INTO messages (owner, seq, group_id, sender, message_id, \
                 epoch, received_at, recipients, state, content) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(owner)
            .bind(int(message.seq))
            .bind(message.group.as_bytes())
            .bind(&message.sender.as_bytes()[..])
            .bind(&message.id.as_bytes()[..])
            .bind(int(message.epoch))
            .bind(int(message.received_at_ms))
            .bind(message.recipients)
            .bind(super::messages::state_text(&message.delivery))
            .bind(&sealed[..]),
            Self::MessageState {
                owner,
                seq,
                epoch,
                recipients,
                state,
            } => sqlx::query(
                "UPDATE messages SET state = ?, epoch = ?, recipients = ? \
                 WHERE owner = ? AND seq = ?",
            )
            .bind(state)
            .bind(int(*epoch))
            .bind(recipients)
            .bind(owner)
            .bind(int(*seq)),
            Self::Event { owner, event } => sqlx::query(
                "INSERT INTO events (owner, seq, kind, group_id, occurred_at, message, data) \
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE ?6 IS NULL \
                 OR EXISTS (SELECT 1 FROM messages WHERE owner = ?1 AND seq = ?6)",
            )
            .bind(owner)
            .bind(int(event.seq))
            .bind(event.kind)
            .bind(event.group.as_ref().map(GroupId::as_bytes))
            .bind(int(event.at))
            .bind(event.message.map(int))
            .bind(event.sealed.as_deref()),
            Self::Hidden {
                owner,
                group,
                n,
                at,
                sealed,
            } => sqlx::query(
                "INSERT INTO hidden_events (owner, group_id, n, occurred_at, data) \
                 VALUES (?, ?, ?, ?, ?)",
            )
            .bind(owner)
            .bind(group.as_bytes())
            .bind(int(*n))
            .bind(int(*at))
            .bind(&sealed[..]),
            Self::DropHidden { owner, group } => {
                sqlx::query("DELETE FROM hidden_events WHERE owner = ? AND group_id = ?")
                    .bind(owner)
                    .bind(group.as_bytes())
            }
            Self::Outbox {
                owner,
                counter,
                at,
                sealed,
            } => sqlx::query(
                "INSERT OR REPLACE INTO outbox (owner, counter, created_at, record) \
                 VALUES (?, ?, ?, ?)",
            )
            .bind(owner)
            .bind(int(*counter))
            .bind(int(*at))
            .bind(&sealed[..]),
            Self::DropOutbox { owner, counter } => {
                sqlx::query("DELETE FROM outbox WHERE owner = ? AND counter = ?")
                    .bind(owner)
                    .bind(int(*counter))
            }
            Self::Inbox { owner, hash, at } => {
                sqlx::query("INSERT OR IGNORE INTO inbox (owner, hash, seen_at) VALUES (?, ?, ?)")
                    .bind(owner)
                    .bind(&hash[..])
                    .bind(int(*at))
            }
            Self::Buffer {
                owner,
                group,
                n,
                at,
                sealed,
            } => sqlx::query(
                "INSERT INTO buffered (owner, group_id, n, created_at, payload) \
                 VALUES (?, ?, ?, ?, ?)",
            )
            .bind(owner)
            .bind(&group[..])
            .bind(int(*n))
            .bind(int(*at))
            .bind(&sealed[..]),
            Self::DropBuffered { owner, group } => {
                sqlx::query("DELETE FROM buffered WHERE owner = ? AND group_id = ?")
                    .bind(owner)
                    .bind(&group[..])
            }
            Self::SetAside {
                owner,
                hash,
                reason,
                at,
                payload,
            } => sqlx::query(
                "INSERT OR IGNORE INTO set_aside (owner, hash, reason, created_at, payload) \
                 VALUES (?, ?, ?, ?, ?)",
            )
            .bind(owner)
            .bind(&hash[..])
            .bind(*reason)
            .bind(int(*at))
            .bind(&payload[..]),
            Self::Intent {
                owner,
                n,
                group,
                settled,
                at,
                sealed,
            } => sqlx::query(
                "INSERT OR REPLACE INTO intents (owner, n, group_id, settled, created_at, \
                 record) VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(owner)
            .bind(int(*n))
            .bind(group.as_bytes())
            .bind(settled)
            .bind(int(*at))
            .bind(&sealed[..]),
            Self::Idempotency { owner, record } => {
                let (intent, message) = match record.target {
                    IdempotencyTarget::Intent(n) => (Some(int(n)), None),
                    IdempotencyTarget::Message(seq) => (None, Some(int(seq))),
                };
                sqlx::query(
                    "INSERT INTO idempotency (owner, key, fingerprint, intent, message, \
                     created_at) VALUES (?, ?, ?, ?, ?, ?)",
                )
                .bind(owner)
                .bind(&record.key)
                .bind(&record.fingerprint[..])
                .bind(intent)
                .bind(message)
                .bind(int(record.created_at_ms))
            }
            Self::Contact { owner, contact } => sqlx::query(
                "INSERT OR REPLACE INTO contacts (owner, identity, name, changed) \
                 VALUES (?, ?, ?, ?)",
            )
            .bind(owner)
            .bind(&contact.identity.as_bytes()[..])
            .bind(&contact.name)
            .bind(contact.changed),
        };
        query.execute(connection).await?;
        Ok(())
    }
}

/// The columns of an identity are bytes; ours are always of the right length.
pub(super) fn identity(bytes: &[u8]) -> Result<IdentityKey, StoreError> {
    IdentityKey::from_slice(bytes).map_err(|error| StoreError::Row("identity", error.to_string()))
}
