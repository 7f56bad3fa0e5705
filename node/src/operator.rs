//! What the operator does to a data directory, beside a running node or without one.
//!
//! A running node notices bans within a second; everything else is read from the database
//! whenever it is needed.

use std::fmt;
use std::path::Path;

use quicproquo_schemas::id::IdentityKey;
use zeroize::Zeroizing;

use crate::auth::hash;
use crate::clock::Clock;
use crate::store::sqlite::Sqlite;
use crate::store::{IdentityInfo, InviteInfo, NameInfo, NewInvite, Operate, StoreError};

/// Identities that are read at once.
const PAGE: u32 = 1_000;

/// The operator's wish was not done.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no randomness.
    #[error("no randomness: {0}")]
    Random(getrandom::Error),
}

/// An invite's code, shown once; the node keeps its SHA-256.
#[derive(Clone)]
pub struct Invite {
    /// What it is revoked by.
    pub id: u64,
    code: Zeroizing<String>,
}

impl Invite {
    /// The code that is given at the first authentication.
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The operator's end of a node's database.
#[derive(Debug)]
pub struct Operator {
    store: Sqlite,
    clock: Clock,
}

impl Operator {
    /// Opens the database of a data directory that a node has made.
    ///
    /// # Errors
    /// `Missing`, `Corrupt`, `Foreign`, `Newer`.
    pub async fn open(data_dir: &Path, clock: Clock) -> Result<Self, OperatorError> {
        Ok(Self { store: Sqlite::open_beside(data_dir).await?, clock })
    }

    /// Shuts an identity out, whether it has been here or not: its Session ends, its tokens die,
    /// and nobody fetches its rows. False: it was banned already.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ban(&mut self, identity: IdentityKey) -> Result<bool, OperatorError> {
        Ok(self.store.ban(identity, self.clock.now()).await?)
    }

    /// Lets a banned identity in again. False: it was not banned.
    ///
    /// # Errors
    /// The database failed.
    pub async fn unban(&mut self, identity: IdentityKey) -> Result<bool, OperatorError> {
        Ok(self.store.unban(identity).await?)
    }

    /// All identities that have authenticated or are banned, by key.
    ///
    /// # Errors
    /// The database failed.
    pub async fn identities(&mut self) -> Result<Vec<IdentityInfo>, OperatorError> {
        let mut all: Vec<IdentityInfo> = Vec::new();
        loop {
            let after = all.last().map(|info| info.identity);
            let page = self.store.identities(after, PAGE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// Makes an invite that admits `uses` new identities, for `life_secs` or without end.
    ///
    /// # Errors
    /// The database failed, or there is no randomness.
    pub async fn create_invite(
        &mut self,
        label: &str,
        uses: u32,
        life_secs: Option<u64>,
    ) -> Result<Invite, OperatorError> {
        let mut bytes = Zeroizing::new([0; 24]);
        getrandom::fill(&mut *bytes).map_err(OperatorError::Random)?;
        let code = Zeroizing::new(format!("qpi_{}", hex::encode(*bytes)));
        let now = self.clock.now();
        let expires_at =
            life_secs.map(|secs| now.saturating_add(secs).min(i64::MAX.cast_unsigned()));
        let hash = hash(code.as_bytes());
        let new = NewInvite { hash, label: label.to_owned(), uses, expires_at, now };
        Ok(Invite { id: self.store.create_invite(&new).await?, code })
    }

    /// All invites, the oldest first; used up and expired ones too.
    ///
    /// # Errors
    /// The database failed.
    pub async fn invites(&mut self) -> Result<Vec<InviteInfo>, OperatorError> {
        Ok(self.store.invites().await?)
    }

    /// Ends an invite; whom it has admitted stays. False: there is no such invite.
    ///
    /// # Errors
    /// The database failed.
    pub async fn revoke_invite(&mut self, id: u64) -> Result<bool, OperatorError> {
        Ok(self.store.revoke_invite(id).await?)
    }

    /// All names in order, those of deleted identities too.
    ///
    /// # Errors
    /// The database failed.
    pub async fn names(&mut self) -> Result<Vec<NameInfo>, OperatorError> {
        Ok(self.store.names().await?)
    }

    /// Lets `heir` alone, or the first who comes, claim the name of a deleted identity. False: it
    /// is no such name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn release_name(
        &mut self,
        name: &str,
        heir: Option<IdentityKey>,
    ) -> Result<bool, OperatorError> {
        Ok(self.store.release_name(name, heir).await?)
    }
}
