//! Whom a payload is for, and what the node gets for them.

use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use quicproquo_core::envelope::{self, SealError, SealedV2, Sealing};
use quicproquo_core::group::Group;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::kem::HybridPublic;
use quicproquo_core::suite::Suite;
use serde_bytes::ByteBuf;

use crate::store::Parcel;

/// Recipients from which on idle processors help to seal; each takes some 35 us.
const MANY: usize = 8;
/// Those of this process; to ask the system takes longer than to seal.
static PROCESSORS: LazyLock<usize> =
    LazyLock::new(|| available_parallelism().map_or(1, usize::from));

/// Whose key a payload is sealed for.
#[derive(Debug, Clone)]
pub(super) enum SealFor {
    /// The key in a leaf, so in an envelope of version 2.
    Leaf(HybridPublic),
    /// The key that a peer has published which has none in its leaf: in one of version 1.
    Published(HybridPublic),
    /// No key is known.
    Nobody,
}

impl From<Option<HybridPublic>> for SealFor {
    fn from(leaf: Option<HybridPublic>) -> Self {
        leaf.map_or(Self::Nobody, Self::Leaf)
    }
}

/// Whom a payload is for, with their keys.
pub(super) type Recipients = Vec<(IdentityKey, SealFor)>;

pub(super) fn recipients(mls: &Group, wanted: impl Fn(&IdentityKey) -> bool) -> Recipients {
    let members = mls.members().into_iter().filter(|member| wanted(&member.identity));
    members.map(|member| (member.identity, member.hybrid.into())).collect()
}

/// Puts MLS bytes into what the node takes: sealed per recipient in `envelope` groups.
pub(super) fn wrap(suite: Suite, mls: &[u8], recipients: Recipients) -> Result<Parcel, String> {
    if suite == Suite::Native || recipients.is_empty() {
        let recipients = recipients.into_iter().map(|(key, _)| (key, ByteBuf::new())).collect();
        return Ok(Parcel::to(recipients, mls.to_vec()));
    }
    let (mut members, mut keys, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for (recipient, seal) in recipients {
        match seal {
            SealFor::Leaf(key) => {
                members.push(recipient);
                keys.push(key);
            }
            // All of what it gets stands before a body that it does not get.
            SealFor::Published(key) => {
                let whole = envelope::seal_v1(&key, mls).map_err(|error| error.to_string())?;
                alone.push((recipient, ByteBuf::from(whole)));
            }
            SealFor::Nobody => return Err(format!("{recipient} has no hybrid key")),
        }
    }
    if keys.is_empty() {
        return Ok(Parcel::to(alone, Vec::new()));
    }
    let sealed = seal(keys, mls).map_err(|error| error.to_string())?;
    let prefixes = sealed.prefixes.into_iter().map(ByteBuf::from);
    let recipients = members.into_iter().zip(prefixes).chain(alone).collect();
    Ok(Parcel::to(recipients, sealed.body))
}

/// Seals for all. Threads of the runtime help where they come to it; nothing waits for them, so that on a
/// busy machine the caller does it alone.
fn seal(keys: Vec<HybridPublic>, mls: &[u8]) -> Result<SealedV2, SealError> {
    let helpers = (*PROCESSORS - 1).min(keys.len() / MANY);
    let sealing = Arc::new(Sealing::new(keys, mls)?);
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        for _ in 0..helpers {
            let sealing = Arc::clone(&sealing);
            runtime.spawn_blocking(move || sealing.help());
        }
    }
    sealing.finish()
}
