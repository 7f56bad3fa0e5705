//! Key packages: making our own, judging those of others.
//!
//! Lifetimes are 70 days and count from one hour before `now`, for clocks that
//! run behind. A package with fewer than 35 days left is not to be added:
//! openmls checks the lifetime in an Add by the system clock of whoever
//! processes the commit, and a member that was away past its end would reject
//! what the others accepted.

use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    KeyPackage, KeyPackageBundle, KeyPackageIn, KeyPackageVerifyError, Lifetime,
    OpenMlsProvider as _, ProtocolVersion,
};

use crate::credential::{credential_of, identity_of};
use crate::extension::{capabilities, hybrid_of, leaf_extensions, supports_standard};
use crate::identity::{Identity, IdentityKey};
use crate::kem::HybridPublic;
use crate::provider::{IdentitySigner, MlsStore, Provider};
use crate::suite::Suite;

/// One day in seconds.
const DAY: u64 = 24 * 60 * 60;
/// How long a new package lives, in seconds (70 days).
pub const LIFETIME: u64 = 70 * DAY;
/// Life a package must have left to be added, in seconds (35 days).
pub const MIN_REMAINING: u64 = 35 * DAY;
/// How far a lifetime reaches back before `now`, in seconds (1 hour).
const SKEW: u64 = 60 * 60;

/// Why key packages could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key packages could not be made: {0}")]
pub struct GenerateError(String);

/// Why a key package is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyPackageError {
    /// Not the encoding of a key package, or bytes after it.
    #[error("not a key package")]
    Malformed,
    /// Neither of our ciphersuites.
    #[error("unknown ciphersuite")]
    Suite,
    /// A signature, key or extension in it is not valid.
    #[error("key package is not valid: {0}")]
    Invalid(String),
    /// Its credential names another identity than the key it signs with.
    #[error("the credential is not the signature key")]
    Credential,
    /// The hybrid key in its leaf is malformed.
    #[error("the hybrid key in the leaf is malformed")]
    Hybrid,
    /// Its life has ended or not begun, or is longer than MLS allows.
    #[error("outside its lifetime")]
    Lifetime,
    /// Fewer than 35 days of life are left.
    #[error("fewer than 35 days of life are left (until {not_after})")]
    TooLittleLeft {
        /// Last valid second.
        not_after: u64,
    },
}

/// A key package of our own that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKeyPackage {
    /// The key package reference (RFC 9420, section 5.2), 32 bytes.
    pub reference: Vec<u8>,
    /// The `KeyPackage` as it is published (not wrapped in an `MLSMessage`).
    pub bytes: Vec<u8>,
    /// Last valid second, unix time.
    pub not_after: u64,
    /// Whether it may be used more than once.
    pub last_resort: bool,
}

/// What a valid key package says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackageInfo {
    /// Whose it is.
    pub identity: IdentityKey,
    /// Its ciphersuite.
    pub suite: Suite,
    /// The hybrid key in its leaf. Packages of base clients have none.
    pub hybrid: Option<HybridPublic>,
    /// Whether its owner can be in a group of the standard profile.
    pub standard: bool,
    /// First valid second, unix time.
    pub not_before: u64,
    /// Last valid second, unix time.
    pub not_after: u64,
    /// The key package reference (RFC 9420, section 5.2).
    pub reference: Vec<u8>,
    /// Whether it may be used more than once.
    pub last_resort: bool,
}

impl KeyPackageInfo {
    /// Whether at least 35 days of life are left.
    pub fn may_be_added(&self, now: u64) -> bool {
        self.not_after.saturating_sub(now) >= MIN_REMAINING
    }
}

/// Maker of key packages.
#[derive(Debug, Clone, Copy)]
pub struct KeyPackages;

