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
                if self.names.meet(identity, unit.now_ms)
                    && let Some(trust) = self.names.row(identity)
                {
                    unit.batch.met(self.owner, identity, &trust);
                }
            }
        }
    }

    /// Writes what is known of an identity that was met.
    pub(super) fn write_trust(&self, identity: &IdentityKey, unit: &mut Unit) {
        if let Some(trust) = self.names.row(identity) {
            unit.batch.trusts(self.owner, identity, &trust);
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
        self.names.meet(&identity, unit.now_ms);
        self.names.set_verified(&identity, verified.then_some(unit.now_ms));
        self.write_trust(&identity, unit);
        for pin in self.names.taken(&identity) {
            unit.batch.pin(self.owner, &pin);
        }
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
