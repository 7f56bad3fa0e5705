//! The operator's side, and what goes with an identity.

use quicproquo_schemas::id::IdentityKey;

use super::{Memory, Tables};
use crate::store::write::{Admit, Deletion, Terms};
use crate::store::{
    INVITE_BAD, INVITE_NEEDED, IdentityInfo, InviteInfo, NOBODY_NEW, NameInfo, NewInvite, Operate,
    Refusal, StoreError,
};

impl Tables {
    pub(super) fn delete(&mut self, step: &Deletion) {
        let gone = match step {
            Deletion::Mark { identity, heir } => {
                self.deletions.insert(*identity, *heir);
                return;
            }
            Deletion::Unmark { identity } => {
                self.deletions.remove(identity);
                return;
            }
            Deletion::Finish { identity } => *identity,
        };
        let Some(heir) = self.deletions.remove(&gone) else { return };
        let (names, kept) = std::mem::take(&mut self.names)
            .into_iter()
            .partition::<Vec<_>, _>(|name| name.identity == gone);
        self.names = kept;
        self.tombstones.extend(names.into_iter().map(|name| (name.name, heir)));
        self.packages.retain(|kept| kept.identity != gone);
        self.hybrid_keys.remove(&gone);
        self.registered.remove(&gone);
        self.tokens.retain(|_, token| token.identity != gone);
        self.blobs.release_all(&gone);
    }

    pub(super) fn admit(&mut self, admit: &Admit) -> Result<(), Refusal> {
        if self.bans.contains(&admit.identity) {
            return Err(Refusal::Banned);
        }
        if self.registered.contains(&admit.identity) {
            return Ok(());
        }
        match admit.terms {
            Terms::Open => {}
            Terms::Closed => return Err(Refusal::RegistrationRefused(NOBODY_NEW)),
            Terms::Invite(None) => return Err(Refusal::RegistrationRefused(INVITE_NEEDED)),
            Terms::Invite(Some(hash)) => {
                let invite = self.invites.iter_mut().find(|(of, _)| *of == hash);
                let invite = invite.map(|(_, invite)| invite).filter(|invite| {
                    invite.uses_left > 0 && invite.expires_at.is_none_or(|end| end > admit.now)
                });
                invite.ok_or(Refusal::RegistrationRefused(INVITE_BAD))?.uses_left -= 1;
            }
        }
        self.registered.insert(admit.identity);
        Ok(())
    }

    fn info(&self, identity: IdentityKey) -> IdentityInfo {
        let names = self.names.iter().filter(|name| name.identity == identity);
        IdentityInfo {
            identity,
            registered: self.registered.contains(&identity),
            banned: self.bans.contains(&identity),
            names: names.map(|name| name.name.clone()).collect(),
        }
    }
}

impl Operate for Memory {
    async fn ban(&mut self, identity: IdentityKey, _: u64) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        tables.bans_version += 1;
        tables.tokens.retain(|_, token| token.identity != identity);
        Ok(tables.bans.insert(identity))
    }

    async fn unban(&mut self, identity: IdentityKey) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        tables.bans_version += 1;
        Ok(tables.bans.remove(&identity))
    }

    async fn identities(
        &mut self,
        after: Option<IdentityKey>,
        limit: u32,
    ) -> Result<Vec<IdentityInfo>, StoreError> {
        let tables = self.tables();
        let mut keys: Vec<_> = tables.registered.union(&tables.bans).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        let above = keys.into_iter().filter(|key| after.is_none_or(|after| *key > after));
        Ok(above.take(limit as usize).map(|key| tables.info(key)).collect())
    }

    async fn create_invite(&mut self, invite: &NewInvite) -> Result<u64, StoreError> {
        let mut tables = self.tables();
        let id = tables.invites.last().map_or(1, |(_, last)| last.id + 1);
        let NewInvite { hash, label, uses, expires_at, now } = invite.clone();
        let info = InviteInfo { id, label, uses, uses_left: uses, created_at: now, expires_at };
        tables.invites.push((hash, info));
        Ok(id)
    }

    async fn invites(&mut self) -> Result<Vec<InviteInfo>, StoreError> {
        Ok(self.tables().invites.iter().map(|(_, invite)| invite.clone()).collect())
    }

    async fn revoke_invite(&mut self, id: u64) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let before = tables.invites.len();
        tables.invites.retain(|(_, invite)| invite.id != id);
        Ok(tables.invites.len() < before)
    }

    async fn names(&mut self) -> Result<Vec<NameInfo>, StoreError> {
        let tables = self.tables();
        let held = tables.names.iter().map(|kept| NameInfo {
            name: kept.name.clone(),
            owner: Some(kept.identity),
            heir: None,
        });
        let retired = tables.tombstones.iter();
        let retired =
            retired.map(|(name, heir)| NameInfo { name: name.clone(), owner: None, heir: *heir });
        let mut names: Vec<_> = held.chain(retired).collect();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(names)
    }

    async fn release_name(
        &mut self,
        name: &str,
        heir: Option<IdentityKey>,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        match (tables.tombstones.get_mut(name), heir) {
            (None, _) => Ok(false),
            (Some(kept), Some(_)) => {
                *kept = heir;
                Ok(true)
            }
            (Some(_), None) => Ok(tables.tombstones.remove(name).is_some()),
        }
    }
}
