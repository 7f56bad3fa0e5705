//! Two bare openmls groups, as a floor for measurements: what the library
//! itself costs with its own in-memory storage, without anything of ours.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLockWriteGuard};

use ed25519_dalek::SigningKey;
use openmls::group::{MlsGroup, MlsGroupJoinConfig, StagedWelcome};
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    Capabilities, KeyPackage, LeafNodeParameters, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut,
    ProcessedMessageContent,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;

use crate::credential::credential_of;
use crate::identity::Identity;
use crate::suite::Suite;

/// openmls refused a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bare group: {0}")]
pub struct FloorError(String);

/// Signs as openmls's own credentials do, which also make the key of its seed each time.
struct BareSigner(SigningKey);

impl BareSigner {
    fn of(identity: &Identity) -> Self {
        Self(SigningKey::from_bytes(&identity.seed()))
    }
}

impl Signer for BareSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(ed25519_dalek::Signer::sign(&self.0, payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// A sender and a receiver in one group.
pub struct BarePair {
    sender: BareSigner,
    sender_provider: OpenMlsRustCrypto,
    sender_group: MlsGroup,
    receiver_provider: OpenMlsRustCrypto,
    receiver_group: MlsGroup,
    welcome: Vec<u8>,
    /// What the receiver had stored before it joined.
    before: HashMap<Vec<u8>, Vec<u8>>,
}

impl BarePair {
    /// A group of two with the defaults of openmls.
    pub fn new(suite: Suite) -> Result<Self, FloorError> {
        Self::among(suite, 2)
    }

    /// The same in a group with more members; the others do nothing.
    pub fn among(suite: Suite, members: usize) -> Result<Self, FloorError> {
        let ciphersuite = suite.ciphersuite();
        let capabilities = || Capabilities::new(None, Some(&[ciphersuite]), None, None, None);
        let package = |provider: &OpenMlsRustCrypto| {
            let member = Identity::generate();
            let package = KeyPackage::builder()
                .leaf_node_capabilities(capabilities())
                .build(ciphersuite, provider, &BareSigner::of(&member), credential_of(&member))
                .map_err(failed)?;
            Ok(package.into_key_package())
        };
        let speaker = Identity::generate();
        let sender = BareSigner::of(&speaker);
        let (sender_provider, receiver_provider) =
            (OpenMlsRustCrypto::default(), OpenMlsRustCrypto::default());
        let mut packages = vec![package(&receiver_provider)?];
        let others = OpenMlsRustCrypto::default();
        for _ in 2..members {
            packages.push(package(&others)?);
        }
        let before = stored(&receiver_provider).clone();
        let mut sender_group = MlsGroup::builder()
            .ciphersuite(ciphersuite)
            .with_capabilities(capabilities())
            .use_ratchet_tree_extension(true)
            .build(&sender_provider, &sender, credential_of(&speaker))
            .map_err(failed)?;
        let (_, welcome, _) =
            sender_group.add_members(&sender_provider, &sender, &packages).map_err(failed)?;
        sender_group.merge_pending_commit(&sender_provider).map_err(failed)?;
        let welcome = bytes(&welcome)?;
        let receiver_group = join(&receiver_provider, &welcome)?;
        Ok(Self {
            sender,
            sender_provider,
            sender_group,
            receiver_provider,
            receiver_group,
            welcome,
            before,
        })
    }

    /// The receiver joins once more, in a storage of its own.
    pub fn join(&self) -> Result<(), FloorError> {
        let provider = OpenMlsRustCrypto::default();
        stored(&provider).clone_from(&self.before);
        join(&provider, &self.welcome).map(drop)
    }

    /// The sender commits new keys of its own and merges the commit.
    pub fn commit(&mut self) -> Result<Vec<u8>, FloorError> {
        let bundle = self
            .sender_group
            .self_update(&self.sender_provider, &self.sender, LeafNodeParameters::default())
            .map_err(failed)?;
        let commit = bytes(bundle.commit())?;
        self.sender_group.merge_pending_commit(&self.sender_provider).map_err(failed)?;
        Ok(commit)
    }

    /// The receiver merges it.
    pub fn apply(&mut self, commit: &[u8]) -> Result<(), FloorError> {
        let ProcessedMessageContent::StagedCommitMessage(staged) = self.process(commit)? else {
            return Err(FloorError("not a commit".into()));
        };
        self.receiver_group.merge_staged_commit(&self.receiver_provider, *staged).map_err(failed)
    }

    /// The sender encrypts.
    pub fn encrypt(&mut self, plaintext: &[u8]) -> Result<Vec<u8>, FloorError> {
        let message = self
            .sender_group
            .create_message(&self.sender_provider, &self.sender, plaintext)
            .map_err(failed)?;
        bytes(&message)
    }

    /// The receiver decrypts.
    pub fn decrypt(&mut self, message: &[u8]) -> Result<Vec<u8>, FloorError> {
        match self.process(message)? {
            ProcessedMessageContent::ApplicationMessage(application) => {
                Ok(application.into_bytes())
            }
            _ => Err(FloorError("not an application message".into())),
        }
    }

    fn process(&mut self, message: &[u8]) -> Result<ProcessedMessageContent, FloorError> {
        let message = MlsMessageIn::tls_deserialize_exact(message).map_err(failed)?;
        let message = message.try_into_protocol_message().map_err(failed)?;
        let processed = self
            .receiver_group
            .process_message(&self.receiver_provider, message)
            .map_err(failed)?;
        Ok(processed.into_content())
    }
}

fn stored(provider: &OpenMlsRustCrypto) -> RwLockWriteGuard<'_, HashMap<Vec<u8>, Vec<u8>>> {
    provider.storage().values.write().unwrap_or_else(PoisonError::into_inner)
}

fn join(provider: &OpenMlsRustCrypto, welcome: &[u8]) -> Result<MlsGroup, FloorError> {
    let welcome = MlsMessageIn::tls_deserialize_exact(welcome).map_err(failed)?;
    let MlsMessageBodyIn::Welcome(welcome) = welcome.extract() else {
        return Err(FloorError("not a Welcome".into()));
    };
    StagedWelcome::new_from_welcome(provider, &MlsGroupJoinConfig::default(), welcome, None)
        .and_then(|staged| staged.into_group(provider))
        .map_err(failed)
}

impl std::fmt::Debug for BarePair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BarePair").finish_non_exhaustive()
    }
}

fn failed(error: impl std::fmt::Display) -> FloorError {
    FloorError(error.to_string())
}

fn bytes(message: &MlsMessageOut) -> Result<Vec<u8>, FloorError> {
    message.tls_serialize_detached().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_pair_talks_and_changes_its_keys() {
        for (suite, members) in [(Suite::Envelope, 2), (Suite::Native, 5)] {
            let mut pair = BarePair::among(suite, members).unwrap();
            pair.join().unwrap();
            for text in [b"one".as_slice(), b"two"] {
                let message = pair.encrypt(text).unwrap();
                assert_eq!(pair.decrypt(&message).unwrap(), text);
                let commit = pair.commit().unwrap();
                pair.apply(&commit).unwrap();
            }
        }
    }
}
