//! Identities: their seed, hybrid keys, and positions.

use std::collections::BTreeMap;
use std::sync::Arc;

use quicproquo_core::identity::{Identity, IdentityKey};
use quicproquo_core::kem::HybridSecret;
use quicproquo_core::suite::Suite;
use rusqlite::{Connection, params};
use zeroize::Zeroizing;

use super::bound::{Field, NOTHING, bind};
use super::seal::Sealer;
use super::tables::{HALTED, MLS, POLICY, TABLES};
use super::{Store, StoreError, int, uint};
use crate::model::InvitePolicy;

/// The short id of an identity inside one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Owner(pub(crate) i64);

/// The counters of one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Positions {
    /// The counter the next send gets.
    pub(crate) next_counter: u64,
    /// The newest row of the node's queue that is processed.
    pub(crate) received_up_to: u64,
    /// The newest position of the event log.
    pub(crate) tail: u64,
    /// Sends below this counter may be at the node; none: all that have a counter.
    pub(crate) sent_below: Option<u64>,
    /// Key packages at the node may be of another copy of this database, and are to be replaced.
    pub(crate) replace_packages: bool,
}

impl Positions {
    /// Of a new identity.
    const FIRST: Self = Self {
        next_counter: 1,
        received_up_to: 0,
        tail: 0,
        sent_below: None,
        replace_packages: false,
    };

    fn new(
        (next_counter, received_up_to, tail, sent_below, replace_packages): PositionsRow,
    ) -> Self {
        Self {
            next_counter: uint(next_counter),
            received_up_to: uint(received_up_to),
            tail: uint(tail),
            sent_below: Some(uint(sent_below)).filter(|counter| *counter > 0),
            replace_packages,
        }
    }

    /// No link is up: from now on counters are given to sends that cannot be at the node yet.
    pub(crate) fn link_gone(&mut self) {
        self.sent_below.get_or_insert(self.next_counter);
    }

    /// Whether the node knows of later sends or acknowledgements than this database.
    pub(crate) fn are_behind(&self, last_send: Option<u64>, acked_up_to: u64) -> bool {
        let sent_below = self.sent_below.unwrap_or(self.next_counter);
        last_send.is_some_and(|last| last >= sent_below) || acked_up_to > self.received_up_to
    }
}

/// Why a session does not run until an operator says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Halted {
    /// This instance runs the identity.
    Displaced(String),
    /// The identity goes on elsewhere.
    Exported,
}

impl Halted {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Displaced(by) => format!("displaced {by}"),
            Self::Exported => "exported".to_owned(),
        }
    }

    fn of(text: &str) -> Self {
        match text.strip_prefix("displaced ") {
            Some(by) => Self::Displaced(by.to_owned()),
            None => Self::Exported,
        }
    }
}

/// What a session starts from.
pub(crate) struct IdentityRecord {
    pub(crate) owner: Owner,
    pub(crate) identity: Arc<Identity>,
    pub(crate) incarnation: u64,
    pub(crate) positions: Positions,
    pub(crate) policy: InvitePolicy,
    /// The newest first.
    pub(crate) hybrid: Vec<HybridSecret>,
}

type Row = (i64, Vec<u8>, Vec<u8>, i64, String, Option<Vec<u8>>);

/// Identity, why it stands still, seal.
type ControlRow = (Vec<u8>, Option<String>, Option<Vec<u8>>);

/// `next_counter`, `received_up_to`, `tail`, `sent_below`, `replace_packages`.
type PositionsRow = (i64, i64, i64, i64, bool);

