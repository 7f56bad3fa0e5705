//! Receiving: payload hash, ratchet, and event in one transaction, then the acknowledgement.

use quicproquo_core::content::Content;
use quicproquo_core::envelope::{self, PayloadKind};
use quicproquo_core::group::{ProcessError, Processed, RemovalNotice, RepairRequest};
use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::message::{MessageInfo, MessageKind, message_info};
use quicproquo_core::suite::Suite;
use zeroize::Zeroizing;

use super::actor::Actor;
use super::arrived::{Arrived, digest};
use super::repair::{Why, seen};
use super::unit::{Opened, Unit};
use crate::event::EventData;
use crate::guard::guarded;
use crate::model::{DeliveryState, GroupState, Message};
use crate::rpc::{Row, RowContent};
use crate::store::{DELETED, MessageContent, StoreError, StoredMessage, TYPING};

/// Why a payload is set aside that made the protocol stack panic.
pub(super) const INTERNAL: &str = "internal";

/// SHA-256 of what came.
#[derive(Debug, Clone, Copy)]
struct Hashes {
    /// Of the `MLSMessage`.
    mls: [u8; 32],
    /// Of the payload as it was queued.
    payload: [u8; 32],
}

impl Actor {
    /// Rows of our queue, in order.
    pub(super) async fn rows(&mut self, rows: Vec<Row>, unit: &mut Unit) -> Result<(), StoreError> {
        unit.received = true;
        for row in rows {
            if row.seq <= self.positions.received_up_to {
                continue;
            }
            self.positions.received_up_to = row.seq;
            self.count_bytes(row.bytes());
            unit.row = Some(row.seq);
            let arrived = match row.content {
                RowContent::Gap(lost) => Arrived::Gap(lost),
                RowContent::Payload(payload) => self.open(payload),
            };
            self.arrived(arrived, unit).await?;
        }
        unit.row = None;
        self.judge_waiting(self.positions.received_up_to, unit).await?;
        if self.uplink.draining {
            self.ask_drained();
        }
        Ok(())
    }

    /// One row of our queue, unless it came before.
    async fn arrived(&mut self, mut arrived: Arrived, unit: &mut Unit) -> Result<(), StoreError> {
        let names = arrived.names();
        if let Some(name) = names.last().copied() {
            if !unit.seen.insert(name) {
                return Ok(());
            }
            match &mut arrived {
                Arrived::Opened(opened) if opened.is_private() => opened.unasked = names,
                _ if self.store.knows(self.owner, &names)? => return Ok(()),
                _ => {}
            }
            unit.batch.inbox(self.owner, name, unit.now_ms);
        }
        match arrived {
            Arrived::Opened(opened) => {
                self.opened(opened, unit).await?;
                self.replay(unit).await?;
            }
            Arrived::Foul { hash, payload, reason } => {
                self.set_aside(hash, &payload, reason, unit);
            }
            Arrived::Gap(lost) => {
                self.emit(unit, None, EventData::GapDetected { lost });
                self.plan_inquiry();
            }
        }
        Ok(())
    }

    /// What can be done with a payload without its group.
    fn open(&self, payload: Vec<u8>) -> Arrived {
        let hash = digest(&payload);
        let reason = match envelope::kind(&payload) {
            PayloadKind::BareMls | PayloadKind::RepairRequest | PayloadKind::RemovalNotice => {
                let mls = Zeroizing::new(payload);
                return Arrived::Opened(Opened { mls, sealed: false, hash, unasked: Vec::new() });
            }
            PayloadKind::EnvelopeV1 | PayloadKind::EnvelopeV2 => {
                let open = || envelope::open(&self.hybrid, &payload);
                match guarded("envelope", self.identity.key().as_bytes(), open) {
                    Some(Ok(mls)) => {
                        let unasked = Vec::new();
                        return Arrived::Opened(Opened { mls, sealed: true, hash, unasked });
                    }
                    Some(Err(_)) => "envelope",
                    None => INTERNAL,
                }
            }
            PayloadKind::Unknown => "malformed",
        };
        Arrived::Foul { hash, payload, reason }
    }

    /// Takes payloads whose time has come.
    pub(super) async fn replay(&mut self, unit: &mut Unit) -> Result<(), StoreError> {
        while let Some(opened) = unit.replay.pop_front() {
            self.opened(opened, unit).await?;
        }
        Ok(())
    }

