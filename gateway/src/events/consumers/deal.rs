//! What of the log is dealt to which connection of a consumer: lanes, leases, attempts. Time comes
//! in from outside, and nothing here waits.

mod members;
mod settle;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use quicproquo_client::{Cursor, Event, EventPage, GroupId};
use tokio::time::Instant;

use super::id::{Conn, DeliveryId};
use super::lane::{Entry, Lane, LaneKey, weight};
use crate::events::filter::Filter;
use crate::store::{DeliveryRow, DeliveryState, StoredConsumer};

use members::Member;

pub(crate) use members::Terms;

/// An event that was delivered so often, each time in vain, is set aside.
const MAX_ATTEMPTS: u32 = 10;
/// Events that may be read and not acknowledged.
const MAX_OPEN: usize = 10_000;
/// Events that may be set aside; further ones go on being delivered.
const MAX_PARKED: usize = 10_000;
/// Bytes of events that are held in memory before they are dealt; others are read again.
const MAX_HELD: usize = 1024 * 1024;
/// The longest pause before an event is tried again.
const MAX_REST: Duration = Duration::from_hours(48);
/// The pause of what should be set aside when there is no room for it.
const LONG: Duration = Duration::from_hours(24);
/// A connection that ends so soon after a delivery says nothing about the event.
const SOON: Duration = Duration::from_secs(5);

/// The time, on the clock that measures and on the clock that is written down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Measures.
    pub(crate) at: Instant,
    /// Unix milliseconds.
    pub(crate) ms: u64,
}

/// A delivery that begins.
#[derive(Debug)]
pub(super) struct Dealt {
    pub(super) id: DeliveryId,
    pub(super) attempt: u32,
    pub(super) replayed: bool,
    /// `None` when it must be read again.
    pub(super) event: Option<Box<Event>>,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) cursor: bool,
    pub(super) rows: HashMap<Cursor, Option<DeliveryRow>>,
}

/// One consumer.
#[derive(Debug)]
pub(super) struct Deal {
    /// Everything up to here is settled: acknowledged, set aside, or not for it.
    cursor: Cursor,
    /// Everything up to here is settled or in a lane.
    read: Cursor,
    /// What a connection must let pass; another filter reads from the cursor again.
    filter: Option<Filter>,
    lanes: HashMap<LaneKey, Lane>,
    /// Not settled: the group of each.
    open: BTreeMap<Cursor, Option<GroupId>>,
    replays: BTreeSet<Cursor>,
    parked: BTreeMap<Cursor, DeliveryRow>,
    /// Rows of events that are not read yet.
    known: BTreeMap<Cursor, DeliveryRow>,
    members: HashMap<Conn, Member>,
    /// Bytes of events that are held.
    held: usize,
    count: u64,
    /// No lease and no rest ends before.
    alarm: Option<Instant>,
    pending: Pending,
}

impl Deal {
    /// A consumer as it was written.
    pub(super) fn new(stored: StoredConsumer) -> Self {
        let cursor = stored.row.cursor;
        let mut deal = Self::at(cursor);
        for (at, row) in stored.deliveries {
            match row.state {
                DeliveryState::Open => drop(deal.known.insert(at, row)),
                DeliveryState::Parked => drop(deal.parked.insert(at, row)),
                DeliveryState::Replay => deal.put_replay(at, row.attempt),
            }
        }
        deal
    }

    /// A consumer that is new.
    pub(super) fn at(cursor: Cursor) -> Self {
        Self {
            cursor,
            read: cursor,
            filter: None,
            lanes: HashMap::new(),
            open: BTreeMap::new(),
            replays: BTreeSet::new(),
            parked: BTreeMap::new(),
            known: BTreeMap::new(),
            members: HashMap::new(),
            held: 0,
            count: 0,
            alarm: None,
            pending: Pending::default(),
        }
    }

