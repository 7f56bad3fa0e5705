//! Messages are taken: written with their place in the outbox before the network is touched.

use quicproquo_core::content::{Content, ContentError, MAX_CONTENT_LEN, Version};
use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::suite::Profile;
use zeroize::Zeroizing;

use super::Reply;
use super::actor::Actor;
use super::input::Input;
use super::outgoing;
use super::unit::Unit;
use crate::error::SessionError;
use crate::model::{DeliveryState, Message, Options, Outcome, Outgoing};
use crate::store::{
    IdempotencyTarget, MessageContent, OutboxKind, OutboxRecord, StoreError, StoredMessage,
};

/// Largest text of a message, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// Largest content of a message, in bytes.
const MAX_CONTENT: usize = MAX_CONTENT_LEN;
/// Contents up to this are not encoded again when they are encrypted, bytes.
const KEPT: usize = 16 * 1024;

impl Actor {
    pub(super) async fn send(
        &mut self,
        group: GroupId,
        message: Outgoing,
        options: Options,
        reply: Reply<Outcome<Message>>,
        unit: &mut Unit,
    ) {
        match self.replayed(options.idempotency.as_ref(), unit) {
            Err(error) => return unit.reply(reply, Err(error)),
            Ok(Some(IdempotencyTarget::Message(seq))) => {
                let result = self.message_now(seq, unit).await;
                let result = result.map(|value| Outcome { value, replayed: true });
                return unit.reply(reply, result);
            }
            Ok(Some(IdempotencyTarget::Intent(_) | IdempotencyTarget::Attachment(_))) => {
                return unit.reply(reply, Err(SessionError::IdempotencyMismatch));
            }
            Ok(None) => {}
        }
        let message = match self.prepare(&group, message).await {
            Ok(message) => message,
            Err(error) => return unit.reply(reply, Err(error)),
        };
        let wait = options.wait;
        match self.stage_message(&group, message, options, unit) {
            Err(error) => unit.reply(reply, Err(error)),
            Ok(seq) => {
                unit.touched.insert(group);
                if wait.is_zero() {
                    let result = self.message_now(seq, unit).await;
                    unit.reply(reply, result.map(|value| Outcome { value, replayed: false }));
                } else {
                    self.waits.sends.entry(seq).or_default().push((reply, false));
                    self.after(wait, Input::SendWaited(seq));
                }
            }
        }
    }

    /// Writes the message and its place in the outbox; `release` encrypts it.
    fn stage_message(
        &mut self,
        group: &GroupId,
        message: Outgoing,
        options: Options,
        unit: &mut Unit,
    ) -> Result<u64, SessionError> {
        if let Some(error) = self.refusal() {
            return Err(error);
        }
        let slot = self.usable(group)?;
        if let Some(epoch) = options.if_epoch.filter(|epoch| *epoch != slot.record.epoch) {
            tracing::debug!(epoch, "the roster has moved");
            return Err(SessionError::EpochMismatch { current: slot.record.epoch });
        }
        if options.verified_only {
            self.check_verified(&slot.record)?;
        }
        if self.outbox_is_full(unit) {
            return Err(SessionError::OutboxFull);
        }
        check(&message, slot.record.profile)?;
        let (profile, suite, epoch) = (slot.record.profile, slot.record.suite, slot.record.epoch);
        let recipients = u32::try_from(slot.record.members.len() - 1).unwrap_or(u32::MAX);
        let id = MessageId::at(unit.now_ms);
        let content = MessageContent {
            kind: message.kind,
            body: message.body,
            relates_to: message.relates_to,
            sent_at_ms: unit.now_ms,
            suite,
            damaged: false,
        };
        // Now, so that what a profile cannot carry is refused before anything is written.
        let plain = plaintext(id, &content, profile)?;
        let size = plain.len();

        let (seq, counter) = (self.next_seq(), self.next_counter());
        let stored = StoredMessage {
            seq,
            own: true,
            group: group.clone(),
            sender: self.identity.key(),
            id,
            epoch,
            received_at_ms: unit.now_ms,
            recipients,
            delivery: DeliveryState::Queued,
            deleted_at_ms: None,
            content,
        };
        unit.batch.message(self.owner, &stored);
        self.said.put(&stored, size);
        unit.messages.insert(seq, stored);
        unit.remember(self.owner, options.idempotency, IdempotencyTarget::Message(seq));
        let record = OutboxRecord {
            group: group.clone(),
            kind: OutboxKind::Message(seq),
            epoch,
            parcel: None,
            created_at_ms: unit.now_ms,
            size: u32::try_from(size).unwrap_or(u32::MAX),
        };
        self.outbox.insert(counter, outgoing::Outgoing::unwritten(record));
        if let Some(bytes) = &mut unit.outbox_bytes {
            *bytes += size;
        }
        if size <= KEPT {
            unit.plain.insert(seq, plain);
        }
        Ok(seq)
    }

