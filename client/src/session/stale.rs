//! An old copy of the state: the node knows of later sends or acknowledgements.
//!
//! A backup was put back, or two copies of one database were run. What this copy would encrypt
//! with its ratchets was encrypted before, so every group is receive-only until we are added to it
//! again; what has not been sent gets counters that the other copy has not used; key packages whose
//! private halves may not be here are replaced.

use quicproquo_core::id::GroupId;
use quicproquo_core::suite::Suite;

use super::actor::Actor;
use super::outgoing::Outgoing;
use super::repair::Why;
use super::unit::Unit;
use crate::event::EventData;
use crate::store::{OutboxKind, OutboxRecord};

/// Key packages are replaced at most once in so long for a Welcome that cannot be read, in
/// milliseconds.
const DOUBTED_MS: u64 = 24 * 3600 * 1000;

impl Actor {
    /// Goes on behind what the node knows: `last_send` of our incarnation, or 0, and the newest row
    /// that was acknowledged.
    pub(super) fn start_over(&mut self, last_send: u64, acked_up_to: u64, unit: &mut Unit) {
        tracing::error!("this database is an old copy of the session's state");
        // Rows that this copy was opened with may be at the node under their counters; those that
        // it took since have counters that the other copy may have used for others.
        let copied = self.positions.sent_below.unwrap_or(self.positions.next_counter);
        self.positions.next_counter = self.positions.next_counter.max(last_send + 1);
        let rows: Vec<(u64, OutboxKind)> =
            self.outbox.iter().map(|(counter, row)| (*counter, row.record.kind)).collect();
        for (counter, kind) in rows {
            match kind {
                OutboxKind::Message(_) if counter < copied => {
                    // The other copy may have sent what this one had not encrypted yet.
                    self.outbox.entry(counter).and_modify(|outgoing| outgoing.ask = true);
                }
                OutboxKind::Message(_) => self.renumber(counter, unit),
                _ => self.drop_outgoing(counter, unit),
            }
        }
        let groups: Vec<GroupId> = self.groups.keys().cloned().collect();
        for group in groups {
            let Some(slot) = self.groups.get_mut(&group) else { continue };
            if slot.record.pending.take().is_some() {
                unit.record_changed(&group);
            }
            let seen = (slot.record.epoch, None);
            self.lose(&group, Why::OldCopy, seen, unit);
        }
        let lost = acked_up_to.saturating_sub(self.positions.received_up_to);
        if lost > 0 {
            // The other copy has read them.
            self.positions.received_up_to = acked_up_to;
            let lost = u32::try_from(lost).unwrap_or(u32::MAX);
            self.emit(unit, None, EventData::GapDetected { lost });
        }
        self.positions.replace_packages = true;
        self.replaced.clear();
        unit.batch.doubt_key_packages(self.owner);
    }

    /// A message that is to be encrypted, for the first time or again, gets another counter.
    pub(super) fn renumber(&mut self, counter: u64, unit: &mut Unit) {
        let Some(outgoing) = self.outbox.get(&counter) else { return };
        let record = OutboxRecord { parcel: None, ..outgoing.record.clone() };
        let by = outgoing.by.clone();
        self.drop_outgoing(counter, unit);
        let new = self.next_counter();
        unit.batch.outbox(self.owner, new, &record);
        self.outbox.insert(new, Outgoing { by, ..Outgoing::new(record) });
    }

    /// A Welcome was for a package whose private half is not here. A newer copy that has sent and
    /// acknowledged nothing may have published it, and others, which the node would not betray.
    pub(super) fn doubt_packages(&mut self, unit: &mut Unit) {
        // Anybody can send such a Welcome, again and again.
        if self.positions.replace_packages || self.doubted_packages_ms + DOUBTED_MS > unit.now_ms {
            return;
        }
        tracing::warn!("the key packages at the node may be of another copy: they are replaced");
        self.doubted_packages_ms = unit.now_ms;
        self.positions.replace_packages = true;
        self.replaced.clear();
        unit.moved = true;
        self.restock();
    }

    /// Whether packages of a suite at the node are still to be replaced.
    pub(super) fn to_replace(&self, suite: Suite) -> bool {
        self.positions.replace_packages && !self.replaced.contains(&suite)
    }

    /// The packages of a suite at the node are our own.
    pub(super) fn replaced(&mut self, suite: Suite, unit: &mut Unit) {
        self.replaced.insert(suite);
        if Suite::ALL.iter().all(|suite| self.replaced.contains(suite)) {
            self.positions.replace_packages = false;
            unit.moved = true;
        }
    }
}
