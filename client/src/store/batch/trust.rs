//! What changes about what is known of others.

use quicproquo_core::identity::IdentityKey;

use super::super::contacts::{Pin, TrustRow, seal_pin, seal_trust};
use super::{Batch, Owner, Value};

impl Batch {
    pub(crate) fn pin(&mut self, owner: Owner, pin: &Pin) {
        self.rewrites = true;
        let (name, identity) = (pin.name.clone(), &pin.identity.as_bytes()[..]);
        let seal = seal_pin(&self.sealer, owner, pin);
        self.add(
            "INSERT INTO names (owner, name, identity, pinned_at, changed, seal) \
             VALUES (?, ?, ?, ?, ?, ?) \
             ON CONFLICT DO UPDATE SET identity = excluded.identity, \
             pinned_at = excluded.pinned_at, changed = excluded.changed, seal = excluded.seal",
            vec![
                owner.0.into(),
                name.into(),
                identity.into(),
                pin.at_ms.into(),
                pin.handover.number().into(),
                seal.into(),
            ],
        );
    }

    /// An identity was met; ignored when it was before.
    pub(crate) fn met(&mut self, owner: Owner, identity: &IdentityKey, trust: &TrustRow) {
        let values = self.trust_values(owner, identity, trust);
        self.add(
            "INSERT OR IGNORE INTO trust (owner, identity, first_seen, took_over, verified) \
             VALUES (?, ?, ?, ?, ?)",
            values,
        );
    }

    /// What is known of an identity is something else from now on.
    pub(crate) fn trusts(&mut self, owner: Owner, identity: &IdentityKey, trust: &TrustRow) {
        self.rewrites = true;
        let values = self.trust_values(owner, identity, trust);
        self.add(
            "INSERT OR REPLACE INTO trust (owner, identity, first_seen, took_over, verified) \
             VALUES (?, ?, ?, ?, ?)",
            values,
        );
    }

    fn trust_values(&self, owner: Owner, identity: &IdentityKey, trust: &TrustRow) -> Vec<Value> {
        let sealed = seal_trust(&self.sealer, owner, identity, trust);
        vec![
            owner.0.into(),
            identity.as_bytes()[..].into(),
            trust.first_seen_ms.into(),
            trust.took_over.into(),
            sealed.into(),
        ]
    }
}
