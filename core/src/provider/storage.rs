//! openmls' `StorageProvider` on [`MlsStore`].
//!
//! openmls hands keys over as values that can only be serialized. The bytes of
//! a group id or a key package reference are got back by a round trip through
//! CBOR, so that scopes are made of the plain bytes.

use openmls::group::GroupId as MlsGroupId;
use openmls::prelude::KeyPackageRef;
use openmls_traits::storage::{CURRENT_VERSION, Key, StorageProvider, traits};
use serde::Serialize;

use super::queue;
use super::store::{MlsStore, StoreError, encode, group_scope, key_package_scope};

const GROUP_STATE: &[u8] = b"state";
const OWN_LEAF_NODES: &[u8] = b"own_leaf_nodes";
const BUNDLE: &[u8] = b"bundle";
/// The scope of pre-shared keys, which only tests begin.
pub(crate) const PSKS: &[u8] = b"psks";

fn encoded_key(key: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = encode(key).map_err(|()| StoreError::Encode("key".into()))?;
    Ok(std::mem::take(&mut *bytes))
}

fn scope_of_group(group_id: &impl Key<CURRENT_VERSION>) -> Result<Vec<u8>, StoreError> {
    let id: MlsGroupId = ciborium::from_reader(encoded_key(group_id)?.as_slice())
        .map_err(|_| StoreError::Corrupt("group id".into()))?;
    Ok(group_scope(id.as_slice()))
}

fn scope_of_key_package(reference: &impl Key<CURRENT_VERSION>) -> Result<Vec<u8>, StoreError> {
    let reference: KeyPackageRef = ciborium::from_reader(encoded_key(reference)?.as_slice())
        .map_err(|_| StoreError::Corrupt("key package reference".into()))?;
    Ok(key_package_scope(reference.as_slice()))
}

fn epoch_keys(epoch: &impl Serialize, leaf_index: u32) -> Result<Vec<u8>, StoreError> {
    Ok([b"epoch_keys/", encoded_key(epoch)?.as_slice(), &leaf_index.to_be_bytes()].concat())
}

fn encryption_key(key: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    Ok([b"encryption_key/", encoded_key(key)?.as_slice()].concat())
}

/// Write, read and delete of the values of which a group has one each.
macro_rules! group_values {
    ($($write:ident, $read:ident, $delete:ident: $Value:ident at $key:literal;)*) => {$(
        fn $write<GroupId: traits::GroupId<CURRENT_VERSION>, $Value: traits::$Value<CURRENT_VERSION>>(
            &self,
            group_id: &GroupId,
            value: &$Value,
        ) -> Result<(), StoreError> {
            self.write(&scope_of_group(group_id)?, $key, value)
        }

        fn $read<GroupId: traits::GroupId<CURRENT_VERSION>, $Value: traits::$Value<CURRENT_VERSION>>(
            &self,
            group_id: &GroupId,
        ) -> Result<Option<$Value>, StoreError> {
            self.read(&scope_of_group(group_id)?, $key)
        }

        fn $delete<GroupId: traits::GroupId<CURRENT_VERSION>>(&self, group_id: &GroupId) -> Result<(), StoreError> {
            self.delete(&scope_of_group(group_id)?, $key)
        }
    )*};
}

impl StorageProvider<CURRENT_VERSION> for MlsStore {
    type Error = StoreError;

    group_values! {
        write_mls_join_config, mls_group_join_config, delete_group_config: MlsGroupJoinConfig at b"config";
        write_tree, tree, delete_tree: TreeSync at b"tree";
        write_interim_transcript_hash, interim_transcript_hash, delete_interim_transcript_hash: InterimTranscriptHash at b"interim_transcript_hash";
        write_context, group_context, delete_context: GroupContext at b"context";
        write_confirmation_tag, confirmation_tag, delete_confirmation_tag: ConfirmationTag at b"confirmation_tag";
        write_resumption_psk_store, resumption_psk_store, delete_all_resumption_psk_secrets: ResumptionPskStore at b"resumption_psks";
        write_own_leaf_index, own_leaf_index, delete_own_leaf_index: LeafNodeIndex at b"own_leaf_index";
        write_group_epoch_secrets, group_epoch_secrets, delete_group_epoch_secrets: GroupEpochSecrets at b"epoch_secrets";
    }

