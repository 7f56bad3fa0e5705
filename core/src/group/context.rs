//! Changing name, topic and admins.

use std::collections::BTreeSet;

use openmls::group::{CommitBuilder, Initial, MlsGroup};

use super::Group;
use super::commit::{CommitError, Staged};
use crate::extension::StandardContext;
use crate::identity::{Identity, IdentityKey};

/// The builder of a commit before its proposals are settled.
pub(super) type Builder<'a> = CommitBuilder<'a, Initial, &'a mut MlsGroup>;

impl Group {
    /// Stages a commit that changes what is given: name, topic, admins. Only
    /// admins of a standard group may.
    pub fn set_context(
        &mut self,
        identity: &Identity,
        name: Option<&str>,
        topic: Option<&str>,
        admins: Option<&BTreeSet<IdentityKey>>,
    ) -> Result<Staged, CommitError> {
        let mut context = self.standard().ok_or(CommitError::PlainProfile)?;
        if let Some(name) = name {
            name.clone_into(&mut context.name);
        }
        if let Some(topic) = topic {
            topic.clone_into(&mut context.topic);
        }
        if let Some(admins) = admins {
            if let Some(stranger) = admins.iter().find(|key| self.leaf_of(key).is_none()) {
                return Err(CommitError::NotAMember(*stranger));
            }
            context.admins.clone_from(admins);
        }
        let context = self.without_absent_admins(context, &BTreeSet::new());
        self.stage(identity, |builder| propose(builder, Some(&context)))
    }

    /// The context that must go along with a change of members, if any: admins
    /// that are not members (any more) do not stay admins.
    pub(super) fn context_after(&self, removed: &BTreeSet<IdentityKey>) -> Option<StandardContext> {
        let before = self.standard()?;
        let after = self.without_absent_admins(before.clone(), removed);
        (after != before).then_some(after)
    }

    fn without_absent_admins(
        &self,
        mut context: StandardContext,
        removed: &BTreeSet<IdentityKey>,
    ) -> StandardContext {
        let staying: BTreeSet<_> =
            self.identities().map(|(_, key)| key).filter(|key| !removed.contains(key)).collect();
        context.admins.retain(|admin| staying.contains(admin));
        context
    }
}

/// Adds the new context, if there is one, to a commit.
pub(super) fn propose<'a>(
    builder: Builder<'a>,
    context: Option<&StandardContext>,
) -> Result<Builder<'a>, CommitError> {
    let Some(context) = context else {
        return Ok(builder);
    };
    builder
        .propose_group_context_extensions(context.write()?)
        .map_err(|error| CommitError::Mls(error.to_string()))
}
