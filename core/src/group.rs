//! A group: one `MlsGroup` and the rows it lives in.
//!
//! Operations are synchronous. What they change is collected in a write set;
//! take it with [`Group::take_writes`] and make it durable before anything
//! leaves the process.
//!
//! Application messages only change the message secrets, and put off writing
//! them: [`Group::flush`], `take_writes` and every other operation do so, once
//! for all messages before.
//!
//! Every other operation that fails undoes its own writes and, when there were any,
//! loads the group again from what remains, so an `Err` leaves the state as it
//! was before the call. The one exception is a group whose rows do not load
//! any more: then every later call fails with a storage error. A caller whose
//! own transaction fails after `take_writes` drops the group and loads it from
//! its rows.

mod commit;
mod context;
mod create;
mod encrypt;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
mod forge;
mod join;
mod notice;
mod process;
mod repair;
mod roles;
mod windows;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::time::UNIX_EPOCH;

use openmls::group::{
    DeletePastEpochSecretsError, GroupId as MlsGroupId, MlsGroup, PastEpochDeletion,
};
use openmls::prelude::{LeafNode, LeafNodeIndex};
use openmls_traits::OpenMlsProvider as _;
use sha2::{Digest as _, Sha256};

pub use commit::{CommitError, Staged};
pub use create::{CreateError, GroupParams};
pub use encrypt::EncryptError;
pub use event::CommitSummary;
#[cfg(any(test, feature = "fuzzing"))]
pub use forge::{Forgery, obey};
pub use join::{JoinError, Joined, WelcomeInfo, welcome_key_package_refs};
pub use notice::{BadNotice, Removal, RemovalNotice};
pub use process::{ProcessError, Processed, Undecryptable};
pub use repair::{BadRequest, RepairError, RepairRequest};
pub use roles::Unauthorized;
pub use windows::past_epochs;

use crate::credential::identity_of;
use crate::extension::{StandardContext, hybrid_of};
use crate::id::GroupId;
use crate::identity::IdentityKey;
use crate::kem::HybridPublic;
use crate::provider::{MlsStore, Provider, Row, RowWrite, StoreError, group_scope};
use crate::suite::{Profile, Suite};

/// What a member may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May add and remove members and change name, topic and admins.
    Admin,
    /// May send, update its own keys and leave.
    Member,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who it is.
    pub identity: IdentityKey,
    /// Its role. In the plain profile everybody is an admin: nobody is stopped.
    pub role: Role,
    /// Its hybrid key from the leaf. Peers without our extensions have none.
    pub hybrid: Option<HybridPublic>,
    /// Its leaf index in this epoch.
    pub leaf: u32,
}

/// Why a group could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The rows hold no group of this id.
    #[error("the rows hold no such group")]
    Missing,
    /// The rows do not decode.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rows decode to a group of neither of our suites.
    #[error("the group has an unknown ciphersuite")]
    Suite,
}

/// A group in memory.
pub struct Group {
    mls: MlsGroup,
    provider: Provider,
    id: GroupId,
    suite: Suite,
}

