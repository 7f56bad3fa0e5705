//! Rows that did not read: set aside, told, and what belongs to them goes on without them.

use std::collections::HashSet;
use std::time::Duration;

use quicproquo_core::id::GroupId;
use sha2::{Digest as _, Sha256};

use super::actor::Actor;
use super::input::Input;
use super::outgoing::Outgoing;
use super::unit::Unit;
use crate::event::EventData;
use crate::store::{IntentSpec, OutboxKind, OutboxRecord, Place, StoreError};

impl Actor {
    /// After reading the state: what did not read is set aside in a unit of its own.
    pub(super) fn plan_damaged(&mut self) {
        for row in &self.damaged {
            // Its number stays taken until then.
            if let Place::Buffered(_, n) = row.place {
                self.last_buffered = self.last_buffered.max(n);
            }
        }
        if !self.damaged.is_empty() {
            self.after(Duration::ZERO, Input::Damaged);
        }
    }

    pub(super) async fn set_damaged_aside(&mut self, unit: &mut Unit) -> Result<(), StoreError> {
        let damaged = std::mem::take(&mut self.damaged);
        let mut sends = false;
        for row in damaged {
            let hash = hex::encode(Sha256::digest(&row.bytes));
            tracing::error!(place = ?row.place, hash, "a damaged row is set aside");
            unit.batch.damaged_row(self.owner, &row, unit.now_ms);
            match row.place {
                Place::Outbox(counter) => {
                    sends = true;
                    self.lost_commit(counter, unit);
                }
                Place::Intent(group, _) => self.lost_intent(&group, unit),
                Place::Buffered(group, _) => {
                    self.emit(unit, None, EventData::damaged(&row.bytes));
                    if let Ok(group) = GroupId::from_slice(&group) {
                        self.isolate_member(&group, "a payload that waited is damaged", unit);
                    }
                }
                Place::Hidden(..) => self.emit(unit, None, EventData::damaged(&row.bytes)),
            }
        }
        if sends { self.fail_lost_messages(unit).await } else { Ok(()) }
    }

    /// If the row was our commit, the node is asked whether it has it.
    fn lost_commit(&mut self, counter: u64, unit: &mut Unit) {
        let pending = self.groups.iter().find_map(|(group, slot)| {
            let pending = slot.record.pending.as_ref()?;
            (pending.counter == counter).then(|| (group.clone(), slot.record.epoch))
        });
        let Some((group, epoch)) = pending else { return };
        let record = OutboxRecord::lost(group.clone(), epoch, unit.now_ms);
        unit.batch.outbox(self.owner, counter, &record);
        let mut outgoing = Outgoing::new(record);
        outgoing.relink();
        self.outbox.insert(counter, outgoing);
        self.isolate_member(&group, "a commit on its way is damaged", unit);
    }

    /// Whoever asked for the change learns that it is not made.
    fn lost_intent(&mut self, group: &GroupId, unit: &mut Unit) {
        let leaves = self
            .intents
            .values()
            .any(|intent| intent.group == *group && intent.spec == IntentSpec::Leave);
        if !leaves {
            self.stay(group, unit);
        }
        let known = Some(group).filter(|group| self.groups.contains_key(*group));
        let reason = "its row in the database is damaged".to_owned();
        self.emit(unit, known, EventData::GroupChangeFailed { reason });
        self.isolate_member(group, "a change of it is damaged", unit);
    }

    /// Own messages that have lost their place in the outbox. Whether the node has them is not
    /// known.
    async fn fail_lost_messages(&mut self, unit: &mut Unit) -> Result<(), StoreError> {
        let seqs = self.outbox.values().filter_map(|outgoing| match outgoing.record.kind {
            OutboxKind::Message(seq) => Some(seq),
            _ => None,
        });
        let on_their_way: HashSet<u64> = seqs.collect();
        for seq in self.store.queued_messages(self.owner).await? {
            if on_their_way.contains(&seq) || unit.messages.contains_key(&seq) {
                continue;
            }
            if let Some(message) = self.stored_message(seq, unit).await? {
                let reason = "its row was damaged; whether it was sent is not known";
                // No send has this counter.
                self.fail_message(0, message, reason, unit);
            }
        }
        Ok(())
    }

    /// Isolates a group that we are in.
    fn isolate_member(&mut self, group: &GroupId, reason: &str, unit: &mut Unit) {
        if self.groups.get(group).is_some_and(|slot| slot.record.is_member()) {
            self.isolate(group, reason, unit);
        }
    }
}
