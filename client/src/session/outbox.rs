//! The way to the node: what is sent, and what became of it.

use std::collections::HashSet;
use std::time::Duration;

use futures::FutureExt as _;
use quicproquo_core::envelope::{self, PayloadKind};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::SendId;
use quicproquo_schemas::limits::DEFAULT_TTL_SECS;
use tracing::Instrument as _;

use super::actor::Actor;
use super::input::Input;
use super::outgoing::Outgoing;
use super::pace::{IN_FLIGHT, is_for_now};
use super::published::with_published;
use super::recipients::{Recipients, wrap};
use super::unit::Unit;
use crate::error::SessionError;
use crate::event::EventData;
use crate::rpc::{Delivery, DeliveryResult, Request, RpcError, Sent};
use crate::store::{GroupRecord, IntentSpec, OutboxKind, OutboxRecord, Parcel, StoreError};

/// After a queue was full.
const FULL_PAUSE: Duration = Duration::from_secs(30);
/// After the node refused for now.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// A row that the node does not have is not sent any more after this, in milliseconds: its
/// result may be forgotten there.
const TTL_MS: u64 = DEFAULT_TTL_SECS as u64 * 1000;

impl Actor {
    /// Sends what is ready, in order, once the backlog is processed.
    pub(super) fn pump(&mut self) {
        if !self.uplink.has_read_backlog() {
            return;
        }
        let out = self.outbox.values().filter(|outgoing| outgoing.in_flight);
        let mut room = IN_FLIGHT.saturating_sub(out.clone().count());
        let mut sends = out.filter(|outgoing| !outgoing.ask).count();
        // In its group nothing overtakes a send whose fate is not known: order per sender is kept.
        let mut uncertain: HashSet<&GroupId> = HashSet::new();
        // Nor does a message overtake one that waits for a commit: that commit may.
        let mut unwritten: HashSet<&GroupId> = HashSet::new();
        let link = self.uplink.number;
        let own = self.identity.key();
        for (counter, outgoing) in &mut self.outbox {
            if room == 0 {
                break;
            }
            let group = &outgoing.record.group;
            let is_message = matches!(outgoing.record.kind, OutboxKind::Message(_));
            if is_message && outgoing.record.parcel.is_none() {
                unwritten.insert(group);
            }
            if outgoing.ask {
                uncertain.insert(group);
            }
            let blocked = uncertain.contains(group) || (is_message && unwritten.contains(group));
            if outgoing.in_flight || outgoing.paused || outgoing.sent {
                continue;
            }
            let may_leave = !blocked && self.uplink.pace.lets(*counter, sends);
            let (counter, incarnation) = (*counter, self.incarnation);
            let id = SendId { incarnation, counter };
            let job = if outgoing.ask {
                let ask = |answer| Request::SendResult { id, answer };
                self.uplink.ask(ask, move |result| Input::SendResult { counter, link, result })
            } else {
                let Some(parcel) = outgoing.record.parcel.as_ref().filter(|_| may_leave) else {
                    continue;
                };
                let slot = self.groups.get(group).map(|slot| &slot.record);
                let Some(deliveries) = deliveries(parcel, outgoing.record.epoch, slot, &own) else {
                    // Its epoch has passed: it is encrypted again once its fate is known.
                    unwritten.insert(group);
                    continue;
                };
                sends += 1;
                let body = parcel.body.clone();
                let send = |answer| Request::Send { id, deliveries, body, answer };
                self.uplink.ask(send, move |result| Input::Sent { counter, link, result })
            };
            outgoing.in_flight = true;
            // From the request to the node's answer, below the request that it is made for.
            let span = tracing::debug_span!(parent: &outgoing.by, "node.send", counter);
            self.jobs.push(job.instrument(span).boxed());
            room -= 1;
        }
    }

    pub(super) async fn sent(
        &mut self,
        counter: u64,
        result: Result<Sent, RpcError>,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let Some(outgoing) = self.outbox.get_mut(&counter) else {
            if matches!(&result, Err(RpcError::Coded { code, .. }) if is_for_now(*code)) {
                self.uplink.pace.refused(counter);
                self.forgo(counter);
            }
            return Ok(());
        };
        outgoing.in_flight = false;
        match result {
            Ok(sent) => {
                self.uplink.pace.accepted();
                let full = full(&sent);
                if full > 0 {
                    tracing::warn!(full, "queues are full; their owners will see a gap");
                }
                self.delivered(counter, &sent, unit).await
            }
            Err(RpcError::Unavailable(_)) => {
                self.hold(counter);
                Ok(())
            }
            Err(RpcError::Coded { code, text }) => self.refused(counter, code, &text, unit).await,
        }
    }

