//! Encrypting application messages.

use openmls::group::{CreateMessageError, MlsGroupStateError};
use openmls::prelude::MlsMessageOut;
use openmls::prelude::tls_codec::Serialize as _;

use super::Group;
use crate::identity::Identity;
use crate::provider::IdentitySigner;

/// Why a message could not be encrypted. The state is as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// We are no longer a member.
    #[error("not a member of the group any more")]
    Inactive,
    /// A stored proposal must be committed first.
    #[error("a proposal waits to be committed")]
    ProposalsPending,
    /// The identity is not that of the group.
    #[error("the group belongs to another identity")]
    WrongIdentity,
    /// openmls refused.
    #[error("the message could not be encrypted: {0}")]
    Mls(String),
}

impl Group {
    /// Encrypts an application message: an `MLSMessage` with a private message.
    /// Its authenticated data is [`Group::hint`]. While a commit of our own is
    /// pending this uses the epoch before it. [`Group::flush`] comes before any
    /// use of it.
    pub fn encrypt(
        &mut self,
        identity: &Identity,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, EncryptError> {
        if !self.is_active() {
            return Err(EncryptError::Inactive);
        }
        if self.own_identity() != Some(identity.key()) {
            return Err(EncryptError::WrongIdentity);
        }
        self.lazily(|group| {
            group.mls.set_aad(group.hint().to_vec());
            let message = group
                .mls
                .create_message(&group.provider, &IdentitySigner(identity), plaintext)
                .map_err(refused)?;
            to_bytes(&message).map_err(EncryptError::Mls)
        })
    }
}

pub(super) fn to_bytes(message: &MlsMessageOut) -> Result<Vec<u8>, String> {
    message.tls_serialize_detached().map_err(|error| error.to_string())
}

fn refused(error: CreateMessageError) -> EncryptError {
    match error {
        CreateMessageError::GroupStateError(MlsGroupStateError::UseAfterEviction) => {
            EncryptError::Inactive
        }
        CreateMessageError::GroupStateError(MlsGroupStateError::PendingProposal) => {
            EncryptError::ProposalsPending
        }
        other => EncryptError::Mls(other.to_string()),
    }
}