    pub(super) async fn send_waited(
        &mut self,
        seq: u64,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        for (reply, replayed) in self.waits.sends.remove(&seq).unwrap_or_default() {
            let result = self.message_now(seq, unit).await;
            unit.reply(reply, result.map(|value| Outcome { value, replayed }));
        }
        Ok(())
    }

    /// Writes the row of a send, unless it is as it should be: of thousands that wait most are.
    pub(super) fn write_outbox(&mut self, counter: u64, unit: &mut Unit) {
        if let Some(outgoing) = self.outbox.get_mut(&counter).filter(|outgoing| !outgoing.written) {
            outgoing.written = true;
            unit.batch.outbox(self.owner, counter, &outgoing.record);
        }
    }

    async fn message_now(&mut self, seq: u64, unit: &Unit) -> Result<Message, SessionError> {
        let message = self.stored_message(seq, unit).await?.ok_or(SessionError::MessageNotFound)?;
        Ok(message.into_message(&self.identity.key(), &self.names))
    }
}

/// What encoding does not judge.
fn check(message: &Outgoing, profile: Profile) -> Result<(), SessionError> {
    let invalid = |text: &str| Err(SessionError::Invalid(text.to_owned()));
    // A type of a bot's own (with a dot) carries any JSON.
    if !message.kind.contains('.') && !message.body.is_object() {
        return invalid("the content of this type of message is an object");
    }
    if message.kind == "text" {
        check_text(&message.body)?;
    }
    // Version 1 leaves out what it has no place for, and it is kept here all the same.
    if profile == Profile::Plain && message.body.to_string().len() > MAX_CONTENT {
        return Err(SessionError::TooLarge { what: "the content".into(), limit: MAX_CONTENT });
    }
    Ok(())
}

/// Whether the content of a text is one; how long it may be, [`plaintext`] knows.
fn check_text(body: &serde_json::Value) -> Result<(), SessionError> {
    match body.get("body").and_then(serde_json::Value::as_str) {
        None => Err(SessionError::Invalid("the content of a text has a string \"body\"".into())),
        Some("") => Err(SessionError::Invalid("a text is not empty".into())),
        Some(_) => Ok(()),
    }
}

/// A content as it is encrypted.
pub(super) fn plaintext(
    id: MessageId,
    content: &MessageContent,
    profile: Profile,
) -> Result<Zeroizing<Vec<u8>>, SessionError> {
    let version = match profile {
        Profile::Standard => Version::V2,
        Profile::Plain => Version::V1,
    };
    let plain = Content {
        id,
        kind: content.kind.clone(),
        body: content.body.clone(),
        relates_to: content.relates_to.clone(),
        sent_at_ms: Some(content.sent_at_ms),
    };
    plain.encode(version).map(Zeroizing::new).map_err(|error| match error {
        ContentError::TooLong => {
            SessionError::TooLarge { what: "the content".into(), limit: MAX_CONTENT }
        }
        ContentError::TextTooLong => {
            SessionError::TooLarge { what: "the text".into(), limit: MAX_TEXT }
        }
        error => SessionError::Invalid(error.to_string()),
    })
}
