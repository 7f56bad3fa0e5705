//! Access tokens of `NodeService`'s `Auth`. Only their SHA-256 is kept.

use std::fmt;
use std::path::Path;

use quicproquo_schemas::id::IdentityKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::proof::{ProofError, TokenProof};
use super::{AuthError, Caller};
use crate::clock::Clock;
use crate::server::Shared;
use crate::store::sqlite::{issue_token, list_tokens, revoke_token};
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
    /// The proof is none.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The token is issued already.
    #[error("this token is issued already; revoke it first")]
    Issued,
}

/// What the node knows of a token that the operator has issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuedToken {
    /// SHA-256 of the token, its name in lists.
    pub hash: [u8; 32],
    /// Whom it opens `NodeService` for.
    pub identity: IdentityKey,
    /// Unix seconds.
    pub expires_at: u64,
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

/// Issues a token bound to `identity` for `life_secs`, for clients that know only `NodeService`;
/// the operator vouches for the identity. Works on the database of `data_dir`, whether a node is
/// running on it or not.
pub async fn issue_access_token(
    data_dir: &Path,
    identity: IdentityKey,
    life_secs: u64,
    clock: &Clock,
) -> Result<(IssuedToken, AccessToken), TokenError> {
    let token = AccessToken::random()?;
    let issued = issue(data_dir, hash(token.as_bytes()), identity, life_secs, clock).await?;
    Ok((issued, token))
}

/// Issues the token that the holder of a key has chosen and of which the proof gives the SHA-256:
/// nobody but the holder ever sees it. Returns what was issued.
pub async fn issue_proven_token(
    data_dir: &Path,
    proof: &TokenProof,
    life_secs: u64,
    clock: &Clock,
) -> Result<IssuedToken, TokenError> {
    proof.verify(clock.now())?;
    issue(data_dir, proof.token_hash, proof.identity, life_secs, clock).await
}

async fn issue(
    data_dir: &Path,
    hash: [u8; 32],
    identity: IdentityKey,
    life_secs: u64,
    clock: &Clock,
) -> Result<IssuedToken, TokenError> {
    let expires_at = clock.now().saturating_add(life_secs).min(i64::MAX.cast_unsigned());
    if issue_token(data_dir, hash, StoredToken { identity, expires_at }).await? {
        Ok(IssuedToken { hash, identity, expires_at })
    } else {
        Err(TokenError::Issued)
    }
}

/// All tokens that the operator has issued and that have not been removed yet.
pub async fn list_access_tokens(data_dir: &Path) -> Result<Vec<IssuedToken>, TokenError> {
    let tokens = list_tokens(data_dir).await?.into_iter();
    Ok(tokens
        .map(|(hash, StoredToken { identity, expires_at })| IssuedToken {
            hash,
            identity,
            expires_at,
        })
        .collect())
}

/// Takes a token back, by its SHA-256; the next call with it is refused. Returns whether it was
/// there.
pub async fn revoke_access_token(data_dir: &Path, hash: [u8; 32]) -> Result<bool, TokenError> {
    Ok(revoke_token(data_dir, hash).await?)
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
