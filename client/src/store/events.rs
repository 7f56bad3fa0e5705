//! The event log: positions without order gaps that matter, data sealed.

use std::collections::HashMap;

use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use serde::{Deserialize, Serialize};

use super::damage::{DamagedRow, Place, intact};
use super::messages::Received;
use super::seal::Sealer;
use super::{Owner, Store, StoreError, StoredMessage, int, record, uint};
use crate::error::SessionError;
use crate::event::{Cursor, Event, EventData, EventPage, TYPING_LIVES_MS};
use crate::session::Hidden;

/// An entry of the log.
struct Row {
    seq: u64,
    at_ms: u64,
    group: Option<Vec<u8>>,
    is: Is,
}

/// What an entry is.
enum Is {
    /// A received message; `None`: its row does not read.
    Received(Option<Box<StoredMessage>>),
    /// Of this type, about the message at this position.
    About(String, u64),
    /// Sealed data of its own.
    Data(Vec<u8>),
    /// What it was is gone.
    Nothing,
}

impl Row {
    fn received(&self) -> Option<&StoredMessage> {
        if let Is::Received(message) = &self.is { message.as_deref() } else { None }
    }

    /// The position of the message that it is about.
    fn about(&self) -> Option<u64> {
        if let Is::About(_, message) = self.is { Some(message) } else { None }
    }
}

/// The sealed part of an event that carries its own data.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EventRow<D> {
    pub(super) data: D,
    /// Its group, and when it occurred, unix milliseconds: these stand beside it in the open, where
    /// damage would not show.
    pub(super) beside: Option<(Option<GroupId>, u64)>,
}

impl Store {
    /// Events after a position, oldest first.
    pub(crate) async fn events(
        &self,
        owner: Owner,
        own: &IdentityKey,
        after: Cursor,
        tail: Cursor,
        limit: u32,
        now_ms: u64,
    ) -> Result<EventPage, SessionError> {
        if after > tail {
            return Err(SessionError::CursorInvalid);
        }
        if after.0 < self.forgotten_up_to(owner).await? {
            return Err(SessionError::CursorExpired);
        }
        let limit = limit.clamp(1, 1000);
        let rows = self.log_between(owner, after, tail, limit, now_ms).await?;
        let messages = self.messages_of(owner, &rows).await?;
        let received = rows.iter().filter_map(Row::received);
        let senders = messages.values().chain(received).map(|message| message.sender).collect();
        let names = self.names_of(owner, senders).await?;
        let full = rows.len() == limit as usize;
        let last = rows.last().map(|row| Cursor(row.seq));
        let mut items = Vec::with_capacity(rows.len());
        for Row { seq, at_ms, group, is } in rows {
            let (mut group, mut at) = (group.and_then(|id| GroupId::from_slice(&id).ok()), at_ms);
            let data = match is {
                Is::Received(Some(message)) => {
                    EventData::MessageReceived(message.into_message(own, &names))
                }
                Is::Received(None) | Is::Nothing => lost(owner, seq),
                Is::About(kind, message) => match messages.get(&message).cloned() {
                    Some(stored) if !stored.fits(&kind) => lost(owner, seq),
                    Some(stored) => {
                        group = Some(stored.group.clone());
                        let message = stored.into_message(own, &names);
                        EventData::of_message(&kind, message).unwrap_or_else(|| lost(owner, seq))
                    }
                    None if self.has_event(owner, seq).await? => lost(owner, seq),
                    // Both were deleted since the page was read.
                    None => continue,
                },
                Is::Data(sealed) => match self.event_row(owner, seq, &sealed)? {
                    Some(row) => {
                        (group, at) = row.beside.unwrap_or((group, at));
                        row.data
                    }
                    None => EventData::damaged(&sealed),
                },
            };
            items.push(Event { cursor: Cursor(seq), occurred_at_ms: at, group, data });
        }
        // Positions of queued own messages carry no event, so a short page reaches the tail.
        let next = last.filter(|_| full).unwrap_or(tail);
        Ok(EventPage { items, next })
    }