impl Store {
    /// All identities in this database.
    pub(crate) async fn identities(&self) -> Result<Vec<IdentityRecord>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, identity, seed, incarnation, invite_policy, policy_seal FROM identities \
             ORDER BY id",
        )
        .fetch_all(&self.reads)
        .await?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            records.push(self.identity_record(row).await?);
        }
        Ok(records)
    }

    /// One identity, which must be there.
    pub(super) async fn identity_of(&self, owner: Owner) -> Result<IdentityRecord, StoreError> {
        let row: Row = sqlx::query_as(
            "SELECT id, identity, seed, incarnation, invite_policy, policy_seal FROM identities \
             WHERE id = ?",
        )
        .bind(owner.0)
        .fetch_one(&self.reads)
        .await?;
        self.identity_record(row).await
    }

    /// Writes a new identity with its first hybrid key; its positions start at zero.
    pub(crate) async fn create_identity(
        &self,
        identity: Identity,
        hybrid: HybridSecret,
        now_ms: u64,
    ) -> Result<IdentityRecord, StoreError> {
        let key = identity.key();
        let secret =
            hybrid.to_bytes().map_err(|error| StoreError::Row("hybrid_keys", error.to_string()))?;
        let sealer = &self.sealer;
        let sealed = SealedIdentity {
            seed: sealer.seal("identities", key.as_bytes(), &identity.seed()[..]),
            secret: sealer.seal("hybrid_keys", key.as_bytes(), &secret),
            policy: seal_policy(sealer, &key, &policy_text(&InvitePolicy::default())),
            halted: seal_halted(sealer, &key, None),
        };
        let owner = self.writer.create_identity(&key, sealed, int(now_ms)).await?;
        Ok(IdentityRecord {
            owner,
            identity: Arc::new(identity),
            incarnation: 1,
            positions: Positions::FIRST,
            policy: InvitePolicy::default(),
            hybrid: vec![hybrid],
        })
    }

    /// Deletes everything of an identity.
    pub(crate) async fn delete_identity(&self, owner: Owner) -> Result<(), StoreError> {
        self.writer.delete_identity(owner).await
    }

    pub(crate) async fn halted(&self, owner: Owner) -> Result<Option<Halted>, StoreError> {
        let row: Option<ControlRow> =
            sqlx::query_as("SELECT identity, halted, halted_seal FROM identities WHERE id = ?")
                .bind(owner.0)
                .fetch_optional(&self.reads)
                .await?;
        let Some((key, text, seal)) = row else { return Ok(None) };
        let bound = bind(&key, [text.as_deref().map_or(Field::Null, Field::Text)]);
        if self.sealer.open(HALTED, &bound, &seal.unwrap_or_default()).is_err() {
            // Of two copies one speaks: an operator is to say that it is this one.
            tracing::error!(owner = owner.0, "whether a session runs was changed in the database");
            return Ok(Some(Halted::Exported));
        }
        Ok(text.as_deref().map(Halted::of))
    }

    /// The counters as they are committed.
    pub(crate) async fn positions(&self, owner: Owner) -> Result<Positions, StoreError> {
        let row: PositionsRow = sqlx::query_as(
            "SELECT next_counter, received_up_to, tail, sent_below, replace_packages FROM identities \
             WHERE id = ?",
        )
        .bind(owner.0)
        .fetch_one(&self.reads)
        .await?;
        Ok(Positions::new(row))
    }

    /// When the newest unused last-resort package of each suite was made, unix milliseconds.
    pub(crate) async fn last_resorts(
        &self,
        owner: Owner,
    ) -> Result<BTreeMap<Suite, u64>, StoreError> {
        let rows: Vec<(u16, i64)> = sqlx::query_as(
            "SELECT suite, MAX(created_at) FROM key_packages \
             WHERE owner = ? AND last_resort = 1 GROUP BY suite",
        )
        .bind(owner.0)
        .fetch_all(&self.reads)
        .await?;
        let made = rows.into_iter().map(|(code, at)| (Suite::from_code(code), uint(at)));
        Ok(made.filter_map(|(suite, at)| Some((suite?, at))).collect())
    }

    /// One-time packages made at or after `since` (unix milliseconds) that were not used.
    pub(crate) async fn fresh_packages(
        &self,
        owner: Owner,
        since: u64,
    ) -> Result<BTreeMap<Suite, u32>, StoreError> {
        let rows: Vec<(u16, u32)> = sqlx::query_as(
            "SELECT suite, COUNT(*) FROM key_packages \
             WHERE owner = ? AND last_resort = 0 AND created_at >= ? GROUP BY suite",
        )
        .bind(owner.0)
        .bind(int(since))
        .fetch_all(&self.reads)
        .await?;
        let fresh = rows.into_iter().map(|(code, count)| (Suite::from_code(code), count));
        Ok(fresh.filter_map(|(suite, count)| Some((suite?, count))).collect())
    }

    /// References of packages made before this (unix milliseconds).
    pub(crate) async fn old_packages(
        &self,
        owner: Owner,
        before: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let query = "SELECT reference FROM key_packages WHERE owner = ? AND created_at < ?";
        let query = sqlx::query_scalar(query).bind(owner.0).bind(int(before));
        Ok(query.fetch_all(&self.reads).await?)
    }

    /// Whether a later copy of this database may have used one of these packages.
    pub(crate) async fn are_doubtful(
        &self,
        owner: Owner,
        references: &[Vec<u8>],
    ) -> Result<bool, StoreError> {
        let query = "SELECT doubtful FROM key_packages WHERE owner = ? AND reference = ?";
        for reference in references {
            let query = sqlx::query_scalar(query).bind(owner.0).bind(reference);
            if query.fetch_optional(&self.reads).await?.unwrap_or(false) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) async fn invite_policy(&self, owner: Owner) -> Result<InvitePolicy, StoreError> {
        let row: (Vec<u8>, String, Option<Vec<u8>>) = sqlx::query_as(
            "SELECT identity, invite_policy, policy_seal FROM identities WHERE id = ?",
        )
        .bind(owner.0)
        .fetch_one(&self.reads)
        .await?;
        self.policy(owner, row)
    }

    /// A policy; one that was changed in the database lets nobody add us unasked.
    fn policy(
        &self,
        owner: Owner,
        (key, text, seal): (Vec<u8>, String, Option<Vec<u8>>),
    ) -> Result<InvitePolicy, StoreError> {
        let bound = bind(&key, [Field::Text(&text)]);
        if self.sealer.open(POLICY, &bound, &seal.unwrap_or_default()).is_err() {
            tracing::error!(owner = owner.0, "an invite policy was changed in the database");
            return Ok(InvitePolicy::default());
        }
        serde_json::from_str(&text)
            .map_err(|error| StoreError::Row("identities", error.to_string()))
    }

    async fn identity_record(&self, row: Row) -> Result<IdentityRecord, StoreError> {
        let (owner, key, seed, incarnation, text, policy_seal) = row;
        let plain = self.sealer.open("identities", &key, &seed)?;
        let seed: [u8; 32] = plain
            .as_slice()
            .try_into()
            .map_err(|_| StoreError::Row("identities", "a seed has 32 bytes".into()))?;
        let identity = Identity::from_seed(Zeroizing::new(seed));
        if identity.key().as_bytes()[..] != key[..] {
            return Err(StoreError::Row("identities", "a seed of another identity".into()));
        }
        let hybrid = self.hybrid_keys(Owner(owner), &key).await?;
        Ok(IdentityRecord {
            owner: Owner(owner),
            identity: Arc::new(identity),
            incarnation: uint(incarnation),
            positions: self.positions(Owner(owner)).await?,
            policy: self.policy(Owner(owner), (key, text, policy_seal))?,
            hybrid,
        })
    }
}