    /// One `MLSMessage`, new or out of the buffer.
    async fn opened(&mut self, mut opened: Opened, unit: &mut Unit) -> Result<(), StoreError> {
        let own = self.identity.key();
        if RepairRequest::is_request(&opened.mls) {
            return self.repair_request(&opened, unit).await;
        }
        if RemovalNotice::is_notice(&opened.mls) {
            return self.removal_notice(&opened, unit).await;
        }
        let info = match guarded("frame", own.as_bytes(), || message_info(&opened.mls)) {
            Some(Ok(info)) => info,
            failed => {
                let reason = if failed.is_some() { "malformed" } else { INTERNAL };
                if !self.is_repeated(&mut opened)? {
                    self.set_aside(opened.hash, &opened.mls, reason, unit);
                }
                return Ok(());
            }
        };
        match (info.kind, info.group_id.clone()) {
            (MessageKind::Welcome, _) => self.welcome(opened, unit).await,
            (MessageKind::PrivateMessage | MessageKind::PublicMessage, Some(group)) => {
                self.framed(&group, &info, opened, unit).await
            }
            _ => {
                self.set_aside(opened.hash, &opened.mls, "malformed", unit);
                Ok(())
            }
        }
    }

    async fn framed(
        &mut self,
        group: &GroupId,
        info: &MessageInfo,
        mut opened: Opened,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        if !self.can_read(group, info, &opened) && self.is_repeated(&mut opened)? {
            return Ok(());
        }
        let Some(slot) = self.groups.get(group) else {
            self.buffer(group.as_bytes(), &opened, unit);
            return Ok(());
        };
        match slot.record.state {
            _ if slot.record.is_over() => {
                self.after_us(group, info, &opened, unit);
                return Ok(());
            }
            GroupState::Isolated => {
                self.buffer(group.as_bytes(), &opened, unit);
                return Ok(());
            }
            _ => {}
        }
        if slot.record.suite == Suite::Envelope && !opened.sealed {
            self.set_aside(opened.hash, &opened.mls, "downgrade", unit);
            return Ok(());
        }
        let pending = slot.record.pending.as_ref().map(|pending| pending.hash);
        // Without an envelope it is the payload.
        let hash = if opened.sealed { digest(&opened.mls) } else { opened.hash };
        let Some(mls) = self.mls(group).await? else {
            self.isolate(group, "its rows do not load", unit);
            return self.buffer_new(group, opened, unit);
        };
        if !mls.is_active() {
            if self.is_repeated(&mut opened)? {
                return Ok(());
            }
            self.after_us(group, info, &opened, unit);
            return Ok(());
        }
        if info.is_commit() && pending == Some(hash) {
            return self.commit_won(group, Some(&opened), unit).await;
        }
        let at = (mls.epoch(), mls.hint());
        match guarded("process", group.as_bytes(), || mls.process(&opened.mls)) {
            Some(Ok(processed)) => {
                let hashes = Hashes { mls: hash, payload: opened.hash };
                self.processed(group, processed, hashes, unit).await
            }
            Some(Err(_)) if self.is_repeated(&mut opened)? => Ok(()),
            Some(Err(error)) => {
                self.unprocessed(group, &error, &opened, unit);
                self.doubt(group, info, at, &error, unit);
                Ok(())
            }
            None => {
                self.isolate(group, "processing panicked", unit);
                self.buffer_new(group, opened, unit)
            }
        }
    }

    /// A payload of a group that goes on without us. It may have overtaken the Welcome that
    /// brings us back.
    fn after_us(&mut self, group: &GroupId, info: &MessageInfo, opened: &Opened, unit: &mut Unit) {
        let Some(slot) = self.groups.get(group) else { return };
        let bare = slot.record.suite == Suite::Envelope && !opened.sealed;
        let (over, lost) = (slot.record.is_over(), slot.record.lost.is_some());
        if info.epoch < Some(slot.record.epoch) {
            self.tell_former(group, unit);
        } else if !bare {
            self.buffer(group.as_bytes(), opened, unit);
            if over {
                self.addressed(group, unit);
            } else if lost {
                // The Welcome after the commit that has added us again may be lost.
                self.lose(group, Why::MissedCommit, seen(info), unit);
            }
        }
    }

    async fn processed(
        &mut self,
        group: &GroupId,
        processed: Processed,
        hashes: Hashes,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        match processed {
            Processed::Application { sender, epoch, plaintext, hint_matches: _ } => {
                let mut now = false;
                if let Some(slot) = self.groups.get_mut(group) {
                    now = epoch == slot.record.epoch;
                    slot.heard += u64::from(now);
                    if now {
                        slot.doubts.unconfirmed = 0;
                        slot.doubts.heard_in = Some(epoch);
                    }
                }
                if now {
                    self.hear(group, sender, unit).await?;
                } else {
                    self.tell_removed(group, sender, None, 0, unit).await?;
                }
                self.message(group, sender, epoch, &plaintext, hashes, unit);
            }
            Processed::Commit(summary) => {
                self.commit_lost(group, unit);
                self.apply(group, &summary, unit).await?;
            }
            Processed::LeaveProposed { member } => {
                if let Some(slot) = self.groups.get_mut(group) {
                    slot.record.proposed = Some((slot.record.epoch, member));
                }
                unit.record_changed(group);
                self.plan_commit(group, &member);
            }
            Processed::OwnMessage => tracing::debug!("a payload claims to be our own"),
        }
        Ok(())
    }

