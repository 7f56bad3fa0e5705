//! Appending to the event log.

use quicproquo_core::id::GroupId;
use serde_json::Value;

use super::actor::Actor;
use super::unit::Unit;
use crate::event::{Cursor, Event, EventData};
use crate::model::GroupState;
use crate::store::StoredMessage;

/// Larger events are not kept in memory, bytes.
const LARGE: usize = 8 * 1024;

impl Actor {
    /// The next position of the event log.
    pub(super) fn next_seq(&mut self) -> u64 {
        self.positions.tail += 1;
        self.positions.tail
    }

    /// Appends an event, or keeps it while its group is hidden.
    pub(super) fn emit(&mut self, unit: &mut Unit, group: Option<&GroupId>, data: EventData) {
        if let Some(id) = group
            && let Some(slot) = self.groups.get(id)
            && !slot.record.is_visible()
        {
            if slot.record.state != GroupState::Declined {
                self.hide(id, data, unit);
            }
            return;
        }
        self.append(unit, group, unit.now_ms, data);
    }

    /// Appends an event, whatever the state of its group; `at_ms` is when it occurred.
    pub(super) fn append(
        &mut self,
        unit: &mut Unit,
        group: Option<&GroupId>,
        at_ms: u64,
        data: EventData,
    ) {
        let seq = self.next_seq();
        let size = unit.batch.event(self.owner, seq, group, at_ms, &data);
        let (cursor, group) = (Cursor(seq), group.cloned());
        unit.tell(size, || Event { cursor, occurred_at_ms: at_ms, group, data });
    }

    /// Appends an event about an own message.
    pub(super) fn append_about(
        &mut self,
        unit: &mut Unit,
        kind: &'static str,
        message: &StoredMessage,
    ) {
        let (seq, at_ms) = (self.next_seq(), unit.now_ms);
        unit.batch.message_event(self.owner, seq, kind, &message.group, at_ms, message.seq);
        self.tell_message(unit, seq, at_ms, kind, message);
    }

    /// Appends a received message, whose row is its event.
    pub(super) fn append_received(&mut self, unit: &mut Unit, message: &mut StoredMessage) {
        message.seq = self.next_seq();
        unit.batch.message(self.owner, message);
        self.tell_message(unit, message.seq, message.received_at_ms, "message.received", message);
    }

    fn tell_message(
        &self,
        unit: &mut Unit,
        seq: u64,
        at_ms: u64,
        kind: &'static str,
        message: &StoredMessage,
    ) {
        let size = weight(&message.content.body);
        // What cannot be told from here is read.
        let Some(data) = unit.told.is_some().then(|| {
            let shown = message.clone().into_message(&self.identity.key(), &self.names);
            EventData::of_message(kind, shown)
        }) else {
            return;
        };
        let Some(data) = data else {
            unit.told = None;
            return;
        };
        let (cursor, group) = (Cursor(seq), Some(message.group.clone()));
        unit.tell(size, || Event { cursor, occurred_at_ms: at_ms, group, data });
    }
}

impl Unit {
    /// Keeps an event for those who read along. One that is too large is read by them from the
    /// database, and so is what came before it in this unit.
    fn tell(&mut self, size: usize, event: impl FnOnce() -> Event) {
        match &mut self.told {
            Some(told) if size <= LARGE => told.push((event(), size)),
            told => *told = None,
        }
    }
}

/// About how many bytes a value takes.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(|value| 8 + weight(value)).sum(),
        Value::Object(fields) => fields.iter().map(|(name, it)| name.len() + weight(it)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}
