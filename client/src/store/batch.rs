//! Everything one unit of work changes.
//!
//! Values are sealed when they are added, by the session's own task; the writer only binds them.

use std::collections::HashMap;
use std::sync::Arc;

use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use super::events::EventRow;
use super::seal::Sealer;
use super::tables::FINGERPRINT;
use super::upgrade::Format;
use super::{
    DamagedRow, GroupRecord, Halted, IdempotencyRecord, IdempotencyTarget, IntentRecord,
    OutboxRecord, Owner, Place, Positions, StoreError, record,
};
use crate::event::EventData;
use crate::model::InvitePolicy;
use statement::{Statement, Value};

/// `values![a, b]`: what a statement binds.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$(Value::from($value)),*] };
}

mod messages;
mod retention;
mod statement;
mod trust;

/// A unit of work: all of it becomes durable, or nothing.
pub(crate) struct Batch {
    sealer: Arc<Sealer>,
    statements: Vec<Statement>,
    scrub: bool,
    /// Events that were told before read otherwise now.
    rewrites: bool,
    /// Key packages that it finds there are doubtful from now on.
    pub(crate) doubts_packages: bool,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch({} statements)", self.statements.len())
    }
}

impl Batch {
    pub(super) fn new(sealer: Arc<Sealer>) -> Self {
        Self {
            sealer,
            statements: Vec::new(),
            scrub: false,
            rewrites: false,
            doubts_packages: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// Whether events that were told before read otherwise once this is written.
    pub(crate) fn rewrites(&self) -> bool {
        self.rewrites
    }

    /// Bytes of the values it writes.
    pub(super) fn bytes(&self) -> u64 {
        self.statements.iter().flat_map(|statement| &statement.values).map(Value::bytes).sum()
    }

    fn add(&mut self, sql: &'static str, values: Vec<Value>) {
        self.statements.push(Statement { sql, values, once: None });
    }

    /// Writes and deletes rows of MLS state, given as scope, key, value.
    pub(crate) fn mls<'a>(
        &mut self,
        owner: Owner,
        rows: impl Iterator<Item = (&'a [u8], &'a [u8], Option<&'a [u8]>)>,
    ) {
        let mut scopes: HashMap<&[u8], [u8; 32]> = HashMap::new();
        for (scope, key, value) in rows {
            let scope_name = *scopes
                .entry(scope)
                .or_insert_with(|| super::mls::scope_name(&self.sealer, owner, scope));
            let key_name = self.sealer.name(&[scope, key]);
            let Some(value) = value else {
                self.add(
                    "DELETE FROM mls WHERE owner = ? AND scope = ? AND key = ?",
                    values![owner.0, &scope_name[..], &key_name[..]],
                );
                continue;
            };
            let sealed = super::mls::seal(&self.sealer, owner, &scope_name, &key_name, key, value);
            self.add(super::mls::PUT, values![owner.0, &scope_name[..], &key_name[..], sealed]);
        }
    }

    /// Deletes all MLS rows of a scope that are in the database; writes of this unit follow later.
    pub(crate) fn forget_mls(&mut self, owner: Owner, scope: &[u8]) {
        let scope = super::mls::scope_name(&self.sealer, owner, scope);
        self.add("DELETE FROM mls WHERE owner = ? AND scope = ?", values![owner.0, &scope[..]]);
    }

    pub(crate) fn positions(&mut self, owner: Owner, positions: Positions) {
        let Positions { next_counter, received_up_to, tail, sent_below, replace_packages } =
            positions;
        let sent_below = sent_below.unwrap_or_default();
        self.add(
            "UPDATE identities SET next_counter = ?, received_up_to = ?, tail = ?, sent_below = ?, \
             replace_packages = ? WHERE id = ?",
            values![next_counter, received_up_to, tail, sent_below, replace_packages, owner.0],
        );
    }

    /// The session stands still from now on, or goes on (`None`).
    pub(crate) fn halted(&mut self, identity: &IdentityKey, halted: Option<&Halted>) {
        let text = halted.map(Halted::text);
        let seal = super::identities::seal_halted(&self.sealer, identity, text.as_deref());
        self.add(
            "UPDATE identities SET halted = ?, halted_seal = ? WHERE identity = ?",
            values![text, seal, &identity.as_bytes()[..]],
        );
    }

    pub(crate) fn invite_policy(&mut self, identity: &IdentityKey, policy: &InvitePolicy) {
        let text = super::identities::policy_text(policy);
        let seal = super::identities::seal_policy(&self.sealer, identity, &text);
        self.add(
            "UPDATE identities SET invite_policy = ?, policy_seal = ? WHERE identity = ?",
            values![text, seal, &identity.as_bytes()[..]],
        );
    }

    /// Notes what of all rows is sealed.
    pub(super) fn format(&mut self, format: Format) {
        let sealed = self.sealer.seal("meta", b"check", format.text());
        self.add("UPDATE meta SET value = ? WHERE key = 'check'", values![sealed]);
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    pub(super) fn put_hybrid_key(&mut self, owner: Owner, n: u64, sealed: Vec<u8>, at: u64) {
        self.add(
            "INSERT INTO hybrid_keys (owner, n, secret, created_at) VALUES (?, ?, ?, ?)",
            values![owner.0, n, sealed, at],
        );
    }

    /// Forgets the hybrid keys up to a number.
    pub(crate) fn forget_hybrid_keys(&mut self, owner: Owner, up_to: u64) {
        self.add("DELETE FROM hybrid_keys WHERE owner = ? AND n <= ?", values![owner.0, up_to]);
    }

    pub(crate) fn key_package(
        &mut self,
        owner: Owner,
        reference: Vec<u8>,
        suite: u16,
        last_resort: bool,
        at: u64,
    ) {
        self.add(
            "INSERT OR IGNORE INTO key_packages (owner, reference, suite, last_resort, \
             created_at) VALUES (?, ?, ?, ?, ?)",
            values![owner.0, reference, suite, last_resort, at],
        );
    }

    /// Others may hold this last-resort package too: it counts as missing from now on.
    pub(crate) fn last_resort_used(&mut self, owner: Owner, reference: Vec<u8>) {
        self.add(
            "UPDATE key_packages SET last_resort = 2 WHERE owner = ? AND reference = ?",
            values![owner.0, reference],
        );
    }

    /// A later copy of this database may have used every package that is here.
    pub(crate) fn doubt_key_packages(&mut self, owner: Owner) {
        self.doubts_packages = true;
        self.add("UPDATE key_packages SET doubtful = 1 WHERE owner = ?", values![owner.0]);
    }

    pub(crate) fn forget_key_package(&mut self, owner: Owner, reference: Vec<u8>) {
        self.add(
            "DELETE FROM key_packages WHERE owner = ? AND reference = ?",
            values![owner.0, reference],
        );
    }

    pub(crate) fn group(&mut self, owner: Owner, id: &GroupId, group: &GroupRecord, at: u64) {
        let row = record::named(owner.0, id.as_bytes());
        let sealed = record::seal(&self.sealer, "groups", &row, group);
        let state = super::groups::state_text(group.state);
        self.add(
            "INSERT OR REPLACE INTO groups (owner, group_id, state, epoch, changed_at, record) \
             VALUES (?, ?, ?, ?, ?, ?)",
            values![owner.0, id.as_bytes(), state, group.epoch, at, sealed],
        );
    }

    /// The record of this group does not read, and the log says so; the record stays as it is.
    pub(crate) fn group_damaged(&mut self, owner: Owner, id: &GroupId) {
        let state = super::groups::state_text(crate::model::GroupState::Isolated);
        self.add(
            "UPDATE groups SET state = ? WHERE owner = ? AND group_id = ?",
            values![state, owner.0, id.as_bytes()],
        );
    }

    /// Takes a damaged row out of the way; its bytes are kept.
    pub(crate) fn damaged_row(&mut self, owner: Owner, row: &DamagedRow, at: u64) {
        match &row.place {
            Place::Outbox(counter) => self.drop_outbox(owner, *counter),
            Place::Buffered(group, n) => self.add(
                "DELETE FROM buffered WHERE owner = ? AND group_id = ? AND n = ?",
                values![owner.0, &group[..], *n],
            ),
            Place::Hidden(group, n) => self.add(
                "DELETE FROM hidden_events WHERE owner = ? AND group_id = ? AND n = ?",
                values![owner.0, group.as_bytes(), *n],
            ),
            // Its number stays taken: idempotency keys may name it.
            Place::Intent(_, n) => {
                return self.add(
                    "UPDATE intents SET settled = 2 WHERE owner = ? AND n = ?",
                    values![owner.0, *n],
                );
            }
        }
        self.set_aside(owner, Sha256::digest(&row.bytes).into(), "damaged", at, &row.bytes);
    }

    /// An event that carries its own data; answers the bytes of its row.
    pub(crate) fn event(
        &mut self,
        owner: Owner,
        seq: u64,
        group: Option<&GroupId>,
        at: u64,
        data: &EventData,
    ) -> usize {
        let row = EventRow { data, beside: Some((group.cloned(), at)) };
        let sealed = record::seal(&self.sealer, "events", &record::row(owner.0, seq), &row);
        let size = sealed.len();
        let group = group.map(GroupId::as_bytes);
        self.add(
            "INSERT INTO events (owner, seq, kind, group_id, occurred_at, data) \
             VALUES (?, ?, ?, ?, ?, ?)",
            values![owner.0, seq, data.kind(), group, at, sealed],
        );
        size
    }

    /// An event about an own message; ignored when that message was.
    pub(crate) fn message_event(
        &mut self,
        owner: Owner,
        seq: u64,
        kind: &'static str,
        group: &GroupId,
        at: u64,
        message: u64,
    ) {
        self.statements.push(Statement {
            sql: "INSERT INTO events (owner, seq, kind, group_id, occurred_at, message) \
             SELECT ?, ?, ?, ?, ?, ? \
             WHERE EXISTS (SELECT 1 FROM messages WHERE owner = ? AND seq = ?)",
            values: values![owner.0, seq, kind, group.as_bytes(), at, message, owner.0, message],
            once: Some(seq),
        });
    }

    /// An event of a group whose invitation is not answered; answers the bytes of its row.
    pub(crate) fn hidden_event(
        &mut self,
        owner: Owner,
        group: &GroupId,
        n: u64,
        at: u64,
        data: &EventData,
    ) -> usize {
        let sealed = super::events::seal_hidden(&self.sealer, owner, group, n, data);
        let size = sealed.len();
        self.add(
            "INSERT INTO hidden_events (owner, group_id, n, occurred_at, data) \
             VALUES (?, ?, ?, ?, ?)",
            values![owner.0, group.as_bytes(), n, at, sealed],
        );
        size
    }

    pub(crate) fn drop_hidden(&mut self, owner: Owner, group: &GroupId) {
        self.add(
            "DELETE FROM hidden_events WHERE owner = ? AND group_id = ?",
            values![owner.0, group.as_bytes()],
        );
    }

    pub(crate) fn outbox(&mut self, owner: Owner, counter: u64, outgoing: &OutboxRecord) {
        let row = record::row(owner.0, counter);
        let sealed = record::seal(&self.sealer, "outbox", &row, outgoing);
        self.add(
            "INSERT OR REPLACE INTO outbox (owner, counter, created_at, record) \
             VALUES (?, ?, ?, ?)",
            values![owner.0, counter, outgoing.created_at_ms, sealed],
        );
    }

    pub(crate) fn drop_outbox(&mut self, owner: Owner, counter: u64) {
        self.add("DELETE FROM outbox WHERE owner = ? AND counter = ?", values![owner.0, counter]);
    }

    pub(crate) fn inbox(&mut self, owner: Owner, hash: [u8; 32], at: u64) {
        self.add(
            "INSERT OR IGNORE INTO inbox (owner, hash, seen_at) VALUES (?, ?, ?)",
            values![owner.0, &hash[..], at],
        );
    }

    pub(crate) fn buffer(&mut self, owner: Owner, group: &[u8], n: u64, at: u64, payload: &[u8]) {
        let sealed = super::inbox::seal_buffered(&self.sealer, owner, group, n, payload);
        self.add(
            "INSERT INTO buffered (owner, group_id, n, created_at, payload) \
             VALUES (?, ?, ?, ?, ?)",
            values![owner.0, group, n, at, sealed],
        );
    }

    pub(crate) fn drop_buffered(&mut self, owner: Owner, group: &[u8]) {
        self.add("DELETE FROM buffered WHERE owner = ? AND group_id = ?", values![owner.0, group]);
    }

    /// Forgets what of a group's payloads came before this (unix milliseconds).
    pub(crate) fn expire_buffered(&mut self, owner: Owner, group: &[u8], before: u64) {
        self.add(
            "DELETE FROM buffered WHERE owner = ? AND group_id = ? AND created_at < ?",
            values![owner.0, group, before],
        );
    }

    pub(crate) fn set_aside(
        &mut self,
        owner: Owner,
        hash: [u8; 32],
        reason: &'static str,
        at: u64,
        payload: &[u8],
    ) {
        let sealed = super::inbox::seal_set_aside(&self.sealer, owner, &hash, payload);
        self.add(
            "INSERT OR IGNORE INTO set_aside (owner, hash, reason, created_at, payload) \
             VALUES (?, ?, ?, ?, ?)",
            values![owner.0, &hash[..], reason, at, sealed],
        );
    }

    pub(crate) fn intent(&mut self, owner: Owner, intent: &IntentRecord) {
        let row = record::row(owner.0, intent.n);
        let sealed = record::seal(&self.sealer, "intents", &row, intent);
        let (group, settled) = (intent.group.as_bytes(), intent.outcome.is_some());
        self.add(
            "INSERT OR REPLACE INTO intents (owner, n, group_id, settled, created_at, record) \
             VALUES (?, ?, ?, ?, ?, ?)",
            values![owner.0, intent.n, group, settled, intent.created_at_ms, sealed],
        );
    }

    pub(crate) fn idempotency(&mut self, owner: Owner, record: IdempotencyRecord) {
        let IdempotencyRecord { key, fingerprint, target, created_at_ms } = record;
        let (intent, message, attachment) = match target {
            IdempotencyTarget::Intent(n) => (Some(n), None, None),
            IdempotencyTarget::Message(seq) => (None, Some(seq), None),
            IdempotencyTarget::Attachment(id) => (None, None, Some(id.as_bytes().to_vec())),
        };
        let bound = super::intents::key_row(owner, &key, target);
        let fingerprint = self.sealer.seal(FINGERPRINT, &bound, &fingerprint);
        self.add(
            "INSERT INTO idempotency (owner, key, fingerprint, intent, message, attachment, \
             created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            values![owner.0, key, fingerprint, intent, message, attachment, created_at_ms],
        );
    }

    /// Forgets what is only kept to recognise repetitions, once it is older than this.
    pub(crate) fn sweep(&mut self, owner: Owner, inbox_before: u64, requests_before: u64) {
        self.add(
            "DELETE FROM inbox WHERE owner = ? AND seen_at < ?",
            values![owner.0, inbox_before],
        );
        self.add(
            "DELETE FROM idempotency WHERE owner = ? AND created_at < ?",
            values![owner.0, requests_before],
        );
        self.add(
            "DELETE FROM intents WHERE owner = ? AND settled = 1 AND created_at < ?",
            values![owner.0, requests_before],
        );
    }

    /// Answers the positions of events that were ignored.
    pub(super) fn apply(&self, connection: &Connection) -> rusqlite::Result<Vec<u64>> {
        statement::run(connection, &self.statements)
    }
}

/// The columns of an identity are bytes; ours are always of the right length.
pub(super) fn identity(bytes: &[u8]) -> Result<IdentityKey, StoreError> {
    IdentityKey::from_slice(bytes).map_err(|error| StoreError::Row("identity", error.to_string()))
}