impl KeyPackages {
    /// Makes `count` packages that live 70 days from `now`. The private halves
    /// are in the writes of `store`, one scope per package.
    pub fn generate(
        identity: &Identity,
        suite: Suite,
        count: usize,
        last_resort: bool,
        hybrid: &HybridPublic,
        now: u64,
        store: &MlsStore,
    ) -> Result<Vec<NewKeyPackage>, GenerateError> {
        let failed = |error: &dyn std::fmt::Display| GenerateError(error.to_string());
        let provider = Provider::new(store.clone());
        let extensions = leaf_extensions(hybrid).map_err(|e| failed(&e))?;
        let not_after = now.saturating_add(LIFETIME);
        (0..count)
            .map(|_| {
                let builder = KeyPackage::builder()
                    .key_package_lifetime(Lifetime::init(now.saturating_sub(SKEW), not_after))
                    .leaf_node_capabilities(capabilities())
                    .leaf_node_extensions(extensions.clone());
                let builder = if last_resort { builder.mark_as_last_resort() } else { builder };
                let bundle: KeyPackageBundle = builder
                    .build(
                        suite.ciphersuite(),
                        &provider,
                        &IdentitySigner(identity),
                        credential_of(identity),
                    )
                    .map_err(|e| failed(&e))?;
                let package = bundle.key_package();
                Ok(NewKeyPackage {
                    reference: package
                        .hash_ref(provider.crypto())
                        .map_err(|e| failed(&e))?
                        .as_slice()
                        .to_vec(),
                    bytes: package.tls_serialize_detached().map_err(|e| failed(&e))?,
                    not_after,
                    last_resort,
                })
            })
            .collect()
    }
}

/// Judges a key package: encoding, signatures, keys, credential, hybrid key,
/// and that `now` lies in its lifetime.
pub fn inspect(bytes: &[u8], now: u64) -> Result<KeyPackageInfo, KeyPackageError> {
    validate(&Provider::default(), bytes, now).map(|(_, info)| info)
}

/// [`inspect`], and that at least 35 days are left.
pub(crate) fn for_adding(
    provider: &Provider,
    bytes: &[u8],
    now: u64,
) -> Result<(KeyPackage, KeyPackageInfo), KeyPackageError> {
    let (package, info) = validate(provider, bytes, now)?;
    if info.may_be_added(now) {
        Ok((package, info))
    } else {
        Err(KeyPackageError::TooLittleLeft { not_after: info.not_after })
    }
}

fn validate(
    provider: &Provider,
    bytes: &[u8],
    now: u64,
) -> Result<(KeyPackage, KeyPackageInfo), KeyPackageError> {
    let package =
        KeyPackageIn::tls_deserialize_exact(bytes).map_err(|_| KeyPackageError::Malformed)?;
    let package =
        package.validate(provider.crypto(), ProtocolVersion::Mls10).map_err(
            |error| match error {
                KeyPackageVerifyError::LifetimeError(_) => KeyPackageError::Lifetime,
                other => KeyPackageError::Invalid(other.to_string()),
            },
        )?;
    let suite = Suite::of(package.ciphersuite()).ok_or(KeyPackageError::Suite)?;
    let leaf = package.leaf_node();
    let lifetime = package.life_time();
    let (not_before, not_after) = (lifetime.not_before(), lifetime.not_after());
    if now < not_before || now >= not_after || !lifetime.has_acceptable_range() {
        return Err(KeyPackageError::Lifetime);
    }
    let reference = package
        .hash_ref(provider.crypto())
        .map_err(|error| KeyPackageError::Invalid(error.to_string()))?;
    let info = KeyPackageInfo {
        identity: identity_of(leaf).map_err(|_| KeyPackageError::Credential)?,
        suite,
        hybrid: hybrid_of(leaf).map_err(|_| KeyPackageError::Hybrid)?,
        standard: supports_standard(leaf),
        not_before,
        not_after,
        reference: reference.as_slice().to_vec(),
        last_resort: package.last_resort(),
    };
    Ok((package, info))
}

#[cfg(test)]
mod tests;