    /// The first entries of the log after a position: a received message is its own entry, every
    /// other one is a row of `events`.
    async fn log_between(
        &self,
        owner: Owner,
        after: Cursor,
        up_to: Cursor,
        limit: u32,
        now_ms: u64,
    ) -> Result<Vec<Row>, StoreError> {
        type Found = (i64, String, Option<Vec<u8>>, i64, Option<i64>, Option<Vec<u8>>);
        let events: Vec<Found> = sqlx::query_as(
            "SELECT seq, kind, group_id, occurred_at, message, data FROM events \
             WHERE owner = ? AND seq > ? AND seq <= ? \
             AND NOT (kind = 'member.typing' AND occurred_at < ?) ORDER BY seq LIMIT ?",
        )
        .bind(owner.0)
        .bind(int(after.0))
        .bind(int(up_to.0))
        .bind(int(now_ms.saturating_sub(TYPING_LIVES_MS)))
        .bind(limit)
        .fetch_all(&self.reads)
        .await?;
        let mut rows: Vec<Row> = events
            .into_iter()
            .map(|(seq, kind, group, at, message, data)| {
                let is = match (message, data) {
                    (Some(message), _) => Is::About(kind, uint(message)),
                    (None, Some(sealed)) => Is::Data(sealed),
                    (None, None) => Is::Nothing,
                };
                Row { seq: uint(seq), at_ms: uint(at), group, is }
            })
            .collect();
        // Among many own messages those received are not looked for beyond the page.
        let full = rows.len() == limit as usize;
        let end = rows.last().filter(|_| full).map_or(up_to.0, |row| row.seq);
        for received in self.received_between(owner, after.0, end, limit).await? {
            let Received { seq, at_ms, group, message } = received;
            rows.push(Row {
                seq,
                at_ms,
                group: Some(group),
                is: Is::Received(message.map(Box::new)),
            });
        }
        rows.sort_by_key(|row| row.seq);
        rows.truncate(limit as usize);
        Ok(rows)
    }

    /// What a row says; `None`: it is damaged.
    fn event_row(
        &self,
        owner: Owner,
        seq: u64,
        sealed: &[u8],
    ) -> Result<Option<EventRow<EventData>>, StoreError> {
        let row = record::row(owner.0, seq);
        let read = match record::open(&self.sealer, "events", &row, sealed) {
            // Rows were written without what stands beside them.
            Err(StoreError::Row(..)) => record::open(&self.sealer, "events", &row, sealed)
                .map(|data| EventRow { data, beside: None }),
            read => read,
        };
        intact("events", owner, seq, read)
    }

    async fn has_event(&self, owner: Owner, seq: u64) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar("SELECT COUNT(*) FROM events WHERE owner = ? AND seq = ?");
        Ok(found.bind(owner.0).bind(int(seq)).fetch_one(&self.reads).await.map(|n: i64| n > 0)?)
    }

    async fn messages_of(
        &self,
        owner: Owner,
        rows: &[Row],
    ) -> Result<HashMap<u64, StoredMessage>, StoreError> {
        let positions = || rows.iter().filter_map(Row::about);
        let (Some(first), Some(last)) = (positions().min(), positions().max()) else {
            return Ok(HashMap::new());
        };
        // An event follows its message closely, unless the node was away: then ask one by one.
        let mut found = HashMap::new();
        if last - first <= 4 * rows.len() as u64 + 64 {
            for message in self.messages_between(owner, first, last).await? {
                found.insert(message.seq, message);
            }
        } else {
            for seq in positions() {
                let read = self.message_at(owner, seq).await;
                if let Some(Some(message)) = intact("messages", owner, seq, read)? {
                    found.insert(seq, message);
                }
            }
        }
        Ok(found)
    }

    /// The highest number given to a hidden event.
    pub(crate) async fn last_hidden(&self, owner: Owner) -> Result<u64, StoreError> {
        let last: Option<i64> =
            sqlx::query_scalar("SELECT MAX(n) FROM hidden_events WHERE owner = ?")
                .bind(owner.0)
                .fetch_one(&self.reads)
                .await?;
        Ok(uint(last.unwrap_or(0)))
    }

    /// Events of a hidden group in their order, with when they occurred.
    pub(crate) async fn hidden_events(
        &self,
        owner: Owner,
        group: &GroupId,
        damaged: &mut Vec<DamagedRow>,
    ) -> Result<Vec<Hidden>, StoreError> {
        let rows: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
            "SELECT n, occurred_at, data FROM hidden_events \
             WHERE owner = ? AND group_id = ? ORDER BY n",
        )
        .bind(owner.0)
        .bind(group.as_bytes())
        .fetch_all(&self.reads)
        .await?;
        let mut events = Vec::with_capacity(rows.len());
        for (n, at, sealed) in rows {
            let n = uint(n);
            let row = hidden_row(owner, group, n);
            let read = record::open(&self.sealer, "hidden_events", &row, &sealed);
            if let Some(data) = intact("hidden_events", owner, n, read)? {
                events.push(Hidden { n, at_ms: uint(at), size: sealed.len(), data });
            } else {
                let place = Place::Hidden(group.clone(), n);
                damaged.push(DamagedRow { place, bytes: sealed });
            }
        }
        Ok(events)
    }
}

/// Stands for an event whose content is not there.
fn lost(owner: Owner, seq: u64) -> EventData {
    tracing::error!(owner = owner.0, seq, "an event has lost its content");
    EventData::damaged(&record::row(owner.0, seq))
}

fn hidden_row(owner: Owner, group: &GroupId, n: u64) -> Vec<u8> {
    [&record::row(owner.0, n)[..], group.as_bytes()].concat()
}

pub(super) fn seal_hidden(
    sealer: &Sealer,
    owner: Owner,
    group: &GroupId,
    n: u64,
    data: &EventData,
) -> Vec<u8> {
    record::seal(sealer, "hidden_events", &hidden_row(owner, group, n), data)
}

#[cfg(test)]
mod tests;
