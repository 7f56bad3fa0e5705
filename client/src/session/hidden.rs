//! Events of groups whose invitation is not answered: kept until it is, within a budget of bytes
//! and the retention of the log.

use quicproquo_core::id::GroupId;

use super::actor::Actor;
use super::unit::Unit;
use crate::event::EventData;

/// Bytes of hidden events of one identity, 32 MiB: strangers fill this.
const HIDDEN_BYTES: usize = if cfg!(test) { 64 * 1024 } else { 32 * 1024 * 1024 };

/// An event of a hidden group.
#[derive(Debug)]
pub(crate) struct Hidden {
    /// Its number, unique within the identity.
    pub(crate) n: u64,
    /// When it occurred, unix milliseconds.
    pub(crate) at_ms: u64,
    /// Bytes of its row.
    pub(crate) size: usize,
    pub(crate) data: EventData,
}

impl Actor {
    /// Keeps an event of a hidden group.
    pub(super) fn hide(&mut self, group: &GroupId, data: EventData, unit: &mut Unit) {
        self.last_hidden += 1;
        self.put_hidden(group, self.last_hidden, data, unit);
        self.bound_hidden(unit);
    }

    /// A number that is free puts an event where the one before it was.
    fn put_hidden(&mut self, group: &GroupId, n: u64, data: EventData, unit: &mut Unit) {
        let at_ms = unit.now_ms;
        let size = unit.batch.hidden_event(self.owner, group, n, at_ms, &data);
        if let Some(slot) = self.groups.get_mut(group) {
            let place = slot.hidden.partition_point(|hidden| hidden.n < n);
            slot.hidden.insert(place, Hidden { n, at_ms, size, data });
        }
    }

    /// Takes from the group that has most: who fills the budget does not push out others.
    fn bound_hidden(&mut self, unit: &mut Unit) {
        let bytes = |hidden: &[Hidden]| hidden.iter().map(|hidden| hidden.size).sum::<usize>();
        loop {
            let groups = self.groups.iter().filter(|(_, slot)| !slot.hidden.is_empty());
            let sizes: Vec<_> = groups.map(|(id, slot)| (bytes(&slot.hidden), id)).collect();
            let all: usize = sizes.iter().map(|(size, _)| size).sum();
            if all <= HIDDEN_BYTES {
                return;
            }
            let Some((size, group)) = sizes.into_iter().max() else { return };
            let group = group.clone();
            let most = size.saturating_sub(all - HIDDEN_BYTES);
            // A quarter more than needed, so that this is not done for every event.
            if !self.shorten_hidden(&group, most - most / 4, unit) {
                return;
            }
        }
    }

    /// Drops the oldest events of a group until the rest has at most so many bytes. `false`: there
    /// was nothing to drop.
    fn shorten_hidden(&mut self, group: &GroupId, most: usize, unit: &mut Unit) -> bool {
        let Some(slot) = self.groups.get(group) else { return false };
        let mut bytes: usize = slot.hidden.iter().map(|hidden| hidden.size).sum();
        let too_many = |hidden: &&Hidden| {
            let over = bytes > most;
            bytes -= hidden.size;
            over
        };
        let count = slot.hidden.iter().take_while(too_many).count();
        self.drop_hidden_events(group, count, unit)
    }

    /// Drops what is older than the log's retention.
    pub(super) fn expire_hidden(&mut self, before: u64, unit: &mut Unit) {
        let old = |hidden: &Hidden| hidden.at_ms < before;
        let groups: Vec<(GroupId, usize)> = self
            .groups
            .iter()
            .map(|(id, slot)| (id, slot.hidden.iter().take_while(|hidden| old(hidden)).count()))
            .filter(|(_, count)| *count > 0)
            .map(|(id, count)| (id.clone(), count))
            .collect();
        for (group, count) in groups {
            self.drop_hidden_events(&group, count, unit);
        }
    }

    /// The loss is told in the place of what is lost.
    fn drop_hidden_events(&mut self, group: &GroupId, count: usize, unit: &mut Unit) -> bool {
        let Some(slot) = self.groups.get_mut(group) else { return false };
        let dropped: Vec<Hidden> = slot.hidden.drain(..count.min(slot.hidden.len())).collect();
        let Some(last) = dropped.last() else { return false };
        let n = last.n;
        let lost = dropped.iter().map(|hidden| match hidden.data {
            EventData::GapDetected { lost } => lost,
            _ => 1,
        });
        let lost = lost.fold(0, u32::saturating_add);
        unit.batch.forget_hidden(self.owner, group, n);
        self.put_hidden(group, n, EventData::GapDetected { lost }, unit);
        // The mark alone is not worth dropping.
        dropped.len() > 1
    }
}