impl Group {
    /// Loads a group from all rows of its [scope](group_scope).
    pub fn load(
        group_id: &GroupId,
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<Self, LoadError> {
        let store = MlsStore::new();
        store.load_scope(group_scope(group_id.as_bytes()), rows);
        let mls = MlsGroup::load(&store, &MlsGroupId::from_slice(group_id.as_bytes()))?
            .ok_or(LoadError::Missing)?;
        let suite = Suite::of(mls.ciphersuite()).ok_or(LoadError::Suite)?;
        Ok(Self { mls, provider: Provider::new(store), id: group_id.clone(), suite })
    }

    /// What has changed since the last call, at most one write per row.
    ///
    /// # Errors
    /// See [`Group::flush`].
    pub fn take_writes(&mut self) -> Result<Vec<RowWrite>, StoreError> {
        self.flush()?;
        Ok(self.provider.storage().take_writes())
    }

    /// Puts the message secrets into the write set that application messages
    /// have left out of it. A message of our own must not leave the process, nor
    /// be kept, before: its key would be used again after a panic.
    ///
    /// # Errors
    /// The secrets cannot be encoded.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        if !self.provider.storage().stale() {
            return Ok(());
        }
        // The only call that writes the secrets and changes nothing: no epoch is as old.
        self.mls
            .delete_past_epoch_secrets(
                &self.provider,
                PastEpochDeletion::before_timestamp(UNIX_EPOCH),
            )
            .map_err(|DeletePastEpochSecretsError::StorageError(error)| error)
    }

    /// After an operation that panicked: undoes what it wrote, so that
    /// [`Group::take_writes`] gives what earlier operations have left. Then the
    /// group is to be dropped and loaded again. Messages that were received and
    /// not flushed can then be decrypted once more; nothing of what was encrypted
    /// and not flushed may be used.
    pub fn undo(&self) {
        self.provider.storage().rollback();
        self.provider.storage().forget_stale();
    }

    /// Whether [`Group::take_writes`] would give anything.
    pub fn dirty(&self) -> bool {
        self.provider.storage().dirty()
    }

    /// About how many bytes of memory the group takes.
    pub fn weight(&self) -> usize {
        // Its rows, and the same decoded.
        2 * self.provider.storage().size()
    }

    /// The group id.
    pub fn id(&self) -> &GroupId {
        &self.id
    }

    /// The current epoch.
    pub fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    /// The ciphersuite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The profile.
    pub fn profile(&self) -> Profile {
        if self.standard().is_some() { Profile::Standard } else { Profile::Plain }
    }

    /// The name; empty in the plain profile.
    pub fn name(&self) -> String {
        self.standard().map(|context| context.name).unwrap_or_default()
    }

    /// The topic; empty in the plain profile.
    pub fn topic(&self) -> String {
        self.standard().map(|context| context.topic).unwrap_or_default()
    }

    /// The admins that are members; empty in the plain profile.
    pub fn admins(&self) -> BTreeSet<IdentityKey> {
        let Some(context) = self.standard() else {
            return BTreeSet::new();
        };
        self.identities()
            .map(|(_, identity)| identity)
            .filter(|key| context.admins.contains(key))
            .collect()
    }

    /// All members, by leaf index.
    pub fn members(&self) -> Vec<Member> {
        let context = self.standard();
        self.leaves().filter_map(|(leaf, node)| member(leaf, node, context.as_ref())).collect()
    }

    /// The role of a member; `None` if it is not one.
    pub fn role_of(&self, identity: &IdentityKey) -> Option<Role> {
        self.leaf_of(identity)?;
        Some(role(identity, self.standard().as_ref()))
    }

    /// Whose copy of the group this is; `None` once we were removed.
    pub fn own_identity(&self) -> Option<IdentityKey> {
        self.mls.own_leaf_node().and_then(|leaf| identity_of(leaf).ok())
    }

    /// The epoch authenticator (RFC 9420, section 8.7): equal for members that
    /// agree on the state of the group.
    pub fn authenticator(&self) -> &[u8] {
        self.mls.epoch_authenticator().as_slice()
    }

    /// The hint that messages of this epoch carry: the first 8 bytes of the
    /// SHA-256 of the authenticator.
    pub fn hint(&self) -> [u8; 8] {
        hint_of(&self.mls)
    }

    /// `false` once we were removed.
    pub fn is_active(&self) -> bool {
        self.mls.is_active()
    }

    /// Whether a commit of our own waits for its echo.
    pub fn has_pending(&self) -> bool {
        self.mls.pending_commit().is_some()
    }

    /// Whether proposals of this epoch wait for a commit; until then nothing
    /// can be encrypted.
    pub fn has_proposals(&self) -> bool {
        self.mls.has_pending_proposals()
    }

    fn standard(&self) -> Option<StandardContext> {
        StandardContext::read(self.mls.extensions()).ok().flatten()
    }

    fn leaves(&self) -> impl Iterator<Item = (LeafNodeIndex, &LeafNode)> {
        leaves(&self.mls)
    }

    fn identities(&self) -> impl Iterator<Item = (LeafNodeIndex, IdentityKey)> {
        self.leaves().filter_map(|(leaf, node)| Some((leaf, identity_of(node).ok()?)))
    }

    fn leaf_of(&self, identity: &IdentityKey) -> Option<LeafNodeIndex> {
        self.identities().find(|(_, key)| key == identity).map(|(leaf, _)| leaf)
    }

    /// Runs an operation that changes nothing but message secrets, and puts off writing them. An
    /// error may leave a key used up.
    fn lazily<T>(&mut self, operation: impl FnOnce(&mut Self) -> T) -> T {
        self.provider.storage().set_lazy(true);
        let result = operation(self);
        self.provider.storage().set_lazy(false);
        result
    }

    /// Runs an operation so that an error leaves no trace.
    fn transact<T, E: From<StoreError>>(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.flush()?;
        self.provider.storage().checkpoint();
        let result = operation(self);
        if result.is_ok() {
            self.provider.storage().keep();
        } else if self.provider.storage().rollback()
            && let Ok(Some(mls)) = MlsGroup::load(self.provider.storage(), self.mls.group_id())
        {
            self.mls = mls;
        }
        result
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("id", &self.id)
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

fn leaves(mls: &MlsGroup) -> impl Iterator<Item = (LeafNodeIndex, &LeafNode)> {
    mls.members().filter_map(|member| Some((member.index, mls.public_group().leaf(member.index)?)))
}

fn role(identity: &IdentityKey, context: Option<&StandardContext>) -> Role {
    match context {
        Some(context) if !context.admins.contains(identity) => Role::Member,
        _ => Role::Admin,
    }
}

fn member(
    leaf: LeafNodeIndex,
    node: &LeafNode,
    context: Option<&StandardContext>,
) -> Option<Member> {
    let identity = identity_of(node).ok()?;
    Some(Member {
        identity,
        role: role(&identity, context),
        hybrid: hybrid_of(node).ok().flatten(),
        leaf: leaf.u32(),
    })
}

fn hint_of(mls: &MlsGroup) -> [u8; 8] {
    let mut hint = [0; 8];
    hint.copy_from_slice(&Sha256::digest(mls.epoch_authenticator().as_slice())[..8]);
    hint
}
