//! A new group with one member.

use openmls::group::{GroupId as MlsGroupId, MlsGroup};
use openmls::prelude::{Extensions, Lifetime};

use super::{Group, windows};
use crate::credential::credential_of;
use crate::extension::{ExtensionError, StandardContext, capabilities, leaf_extensions};
use crate::id::GroupId;
use crate::identity::Identity;
use crate::kem::HybridPublic;
use crate::key_package::LIFETIME;
use crate::provider::{IdentitySigner, MlsStore, Provider, group_scope};
use crate::suite::{Profile, Suite};

/// What a new group is made of.
#[derive(Debug, Clone)]
pub struct GroupParams<'a> {
    /// Its id.
    pub group_id: GroupId,
    /// Its ciphersuite, fixed for ever.
    pub suite: Suite,
    /// Its profile, fixed for ever.
    pub profile: Profile,
    /// Its name, at most 256 bytes; must be empty in the plain profile.
    pub name: &'a str,
    /// Its topic, at most 2048 bytes; must be empty in the plain profile.
    pub topic: &'a str,
    /// The creator's hybrid key.
    pub hybrid: &'a HybridPublic,
    /// Unix seconds.
    pub now: u64,
}

/// Why a group could not be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// A plain group has neither name nor topic.
    #[error("a group of the plain profile has no name and no topic")]
    PlainProfile,
    /// Name or topic are too long.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// openmls refused.
    #[error("the group could not be created: {0}")]
    Mls(String),
}

impl Group {
    /// Creates a group whose only member and admin is `identity`.
    pub fn create(identity: &Identity, params: GroupParams<'_>) -> Result<Self, CreateError> {
        let context = match params.profile {
            Profile::Plain if params.name.is_empty() && params.topic.is_empty() => {
                Extensions::empty()
            }
            Profile::Plain => return Err(CreateError::PlainProfile),
            Profile::Standard => StandardContext {
                name: params.name.to_owned(),
                topic: params.topic.to_owned(),
                admins: [identity.key()].into(),
            }
            .write()?,
        };
        let store = MlsStore::new();
        store.begin_scope(group_scope(params.group_id.as_bytes()));
        let provider = Provider::new(store);
        let mls = MlsGroup::builder()
            .with_group_id(MlsGroupId::from_slice(params.group_id.as_bytes()))
            .ciphersuite(params.suite.ciphersuite())
            .with_wire_format_policy(windows::WIRE_FORMAT)
            .padding_size(windows::PADDING)
            .max_past_epochs(windows::past_epochs(1))
            .sender_ratchet_configuration(windows::ratchet())
            .use_ratchet_tree_extension(true)
            .lifetime(Lifetime::init(params.now, params.now.saturating_add(LIFETIME)))
            .with_capabilities(capabilities())
            .with_group_context_extensions(context)
            .with_leaf_node_extensions(leaf_extensions(params.hybrid)?)
            .map_err(|error| CreateError::Mls(error.to_string()))?
            .build(&provider, &IdentitySigner(identity), credential_of(identity))
            .map_err(|error| CreateError::Mls(error.to_string()))?;
        Ok(Self { mls, provider, id: params.group_id, suite: params.suite })
    }
}
