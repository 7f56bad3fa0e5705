//! Trust on first use: who was met when, and whom a person has verified.

use quicproquo_core::identity::{IdentityKey, SafetyNumber};

use super::actor::Actor;
use super::unit::Unit;
use crate::error::SessionError;
use crate::model::{KnownIdentity, TrustState};
use crate::store::{GroupRecord, Names};

impl Actor {
    /// Before the records of groups are written: who is in them has been met.
    pub(super) fn meet_members(&mut self, unit: &mut Unit) {
        for group in &unit.records {
            let Some(slot) = self.groups.get(group) else { continue };
            for (identity, _) in &slot.record.members {
                if self.names.meet(identity, unit.now_ms) {
                    unit.batch.met(self.owner, identity, unit.now_ms);
                }
            }
        }
    }

    /// Whether every member is verified.
    pub(super) fn check_verified(&self, group: &GroupRecord) -> Result<(), SessionError> {
        let own = self.identity.key();
        let unknown = |(identity, _): &&(IdentityKey, _)| {
            self.names.trust(&own, identity) != TrustState::Verified
        };
        match group.members.iter().find(unknown) {
            Some((identity, _)) => Err(SessionError::NotVerified(*identity)),
            None => Ok(()),
        }
    }

    /// A person has compared the safety number, or takes that back.
    pub(super) fn verify(
        &mut self,
        identity: IdentityKey,
        verified: bool,
        shown: Option<&str>,
        unit: &mut Unit,
    ) -> Result<KnownIdentity, SessionError> {
        let own = self.identity.key();
        if identity == own {
            return Err(SessionError::Invalid("an identity does not verify itself".to_owned()));
        }
        if shown.is_some_and(|shown| !SafetyNumber::new(&own, &identity).matches(shown)) {
            return Err(SessionError::SafetyNumberMismatch(identity));
        }
        if self.names.meet(&identity, unit.now_ms) {
            unit.batch.met(self.owner, &identity, unit.now_ms);
        }
        let at = verified.then_some(unit.now_ms);
        self.names.set_verified(&identity, at);
        unit.batch.verified(self.owner, &identity, at);
        Ok(known(&self.names, &own, identity))
    }
}

/// As callers see it.
pub(super) fn known(names: &Names, own: &IdentityKey, identity: IdentityKey) -> KnownIdentity {
    KnownIdentity {
        identity,
        names: names.names(&identity).to_vec(),
        trust: names.trust(own, &identity),
        first_seen_ms: names.first_seen(&identity),
        verified_at_ms: names.verified_at(&identity),
    }
}