    pub(super) async fn send_result(
        &mut self,
        counter: u64,
        result: Result<Option<Sent>, RpcError>,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        if result.is_ok() {
            self.uplink.pace.asked(counter);
        }
        let Some(outgoing) = self.outbox.get_mut(&counter) else {
            if result.is_err() {
                self.after(RETRY, Input::Unpause { counter, link: self.uplink.number });
            }
            return Ok(());
        };
        outgoing.in_flight = false;
        match result {
            Ok(Some(sent)) => return self.delivered(counter, &sent, unit).await,
            Ok(None) => {
                // Final: the fence refuses the Session that might have sent it.
                outgoing.ask = false;
                if outgoing.record.is_lost() {
                    return self.give_up(counter, "its row was damaged", unit).await;
                }
                if outgoing.record.created_at_ms.saturating_add(TTL_MS) < unit.now_ms {
                    return self.give_up(counter, "older than its time to live", unit).await;
                }
                let group = outgoing.record.group.clone();
                self.renew(&group, unit);
            }
            Err(_) => self.hold(counter),
        }
        Ok(())
    }

    /// Asks about a send again after a pause, or when the link is back.
    fn hold(&mut self, counter: u64) {
        if let Some(outgoing) = self.outbox.get_mut(&counter) {
            outgoing.paused = true;
            outgoing.ask = true;
            self.after(RETRY, Input::Unpause { counter, link: self.uplink.number });
        }
    }

    pub(super) fn unpause(&mut self, counter: u64) {
        if let Some(outgoing) = self.outbox.get_mut(&counter) {
            outgoing.paused = false;
        } else if self.uplink.pace.is_refused(counter) {
            self.forgo(counter);
        }
    }

    /// Asks about a refused send that was given up, for the node to wait for it no longer.
    fn forgo(&mut self, counter: u64) {
        let link = self.uplink.number;
        let id = SendId { incarnation: self.incarnation, counter };
        let ask = |answer| Request::SendResult { id, answer };
        let input = move |result| Input::SendResult { counter, link, result };
        self.jobs.push(self.uplink.ask(ask, input));
    }

    /// The node has it.
    async fn delivered(
        &mut self,
        counter: u64,
        sent: &Sent,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let Some(outgoing) = self.outbox.get_mut(&counter) else {
            return Ok(());
        };
        match outgoing.record.kind {
            OutboxKind::Commit => {
                outgoing.sent = true;
                outgoing.ask = false;
            }
            OutboxKind::Proposal | OutboxKind::Repair | OutboxKind::Notice => {
                self.drop_outgoing(counter, unit);
            }
            OutboxKind::Welcome => {
                self.send_rest(counter, &sent.results, unit);
                self.drop_outgoing(counter, unit);
            }
            OutboxKind::Message(_) => {
                outgoing.full = full(sent);
                self.taken(counter, sent.own_next, unit).await?;
            }
        }
        Ok(())
    }

    /// A joiner whose queue was full gets its Welcome later, under another send id: the result
    /// of this one is final.
    fn send_rest(&mut self, counter: u64, results: &[DeliveryResult], unit: &mut Unit) {
        let Some(outgoing) = self.outbox.get(&counter) else { return };
        let Some(parcel) = &outgoing.record.parcel else { return };
        let sent = parcel.recipients.iter().zip(results);
        let full = sent.filter(|(_, result)| **result == DeliveryResult::Full);
        let recipients: Vec<_> = full.map(|(recipient, _)| recipient.clone()).collect();
        if recipients.is_empty() {
            return;
        }
        let parcel = Parcel::to(recipients, parcel.body.clone());
        let record = OutboxRecord { parcel: Some(parcel), ..outgoing.record.clone() };
        if record.created_at_ms.saturating_add(TTL_MS) < unit.now_ms {
            let reason = "the queue of a new member stayed full".to_owned();
            let group = record.group.clone();
            self.emit(unit, Some(&group), EventData::GroupChangeFailed { reason });
            return;
        }
        let counter = self.next_counter();
        unit.batch.outbox(self.owner, counter, &record);
        self.outbox.insert(counter, Outgoing { paused: true, ..Outgoing::new(record) });
        self.after(FULL_PAUSE, Input::Unpause { counter, link: self.uplink.number });
    }

    /// The node said no.
    async fn refused(
        &mut self,
        counter: u64,
        code: ErrorCode,
        text: &str,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        if is_for_now(code) {
            self.uplink.pace.refused(counter);
            self.hold(counter);
            return Ok(());
        }
        tracing::error!(%code, "the node refuses a send for good");
        self.give_up(counter, text, unit).await
    }

