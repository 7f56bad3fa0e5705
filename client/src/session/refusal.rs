//! What callers are told when a commit cannot be staged.

use quicproquo_core::group::{CommitError, Unauthorized};
use quicproquo_core::identity::IdentityKey;

use crate::error::SessionError;

/// `wanted` are the owners of the packages of an add, in order.
pub(super) fn explain(error: CommitError, wanted: &[IdentityKey]) -> SessionError {
    let bad =
        |identity: IdentityKey, reason: String| SessionError::BadKeyPackage { identity, reason };
    match error {
        CommitError::Inactive => SessionError::GroupInactive,
        CommitError::NotAMember(identity) => SessionError::NotAMember(identity),
        CommitError::AlreadyMember(identity) => SessionError::AlreadyMember(identity),
        CommitError::KeyPackage(place, error) => match wanted.get(place) {
            Some(identity) => bad(*identity, error.to_string()),
            None => SessionError::Invalid(error.to_string()),
        },
        CommitError::Suite(identity) => bad(identity, "it is of another ciphersuite".into()),
        CommitError::NotStandard(identity) => {
            bad(identity, "it lacks the extensions of a standard group".into())
        }
        CommitError::Unauthorized(Unauthorized::NotAdmin) => SessionError::NotAdmin,
        CommitError::Unauthorized(Unauthorized::NoAdminLeft) => SessionError::LastAdmin,
        CommitError::PlainProfile
        | CommitError::RemoveSelf
        | CommitError::Unauthorized(_)
        | CommitError::Extension(_)
        | CommitError::Nothing => SessionError::Invalid(error.to_string()),
        CommitError::Pending
        | CommitError::WrongIdentity
        | CommitError::Store(_)
        | CommitError::Mls(_) => {
            tracing::error!(%error, "a commit cannot be staged");
            SessionError::Internal(error.to_string())
        }
    }
}
