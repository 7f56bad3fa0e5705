//! Processing what comes in.

use std::collections::BTreeSet;

use openmls::framing::Sender;
use openmls::framing::errors::{MessageDecryptionError, SecretTreeError};
use openmls::group::{
    MergeCommitError, MlsGroupStateError, ProcessMessageError, QueuedProposal, StageCommitError,
    StagedCommit, ValidationError,
};
use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{MlsMessageIn, ProcessedMessageContent, ProtocolMessage};
use openmls_traits::OpenMlsProvider as _;
use zeroize::Zeroizing;

use super::Group;
use super::event::CommitSummary;
use super::repair::RepairRequest;
use super::roles::{Unauthorized, authorize, leaver};
use crate::credential::{identity_in, identity_of};
use crate::identity::IdentityKey;
use crate::message::{ContentKind, MessageKind, message_info};
use crate::provider::StoreError;

/// What a message was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Processed {
    /// An application message.
    Application {
        /// Who sent it.
        sender: IdentityKey,
        /// The epoch it was encrypted in.
        epoch: u64,
        /// Its content.
        plaintext: Zeroizing<Vec<u8>>,
        /// Whether the sender's hint agrees with our epoch authenticator.
        /// `None` when there is none or the epoch is past.
        hint_matches: Option<bool>,
    },
    /// A commit of another member; it has been merged, and a pending commit of
    /// our own has been dropped.
    Commit(CommitSummary),
    /// A member wants to leave; the proposal is stored and is to be committed
    /// soon, since it blocks sending.
    LeaveProposed {
        /// Who leaves.
        member: IdentityKey,
    },
    /// A message that claims to be our own. The claim is not authenticated;
    /// nothing has changed.
    OwnMessage,
}

/// Why a message of our epoch cannot be read. All of these are final.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecryptable {
    /// It was read before, or its key was used up.
    #[error("its key was used before")]
    Replayed,
    /// Too many later messages of its sender came before it.
    #[error("it is too old within its epoch")]
    TooOld,
    /// The secrets of its epoch are gone.
    #[error("the secrets of its epoch are gone")]
    EpochGone,
    /// Too many messages of its sender are missing before it.
    #[error("too many messages are missing before it")]
    TooFarAhead,
    /// It does not decrypt: damaged, or the states have forked.
    #[error("it does not decrypt")]
    Aead,
    /// It decrypts, but breaks a rule of MLS.
    #[error("it breaks a rule of MLS: {0}")]
    Invalid(String),
}