    async fn give_up(
        &mut self,
        counter: u64,
        reason: &str,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let Some(outgoing) = self.outbox.get(&counter) else {
            return Ok(());
        };
        let group = outgoing.record.group.clone();
        match outgoing.record.kind {
            OutboxKind::Message(seq) => match self.stored_message(seq, unit).await? {
                Some(message) => self.fail_message(counter, message, reason, unit),
                None => self.drop_outgoing(counter, unit),
            },
            OutboxKind::Commit => {
                let error = SessionError::NodeRefused(reason.to_owned());
                self.commit_refused(&group, error, unit).await?;
                self.drop_outgoing(counter, unit);
            }
            OutboxKind::Welcome => {
                self.drop_outgoing(counter, unit);
                let reason = format!("a Welcome was refused: {reason}");
                self.emit(unit, Some(&group), EventData::GroupChangeFailed { reason });
            }
            OutboxKind::Repair | OutboxKind::Notice => self.drop_outgoing(counter, unit),
            OutboxKind::Proposal => {
                self.drop_outgoing(counter, unit);
                self.withdraw(&group).await?;
                let leaving = self
                    .intents
                    .values()
                    .find(|intent| intent.group == group && intent.spec == IntentSpec::Leave);
                if let Some(n) = leaving.map(|intent| intent.n) {
                    let error = SessionError::NodeRefused(reason.to_owned());
                    self.settle(n, &Err(error), unit);
                }
            }
        }
        unit.touched.insert(group);
        Ok(())
    }

    /// Gives up on messages that could not be encrypted in all their time to live.
    pub(super) async fn expire_outbox(&mut self, unit: &mut Unit) -> Result<(), StoreError> {
        let before = unit.now_ms.saturating_sub(TTL_MS);
        let old = |outgoing: &Outgoing| {
            outgoing.record.parcel.is_none() && outgoing.record.created_at_ms < before
        };
        let outbox = self.outbox.iter().filter(|(_, outgoing)| old(outgoing));
        let expired: Vec<u64> = outbox.map(|(counter, _)| *counter).collect();
        for counter in expired {
            self.give_up(counter, "older than its time to live", unit).await?;
        }
        Ok(())
    }

    /// Messages of a past epoch that the node does not have are encrypted again, under the same
    /// send id and message id; stale proposals are dropped.
    pub(super) fn renew(&mut self, group: &GroupId, unit: &mut Unit) {
        let Some(slot) = self.groups.get(group) else {
            return;
        };
        let epoch = slot.record.epoch;
        let active = slot.record.may_speak() && !slot.blocks();
        let mut dropped = Vec::new();
        for (counter, outgoing) in &mut self.outbox {
            let free = !outgoing.in_flight && !outgoing.ask && !outgoing.sent;
            if outgoing.record.group != *group || !free {
                continue;
            }
            match outgoing.record.kind {
                OutboxKind::Message(_) if outgoing.record.epoch != epoch || !active => {
                    outgoing.written &= outgoing.record.parcel.take().is_none();
                }
                OutboxKind::Proposal | OutboxKind::Repair if outgoing.record.epoch != epoch => {
                    dropped.push(*counter);
                }
                _ => {}
            }
        }
        for counter in dropped {
            self.drop_outgoing(counter, unit);
        }
        unit.touched.insert(group.clone());
    }

    pub(super) fn drop_outgoing(&mut self, counter: u64, unit: &mut Unit) {
        self.outbox.remove(&counter);
        unit.batch.drop_outbox(self.owner, counter);
        if self.uplink.pace.is_refused(counter) {
            self.forgo(counter);
        }
    }

    /// Puts a commit, proposal or Welcome on its way.
    pub(super) fn put_outgoing(
        &mut self,
        group: &GroupId,
        kind: OutboxKind,
        mls: &[u8],
        recipients: Recipients,
        unit: &mut Unit,
    ) -> Result<u64, SessionError> {
        let slot = self.groups.get(group).ok_or(SessionError::GroupNotFound)?;
        let (suite, epoch) = (slot.record.suite, slot.record.epoch);
        let recipients = with_published(recipients, &self.published);
        let parcel = wrap(suite, mls, recipients).map_err(SessionError::Invalid)?;
        let counter = self.next_counter();
        let record = OutboxRecord {
            group: group.clone(),
            kind,
            epoch,
            parcel: Some(parcel),
            created_at_ms: unit.now_ms,
            size: 0,
        };
        unit.batch.outbox(self.owner, counter, &record);
        self.outbox.insert(counter, Outgoing::new(record));
        Ok(counter)
    }
}

/// Whom a parcel is for. `None`: for members of an epoch that is not that of the group any more.
fn deliveries(
    parcel: &Parcel,
    epoch: u64,
    group: Option<&GroupRecord>,
    own: &IdentityKey,
) -> Option<Vec<Delivery>> {
    let to = |recipient: IdentityKey, prefix: Vec<u8>| Delivery {
        recipient,
        // An envelope of version 1 is whole.
        include_body: envelope::kind(&prefix) != PayloadKind::EnvelopeV1,
        prefix,
    };
    if !parcel.to_members {
        let recipients = parcel.recipients.iter();
        return Some(recipients.map(|(key, prefix)| to(*key, prefix.to_vec())).collect());
    }
    let group = group.filter(|group| group.epoch == epoch)?;
    let others = group.members.iter().filter(|(member, _)| member != own);
    Some(others.map(|(member, _)| to(*member, Vec::new())).collect())
}

/// How many recipients did not get it because their queues are full.
fn full(sent: &Sent) -> u32 {
    let full = sent.results.iter().filter(|result| **result == DeliveryResult::Full);
    u32::try_from(full.count()).unwrap_or(u32::MAX)
}
