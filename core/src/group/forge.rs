//! Commits that our own code would not make, built with openmls: for tests and fuzzers.

use std::cell::Cell;
use std::collections::BTreeSet;

use openmls::group::{MlsGroup, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY};
use openmls::prelude::{
    CustomProposal, Extension, Extensions, KeyPackage, LeafNodeIndex, LeafNodeParameters,
    NewSignerBundle, Proposal, UnknownExtension,
};
use openmls_traits::OpenMlsProvider as _;

use super::Group;
use super::encrypt::to_bytes;
use crate::credential::credential_of;
use crate::extension::{LEAF_HYBRID, StandardContext, capabilities};
use crate::identity::{Identity, IdentityKey};
use crate::key_package::for_adding;
use crate::provider::IdentitySigner;

thread_local! {
    static OBEYS: Cell<bool> = const { Cell::new(false) };
}

/// For controls: from now on the groups of this thread follow whoever proposes to remove another.
pub fn obey(on: bool) {
    OBEYS.set(on);
}

/// Whether [`obey`] is on.
pub(super) fn obeys() -> bool {
    OBEYS.get()
}

/// A part of a commit. Whether it is forbidden depends on who commits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgery {
    /// Adds the owner of a key package, which is valid at this time (unix seconds).
    Add(Vec<u8>, u64),
    /// Removes a member.
    Remove(IdentityKey),
    /// Makes these the admins.
    Admins(BTreeSet<IdentityKey>),
    /// Takes all extensions off the group.
    Plain,
    /// Puts these bytes in the place of the committer's hybrid key; `None`: no key.
    Hybrid(Option<Vec<u8>>),
    /// A proposal of a type that nobody knows.
    Custom(u16, Vec<u8>),
}

enum Part {
    Add(KeyPackage),
    Remove(LeafNodeIndex),
    Leaf(LeafNodeParameters),
    Context(Extensions<openmls::prelude::GroupContext>),
    Custom(Proposal),
}

impl Group {
    /// A commit that no rule of ours has seen, and its Welcome. The group stays as it was. `None`:
    /// openmls does not make it.
    pub fn forge(
        &mut self,
        identity: &Identity,
        parts: &[Forgery],
    ) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let parts = parts.iter().map(|part| self.part(part)).collect::<Option<Vec<_>>>()?;
        self.undoing(|Self { mls, provider, .. }| {
            let mut builder = mls.commit_builder().consume_proposal_store(true);
            for part in parts {
                builder = match part {
                    Part::Add(package) => builder.propose_adds([package]),
                    Part::Remove(leaf) => builder.propose_removals([leaf]),
                    Part::Leaf(leaf) => builder.leaf_node_parameters(leaf),
                    Part::Context(context) => {
                        builder.propose_group_context_extensions(context).ok()?
                    }
                    Part::Custom(proposal) => builder.add_proposal(proposal),
                };
            }
            let (commit, welcome, _) = builder
                .load_psks(provider.storage())
                .ok()?
                .build(provider.rand(), provider.crypto(), &IdentitySigner(identity), |_| true)
                .ok()?
                .stage_commit(provider)
                .ok()?
                .into_messages();
            let welcome = welcome.and_then(|welcome| to_bytes(&welcome).ok());
            Some((to_bytes(&commit).ok()?, welcome))
        })
    }

    fn part(&self, part: &Forgery) -> Option<Part> {
        Some(match part {
            Forgery::Add(package, now) => {
                Part::Add(for_adding(&self.provider, package, *now).ok()?.0)
            }
            Forgery::Remove(member) => Part::Remove(self.leaf_of(member)?),
            Forgery::Admins(admins) => {
                let context = match self.standard() {
                    Some(context) => StandardContext { admins: admins.clone(), ..context },
                    None => StandardContext {
                        name: String::new(),
                        topic: String::new(),
                        admins: admins.clone(),
                    },
                };
                Part::Context(context.write().ok()?)
            }
            Forgery::Plain => Part::Context(Extensions::empty()),
            Forgery::Hybrid(key) => {
                let extension = key.clone().map(|key| {
                    Extensions::single(Extension::Unknown(LEAF_HYBRID, UnknownExtension(key)))
                });
                let extensions = extension.transpose().ok()?.unwrap_or_else(Extensions::empty);
                let leaf = LeafNodeParameters::builder()
                    .with_capabilities(capabilities())
                    .with_extensions(extensions)
                    .build();
                Part::Leaf(leaf)
            }
            Forgery::Custom(kind, bytes) => {
                let proposal = CustomProposal::new(*kind, bytes.clone());
                Part::Custom(Proposal::Custom(Box::new(proposal)))
            }
        })
    }

    /// A commit that puts another identity in the place of the committer.
    pub fn forge_identity(&mut self, identity: &Identity, other: &Identity) -> Option<Vec<u8>> {
        let signer = IdentitySigner(other);
        let new = NewSignerBundle { signer: &signer, credential_with_key: credential_of(other) };
        self.undoing(|Self { mls, provider, .. }| {
            let builder = mls.commit_builder().load_psks(provider.storage()).ok()?;
            let (rand, crypto) = (provider.rand(), provider.crypto());
            let old = IdentitySigner(identity);
            let built = builder.build_with_new_signer(rand, crypto, &old, new, |_| true).ok()?;
            to_bytes(&built.stage_commit(provider).ok()?.into_messages().0).ok()
        })
    }

    /// A path update in the clear.
    pub fn forge_in_the_clear(&mut self, identity: &Identity) -> Option<Vec<u8>> {
        self.undoing(|Self { mls, provider, .. }| {
            let config = MlsGroupJoinConfig::builder()
                .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
                .build();
            mls.set_configuration(provider.storage(), &config).ok()?;
            let leaf = LeafNodeParameters::default();
            let bundle = mls.self_update(provider, &IdentitySigner(identity), leaf).ok()?;
            to_bytes(&bundle.into_commit()).ok()
        })
    }

    /// A proposal by reference to remove a member.
    pub fn forge_removal(&mut self, identity: &Identity, member: &IdentityKey) -> Option<Vec<u8>> {
        let leaf = self.leaf_of(member)?;
        self.undoing(|Self { mls, provider, .. }| {
            let signer = IdentitySigner(identity);
            let (proposal, _) = mls.propose_remove_member(provider, &signer, leaf).ok()?;
            to_bytes(&proposal).ok()
        })
    }

    /// Does something and takes it back.
    fn undoing<T>(&mut self, work: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.flush().ok()?;
        self.provider.storage().checkpoint();
        let made = work(self);
        self.provider.storage().rollback();
        self.mls = MlsGroup::load(self.provider.storage(), self.mls.group_id()).ok()??;
        made
    }
}
