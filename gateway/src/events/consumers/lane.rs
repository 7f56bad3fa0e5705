//! A lane: events of one group in their order, dealt to one connection at a time.

use std::collections::BTreeMap;
use std::ops::Bound;

use quicproquo_client::{Cursor, Event, GroupId};
use tokio::time::Instant;

use super::id::{Conn, DeliveryId};

/// Which lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum LaneKey {
    /// Events of a group, or of none.
    Group(Option<GroupId>),
    /// One event that is delivered again.
    Replay(Cursor),
}

/// An event that is not acknowledged.
#[derive(Debug)]
pub(super) struct Entry {
    /// Of the delivery that is under way, or of the next one.
    pub(super) attempt: u32,
    /// The delivery under way, and when it began.
    pub(super) dealt: Option<(DeliveryId, Instant)>,
    /// The event, when it is held in memory.
    pub(super) event: Option<Box<Event>>,
    /// Not before.
    pub(super) rest_until: Option<Instant>,
    /// Whether the database has a row of it.
    pub(super) stored: bool,
    /// Whether no further attempt is wanted.
    pub(super) last: bool,
}

/// Events in their order. Those under way are the first ones.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) entries: BTreeMap<Cursor, Entry>,
    /// Who has those under way.
    pub(super) owner: Option<Conn>,
    /// When the first one under way returns.
    pub(super) due: Option<Instant>,
    pub(super) in_flight: usize,
    /// The last one under way.
    last: Option<Cursor>,
}

impl Lane {
    /// The next event for a connection that may have `most` of this lane under way.
    pub(super) fn next(&self, conn: Conn, most: usize, now: Instant) -> Option<Cursor> {
        if self.owner.is_some_and(|owner| owner != conn) || self.in_flight >= most {
            return None;
        }
        let from = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let (cursor, entry) = self.entries.range((from, Bound::Unbounded)).next()?;
        entry.rest_until.is_none_or(|until| until <= now).then_some(*cursor)
    }

    /// Deals the event that [`Lane::next`] answered.
    pub(super) fn deal(&mut self, id: DeliveryId, now: Instant) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&id.cursor)?;
        entry.dealt = Some((id, now));
        entry.rest_until = None;
        self.owner = Some(id.conn);
        self.last = Some(id.cursor);
        self.in_flight += 1;
        Some(entry)
    }

    /// Takes an event out; the second value says whether it was the first one under way.
    pub(super) fn remove(&mut self, cursor: Cursor) -> Option<(Entry, bool)> {
        let first = self.entries.first_key_value().map(|(first, _)| *first) == Some(cursor);
        let entry = self.entries.remove(&cursor)?;
        if entry.dealt.is_some() {
            self.in_flight -= 1;
            if self.in_flight == 0 {
                self.free();
            }
        }
        Some((entry, first))
    }

    /// Takes everything under way back; answers the first one's delivery, and how many there were.
    pub(super) fn give_back(&mut self) -> (Option<(DeliveryId, Instant)>, usize) {
        let mut first = None;
        for entry in self.entries.values_mut().take_while(|entry| entry.dealt.is_some()) {
            let dealt = entry.dealt.take();
            first = first.or(dealt);
        }
        let count = std::mem::take(&mut self.in_flight);
        self.free();
        (first, count)
    }

    /// When something happens here by itself: a lease ends, or a rest.
    pub(super) fn alarm(&self) -> Option<Instant> {
        let rest = || self.entries.first_key_value().and_then(|(_, entry)| entry.rest_until);
        if self.owner.is_some() { self.due } else { rest() }
    }

    fn free(&mut self) {
        self.owner = None;
        self.due = None;
        self.last = None;
    }
}
