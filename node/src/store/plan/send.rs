//! The atomic multicast.

use std::sync::Arc;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::limits::DEDUP_GRACE_SECS;

use super::queue::{Incoming, Room};
use super::{NewSend, Planner, SendRow, Share};
use crate::store::Refusal;
use crate::store::write::{Delivered, Delivery, Multicast, QueueWritten, Sender, Sent};

impl Delivery {
    /// Payload bytes of the row.
    pub(crate) fn size(&self, body: &[u8]) -> u64 {
        let body = if self.include_body { body.len() } else { 0 };
        (self.prefix.len() + body) as u64
    }
}

impl Planner<'_> {
    pub(super) fn multicast(&mut self, request: &Multicast) -> Result<QueueWritten, Refusal> {
        let mut identity = self.fenced(&request.sender, request.session)?;
        if request.id.incarnation != identity.incarnation {
            return Err(Refusal::BadSendId("the send id is not of this Session's incarnation"));
        }
        request.turn.check()?;
        let key = (request.sender, request.id);
        if let Some(kept) = self.loaded.sends.get(&key) {
            return if kept.request == request.request {
                Ok(QueueWritten::Sent(kept.sent.clone()))
            } else {
                Err(Refusal::BadSendId("the send id was used for another send"))
            };
        }

        let sender = Sender::from(&request.sender);
        let rooms = self.rooms(request, sender);
        let own_is_full = request
            .deliveries
            .iter()
            .zip(&rooms)
            .any(|(to, room)| to.recipient == request.sender && *room != Room::Free);
        if own_is_full {
            request.turn.fail(ErrorCode::QueueFull);
            return Err(Refusal::QueueFull);
        }

        let sharers = request
            .deliveries
            .iter()
            .zip(&rooms)
            .filter(|(to, room)| to.include_body && **room == Room::Free);
        let sharers = sharers.count() as u64;
        let body = (sharers > 0 && !request.body.is_empty())
            .then(|| self.put_body(Arc::clone(&request.body), sharers));
        let expires_at = self.now + self.ttl(request.ttl_secs);
        let own_next = self.loaded.queues.get(&request.sender).map_or(1, |own| own.next_seq);
        let results: Vec<Delivered> = request
            .deliveries
            .iter()
            .zip(rooms)
            .map(|(to, room)| {
                if room != Room::Free {
                    self.lose(to.recipient, room);
                    return Delivered::Full;
                }
                let incoming = Incoming {
                    sender,
                    channel: request.channel,
                    size: to.size(&request.body),
                    head: Arc::clone(&to.prefix),
                    body: if to.include_body { body } else { None },
                    expires_at,
                };
                Delivered::Queued(self.append(to.recipient, incoming))
            })
            .collect();

        identity.last_send = identity.last_send.max(request.id);
        self.put_identity(request.sender, identity);
        let sent = Sent { results, own_next };
        let row = SendRow { request: request.request, sent: sent.clone() };
        self.loaded.sends.insert(key, row.clone());
        self.effects.sends.push(NewSend {
            sender: request.sender,
            id: request.id,
            row,
            expires_at: expires_at + u64::from(DEDUP_GRACE_SECS),
        });
        Ok(QueueWritten::Sent(sent))
    }

    /// The room of each delivery. Each recipient comes once, so that only what waits for
    /// strangers adds up from one to the next.
    fn rooms(&self, request: &Multicast, sender: Sender) -> Vec<Room> {
        let mut pending = Share::default();
        let mut rooms = Vec::with_capacity(request.deliveries.len());
        for to in &request.deliveries {
            let size = to.size(&request.body);
            let room = if to.banned {
                Room::Banned
            } else {
                self.room(&to.recipient, sender, size, pending)
            };
            let queue = self.loaded.queues.get(&to.recipient);
            if room == Room::Free && queue.is_none_or(|queue| queue.stranger) {
                pending.rows += 1;
                pending.bytes += size.cast_signed();
            }
            rooms.push(room);
        }
        rooms
    }
}
