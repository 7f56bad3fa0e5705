//! What an operator asks of the store from outside of the node's process.

use quicproquo_schemas::id::IdentityKey;

use super::StoreError;

/// An identity as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityInfo {
    /// Its key.
    pub identity: IdentityKey,
    /// Whether it has authenticated here; a ban can come first.
    pub registered: bool,
    /// Whether it is shut out.
    pub banned: bool,
    /// Its names, the first claimed first.
    pub names: Vec<String>,
}

/// An invite as the operator sees it; its code was shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteInfo {
    /// What it is revoked by.
    pub id: u64,
    /// What the operator called it.
    pub label: String,
    /// Uses it was made with.
    pub uses: u32,
    /// Uses it has left.
    pub uses_left: u32,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds; none: it does not end.
    pub expires_at: Option<u64>,
}

/// A name as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameInfo {
    /// The name.
    pub name: String,
    /// Whose it is; none: that identity is gone.
    pub owner: Option<IdentityKey>,
    /// Who alone may claim it, of a deleted identity's name.
    pub heir: Option<IdentityKey>,
}

/// A new invite.
#[derive(Debug, Clone)]
pub(crate) struct NewInvite {
    /// SHA-256 of the code.
    pub(crate) hash: [u8; 32],
    pub(crate) label: String,
    pub(crate) uses: u32,
    pub(crate) expires_at: Option<u64>,
    pub(crate) now: u64,
}

/// What the operator does, beside a running node or not; each call is one durable transaction.
pub(crate) trait Operate {
    /// Shuts an identity out and ends its issued tokens. False: it was banned already.
    async fn ban(&mut self, identity: IdentityKey, now: u64) -> Result<bool, StoreError>;
    /// False: it was not banned.
    async fn unban(&mut self, identity: IdentityKey) -> Result<bool, StoreError>;
    /// Identities above `after`, at most `limit`, by key.
    async fn identities(
        &mut self,
        after: Option<IdentityKey>,
        limit: u32,
    ) -> Result<Vec<IdentityInfo>, StoreError>;
    /// Returns its id.
    async fn create_invite(&mut self, invite: &NewInvite) -> Result<u64, StoreError>;
    /// All invites, the oldest first.
    async fn invites(&mut self) -> Result<Vec<InviteInfo>, StoreError>;
    /// False: there is no such invite.
    async fn revoke_invite(&mut self, id: u64) -> Result<bool, StoreError>;
    /// All names in order, those of deleted identities too.
    async fn names(&mut self) -> Result<Vec<NameInfo>, StoreError>;
    /// Lets `heir` alone, or the first who comes, claim a deleted identity's name. False: it is
    /// no such name.
    async fn release_name(
        &mut self,
        name: &str,
        heir: Option<IdentityKey>,
    ) -> Result<bool, StoreError>;
}