    /// Everything up to here is settled.
    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Whether an event is for this consumer.
    pub(super) fn lets(&self, event: &Event) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.lets(event))
    }

    /// Where to read on in the log, when there is room for more.
    pub(super) fn read_from(&self) -> Option<Cursor> {
        (self.open.len() < MAX_OPEN).then_some(self.read)
    }

    /// Takes a page of the log that was read from a cursor; one that does not fit any more is
    /// dropped.
    pub(super) fn add(&mut self, from: Cursor, page: EventPage, now: Now) {
        if self.read != from {
            return;
        }
        let next = page.next;
        for event in page.items {
            let passes = self.lets(&event);
            let row = self.known.remove(&event.cursor);
            if self.parked.contains_key(&event.cursor) || self.replays.contains(&event.cursor) {
                continue;
            }
            if !passes {
                if row.is_some() {
                    self.pending.rows.insert(event.cursor, None);
                }
                continue;
            }
            let rest = row.as_ref().map_or(0, |row| row.at_ms.saturating_sub(now.ms));
            // The wall clock may have been set back since.
            let rest = Duration::from_millis(rest).min(MAX_REST);
            let weight = weight(&event);
            let held = self.held + weight <= MAX_HELD;
            self.held += if held { weight } else { 0 };
            let (cursor, group) = (event.cursor, event.group.clone());
            let entry = Entry {
                attempt: row.as_ref().map_or(1, |row| row.attempt),
                dealt: None,
                event: held.then(|| Box::new(event)),
                rest_until: (!rest.is_zero()).then(|| now.at + rest),
                stored: row.is_some(),
                last: false,
            };
            self.alarm = earlier(self.alarm, entry.rest_until);
            let lane = self.lanes.entry(LaneKey::Group(group.clone())).or_default();
            lane.entries.insert(cursor, entry);
            self.open.insert(cursor, group);
        }
        // Rows of events that are not in the log any more.
        while let Some(row) = self.known.first_entry().filter(|row| *row.key() <= next) {
            self.pending.rows.insert(row.remove_entry().0, None);
        }
        self.read = self.read.max(next);
        self.move_cursor();
    }

    /// Deals events to a connection, at most `most`, in the order of the log.
    pub(super) fn take(&mut self, conn: Conn, most: usize, now: Now) -> Vec<Dealt> {
        self.expire(now);
        let mut dealt = Vec::new();
        let Some(member) = self.members.get(&conn) else { return dealt };
        let other = |(id, member): (&Conn, &Member)| *id != conn && member.is_well();
        if member.suspect && self.members.iter().any(other) {
            return dealt;
        }
        let Terms { lane_limit, lease, .. } = member.terms;
        let room = most.min(member.terms.limit.saturating_sub(member.in_flight));
        if room == 0 {
            return dealt;
        }
        let head = |(key, lane)| Some((Lane::next(lane, conn, lane_limit, now.at)?, key));
        let mut heads: Vec<(Cursor, &LaneKey)> = self.lanes.iter().filter_map(head).collect();
        // The first `room` events are of lanes whose heads are among the first `room`.
        if heads.len() > room {
            heads.select_nth_unstable_by_key(room, |(cursor, _)| *cursor);
            heads.truncate(room);
        }
        let own = |(cursor, key): (Cursor, &LaneKey)| (cursor, key.clone());
        let mut heads: BTreeMap<Cursor, LaneKey> = heads.into_iter().map(own).collect();
        while dealt.len() < room {
            let Some((cursor, key)) = heads.pop_first() else { break };
            let Some(lane) = self.lanes.get_mut(&key) else { continue };
            self.count += 1;
            let id = DeliveryId { cursor, conn, count: self.count };
            if lane.in_flight == 0 {
                lane.due = lease.map(|lease| now.at + lease);
                self.alarm = earlier(self.alarm, lane.due);
            }
            let Some(entry) = lane.deal(id, now.at) else { continue };
            let replayed = matches!(key, LaneKey::Replay(_));
            let event = entry.event.take();
            self.held -= event.as_deref().map_or(0, weight);
            dealt.push(Dealt { id, attempt: entry.attempt, replayed, event });
            if let Some(next) = lane.next(conn, lane_limit, now.at) {
                heads.insert(next, key);
            }
        }
        if let Some(member) = self.members.get_mut(&conn) {
            member.in_flight += dealt.len();
        }
        dealt
    }

    /// Lets the lease of a delivery's group begin again; answers whether it is still under way.
    pub(super) fn extend(&mut self, id: DeliveryId, lease: Duration, now: Now) -> bool {
        self.expire(now);
        let key = self.key_of(id.cursor);
        let Some(lane) = key.and_then(|key| self.lanes.get_mut(&key)) else { return false };
        let dealt = lane.entries.get(&id.cursor).and_then(|entry| entry.dealt);
        if dealt.is_none_or(|(own, _)| own != id) {
            return false;
        }
        lane.due = Some(now.at + lease);
        self.alarm = earlier(self.alarm, lane.due);
        self.alive(id.conn);
        true
    }

    /// A delivery has failed: the event is tried again after a pause, or with none set aside.
    pub(super) fn fail(&mut self, cursor: Cursor, pause: Option<Duration>, now: Now) {
        let Some(key) = self.key_of(cursor) else { return };
        if pause.is_none()
            && let Some(lane) = self.lanes.get_mut(&key)
            && let Some(entry) = lane.entries.get_mut(&cursor)
        {
            entry.last = true;
        }
        self.give_back(&key, Some(pause.unwrap_or(LONG)), now);
    }

    /// Gives back what was not handled within its lease.
    fn expire(&mut self, now: Now) {
        if self.alarm.is_none_or(|alarm| alarm > now.at) {
            return;
        }
        let over = |lane: &Lane| lane.due.is_some_and(|due| due <= now.at);
        let keys: Vec<_> =
            self.lanes.iter().filter(|(_, lane)| over(lane)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            if let Some(owner) = self.lanes.get(&key).and_then(|lane| lane.owner)
                && let Some(member) = self.members.get_mut(&owner)
            {
                member.suspect = true;
            }
            self.give_back(&key, Some(Duration::ZERO), now);
        }
        let alarms = self.lanes.values().filter_map(Lane::alarm);
        self.alarm = alarms.filter(|alarm| *alarm > now.at).min();
    }

    /// When a lease or a rest may end next.
    pub(super) fn alarm(&self) -> Option<Instant> {
        self.alarm
    }

    /// What is set aside.
    pub(super) fn parked(&self) -> &BTreeMap<Cursor, DeliveryRow> {
        &self.parked
    }

    /// Forgets what is set aside up to a cursor.
    pub(super) fn forget_parked(&mut self, oldest: Cursor) {
        while let Some(row) = self.parked.first_entry().filter(|row| *row.key() <= oldest) {
            self.pending.rows.insert(row.remove_entry().0, None);
        }
    }

    /// How many events are read and not settled.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Whether an event is in a lane, or was not read yet.
    pub(super) fn waits(&self, cursor: Cursor) -> bool {
        cursor > self.read || self.key_of(cursor).is_some()
    }

    /// Delivers an event again that the cursor has passed, set aside or not.
    pub(super) fn replay(&mut self, cursor: Cursor) -> bool {
        if self.open.contains_key(&cursor) || self.replays.contains(&cursor) {
            return false;
        }
        self.parked.remove(&cursor);
        self.put_replay(cursor, 1);
        let row = DeliveryRow {
            state: DeliveryState::Replay,
            attempt: 1,
            delivery_id: String::new(),
            at_ms: 0,
        };
        self.pending.rows.insert(cursor, Some(row));
        true
    }

    fn put_replay(&mut self, cursor: Cursor, attempt: u32) {
        let entry = Entry {
            attempt,
            dealt: None,
            event: None,
            rest_until: None,
            stored: true,
            last: false,
        };
        let lane = self.lanes.entry(LaneKey::Replay(cursor)).or_default();
        lane.entries.insert(cursor, entry);
        self.replays.insert(cursor);
    }

    /// What is to be written, with the cursor; afterwards nothing is.
    pub(super) fn pending(&mut self) -> Pending {
        std::mem::take(&mut self.pending)
    }

    /// Whether something is to be written.
    pub(super) fn is_dirty(&self) -> bool {
        self.pending.cursor || !self.pending.rows.is_empty()
    }

    /// Takes back what could not be written.
    pub(super) fn restore(&mut self, rows: Vec<(Cursor, Option<DeliveryRow>)>) {
        self.pending.cursor = true;
        for (cursor, row) in rows {
            self.pending.rows.entry(cursor).or_insert(row);
        }
    }

    fn key_of(&self, cursor: Cursor) -> Option<LaneKey> {
        if self.replays.contains(&cursor) {
            return Some(LaneKey::Replay(cursor));
        }
        self.open.get(&cursor).map(|group| LaneKey::Group(group.clone()))
    }

    /// Takes back what a lane's owner has under way. With a pause the first one's attempt counts.
    fn give_back(&mut self, key: &LaneKey, counts: Option<Duration>, now: Now) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let Some(owner) = lane.owner else { return };
        let (first, count) = lane.give_back();
        if let (Some(pause), Some((id, _))) = (counts, first) {
            self.raise(key, id, pause, now);
        }
        self.handed_back(owner, count, false);
    }

    fn raise(&mut self, key: &LaneKey, id: DeliveryId, pause: Duration, now: Now) {
        let replayed = matches!(key, LaneKey::Replay(_));
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let Some(entry) = lane.entries.get_mut(&id.cursor) else { return };
        let last = entry.last || entry.attempt >= MAX_ATTEMPTS;
        if last && self.parked.len() < MAX_PARKED {
            let row = DeliveryRow {
                state: DeliveryState::Parked,
                attempt: entry.attempt,
                delivery_id: id.to_string(),
                at_ms: now.ms,
            };
            // The row of what is set aside must not be deleted as that of something settled.
            entry.stored = false;
            self.settle(id.cursor, now);
            self.parked.insert(id.cursor, row.clone());
            self.pending.rows.insert(id.cursor, Some(row));
            return;
        }
        entry.attempt = (entry.attempt + 1).min(MAX_ATTEMPTS);
        entry.rest_until = (!pause.is_zero()).then(|| now.at + pause);
        self.alarm = earlier(self.alarm, entry.rest_until);
        entry.stored = true;
        let state = if replayed { DeliveryState::Replay } else { DeliveryState::Open };
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let at_ms = if pause_ms == 0 { 0 } else { now.ms.saturating_add(pause_ms) };
        let row = DeliveryRow { state, attempt: entry.attempt, delivery_id: String::new(), at_ms };
        self.pending.rows.insert(id.cursor, Some(row));
    }

    fn move_cursor(&mut self) {
        let lowest = self.open.first_key_value().map(|(cursor, _)| cursor.before());
        let cursor = lowest.unwrap_or(self.read);
        if cursor > self.cursor {
            self.cursor = cursor;
            self.pending.cursor = true;
        }
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests;
