//! Credentials: a basic credential (RFC 9420, section 5.3) whose identity is
//! the leaf's own Ed25519 signature key.

use openmls::prelude::{BasicCredential, Credential, CredentialWithKey, LeafNode};

use crate::identity::{Identity, IdentityKey};

/// The leaf names another identity than the key it signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the credential is not the signature key")]
pub(crate) struct CredentialMismatch;

pub(crate) fn credential_of(identity: &Identity) -> CredentialWithKey {
    let key = identity.key().as_bytes().to_vec();
    CredentialWithKey {
        credential: BasicCredential::new(key.clone()).into(),
        signature_key: key.into(),
    }
}

/// The identity of a leaf, when its credential and signature key agree.
pub(crate) fn identity_of(leaf: &LeafNode) -> Result<IdentityKey, CredentialMismatch> {
    identity_from(leaf.credential(), leaf.signature_key().as_slice())
}

/// The identity in a credential that belongs to this signature key.
pub(crate) fn identity_from(
    credential: &Credential,
    signature_key: &[u8],
) -> Result<IdentityKey, CredentialMismatch> {
    let named = identity_in(credential)?;
    if named.as_bytes() == signature_key { Ok(named) } else { Err(CredentialMismatch) }
}

/// The identity in a credential that was checked against its key when its leaf
/// entered the group.
pub(crate) fn identity_in(credential: &Credential) -> Result<IdentityKey, CredentialMismatch> {
    let basic = BasicCredential::try_from(credential.clone()).map_err(|_| CredentialMismatch)?;
    IdentityKey::from_slice(basic.identity()).map_err(|_| CredentialMismatch)
}