/// Why a message was not processed. The state is as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// Not a message of this protocol.
    #[error("not an MLS message")]
    Malformed,
    /// A message of another group.
    #[error("a message of another group")]
    WrongGroup,
    /// We are no longer a member.
    #[error("not a member of the group any more")]
    Inactive,
    /// A handshake of another epoch, or a message of a future one.
    #[error("a message of epoch {message_epoch} in epoch {group_epoch}")]
    WrongEpoch {
        /// The epoch of the message.
        message_epoch: u64,
        /// The epoch of the group.
        group_epoch: u64,
    },
    /// It breaks a rule that every member enforces alike.
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    /// It cannot be read.
    #[error(transparent)]
    Undecryptable(#[from] Undecryptable),
    /// The rows could not be read or written; the message may be fine.
    #[error(transparent)]
    Storage(#[from] StoreError),
}

impl ProcessError {
    /// Whether the message is at fault, so that trying again is of no use in
    /// this epoch. A future epoch and storage errors are not final.
    pub fn is_final(&self) -> bool {
        match self {
            Self::WrongEpoch { message_epoch, group_epoch } => message_epoch < group_epoch,
            Self::Storage(_) => false,
            _ => true,
        }
    }
}

impl Group {
    /// Processes an `MLSMessage`. A commit of another member is judged by the
    /// rules and merged; the echo of an own one is not recognized here: compare
    /// its hash first and call [`Group::merge_pending`].
    pub fn process(&mut self, message: &[u8]) -> Result<Processed, ProcessError> {
        let info = message_info(message).map_err(|_| ProcessError::Malformed)?;
        match info.kind {
            MessageKind::PrivateMessage => {}
            MessageKind::PublicMessage => return Err(Unauthorized::NotEncrypted.into()),
            MessageKind::Welcome | MessageKind::GroupInfo | MessageKind::KeyPackage => {
                return Err(ProcessError::Malformed);
            }
        }
        if info.group_id.as_ref() != Some(&self.id) {
            return Err(ProcessError::WrongGroup);
        }
        if !self.is_active() {
            return Err(ProcessError::Inactive);
        }
        let group_epoch = self.epoch();
        let message_epoch = info.epoch.ok_or(ProcessError::Malformed)?;
        let handshake = info.content != Some(ContentKind::Application);
        if message_epoch > group_epoch || (handshake && message_epoch < group_epoch) {
            return Err(ProcessError::WrongEpoch { message_epoch, group_epoch });
        }
        let hint_matches =
            info.hint.filter(|_| message_epoch == group_epoch).map(|hint| hint == self.hint());
        let message =
            MlsMessageIn::tls_deserialize_exact(message).map_err(|_| ProcessError::Malformed)?;
        let message = message.try_into_protocol_message().map_err(|_| ProcessError::Malformed)?;
        let work = |group: &mut Self| group.process_framed(message, message_epoch, hint_matches);
        if handshake { self.transact(work) } else { self.lazily(work) }
    }

    fn process_framed(
        &mut self,
        message: ProtocolMessage,
        epoch: u64,
        hint_matches: Option<bool>,
    ) -> Result<Processed, ProcessError> {
        let processed = self
            .mls
            .process_message(&self.provider, message)
            .map_err(|error| self.classify(error, epoch))?;
        let sender = processed.sender().clone();
        let named = identity_in(processed.credential());
        let request = RepairRequest::in_aad(processed.aad());
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(application) => {
                Ok(Processed::Application {
                    sender: named.map_err(|_| Unauthorized::Identity)?,
                    epoch,
                    plaintext: Zeroizing::new(application.into_bytes()),
                    hint_matches,
                })
            }
            ProcessedMessageContent::ProposalMessage(proposal) => self.store_leave(*proposal),
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                self.merge_other(&sender, *staged, request.as_ref())
            }
            ProcessedMessageContent::OwnPrivateMessage
            | ProcessedMessageContent::OwnPendingCommit => Ok(Processed::OwnMessage),
            ProcessedMessageContent::ExternalJoinProposalMessage(_) => {
                Err(Unauthorized::External.into())
            }
        }
    }

    fn store_leave(&mut self, proposal: QueuedProposal) -> Result<Processed, ProcessError> {
        let leaf = leaver(&proposal)?;
        if !self.admin_left_without(&BTreeSet::from([leaf.u32()])) {
            return Err(Unauthorized::NoAdminLeft.into());
        }
        let node = self.mls.public_group().leaf(leaf).ok_or(Unauthorized::External)?;
        let member = identity_of(node).map_err(|_| Unauthorized::Identity)?;
        self.mls.store_pending_proposal(self.provider.storage(), proposal)?;
        Ok(Processed::LeaveProposed { member })
    }

    fn merge_other(
        &mut self,
        sender: &Sender,
        staged: StagedCommit,
        request: Option<&RepairRequest>,
    ) -> Result<Processed, ProcessError> {
        let Sender::Member(committer) = sender else {
            return Err(Unauthorized::External.into());
        };
        let summary = authorize(&self.mls, *committer, &staged, request)?;
        self.mls.merge_staged_commit(&self.provider, staged).map_err(|error| match error {
            MergeCommitError::StorageError(error) => ProcessError::Storage(error),
            other @ MergeCommitError::LibraryError(_) => {
                Undecryptable::Invalid(other.to_string()).into()
            }
        })?;
        self.fit_windows()?;
        Ok(Processed::Commit(summary))
    }

    fn classify(&self, error: ProcessMessageError<StoreError>, epoch: u64) -> ProcessError {
        let past_gone = epoch + (self.past_epochs() as u64) < self.epoch();
        match error {
            ProcessMessageError::StorageError(error) => error.into(),
            ProcessMessageError::InvalidCommit(StageCommitError::MissingDecryptionKey) => {
                StoreError::Corrupt("epoch_keys".into()).into()
            }
            ProcessMessageError::GroupStateError(MlsGroupStateError::UseAfterEviction) => {
                ProcessError::Inactive
            }
            ProcessMessageError::ValidationError(ValidationError::WrongEpoch) => {
                ProcessError::WrongEpoch { message_epoch: epoch, group_epoch: self.epoch() }
            }
            ProcessMessageError::ValidationError(ValidationError::NoPastEpochData) => {
                Undecryptable::EpochGone.into()
            }
            ProcessMessageError::ValidationError(ValidationError::UnableToDecrypt(error)) => {
                match error {
                    MessageDecryptionError::SecretTreeError(SecretTreeError::SecretReuseError) => {
                        Undecryptable::Replayed
                    }
                    MessageDecryptionError::SecretTreeError(
                        SecretTreeError::TooDistantInThePast,
                    ) if past_gone => Undecryptable::EpochGone,
                    MessageDecryptionError::SecretTreeError(
                        SecretTreeError::TooDistantInThePast,
                    ) => Undecryptable::TooOld,
                    MessageDecryptionError::SecretTreeError(
                        SecretTreeError::TooDistantInTheFuture,
                    ) => Undecryptable::TooFarAhead,
                    MessageDecryptionError::AeadError
                    | MessageDecryptionError::GenerationOutOfBound => Undecryptable::Aead,
                    other => Undecryptable::Invalid(other.to_string()),
                }
                .into()
            }
            other => Undecryptable::Invalid(other.to_string()).into(),
        }
    }
}
