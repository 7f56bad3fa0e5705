//! This project's MLS extensions (private-use types, RFC 9420, section 17.3)
//! and the capabilities that announce them.

use std::collections::BTreeSet;

use openmls::prelude::{
    Capabilities, CredentialType, Extension, ExtensionType, Extensions, GroupContext, LeafNode,
    ProtocolVersion, RequiredCapabilitiesExtension, UnknownExtension,
};

use crate::identity::IdentityKey;
use crate::kem::HybridPublic;
use crate::suite::Suite;

/// Leaf node: the member's hybrid public key, 1216 bytes.
pub(crate) const LEAF_HYBRID: u16 = 0xF0C1;
/// Group context: the profile, one byte, its version.
const CONTEXT_PROFILE: u16 = 0xF0C2;
/// Group context: the name, UTF-8.
const CONTEXT_NAME: u16 = 0xF0C3;
/// Group context: the topic, UTF-8.
const CONTEXT_TOPIC: u16 = 0xF0C4;
/// Group context: the admins, 32-byte keys in strictly ascending order.
const CONTEXT_ADMINS: u16 = 0xF0C5;

const CONTEXT_TYPES: [u16; 4] = [CONTEXT_PROFILE, CONTEXT_NAME, CONTEXT_TOPIC, CONTEXT_ADMINS];
const PROFILE_VERSION: u8 = 1;

/// Most bytes of a group's name.
pub const MAX_NAME_LEN: usize = 256;
/// Most bytes of a group's topic.
pub const MAX_TOPIC_LEN: usize = 2048;
/// Most admins of a group.
pub const MAX_ADMINS: usize = 256;

/// Why extensions of a leaf or a group context are not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// The name or topic is too long or not UTF-8.
    #[error("name or topic is too long or not UTF-8")]
    Text,
    /// The list of admins is empty, too long or not in canonical order.
    #[error("the list of admins is malformed")]
    Admins,
    /// An extension of the profile is missing, unknown or out of place.
    #[error("the group context does not follow the profile")]
    Context,
    /// The hybrid key in a leaf is malformed.
    #[error("the hybrid key in the leaf is malformed")]
    Hybrid,
}

/// What our leaves can do: both suites, our extensions, last-resort packages.
pub(crate) fn capabilities() -> Capabilities {
    let extensions: Vec<ExtensionType> = [ExtensionType::LastResort]
        .into_iter()
        .chain([LEAF_HYBRID].into_iter().chain(CONTEXT_TYPES).map(ExtensionType::Unknown))
        .collect();
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&Suite::ALL.map(Suite::ciphersuite)),
        Some(&extensions),
        None,
        Some(&[CredentialType::Basic]),
    )
}

/// Whether a leaf can be in a group of the standard profile.
pub(crate) fn supports_standard(leaf: &LeafNode) -> bool {
    let known = leaf.capabilities().extensions();
    [LEAF_HYBRID]
        .into_iter()
        .chain(CONTEXT_TYPES)
        .all(|id| known.contains(&ExtensionType::Unknown(id)))
}

pub(crate) fn leaf_extensions(
    hybrid: &HybridPublic,
) -> Result<Extensions<LeafNode>, ExtensionError> {
    let bytes = UnknownExtension(hybrid.as_bytes().to_vec());
    Extensions::single(Extension::Unknown(LEAF_HYBRID, bytes)).map_err(|_| ExtensionError::Hybrid)
}

/// The hybrid key in a leaf, if it has one.
pub(crate) fn hybrid_of(leaf: &LeafNode) -> Result<Option<HybridPublic>, ExtensionError> {
    leaf.extensions()
        .unknown(LEAF_HYBRID)
        .map(|extension| HybridPublic::from_slice(&extension.0).map_err(|_| ExtensionError::Hybrid))
        .transpose()
}

/// The group context extensions of the standard profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StandardContext {
    pub(crate) name: String,
    pub(crate) topic: String,
    pub(crate) admins: BTreeSet<IdentityKey>,
}

