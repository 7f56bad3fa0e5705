//! Two bare openmls groups, as a floor for measurements: what the library
//! itself costs with its own in-memory storage, without anything of ours.

use openmls::group::{MlsGroup, MlsGroupJoinConfig, StagedWelcome};
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    Capabilities, KeyPackage, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut,
    ProcessedMessageContent,
};
use openmls_rust_crypto::OpenMlsRustCrypto;

use crate::credential::credential_of;
use crate::identity::Identity;
use crate::provider::IdentitySigner;
use crate::suite::Suite;

/// openmls refused a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bare group: {0}")]
pub struct FloorError(String);

/// A sender and a receiver in one group.
pub struct BarePair {
    sender: Identity,
    sender_provider: OpenMlsRustCrypto,
    sender_group: MlsGroup,
    receiver_provider: OpenMlsRustCrypto,
    receiver_group: MlsGroup,
}

impl BarePair {
    /// A group of two with the defaults of openmls.
    pub fn new(suite: Suite) -> Result<Self, FloorError> {
        let ciphersuite = suite.ciphersuite();
        let capabilities = || Capabilities::new(None, Some(&[ciphersuite]), None, None, None);
        let (sender, receiver) = (Identity::generate(), Identity::generate());
        let (sender_provider, receiver_provider) =
            (OpenMlsRustCrypto::default(), OpenMlsRustCrypto::default());
        let package = KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .build(
                ciphersuite,
                &receiver_provider,
                &IdentitySigner(&receiver),
                credential_of(&receiver),
            )
            .map_err(failed)?;
        let mut sender_group = MlsGroup::builder()
            .ciphersuite(ciphersuite)
            .with_capabilities(capabilities())
            .use_ratchet_tree_extension(true)
            .build(&sender_provider, &IdentitySigner(&sender), credential_of(&sender))
            .map_err(failed)?;
        let (_, welcome, _) = sender_group
            .add_members(&sender_provider, &IdentitySigner(&sender), &[package.into_key_package()])
            .map_err(failed)?;
        sender_group.merge_pending_commit(&sender_provider).map_err(failed)?;
        let welcome = MlsMessageIn::tls_deserialize_exact(&bytes(&welcome)?).map_err(failed)?;
        let MlsMessageBodyIn::Welcome(welcome) = welcome.extract() else {
            return Err(FloorError("not a Welcome".into()));
        };
        let receiver_group = StagedWelcome::new_from_welcome(
            &receiver_provider,
            &MlsGroupJoinConfig::default(),
            welcome,
            None,
        )
        .and_then(|staged| staged.into_group(&receiver_provider))
        .map_err(failed)?;
        Ok(Self { sender, sender_provider, sender_group, receiver_provider, receiver_group })
    }

    /// The sender encrypts.
    pub fn encrypt(&mut self, plaintext: &[u8]) -> Result<Vec<u8>, FloorError> {
        let message = self
            .sender_group
            .create_message(&self.sender_provider, &IdentitySigner(&self.sender), plaintext)
            .map_err(failed)?;
        bytes(&message)
    }

    /// The receiver decrypts.
    pub fn decrypt(&mut self, message: &[u8]) -> Result<Vec<u8>, FloorError> {
        let message = MlsMessageIn::tls_deserialize_exact(message).map_err(failed)?;
        let message = message.try_into_protocol_message().map_err(failed)?;
        let processed = self
            .receiver_group
            .process_message(&self.receiver_provider, message)
            .map_err(failed)?;
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(application) => {
                Ok(application.into_bytes())
            }
            _ => Err(FloorError("not an application message".into())),
        }
    }
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
    fn a_bare_pair_talks() {
        for suite in Suite::ALL {
            let mut pair = BarePair::new(suite).unwrap();
            for text in [b"one".as_slice(), b"two"] {
                let message = pair.encrypt(text).unwrap();
                assert_eq!(pair.decrypt(&message).unwrap(), text);
            }
        }
    }
}