    fn write_message_secrets<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        MessageSecrets: traits::MessageSecrets<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        message_secrets: &MessageSecrets,
    ) -> Result<(), StoreError> {
        // With most messages: the scope is not even asked for.
        if self.put_off() {
            return Ok(());
        }
        self.write_secrets(&scope_of_group(group_id)?, message_secrets)
    }

    fn message_secrets<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        MessageSecrets: traits::MessageSecrets<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<Option<MessageSecrets>, StoreError> {
        self.read_secrets(&scope_of_group(group_id)?)
    }

    fn delete_message_secrets<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<(), StoreError> {
        self.delete_secrets(&scope_of_group(group_id)?)
    }

    fn write_group_state<
        GroupState: traits::GroupState<CURRENT_VERSION>,
        GroupId: traits::GroupId<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        group_state: &GroupState,
    ) -> Result<(), StoreError> {
        self.write(&scope_of_group(group_id)?, GROUP_STATE, group_state)
    }

    fn group_state<
        GroupState: traits::GroupState<CURRENT_VERSION>,
        GroupId: traits::GroupId<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<Option<GroupState>, StoreError> {
        self.read(&scope_of_group(group_id)?, GROUP_STATE)
    }

    fn delete_group_state<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<(), StoreError> {
        self.delete(&scope_of_group(group_id)?, GROUP_STATE)
    }

    fn append_own_leaf_node<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        LeafNode: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        leaf_node: &LeafNode,
    ) -> Result<(), StoreError> {
        let scope = scope_of_group(group_id)?;
        let mut nodes: Vec<ciborium::Value> =
            self.read(&scope, OWN_LEAF_NODES)?.unwrap_or_default();
        nodes.push(
            ciborium::Value::serialized(leaf_node)
                .map_err(|_| StoreError::Encode("own_leaf_nodes".into()))?,
        );
        self.write(&scope, OWN_LEAF_NODES, &nodes)
    }

    fn own_leaf_nodes<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        LeafNode: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<Vec<LeafNode>, StoreError> {
        Ok(self.read(&scope_of_group(group_id)?, OWN_LEAF_NODES)?.unwrap_or_default())
    }

    fn delete_own_leaf_nodes<GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<(), StoreError> {
        self.delete(&scope_of_group(group_id)?, OWN_LEAF_NODES)
    }

    fn queue_proposal<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
        QueuedProposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        proposal_ref: &ProposalRef,
        proposal: &QueuedProposal,
    ) -> Result<(), StoreError> {
        queue::push(self, &scope_of_group(group_id)?, proposal_ref, proposal)
    }

    fn queued_proposal_refs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<Vec<ProposalRef>, StoreError> {
        queue::references(self, &scope_of_group(group_id)?)
    }

    fn queued_proposals<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
        QueuedProposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<Vec<(ProposalRef, QueuedProposal)>, StoreError> {
        queue::all(self, &scope_of_group(group_id)?)
    }

    fn remove_proposal<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        proposal_ref: &ProposalRef,
    ) -> Result<(), StoreError> {
        queue::remove(self, &scope_of_group(group_id)?, proposal_ref)
    }

    fn clear_proposal_queue<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<(), StoreError> {
        queue::clear(self, &scope_of_group(group_id)?)
    }

    fn write_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        EpochKey: traits::EpochKey<CURRENT_VERSION>,
        HpkeKeyPair: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
        key_pairs: &[HpkeKeyPair],
    ) -> Result<(), StoreError> {
        self.write(&scope_of_group(group_id)?, &epoch_keys(epoch, leaf_index)?, &key_pairs)
    }

    fn encryption_epoch_key_pairs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        EpochKey: traits::EpochKey<CURRENT_VERSION>,
        HpkeKeyPair: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<Vec<HpkeKeyPair>, StoreError> {
        Ok(self
            .read(&scope_of_group(group_id)?, &epoch_keys(epoch, leaf_index)?)?
            .unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        EpochKey: traits::EpochKey<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<(), StoreError> {
        self.delete(&scope_of_group(group_id)?, &epoch_keys(epoch, leaf_index)?)
    }

    fn write_encryption_key_pair<
        EncryptionKey: traits::EncryptionKey<CURRENT_VERSION>,
        HpkeKeyPair: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        public_key: &EncryptionKey,
        key_pair: &HpkeKeyPair,
    ) -> Result<(), StoreError> {
        self.write(&self.home()?, &encryption_key(public_key)?, key_pair)
    }

    fn encryption_key_pair<
        HpkeKeyPair: traits::HpkeKeyPair<CURRENT_VERSION>,
        EncryptionKey: traits::EncryptionKey<CURRENT_VERSION>,
    >(
        &self,
        public_key: &EncryptionKey,
    ) -> Result<Option<HpkeKeyPair>, StoreError> {
        self.read(&self.home()?, &encryption_key(public_key)?)
    }

    fn delete_encryption_key_pair<EncryptionKey: traits::EncryptionKey<CURRENT_VERSION>>(
        &self,
        public_key: &EncryptionKey,
    ) -> Result<(), StoreError> {
        self.delete(&self.home()?, &encryption_key(public_key)?)
    }

    fn write_key_package<
        HashReference: traits::HashReference<CURRENT_VERSION>,
        KeyPackage: traits::KeyPackage<CURRENT_VERSION>,
    >(
        &self,
        hash_ref: &HashReference,
        key_package: &KeyPackage,
    ) -> Result<(), StoreError> {
        let scope = scope_of_key_package(hash_ref)?;
        // A package is new when it is written: its reference did not exist before.
        self.begin_scope(scope.clone());
        self.write(&scope, BUNDLE, key_package)
    }

    fn key_package<
        KeyPackageRef: traits::HashReference<CURRENT_VERSION>,
        KeyPackage: traits::KeyPackage<CURRENT_VERSION>,
    >(
        &self,
        hash_ref: &KeyPackageRef,
    ) -> Result<Option<KeyPackage>, StoreError> {
        self.read(&scope_of_key_package(hash_ref)?, BUNDLE)
    }

    fn delete_key_package<KeyPackageRef: traits::HashReference<CURRENT_VERSION>>(
        &self,
        hash_ref: &KeyPackageRef,
    ) -> Result<(), StoreError> {
        self.delete(&scope_of_key_package(hash_ref)?, BUNDLE)
    }

    fn write_signature_key_pair<
        SignaturePublicKey: traits::SignaturePublicKey<CURRENT_VERSION>,
        SignatureKeyPair: traits::SignatureKeyPair<CURRENT_VERSION>,
    >(
        &self,
        _: &SignaturePublicKey,
        _: &SignatureKeyPair,
    ) -> Result<(), StoreError> {
        Err(StoreError::Unsupported("signature keys"))
    }

    fn signature_key_pair<
        SignaturePublicKey: traits::SignaturePublicKey<CURRENT_VERSION>,
        SignatureKeyPair: traits::SignatureKeyPair<CURRENT_VERSION>,
    >(
        &self,
        _: &SignaturePublicKey,
    ) -> Result<Option<SignatureKeyPair>, StoreError> {
        Err(StoreError::Unsupported("signature keys"))
    }

    fn delete_signature_key_pair<
        SignaturePublicKey: traits::SignaturePublicKey<CURRENT_VERSION>,
    >(
        &self,
        _: &SignaturePublicKey,
    ) -> Result<(), StoreError> {
        Err(StoreError::Unsupported("signature keys"))
    }

    fn write_psk<
        PskId: traits::PskId<CURRENT_VERSION>,
        PskBundle: traits::PskBundle<CURRENT_VERSION>,
    >(
        &self,
        psk_id: &PskId,
        psk: &PskBundle,
    ) -> Result<(), StoreError> {
        if cfg!(test) {
            return self.write(PSKS, &encoded_key(psk_id)?, psk);
        }
        Err(StoreError::Unsupported("pre-shared keys"))
    }

    /// Always absent: a message that needs one is at fault, not the storage. The vectors of RFC 9420
    /// give some.
    fn psk<PskBundle: traits::PskBundle<CURRENT_VERSION>, PskId: traits::PskId<CURRENT_VERSION>>(
        &self,
        psk_id: &PskId,
    ) -> Result<Option<PskBundle>, StoreError> {
        if cfg!(test) && self.with_rows(PSKS, |_| ()).is_ok() {
            return self.read(PSKS, &encoded_key(psk_id)?);
        }
        Ok(None)
    }

    fn delete_psk<PskKey: traits::PskId<CURRENT_VERSION>>(
        &self,
        _: &PskKey,
    ) -> Result<(), StoreError> {
        Err(StoreError::Unsupported("pre-shared keys"))
    }
}