    fn unprocessed(
        &mut self,
        group: &GroupId,
        error: &ProcessError,
        opened: &Opened,
        unit: &mut Unit,
    ) {
        match error {
            ProcessError::WrongEpoch { message_epoch, group_epoch } => {
                if message_epoch > group_epoch {
                    self.buffer(group.as_bytes(), opened, unit);
                } else {
                    tracing::debug!("a handshake for a decided epoch");
                }
            }
            ProcessError::Inactive => {}
            ProcessError::Unauthorized(error) => {
                tracing::warn!(%error, "a member breaks the rules of the group");
                self.set_aside(opened.hash, &opened.mls, "unauthorized", unit);
            }
            ProcessError::Undecryptable(error) => {
                tracing::debug!(%error, "a payload cannot be decrypted");
                self.set_aside(opened.hash, &opened.mls, "mls", unit);
            }
            ProcessError::Malformed | ProcessError::WrongGroup => {
                self.set_aside(opened.hash, &opened.mls, "malformed", unit);
            }
            ProcessError::Storage(error) => {
                tracing::error!(%error, "the rows of a group are broken");
                self.isolate(group, "its rows are broken", unit);
                self.buffer(group.as_bytes(), opened, unit);
            }
        }
    }

    fn message(
        &mut self,
        group: &GroupId,
        sender: IdentityKey,
        epoch: u64,
        plaintext: &[u8],
        hashes: Hashes,
        unit: &mut Unit,
    ) {
        // What names no id of its own is known by its message, which is the same for all.
        let mut unnamed = [0; 16];
        unnamed.copy_from_slice(&hashes.mls[..16]);
        let decode = || Content::decode(plaintext, MessageId::new(unnamed));
        let content = match guarded("content", self.identity.key().as_bytes(), decode) {
            Some(Ok(content)) => content,
            failed => {
                let reason = if failed.is_some() { "content" } else { INTERNAL };
                return self.set_aside(hashes.payload, plaintext, reason, unit);
            }
        };
        match content.kind.as_str() {
            "dummy" => return,
            TYPING => return self.typing(group, sender, &content, unit),
            _ => {}
        }
        let Some(slot) = self.groups.get(group) else {
            return;
        };
        let (visible, suite) = (slot.record.is_visible(), slot.record.suite);
        let stored = StoredMessage {
            seq: 0,
            own: false,
            group: group.clone(),
            sender,
            id: content.id,
            epoch,
            received_at_ms: unit.now_ms,
            recipients: 0,
            delivery: DeliveryState::Sent,
            deleted_at_ms: None,
            content: MessageContent {
                // What was deleted is shown so; nothing else is.
                kind: match content.kind.as_str() {
                    DELETED => "unknown.deleted".to_owned(),
                    _ => content.kind,
                },
                body: content.body,
                relates_to: content.relates_to,
                sent_at_ms: content.sent_at_ms.unwrap_or(unit.now_ms),
                suite,
                damaged: false,
            },
        };
        if visible {
            self.received(stored, unit);
        } else {
            let message = stored.into_whole_message(&self.identity.key(), &self.names);
            self.emit(unit, Some(group), EventData::MessageReceived(message));
        }
    }

    /// Appends a received message, and does what it says.
    pub(super) fn received(&mut self, mut message: StoredMessage, unit: &mut Unit) {
        self.append_received(unit, &mut message);
        self.delete_target(&message, message.received_at_ms, unit);
    }

    /// Keeps a payload that cannot be read, and says so.
    pub(super) fn set_aside(
        &mut self,
        hash: [u8; 32],
        payload: &[u8],
        reason: &'static str,
        unit: &mut Unit,
    ) {
        unit.batch.set_aside(self.owner, hash, reason, unit.now_ms, payload);
        self.count_set_aside(payload.len(), unit);
        let payload_hash = hex::encode(hash);
        let reason = reason.to_owned();
        self.emit(unit, None, EventData::MessageUndecryptable { reason, payload_hash });
    }
}

impl Row {
    fn bytes(&self) -> usize {
        match &self.content {
            RowContent::Payload(payload) => payload.len(),
            RowContent::Gap(_) => 0,
        }
    }
}

/// A hidden message becomes a visible one.
pub(super) fn reveal(message: Message) -> StoredMessage {
    StoredMessage {
        seq: 0,
        own: false,
        group: message.group,
        sender: message.sender,
        id: message.id,
        epoch: message.epoch,
        received_at_ms: message.received_at_ms,
        recipients: 0,
        delivery: message.delivery,
        deleted_at_ms: None,
        content: MessageContent {
            kind: message.kind,
            body: message.body,
            relates_to: message.relates_to,
            sent_at_ms: message.sent_at_ms,
            suite: message.suite,
            damaged: false,
        },
    }
}
