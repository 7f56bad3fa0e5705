//! Who a caller is: proofs of a key, access tokens, live Sessions.

pub(crate) mod bans;
pub(crate) mod deletion;
pub(crate) mod live;
mod proof;
mod tokens;

use std::net::IpAddr;

use ed25519_dalek::{Signature, VerifyingKey};
use quicproquo_schemas::id::{IdentityKey, Instance, SendId};
use quicproquo_schemas::limits::{AUTH_DOMAIN, AUTH_EXPORTER_LEN};

use crate::config::Registration;
use crate::rates::OverRate;
use crate::server::Shared;
use crate::store::StoreError;
use crate::store::write::{
    Admit, Authenticate, DirectoryWrite, QueueWrite, QueueWritten, Sender, Terms,
};
use crate::writer::WriteError;
use live::{Admission, Ended};
#[cfg(test)]
pub(crate) use proof::tests as proof_tests;
pub use proof::{ProofError, TokenProof};
pub use tokens::{
    AccessToken, IssuedToken, TokenError, issue_access_token, issue_proven_token,
    list_access_tokens, revoke_access_token,
};
pub(crate) use tokens::{hash, resolve};

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("no valid access token")]
    Unauthenticated,
    #[error("the access token does not open this")]
    Forbidden,
    #[error("the signature does not prove the key on this connection")]
    BadSignature,
    #[error("the signature does not name this heir")]
    BadTransfer,
    #[error("the operator of this node has banned this identity")]
    Banned,
    #[error(transparent)]
    OverRate(#[from] OverRate),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who holds a valid access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A token bound to this identity.
    Bound(IdentityKey),
    /// The operator's static token.
    Operator,
}

impl Caller {
    /// Whose quotas the caller's rows count on.
    pub(crate) fn sender(self) -> Sender {
        match self {
            Self::Bound(identity) => Sender::from(&identity),
            Self::Operator => Sender::OPERATOR,
        }
    }

    /// Fails unless the token is bound to `identity`.
    pub(crate) fn must_be(self, identity: &IdentityKey) -> Result<(), AuthError> {
        if self == Self::Bound(*identity) { Ok(()) } else { Err(AuthError::Forbidden) }
    }
}

/// What `authenticate` claims.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claimed {
    pub(crate) identity: IdentityKey,
    pub(crate) incarnation: u64,
    pub(crate) instance: Instance,
    pub(crate) attempt: u64,
}

/// A new live Session.
#[derive(Debug)]
pub(crate) struct NewSession {
    pub(crate) number: u64,
    pub(crate) last_send: SendId,
    pub(crate) acked_up_to: u64,
    pub(crate) admission: Admission,
}

/// The bytes that the client signed: nothing in them can be replayed, since the exporter is of
/// this connection alone.
pub(crate) fn signed_bytes(claimed: &Claimed, exporter: &[u8; AUTH_EXPORTER_LEN]) -> Vec<u8> {
    [
        AUTH_DOMAIN,
        claimed.identity.as_bytes(),
        &claimed.incarnation.to_be_bytes(),
        claimed.instance.as_bytes(),
        &claimed.attempt.to_be_bytes(),
        exporter,
    ]
    .concat()
}

/// Ed25519 verification that accepts one signature per message and no weak keys.
pub(crate) fn verify(identity: &IdentityKey, message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(identity.as_bytes()) else {
        return false;
    };
    let Ok(signature) = Signature::from_slice(signature) else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}

/// The other side's part of `authenticate`.
#[derive(Debug)]
pub(crate) struct Proof<'a> {
    /// Where the connection comes from.
    pub(crate) from: IpAddr,
    pub(crate) exporter: [u8; AUTH_EXPORTER_LEN],
    pub(crate) signature: &'a [u8],
    /// Empty, or an invite's code.
    pub(crate) invite: &'a [u8],
}

/// Lets an identity in: one that is registered unless it is banned, a new one on the terms of the
/// policy. The directory decides in one transaction.
async fn admit(
    shared: &Shared,
    identity: IdentityKey,
    from: IpAddr,
    invite: &[u8],
) -> Result<(), AuthError> {
    if shared.banned.contains(&identity) {
        return Err(AuthError::Banned);
    }
    if !shared.reads.is_registered(identity).await? {
        shared.rates.register(from)?;
    }
    let terms = match shared.registration {
        Registration::Open => Terms::Open,
        Registration::Invite => Terms::Invite((!invite.is_empty()).then(|| hash(invite))),
        Registration::Closed => Terms::Closed,
    };
    let now = shared.clock.now();
    shared.directory.submit(DirectoryWrite::Admit(Admit { identity, terms, now })).await?;
    Ok(())
}

/// Checks the proof and makes the caller the one live Session of its identity.
pub(crate) async fn authenticate(
    shared: &Shared,
    claimed: Claimed,
    proof: Proof<'_>,
) -> Result<NewSession, AuthError> {
    let Proof { from, exporter, signature, invite } = proof;
    shared.rates.authenticate(from)?;
    if !verify(&claimed.identity, &signed_bytes(&claimed, &exporter), signature) {
        return Err(AuthError::BadSignature);
    }
    admit(shared, claimed.identity, from, invite).await?;
    let write = QueueWrite::Authenticate(Authenticate {
        identity: claimed.identity,
        incarnation: claimed.incarnation,
        instance: claimed.instance,
        attempt: claimed.attempt,
    });
    let QueueWritten::Authenticated(session) = shared.writer.submit(write).await? else {
        return Err(WriteError::Failed.into());
    };
    tracing::debug!(identity = %claimed.identity, session = session.session, "authenticated");
    let admission = shared.live.enter(claimed.identity, session.session, claimed.instance);
    // A ban that came in between has found no Session to end.
    if shared.banned.contains(&claimed.identity) {
        shared.live.expel(&claimed.identity, Ended::Banned);
        return Err(AuthError::Banned);
    }
    Ok(NewSession {
        number: session.session,
        last_send: session.last_send,
        acked_up_to: session.acked_up_to,
        admission,
    })
}
