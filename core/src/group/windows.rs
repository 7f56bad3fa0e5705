//! How far messages may be out of order, and how long old epochs are kept.

use std::time::UNIX_EPOCH;

use openmls::group::{
    DeletePastEpochSecretsError, MlsGroupJoinConfig, PURE_CIPHERTEXT_WIRE_FORMAT_POLICY,
    PastEpochDeletion, PastEpochDeletionPolicy, SetPastEpochDeletionPolicyError, WireFormatPolicy,
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

/// How many past epochs members of a group of this size keep at most.
pub const fn past_epochs(members: usize) -> usize {
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
    /// Forgets the secrets of all past epochs but the newest `count`. Messages of the others cannot
    /// be read any more.
    pub fn keep_past_epochs(&mut self, count: usize) -> Result<(), StoreError> {
        self.transact(|group| group.drop_past_epochs(count))
    }

    fn drop_past_epochs(&mut self, but: usize) -> Result<(), StoreError> {
        // No epoch began before this moment: only the count decides.
        let oldest = PastEpochDeletion::before_timestamp(UNIX_EPOCH).max_past_epochs(but);
        self.mls
            .delete_past_epoch_secrets(&self.provider, oldest)
            .map_err(|DeletePastEpochSecretsError::StorageError(error)| error)
    }

    /// Keeps as many past epochs as the size of the group allows.
    pub(super) fn fit_windows(&mut self) -> Result<(), StoreError> {
        self.keep_at_most(self.past_epochs())
    }

    pub(super) fn keep_at_most(&mut self, count: usize) -> Result<(), StoreError> {
        let wanted = PastEpochDeletionPolicy::MaxEpochs(count);
        if *self.mls.past_epoch_deletion_policy() == wanted {
            return Ok(());
        }
        // A smaller policy alone may make openmls keep the oldest ones.
        self.drop_past_epochs(count)?;
        self.mls
            .set_past_epoch_deletion_policy(&self.provider, wanted)
            .map_err(|SetPastEpochDeletionPolicyError::StorageError(error)| error)
    }

    /// How many past epochs are kept at most.
    pub fn past_epochs(&self) -> usize {
        past_epochs(self.mls.members().count())
    }
}
