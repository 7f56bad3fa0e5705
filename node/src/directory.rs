//! The key directory: `KeyPackage`s, hybrid keys, names.

use std::sync::Arc;

use quicproquo_schemas::id::{IdentityKey, is_name};
use quicproquo_schemas::limits::{
    FRAME_AFTER_AUTH, HYBRID_PUBLIC_KEY_LEN, MIN_CLAIM_LIFE_SECS, NAME_DOMAIN,
};

use crate::auth::{Caller, verify};
use crate::key_package::{self, KeyPackageError};
use crate::metrics::Packages;
use crate::server::Shared;
use crate::store::write::{
    Claim, ClaimName, DirectoryWrite, DirectoryWritten, Package, Publish, PutHybridKey, Target,
};
use crate::store::{StoreError, SuiteStock};
use crate::writer::WriteError;

/// Most bytes of the packages that one claim takes: an answer is no larger than a question.
const CLAIM_BYTES: u64 = FRAME_AFTER_AUTH as u64;

/// Why the directory refuses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    #[error("{0}")]
    KeyPackage(#[from] KeyPackageError),
    #[error("{0}")]
    WrongKind(&'static str),
    #[error("names are 1 to 63 of a-z0-9._-")]
    BadName,
    #[error("the signature over the name does not verify")]
    BadSignature,
    #[error("the node's disk is almost full")]
    DiskLow,
    #[error("a hybrid key has {HYBRID_PUBLIC_KEY_LEN} bytes")]
    BadHybridKey,
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn package(
    shared: &Shared,
    owner: &IdentityKey,
    bytes: &[u8],
) -> Result<(Package, bool), KeyPackageError> {
    let verified = key_package::verify(bytes, owner, shared.clock.now())?;
    let package = Package {
        ciphersuite: verified.ciphersuite,
        not_after: verified.not_after,
        fingerprint: verified.fingerprint,
        data: Arc::from(bytes),
    };
    Ok((package, verified.last_resort))
}

async fn store(
    shared: &Shared,
    identity: IdentityKey,
    one_time: Vec<Package>,
    last_resort: Option<Package>,
    replace: bool,
) -> Result<Vec<SuiteStock>, DirectoryError> {
    if shared.health.disk.is_low() {
        return Err(DirectoryError::DiskLow);
    }
    let (one, last) = (one_time.len() as u64, u64::from(last_resort.is_some()));
    let write = DirectoryWrite::Publish(Publish {
        identity,
        one_time,
        last_resort,
        replace,
        limit: shared.limits.packages_per_suite,
        now: shared.clock.now(),
    });
    match shared.directory.submit(write).await? {
        DirectoryWritten::Stock(stock) => {
            shared.metrics.packages.published_one_time.inc_by(one);
            shared.metrics.packages.published_last_resort.inc_by(last);
            Ok(stock)
        }
        _ => Err(WriteError::Failed.into()),
    }
}

/// Stores one package of a base client, marked as last resort or not; returns its SHA-256.
pub(crate) async fn upload(
    shared: &Shared,
    identity: IdentityKey,
    bytes: &[u8],
) -> Result<[u8; 32], DirectoryError> {
    let (package, last_resort) = package(shared, &identity, bytes)?;
    let fingerprint = package.fingerprint;
    if last_resort {
        store(shared, identity, Vec::new(), Some(package), false).await?;
    } else {
        store(shared, identity, vec![package], None, false).await?;
    }
    Ok(fingerprint)
}

/// Stores packages that are already known to be within the limits of size and number.
pub(crate) async fn publish(
    shared: &Shared,
    identity: IdentityKey,
    one_time: &[Vec<u8>],
    last_resort: &[u8],
    replace: bool,
) -> Result<Vec<SuiteStock>, DirectoryError> {
    let mut packages = Vec::with_capacity(one_time.len());
    for bytes in one_time {
        match package(shared, &identity, bytes)? {
            (package, false) => packages.push(package),
            (_, true) => {
                return Err(DirectoryError::WrongKind("a one-time package is marked last resort"));
            }
        }
    }
    let last_resort = if last_resort.is_empty() {
        None
    } else {
        match package(shared, &identity, last_resort)? {
            (package, true) => Some(package),
            (_, false) => {
                return Err(DirectoryError::WrongKind("the last resort is not marked as one"));
            }
        }
    };
    store(shared, identity, packages, last_resort, replace).await
}

/// Takes one package of each identity, empty where there is none or the identity is banned. Over
/// the rate limit the last resort is handed out.
pub(crate) async fn claim(
    shared: &Shared,
    caller: Caller,
    identities: Vec<IdentityKey>,
    ciphersuite: u16,
) -> Result<Vec<Vec<u8>>, DirectoryError> {
    let banned: Vec<bool> = identities.iter().map(|of| shared.banned.contains(of)).collect();
    let targets = identities
        .into_iter()
        .zip(&banned)
        .filter(|(_, banned)| !**banned)
        .map(|(identity, _)| Target {
            identity,
            one_time: shared.rates.may_claim(caller, identity),
        })
        .collect();
    let write = DirectoryWrite::Claim(Claim {
        targets,
        bytes: CLAIM_BYTES,
        ciphersuite,
        alive_until: shared.clock.now() + MIN_CLAIM_LIFE_SECS,
    });
    match shared.directory.submit(write).await? {
        DirectoryWritten::Claimed(packages) => {
            let mut claimed = packages.into_iter();
            let mut next = || claimed.next().unwrap_or_default();
            let packages: Vec<Vec<u8>> =
                banned.iter().map(|banned| if *banned { Vec::new() } else { next() }).collect();
            for package in &packages {
                count_claim(&shared.metrics.packages, package);
            }
            Ok(packages)
        }
        _ => Err(WriteError::Failed.into()),
    }
}

fn count_claim(counters: &Packages, package: &[u8]) {
    if package.is_empty() {
        counters.claimed_none.inc();
    } else if key_package::is_last_resort(package) {
        counters.claimed_last_resort.inc();
    } else {
        counters.claimed_one_time.inc();
    }
}

/// Replaces the hybrid key of an identity.
pub(crate) async fn put_hybrid_key(
    shared: &Shared,
    identity: IdentityKey,
    key: Vec<u8>,
) -> Result<(), DirectoryError> {
    if key.len() != HYBRID_PUBLIC_KEY_LEN {
        return Err(DirectoryError::BadHybridKey);
    }
    shared.directory.submit(DirectoryWrite::PutHybridKey(PutHybridKey { identity, key })).await?;
    Ok(())
}

/// Gives a free name to an identity that has signed for it.
pub(crate) async fn claim_name(
    shared: &Shared,
    identity: IdentityKey,
    name: String,
    signature: Vec<u8>,
) -> Result<(), DirectoryError> {
    if !is_name(&name) {
        return Err(DirectoryError::BadName);
    }
    let length = u8::try_from(name.len()).map_err(|_| DirectoryError::BadName)?;
    let signed = [NAME_DOMAIN, &[length], name.as_bytes(), identity.as_bytes()].concat();
    if !verify(&identity, &signed, &signature) {
        return Err(DirectoryError::BadSignature);
    }
    let limit = shared.limits.names;
    let write = DirectoryWrite::ClaimName(ClaimName { name, identity, signature, limit });
    shared.directory.submit(write).await?;
    Ok(())
}
