//! The connections of a consumer.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Deal, Now, SOON};
use crate::events::consumers::id::Conn;
use crate::events::consumers::lane::{Lane, LaneKey};
use crate::events::filter::Filter;
use crate::store::{DeliveryRow, DeliveryState};

/// What a connection wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// How many events may be unacknowledged.
    pub(crate) limit: usize,
    /// How many of one group.
    pub(crate) lane_limit: usize,
    /// How long an event may be unacknowledged; `None`: until the connection ends.
    pub(crate) lease: Option<Duration>,
    /// Whether the connection lives on after a delivery.
    pub(crate) streams: bool,
}

/// A connection.
#[derive(Debug)]
pub(in super::super) struct Member {
    pub(in super::super) terms: Terms,
    pub(in super::super) in_flight: usize,
    /// A lease has run out since something was heard of it.
    pub(in super::super) suspect: bool,
    /// Waits for acknowledgements only.
    ended: bool,
    displaced: CancellationToken,
}

impl Member {
    /// Whether it can take what another one did not handle.
    pub(super) fn is_well(&self) -> bool {
        self.terms.streams && !self.suspect && self.in_flight < self.terms.limit
    }
}

impl Deal {
    /// Takes a connection in. One with another filter displaces all others, and what they have not
    /// acknowledged is read again.
    pub(in super::super) fn join(
        &mut self,
        conn: Conn,
        terms: Terms,
        filter: &Filter,
        now: Now,
    ) -> CancellationToken {
        if self.filter.as_ref() != Some(filter) {
            self.displace(now);
            self.filter = Some(filter.clone());
        }
        let displaced = CancellationToken::new();
        let member = Member {
            terms,
            in_flight: 0,
            suspect: false,
            ended: false,
            displaced: displaced.clone(),
        };
        self.members.insert(conn, member);
        displaced
    }

    /// Ends all connections and forgets what was read and not acknowledged.
    pub(in super::super) fn displace(&mut self, now: Now) {
        let lanes: Vec<_> = self.lanes.keys().cloned().collect();
        for key in lanes {
            self.give_back(&key, None, now);
        }
        for (_, member) in self.members.drain() {
            member.displaced.cancel();
        }
        let open = |(key, _): &(&LaneKey, &mut Lane)| matches!(key, LaneKey::Group(_));
        for (_, lane) in self.lanes.iter_mut().filter(open) {
            let entries = std::mem::take(&mut lane.entries).into_iter();
            self.known.extend(entries.filter(|(_, entry)| entry.stored).map(|(cursor, entry)| {
                let rest = entry.rest_until.map_or(0, |until| {
                    let rest = until.saturating_duration_since(now.at).as_millis();
                    now.ms.saturating_add(u64::try_from(rest).unwrap_or(u64::MAX))
                });
                let (state, attempt) = (DeliveryState::Open, entry.attempt);
                let delivery_id = String::new();
                (cursor, DeliveryRow { state, attempt, delivery_id, at_ms: rest })
            }));
        }
        self.lanes.retain(|_, lane| !lane.entries.is_empty());
        self.open.clear();
        self.held = 0;
        self.read = self.cursor;
    }

    /// A connection has ended. What it did not acknowledge returns at once; with `counts`, the
    /// attempt of each group's first event counts, unless it was delivered just now.
    pub(in super::super) fn leave(&mut self, conn: Conn, counts: bool, now: Now) {
        let Some(member) = self.members.get_mut(&conn) else { return };
        if !member.terms.streams && member.in_flight > 0 {
            member.ended = true;
            return;
        }
        let own = |lane: &Lane| lane.owner == Some(conn);
        let lanes: Vec<_> =
            self.lanes.iter().filter(|(_, lane)| own(lane)).map(|(key, _)| key.clone()).collect();
        for key in lanes {
            let first = self.lanes.get(&key).and_then(|lane| lane.entries.values().next());
            let began = first.and_then(|entry| entry.dealt).map(|(_, began)| began);
            let late = began.is_some_and(|began| now.at.duration_since(began) >= SOON);
            self.give_back(&key, (counts && late).then_some(Duration::ZERO), now);
        }
        self.members.remove(&conn);
    }

    /// Something was heard of a connection.
    pub(in super::super) fn alive(&mut self, conn: Conn) {
        if let Some(member) = self.members.get_mut(&conn) {
            member.suspect = false;
        }
    }

    /// How many connections there are.
    pub(in super::super) fn connections(&self) -> usize {
        self.members.values().filter(|member| !member.ended).count()
    }

    /// Whether a connection may have more under way.
    pub(in super::super) fn has_room(&self, conn: Conn) -> bool {
        self.members.get(&conn).is_some_and(|member| member.in_flight < member.terms.limit)
    }

    /// A connection has so many events less under way.
    pub(super) fn handed_back(&mut self, conn: Conn, count: usize, heard: bool) {
        let Some(member) = self.members.get_mut(&conn) else { return };
        member.in_flight = member.in_flight.saturating_sub(count);
        member.suspect &= !heard;
        if member.ended && member.in_flight == 0 {
            self.members.remove(&conn);
        }
    }
}
