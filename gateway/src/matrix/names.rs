//! Names of users, waited for: a user has one id from the first event on.
//!
//! A session asks for the name of an identity when it meets it, and tells what happens meanwhile
//! with the identity alone. Native bots have both; in Matrix the name is the id.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quicproquo_client::{GroupInfo, IdentityKey, Invitation, Session};
use tokio::time::{Instant, sleep};

use super::ids::Ids;
use crate::problem::Problem;

/// How long the name of an identity that is met for the first time is waited for.
const PATIENCE: Duration = Duration::from_millis(1_500);
const PAUSE: Duration = Duration::from_millis(20);
/// Identities without a name that are remembered.
const MOST: usize = 10_000;

/// Identities that had no name when they were met.
#[derive(Debug, Default)]
pub(super) struct Unnamed(Mutex<HashMap<IdentityKey, Instant>>);

impl Unnamed {
    /// Until when the name of an identity is waited for.
    fn until(&self, identity: &IdentityKey) -> Instant {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if met.len() >= MOST && !met.contains_key(identity) {
            met.clear();
        }
        *met.entry(*identity).or_insert_with(Instant::now) + PATIENCE
    }
}

impl Ids {
    /// The name of an identity, waited for if it is not known yet.
    pub(super) async fn name(
        &self,
        session: &Session,
        identity: &IdentityKey,
        known: Option<String>,
    ) -> Result<Option<String>, Problem> {
        if known.is_some() || self.is_own(identity) {
            return Ok(known);
        }
        let until = self.unnamed().until(identity);
        loop {
            let found = session.name_of(identity).await?;
            if found.is_some() || Instant::now() >= until {
                return Ok(found);
            }
            sleep(PAUSE).await;
        }
    }

    /// The same for all members of a group.
    pub(super) async fn with_names(
        &self,
        session: &Session,
        mut group: GroupInfo,
    ) -> Result<GroupInfo, Problem> {
        for member in group.members.iter().filter(|member| member.name.is_none()) {
            // All are waited for at once.
            self.unnamed().until(&member.identity);
        }
        for member in &mut group.members {
            member.name = self.name(session, &member.identity, member.name.take()).await?;
        }
        Ok(group)
    }

    /// The same for who has sent an invitation.
    pub(super) async fn with_inviter(
        &self,
        session: &Session,
        mut invitation: Invitation,
    ) -> Result<Invitation, Problem> {
        let known = invitation.inviter_name.take();
        invitation.inviter_name = self.name(session, &invitation.inviter, known).await?;
        Ok(invitation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_waited_for_once() {
        let unnamed = Unnamed::default();
        let identity = IdentityKey::from_slice(&[7; 32]).unwrap();
        let until = unnamed.until(&identity);
        assert_eq!(unnamed.until(&identity), until);
        let other = IdentityKey::from_slice(&[8; 32]).unwrap();
        assert!(unnamed.until(&other) >= until);
    }
}