pub(super) fn policy_text(policy: &InvitePolicy) -> String {
    serde_json::to_string(policy).expect("a policy has a JSON form")
}

pub(super) fn seal_policy(sealer: &Sealer, identity: &IdentityKey, text: &str) -> Vec<u8> {
    sealer.seal(POLICY, &bind(identity.as_bytes(), [Field::Text(text)]), NOTHING)
}

pub(super) fn seal_halted(sealer: &Sealer, identity: &IdentityKey, text: Option<&str>) -> Vec<u8> {
    let field = text.map_or(Field::Null, Field::Text);
    sealer.seal(HALTED, &bind(identity.as_bytes(), [field]), NOTHING)
}

/// The sealed values of a new identity.
pub(super) struct SealedIdentity {
    seed: Vec<u8>,
    secret: Vec<u8>,
    policy: Vec<u8>,
    halted: Vec<u8>,
}

/// Creates an identity, for the writer.
pub(super) fn insert(
    connection: &Connection,
    key: &IdentityKey,
    sealed: &SealedIdentity,
    now: i64,
) -> rusqlite::Result<Owner> {
    let SealedIdentity { seed, secret, policy, halted } = sealed;
    connection.execute(
        "INSERT INTO identities (identity, seed, incarnation, next_counter, received_up_to, \
         tail, invite_policy, policy_seal, halted_seal) VALUES (?, ?, 1, 1, 0, 0, ?, ?, ?)",
        params![&key.as_bytes()[..], seed, policy_text(&InvitePolicy::default()), policy, halted],
    )?;
    let owner = connection.last_insert_rowid();
    connection.execute(
        "INSERT INTO hybrid_keys (owner, n, secret, created_at) VALUES (?, 1, ?, ?)",
        params![owner, secret, now],
    )?;
    Ok(Owner(owner))
}

/// Deletes an identity, for the writer.
pub(super) fn delete(connection: &Connection, owner: Owner) -> rusqlite::Result<()> {
    let tables = TABLES.iter().chain([&MLS]).map(|table| table.name).chain(["hybrid_keys"]);
    for table in tables {
        connection.execute(&format!("DELETE FROM {table} WHERE owner = ?"), [owner.0])?;
    }
    connection.execute("DELETE FROM identities WHERE id = ?", [owner.0]).map(drop)
}
