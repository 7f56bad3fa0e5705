//! What changes about what is known of others.

use quicproquo_core::identity::IdentityKey;

use super::super::contacts::{Pin, seal_verified};
use super::{Batch, Owner, Value};

impl Batch {
    pub(crate) fn pin(&mut self, owner: Owner, pin: &Pin, at: u64) {
        self.rewrites = true;
        let (name, identity) = (pin.name.clone(), &pin.identity.as_bytes()[..]);
        self.add(
            "INSERT INTO names (owner, name, identity, pinned_at, changed) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT DO UPDATE SET identity = excluded.identity, \
             pinned_at = excluded.pinned_at, changed = excluded.changed",
            vec![
                owner.0.into(),
                name.into(),
                identity.into(),
                at.into(),
                pin.handover.number().into(),
            ],
        );
    }

    /// Ignored when it was met before.
    pub(crate) fn met(&mut self, owner: Owner, identity: &IdentityKey, at: u64) {
        self.add(
            "INSERT OR IGNORE INTO trust (owner, identity, first_seen) VALUES (?, ?, ?)",
            vec![owner.0.into(), identity.as_bytes()[..].into(), at.into()],
        );
    }

    /// An identity that was met is verified, or not any more (`None`).
    pub(crate) fn verified(&mut self, owner: Owner, identity: &IdentityKey, at: Option<u64>) {
        self.rewrites = true;
        let sealed = at.map(|at| seal_verified(&self.sealer, owner, identity, at));
        let (from, to): (u32, u32) = if at.is_some() { (1, 2) } else { (2, 1) };
        self.add(
            "UPDATE trust SET verified = ? WHERE owner = ? AND identity = ?",
            vec![sealed.into(), owner.0.into(), identity.as_bytes()[..].into()],
        );
        let values: [Value; 4] =
            [to.into(), owner.0.into(), identity.as_bytes()[..].into(), from.into()];
        self.add(
            "UPDATE names SET changed = ? WHERE owner = ? AND identity = ? AND changed = ?",
            values.into(),
        );
    }
}
