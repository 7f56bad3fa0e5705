//! Joining by a Welcome.

use std::collections::BTreeMap;

use openmls::group::{StagedWelcome, WelcomeError};
use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{LeafNodeIndex, MlsMessageBodyIn, MlsMessageIn, Welcome};
use openmls_traits::OpenMlsProvider as _;

use super::{Group, Member, windows};
use crate::credential::identity_of;
use crate::extension::{ExtensionError, StandardContext, hybrid_of};
use crate::id::GroupId;
use crate::identity::{Identity, IdentityKey};
use crate::provider::{
    MlsStore, Provider, Row, RowWrite, ScopedRow, StoreError, group_scope, key_package_scope,
};
use crate::suite::{Profile, Suite};

/// Why a Welcome is refused. None of it changes anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Not a Welcome.
    #[error("not a Welcome")]
    Malformed,
    /// None of the packages it names is among the rows: not for us, or used before.
    #[error("the private half of the key package is not here")]
    NoKeyPackage,
    /// Neither of our ciphersuites, or a group id of an unusual length.
    #[error("the group is of a kind we do not know")]
    Unknown,
    /// It is meant for another identity.
    #[error("the Welcome is for another identity")]
    WrongIdentity,
    /// A leaf in the tree does not keep to its identity.
    #[error("a member's credential is not its signature key")]
    Identity,
    /// A member of a standard group has no hybrid key.
    #[error("a member has no hybrid key")]
    NoHybridKey,
    /// The group context or a leaf is malformed.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// In a standard group only an admin invites.
    #[error("the inviter is not an admin")]
    InviterNotAdmin,
    /// It does not decrypt or verify.
    #[error("the Welcome is not valid: {0}")]
    Invalid(String),
    /// The rows do not decode.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a Welcome leads into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WelcomeInfo {
    /// The group.
    pub group_id: GroupId,
    /// The epoch that is joined.
    pub epoch: u64,
    /// Its ciphersuite.
    pub suite: Suite,
    /// Its profile.
    pub profile: Profile,
    /// Its name; empty in the plain profile.
    pub name: String,
    /// Who invites.
    pub inviter: IdentityKey,
    /// All members, ourselves among them.
    pub members: Vec<Member>,
}

/// A group that was joined, not yet durable.
#[derive(Debug)]
pub struct Joined {
    /// The group; its rows are in `writes`.
    pub group: Group,
    /// Who invited us.
    pub inviter: IdentityKey,
    /// The key packages the Welcome has used (one).
    pub used_refs: Vec<Vec<u8>>,
    /// Whether that package was a last-resort one, which stays.
    pub last_resort: bool,
    /// Everything to write in one transaction: the rows of the group, and the
    /// deletion of a one-time package. If an old copy of the group is being
    /// replaced, delete its rows first.
    pub writes: Vec<RowWrite>,
}

/// The references of the key packages that a Welcome names, for loading those
/// that are ours.
pub fn welcome_key_package_refs(welcome: &[u8]) -> Result<Vec<Vec<u8>>, JoinError> {
    Ok(references(&parse(welcome)?))
}

impl Group {
    /// Reads a Welcome without joining. Whether the inviter may invite is only
    /// judged by [`Group::join`].
    ///
    /// `rows` are the rows of every key package that it names, as far as they
    /// exist: a package without a row counts as absent.
    pub fn peek_welcome(welcome: &[u8], rows: Vec<ScopedRow>) -> Result<WelcomeInfo, JoinError> {
        let opened = open(welcome, rows)?;
        let group = &opened.group;
        Ok(WelcomeInfo {
            group_id: group.id.clone(),
            epoch: group.epoch(),
            suite: group.suite,
            profile: group.profile(),
            name: group.name(),
            inviter: opened.inviter,
            members: group.members(),
        })
    }

    /// Joins a group; `rows` as for [`Group::peek_welcome`]. Lifetimes of
    /// leaves are not checked: a leaf may have outlived its key package. In a
    /// standard group the inviter must be an admin.
    pub fn join(
        identity: &Identity,
        welcome: &[u8],
        rows: Vec<ScopedRow>,
    ) -> Result<Joined, JoinError> {
        let opened = open(welcome, rows)?;
        let context = opened.group.standard();
        if context.is_some_and(|context| !context.admins.contains(&opened.inviter)) {
            return Err(JoinError::InviterNotAdmin);
        }
        opened.join(identity)
    }

