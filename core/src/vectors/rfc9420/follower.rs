//! A client of the vectors, driven through openmls' own interface: its groups have members,
//! proposals and messages in the clear that our rules refuse.

use std::collections::{BTreeMap, HashMap};

use openmls::ciphersuite::hash_ref::make_key_package_ref;
use openmls::group::{
    GroupId, MIXED_PLAINTEXT_WIRE_FORMAT_POLICY, MlsGroup, MlsGroupJoinConfig, StagedWelcome,
};
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    KeyPackageIn, MlsMessageBodyIn, MlsMessageIn, ProcessedMessageContent, RatchetTreeIn,
};
use openmls::schedule::PreSharedKeyId;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::storage::{CURRENT_VERSION, Entity, StorageProvider as _, traits};
use openmls_traits::types::HpkePrivateKey;
use serde::{Deserialize, Serialize};

use super::Scenario;
use crate::provider::{MlsStore, PSKS, Provider, RowWrite, group_scope, key_package_scope};
use crate::suite::Suite;

/// What openmls keeps of a key package of its own, under the same names.
#[derive(Serialize, Deserialize)]
struct Bundle {
    key_package: KeyPackageIn,
    private_init_key: HpkePrivateKey,
    private_encryption_key: EncryptionKey,
}

#[derive(Serialize, Deserialize)]
struct EncryptionKey {
    key: HpkePrivateKey,
}

impl Entity<CURRENT_VERSION> for Bundle {}
impl traits::KeyPackage<CURRENT_VERSION> for Bundle {}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Keeps nothing but rows between two steps.
pub(super) struct Follower {
    group: GroupId,
    rows: HashMap<Vec<u8>, Rows>,
}

impl Follower {
    pub(super) fn join(scenario: &Scenario) -> Self {
        let mut follower = Self { group: GroupId::from_slice(&[]), rows: HashMap::new() };
        let package = follower.keep_package(scenario);
        let provider = follower.provider(&[&package, PSKS]);
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY)
            .number_of_resumption_psks(16)
            .build();
        let MlsMessageBodyIn::Welcome(welcome) = message(&scenario.welcome.0).extract() else {
            panic!("no Welcome");
        };
        let mut join = StagedWelcome::build_from_welcome(&provider, &config, welcome)
            .unwrap()
            .skip_lifetime_validation()
            // As in `Group::join`: the rows of the group are not there yet.
            .replace_old_group();
        if let Some(tree) = &scenario.ratchet_tree {
            join = join.with_ratchet_tree(RatchetTreeIn::tls_deserialize_exact(&tree.0).unwrap());
        }
        let staged = join.build().unwrap();
        follower.group = staged.group_context().group_id().clone();
        provider.storage().begin_scope(group_scope(follower.group.as_slice()));
        staged.into_group(&provider).unwrap();
        follower.apply(provider.storage().take_writes());
        assert!(follower.rows[&package].is_empty(), "the private half is gone with its use");
        follower
    }

    /// Puts the private halves and the pre-shared keys of a vector where they belong.
    fn keep_package(&mut self, scenario: &Scenario) -> Vec<u8> {
        let MlsMessageBodyIn::KeyPackage(key_package) = message(&scenario.key_package.0).extract()
        else {
            panic!("no key package");
        };
        let provider = Provider::new(MlsStore::new());
        let bytes = key_package.tls_serialize_detached().unwrap();
        let suite = Suite::Envelope.ciphersuite();
        let reference = make_key_package_ref(&bytes, suite, provider.crypto()).unwrap();
        let scope = key_package_scope(reference.as_slice());
        provider.storage().begin_scope(scope.clone());
        provider.storage().begin_scope(PSKS.to_vec());
        let private = |bytes: &[u8]| HpkePrivateKey::from(bytes.to_vec());
        let bundle = Bundle {
            key_package,
            private_init_key: private(&scenario.init_priv.0),
            private_encryption_key: EncryptionKey { key: private(&scenario.encryption_priv.0) },
        };
        provider.storage().write_key_package(&reference, &bundle).unwrap();
        for psk in &scenario.external_psks {
            let id = PreSharedKeyId::external(psk.psk_id.0.clone(), Vec::new());
            id.store(&provider, &psk.psk.0).unwrap();
        }
        self.apply(provider.storage().take_writes());
        scope
    }

    /// Loads the group, takes a proposal or a commit, and keeps the rows.
    pub(super) fn process(&mut self, bytes: &[u8]) {
        let (mut group, provider) = self.load();
        let incoming = message(bytes).try_into_protocol_message().unwrap();
        match group.process_message(&provider, incoming).unwrap().into_content() {
            ProcessedMessageContent::ProposalMessage(proposal) => {
                group.store_pending_proposal(provider.storage(), *proposal).unwrap();
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                group.merge_staged_commit(&provider, *staged).unwrap();
            }
            _ => panic!("neither a proposal nor a commit"),
        }
        self.apply(provider.storage().take_writes());
    }

    pub(super) fn authenticator(&self) -> Vec<u8> {
        self.load().0.epoch_authenticator().as_slice().to_vec()
    }

    fn load(&self) -> (MlsGroup, Provider) {
        let provider = self.provider(&[&group_scope(self.group.as_slice()), PSKS]);
        let group = MlsGroup::load(provider.storage(), &self.group).unwrap().unwrap();
        (group, provider)
    }

    fn provider(&self, scopes: &[&[u8]]) -> Provider {
        let store = MlsStore::new();
        for scope in scopes {
            store.load_scope(scope.to_vec(), self.rows.get(*scope).cloned().unwrap_or_default());
        }
        Provider::new(store)
    }

    fn apply(&mut self, writes: Vec<RowWrite>) {
        for RowWrite { scope, key, value } in writes {
            let rows = self.rows.entry(scope).or_default();
            match value {
                Some(value) => rows.insert(key, value.to_vec()),
                None => rows.remove(&key),
            };
        }
    }
}

fn message(bytes: &[u8]) -> MlsMessageIn {
    MlsMessageIn::tls_deserialize_exact(bytes).unwrap()
}
