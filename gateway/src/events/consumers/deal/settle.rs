//! Acknowledgements.

use quicproquo_client::Cursor;

use super::{Deal, Now, earlier};
use crate::events::consumers::id::{Conn, DeliveryId};
use crate::events::consumers::lane::{LaneKey, weight};

impl Deal {
    /// Takes an event as handled, or throws away what is set aside. What is settled already is
    /// left alone.
    pub(in super::super) fn settle(&mut self, cursor: Cursor, now: Now) {
        let key = if let Some(group) = self.open.remove(&cursor) {
            LaneKey::Group(group)
        } else if self.replays.remove(&cursor) {
            LaneKey::Replay(cursor)
        } else {
            if self.parked.remove(&cursor).is_some() {
                self.pending.rows.insert(cursor, None);
            }
            return;
        };
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        if let Some((entry, first)) = lane.remove(cursor) {
            self.held -= entry.event.as_deref().map_or(0, weight);
            if entry.stored {
                self.pending.rows.insert(cursor, None);
            }
            if let Some(member) = lane.owner.and_then(|owner| self.members.get(&owner))
                && first
            {
                // The lease of the next one begins when it becomes the first.
                lane.due = member.terms.lease.map(|lease| now.at + lease);
            }
            self.alarm = earlier(self.alarm, lane.alarm());
            if let Some((id, _)) = entry.dealt {
                self.handed_back(id.conn, 1, true);
            }
        }
        if self.lanes.get(&key).is_some_and(|lane| lane.entries.is_empty()) {
            self.lanes.remove(&key);
        }
        self.move_cursor();
    }

    /// Takes everything up to a cursor as handled, whoever has it.
    pub(in super::super) fn settle_up_to(&mut self, cursor: Cursor, now: Now) {
        let open: Vec<_> = self.open.range(..=cursor).map(|(cursor, _)| *cursor).collect();
        for at in open {
            self.settle(at, now);
        }
        for at in self.known.keys().copied().take_while(|at| *at <= cursor).collect::<Vec<_>>() {
            self.known.remove(&at);
            self.pending.rows.insert(at, None);
        }
        self.read = self.read.max(cursor);
        self.move_cursor();
    }

    /// Takes a connection's deliveries as handled, up to one of them.
    pub(in super::super) fn settle_deliveries(&mut self, id: DeliveryId, now: Now) {
        self.settle_own(id.conn, now, |own, _| own.count <= id.count);
        // The id may be of an earlier delivery of its event.
        self.settle(id.cursor, now);
    }

    /// Takes a connection's deliveries as handled, up to a cursor.
    pub(in super::super) fn settle_own_up_to(&mut self, conn: Conn, cursor: Cursor, now: Now) {
        self.settle_own(conn, now, |own, replayed| own.cursor <= cursor && !replayed);
    }

    fn settle_own(&mut self, conn: Conn, now: Now, which: impl Fn(DeliveryId, bool) -> bool) {
        if self.members.get(&conn).is_none_or(|member| member.in_flight == 0) {
            return;
        }
        let own = self.lanes.iter().filter(|(_, lane)| lane.owner == Some(conn));
        let own = own.flat_map(|(key, lane)| {
            let replayed = matches!(key, LaneKey::Replay(_));
            let dealt = lane.entries.values().map_while(|entry| entry.dealt);
            dealt.map(move |(id, _)| (id, replayed))
        });
        let chosen: Vec<_> =
            own.filter(|(id, replayed)| which(*id, *replayed)).map(|(id, _)| id.cursor).collect();
        for cursor in chosen {
            self.settle(cursor, now);
        }
    }
}
