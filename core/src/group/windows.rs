//! How far messages may be out of order, and how long old epochs are kept.

use std::time::{Duration, UNIX_EPOCH};

use openmls::group::{
    MlsGroupJoinConfig, PURE_CIPHERTEXT_WIRE_FORMAT_POLICY, PastEpochDeletion,
    PastEpochDeletionPolicy, WireFormatPolicy,
};
use openmls::prelude::SenderRatchetConfiguration;

use super::Group;
use crate::provider::StoreError;

/// How many messages of a sender may be overtaken within an epoch.
const OUT_OF_ORDER: u32 = 100;
/// How many messages of a sender may be missing before one that arrives.
const FORWARD: u32 = 10_000;
/// Past epochs whose messages can still be read.
const PAST_EPOCHS: usize = 3;
/// The same for large groups: each kept epoch carries the list of members and
/// is written again with every message.
const PAST_EPOCHS_LARGE: usize = 1;
/// Members above which a group is large.
const LARGE: usize = 200;
/// MLS content is padded to a multiple of this many bytes.
pub(super) const PADDING: usize = 128;

pub(super) const WIRE_FORMAT: WireFormatPolicy = PURE_CIPHERTEXT_WIRE_FORMAT_POLICY;

pub(super) fn ratchet() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(OUT_OF_ORDER, FORWARD)
}

pub(super) const fn past_epochs(members: usize) -> usize {
    if members > LARGE { PAST_EPOCHS_LARGE } else { PAST_EPOCHS }
}

/// The configuration of a group that is joined; it is not inherited.
pub(super) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(WIRE_FORMAT)
        .padding_size(PADDING)
        .max_past_epochs(PAST_EPOCHS)
        .sender_ratchet_configuration(ratchet())
        .use_ratchet_tree_extension(true)
        .build()
}

impl Group {
    /// Forgets the secrets of epochs that ended before `before` (unix seconds).
    /// Messages of those epochs cannot be read any more.
    pub fn forget_epochs_before(&mut self, before: u64) -> Result<(), StoreError> {
        self.transact(|group| {
            let moment = UNIX_EPOCH + Duration::from_secs(before);
            group
                .mls
                .delete_past_epoch_secrets(
                    &group.provider,
                    PastEpochDeletion::before_timestamp(moment),
                )
                .map_err(store_error)
        })
    }

    /// Forgets the secrets of every past epoch.
    pub fn forget_past_epochs(&mut self) -> Result<(), StoreError> {
        self.transact(|group| {
            group
                .mls
                .delete_past_epoch_secrets(&group.provider, PastEpochDeletion::delete_all())
                .map_err(store_error)
        })
    }

    /// Keeps as many past epochs as the size of the group allows.
    pub(super) fn fit_windows(&mut self) -> Result<(), StoreError> {
        let wanted = PastEpochDeletionPolicy::MaxEpochs(past_epochs(self.mls.members().count()));
        if *self.mls.past_epoch_deletion_policy() == wanted {
            return Ok(());
        }
        self.mls
            .set_past_epoch_deletion_policy(&self.provider, wanted)
            .map_err(|error| match error {
                openmls::group::SetPastEpochDeletionPolicyError::StorageError(error) => error,
            })
    }

    /// How many past epochs are kept at most.
    pub fn past_epochs(&self) -> usize {
        past_epochs(self.mls.members().count())
    }
}

fn store_error(error: openmls::group::DeletePastEpochSecretsError<StoreError>) -> StoreError {
    match error {
        openmls::group::DeletePastEpochSecretsError::StorageError(error) => error,
    }
}