    /// Joins a group again after a repair request of our own: any member may
    /// have added us. Only for a group that we asked to be added to; for all
    /// others there is [`Group::join`].
    pub fn rejoin(
        identity: &Identity,
        welcome: &[u8],
        rows: Vec<ScopedRow>,
    ) -> Result<Joined, JoinError> {
        open(welcome, rows)?.join(identity)
    }
}

struct Opened {
    group: Group,
    inviter: IdentityKey,
    used: Vec<u8>,
}

impl Opened {
    fn join(self, identity: &Identity) -> Result<Joined, JoinError> {
        let Self { mut group, inviter, used } = self;
        if group.own_identity() != Some(identity.key()) {
            return Err(JoinError::WrongIdentity);
        }
        group.fit_windows()?;
        let writes = group.take_writes()?;
        let scope = key_package_scope(&used);
        let deleted = writes.iter().any(|write| write.scope == scope && write.value.is_none());
        Ok(Joined { group, inviter, used_refs: vec![used], last_resort: !deleted, writes })
    }
}

fn parse(welcome: &[u8]) -> Result<Welcome, JoinError> {
    let message = MlsMessageIn::tls_deserialize_exact(welcome).map_err(|_| JoinError::Malformed)?;
    match message.extract() {
        MlsMessageBodyIn::Welcome(welcome) => Ok(welcome),
        _ => Err(JoinError::Malformed),
    }
}

fn references(welcome: &Welcome) -> Vec<Vec<u8>> {
    welcome.secrets().iter().map(|secrets| secrets.new_member().as_slice().to_vec()).collect()
}

fn open(welcome: &[u8], rows: Vec<ScopedRow>) -> Result<Opened, JoinError> {
    let welcome = parse(welcome)?;
    let suite = Suite::of(welcome.ciphersuite()).ok_or(JoinError::Unknown)?;
    let named = references(&welcome);
    let mut by_scope: BTreeMap<Vec<u8>, Vec<Row>> = BTreeMap::new();
    for (scope, key, value) in rows {
        by_scope.entry(scope).or_default().push((key, value));
    }
    let store = MlsStore::new();
    let mut used = None;
    for reference in named {
        let scope = key_package_scope(&reference);
        let rows = by_scope.remove(&scope).unwrap_or_default();
        if used.is_none() && !rows.is_empty() {
            used = Some(reference);
        }
        store.load_scope(scope, rows);
    }
    let used = used.ok_or(JoinError::NoKeyPackage)?;

    let provider = Provider::new(store);
    let staged = StagedWelcome::build_from_welcome(&provider, &windows::join_config(), welcome)
        .map_err(refused)?
        .skip_lifetime_validation()
        // Whether an old copy may be replaced is the caller's decision; its rows are not loaded here.
        .replace_old_group()
        .build()
        .map_err(refused)?;
    let id = GroupId::from_slice(staged.group_context().group_id().as_slice())
        .map_err(|_| JoinError::Unknown)?;
    let inviter = staged.welcome_sender_index();
    provider.storage().begin_scope(group_scope(id.as_bytes()));
    let mls = staged.into_group(&provider).map_err(refused)?;
    let group = Group { mls, provider, id, suite };
    let inviter = check(&group, inviter)?;
    Ok(Opened { group, inviter, used })
}

/// The rules that openmls leaves to the application.
fn check(group: &Group, inviter: LeafNodeIndex) -> Result<IdentityKey, JoinError> {
    let standard = StandardContext::read(group.mls.extensions())?.is_some();
    for (_, leaf) in group.leaves() {
        identity_of(leaf).map_err(|_| JoinError::Identity)?;
        if hybrid_of(leaf)?.is_none() && standard {
            return Err(JoinError::NoHybridKey);
        }
    }
    let leaf = group.mls.public_group().leaf(inviter).ok_or(JoinError::Identity)?;
    identity_of(leaf).map_err(|_| JoinError::Identity)
}

fn refused(error: WelcomeError<StoreError>) -> JoinError {
    match error {
        WelcomeError::StorageError(error) => JoinError::Store(error),
        WelcomeError::NoMatchingKeyPackage => JoinError::NoKeyPackage,
        other => JoinError::Invalid(other.to_string()),
    }
}