impl StandardContext {
    /// Reads the context of a group. `None` is the plain profile.
    pub(crate) fn read(
        extensions: &Extensions<GroupContext>,
    ) -> Result<Option<Self>, ExtensionError> {
        if !extensions.iter().any(|extension| is_ours(extension.extension_type())) {
            return Ok(None);
        }
        let required = extensions.required_capabilities().ok_or(ExtensionError::Context)?;
        if *required != required_capabilities()
            || extensions.iter().count() != CONTEXT_TYPES.len() + 1
        {
            return Err(ExtensionError::Context);
        }
        let bytes =
            |id| extensions.unknown(id).map(|e| e.0.as_slice()).ok_or(ExtensionError::Context);
        let text = |id, max| {
            let text = std::str::from_utf8(bytes(id)?).map_err(|_| ExtensionError::Text)?;
            if text.len() > max { Err(ExtensionError::Text) } else { Ok(text.to_owned()) }
        };
        if bytes(CONTEXT_PROFILE)? != [PROFILE_VERSION] {
            return Err(ExtensionError::Context);
        }
        Ok(Some(Self {
            name: text(CONTEXT_NAME, MAX_NAME_LEN)?,
            topic: text(CONTEXT_TOPIC, MAX_TOPIC_LEN)?,
            admins: read_admins(bytes(CONTEXT_ADMINS)?)?,
        }))
    }

    /// The extensions that carry this context.
    pub(crate) fn write(&self) -> Result<Extensions<GroupContext>, ExtensionError> {
        if self.name.len() > MAX_NAME_LEN || self.topic.len() > MAX_TOPIC_LEN {
            return Err(ExtensionError::Text);
        }
        if self.admins.is_empty() || self.admins.len() > MAX_ADMINS {
            return Err(ExtensionError::Admins);
        }
        let admins: Vec<u8> = self.admins.iter().flat_map(IdentityKey::as_bytes).copied().collect();
        let unknown = |id, bytes| Extension::Unknown(id, UnknownExtension(bytes));
        Extensions::from_vec(vec![
            Extension::RequiredCapabilities(required_capabilities()),
            unknown(CONTEXT_PROFILE, vec![PROFILE_VERSION]),
            unknown(CONTEXT_NAME, self.name.clone().into_bytes()),
            unknown(CONTEXT_TOPIC, self.topic.clone().into_bytes()),
            unknown(CONTEXT_ADMINS, admins),
        ])
        .map_err(|_| ExtensionError::Context)
    }
}

fn is_ours(extension: ExtensionType) -> bool {
    matches!(extension, ExtensionType::Unknown(id) if CONTEXT_TYPES.contains(&id))
}

fn required_capabilities() -> RequiredCapabilitiesExtension {
    let extensions: Vec<_> =
        [LEAF_HYBRID].into_iter().chain(CONTEXT_TYPES).map(ExtensionType::Unknown).collect();
    RequiredCapabilitiesExtension::new(&extensions, &[], &[CredentialType::Basic])
}

fn read_admins(bytes: &[u8]) -> Result<BTreeSet<IdentityKey>, ExtensionError> {
    let keys: Vec<IdentityKey> = bytes
        .chunks(32)
        .map(|key| IdentityKey::from_slice(key).map_err(|_| ExtensionError::Admins))
        .collect::<Result<_, _>>()?;
    let ascending = keys.windows(2).all(|pair| pair[0] < pair[1]);
    if keys.is_empty() || keys.len() > MAX_ADMINS || !ascending {
        return Err(ExtensionError::Admins);
    }
    Ok(keys.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> StandardContext {
        StandardContext {
            name: "n".into(),
            topic: "t".into(),
            admins: [IdentityKey::new([2; 32]), IdentityKey::new([1; 32])].into(),
        }
    }

    #[test]
    fn context_reads_what_it_writes() {
        let extensions = context().write().unwrap();
        assert_eq!(StandardContext::read(&extensions).unwrap(), Some(context()));
        assert_eq!(StandardContext::read(&Extensions::empty()).unwrap(), None);
    }

    #[test]
    fn limits() {
        let long = StandardContext { name: "x".repeat(MAX_NAME_LEN + 1), ..context() };
        assert_eq!(long.write(), Err(ExtensionError::Text));
        let nobody = StandardContext { admins: BTreeSet::new(), ..context() };
        assert_eq!(nobody.write(), Err(ExtensionError::Admins));
    }

    #[test]
    fn malformed_contexts_are_refused() {
        let mut missing = context().write().unwrap();
        missing.remove(ExtensionType::Unknown(CONTEXT_TOPIC));
        assert_eq!(StandardContext::read(&missing), Err(ExtensionError::Context));

        let mut unsorted = context().write().unwrap();
        let keys = [[2; 32], [1; 32]].concat();
        unsorted
            .add_or_replace(Extension::Unknown(CONTEXT_ADMINS, UnknownExtension(keys)))
            .unwrap();
        assert_eq!(StandardContext::read(&unsorted), Err(ExtensionError::Admins));

        let mut more = context().write().unwrap();
        more.add(Extension::Unknown(0xF0FF, UnknownExtension(vec![]))).unwrap();
        assert_eq!(StandardContext::read(&more), Err(ExtensionError::Context));
    }
}
