//! Access tokens of `NodeService`'s `Auth`. Only their SHA-256 is kept.

use std::fmt;
use std::path::Path;

use quicproquo_schemas::id::IdentityKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::{AuthError, Caller};
use crate::clock::Clock;
use crate::server::Shared;
use crate::store::sqlite::issue_token;
use crate::store::{StoreError, StoredToken};

/// A token was not issued.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no randomness.
    #[error("no randomness: {0}")]
    Random(getrandom::Error),
}

/// 32 random bytes that open `NodeService` for one identity. Shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken([u8; 32]);

impl AccessToken {
    pub(crate) fn random() -> Result<Self, TokenError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(TokenError::Random)?;
        Ok(Self(bytes))
    }

    /// The bytes that go into `Auth.accessToken`.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for AccessToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(redacted)")
    }
}

/// What is kept of a token.
pub(crate) fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Issues a token bound to `identity` for `life_secs`, for clients that know only `NodeService`.
/// Works on the database of `data_dir`, whether a node is running on it or not.
pub async fn issue_access_token(
    data_dir: &Path,
    identity: IdentityKey,
    life_secs: u64,
    clock: &Clock,
) -> Result<AccessToken, TokenError> {
    let token = AccessToken::random()?;
    let expires_at = clock.now().saturating_add(life_secs).min(i64::MAX.cast_unsigned());
    issue_token(data_dir, hash(token.as_bytes()), StoredToken { identity, expires_at }).await?;
    Ok(token)
}

/// Who holds a token. Answers tokens of live Sessions without waiting.
pub(crate) async fn resolve(shared: &Shared, hash: [u8; 32]) -> Result<Caller, AuthError> {
    match holder(shared, hash).await? {
        Caller::Bound(identity) if shared.banned.contains(&identity) => Err(AuthError::Banned),
        caller => Ok(caller),
    }
}

async fn holder(shared: &Shared, hash: [u8; 32]) -> Result<Caller, AuthError> {
    let now = shared.clock.now();
    if let Some(identity) = shared.live.token(&hash, now) {
        return Ok(Caller::Bound(identity));
    }
    if shared.static_token.as_ref().is_some_and(|token| token.matches(&hash)) {
        return Ok(Caller::Operator);
    }
    match shared.reads.token(hash).await? {
        Some(token) if token.expires_at > now => Ok(Caller::Bound(token.identity)),
        _ => Err(AuthError::Unauthenticated),
    }
}
