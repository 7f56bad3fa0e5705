//! What openmls needs from outside: cryptography, randomness and storage.

mod crypto;
mod queue;
mod secrets;
mod split;
mod storage;
mod store;

use openmls::prelude::SignatureScheme;
use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;
use openmls_traits::signatures::{Signer, SignerError};

#[cfg(test)]
pub(crate) use storage::PSKS;
pub use store::{MlsStore, Row, RowWrite, ScopedRow, StoreError, group_scope, key_package_scope};

use crate::identity::Identity;
use crypto::Crypto;

/// The provider of one group, or of one batch of key packages.
#[derive(Debug, Default)]
pub(crate) struct Provider {
    crypto: Crypto,
    storage: MlsStore,
}

impl Provider {
    pub(crate) fn new(storage: MlsStore) -> Self {
        Self { crypto: Crypto::default(), storage }
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = Crypto;
    type RandProvider = RustCrypto;
    type StorageProvider = MlsStore;

    fn storage(&self) -> &MlsStore {
        &self.storage
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &RustCrypto {
        self.crypto.rand()
    }
}

/// An identity as openmls wants its signer.
pub(crate) struct IdentitySigner<'a>(pub(crate) &'a Identity);

impl Signer for IdentitySigner<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
