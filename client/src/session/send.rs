//! Sending: written with the ratchet before the network is touched.

use quicproquo_core::content::{Content, ContentError, MAX_CONTENT_LEN, Version};
use quicproquo_core::envelope;
use quicproquo_core::group::Group;
use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::kem::HybridPublic;
use quicproquo_core::suite::{Profile, Suite};
use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

use super::Reply;
use super::actor::{self, Actor};
use super::input::Input;
use super::published::with_published;
use super::unit::Unit;
use crate::error::SessionError;
use crate::guard::guarded;
use crate::model::{DeliveryState, GroupState, Message, Options, Outcome, Outgoing};
use crate::store::{
    IdempotencyTarget, MessageContent, OutboxKind, OutboxRecord, Parcel, StoreError, StoredMessage,
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
            Ok((seq, counter)) => {
                unit.touched.insert(group);
                if wait.is_zero() {
                    let result = self.message_now(seq, unit).await;
                    unit.reply(reply, result.map(|value| Outcome { value, replayed: false }));
                } else {
                    self.waits.sends.entry(counter).or_default().push((reply, false));
                    self.after(wait, Input::SendWaited(counter));
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
    ) -> Result<(u64, u64), SessionError> {
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
        check(&message)?;
        let (profile, suite, epoch) = (slot.record.profile, slot.record.suite, slot.record.epoch);
        let recipients = u32::try_from(slot.record.members.len() - 1).unwrap_or(u32::MAX);
        let id = MessageId::random();
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
        self.outbox.insert(counter, actor::Outgoing::new(record));
        if let Some(bytes) = &mut unit.outbox_bytes {
            *bytes += size;
        }
        if size <= KEPT {
            unit.plain.insert(seq, plain);
        }
        Ok((seq, counter))
    }

    /// Encrypts what waits in a group, in order, when the group can encrypt.
    pub(super) async fn release(
        &mut self,
        group: &GroupId,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let waiting: Vec<(u64, u64)> = self
            .outbox
            .iter()
            .filter(|(_, outgoing)| {
                outgoing.record.group == *group && outgoing.record.parcel.is_none()
            })
            .filter_map(|(counter, outgoing)| match outgoing.record.kind {
                OutboxKind::Message(seq) => Some((*counter, seq)),
                _ => None,
            })
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let active = self.usable(group).is_ok();
        if active && self.mls(group).await?.is_none() {
            self.isolate(group, "its rows do not load", unit);
        }
        let slot = self.groups.get(group);
        let isolated = slot.is_some_and(|slot| slot.record.state == GroupState::Isolated);
        let lacking = active && !isolated && self.lacks_keys(group, &[]).await?;
        if isolated || lacking || (active && !self.can_encrypt(group).await?) {
            for (counter, _) in waiting {
                self.write_outbox(counter, unit);
            }
            return Ok(());
        }
        let mut room = self.encryption_room();
        let mut done = Vec::new();
        let mut whole = true;
        for &(counter, seq) in &waiting {
            if active && room == 0 {
                self.backlog.insert(group.clone());
                self.keep_waiting(counter, seq, unit);
                continue;
            }
            let Some(message) = self.stored_message(seq, unit).await? else {
                self.drop_outgoing(counter, unit);
                continue;
            };
            if message.content.damaged {
                self.fail_message(counter, message, "its content is damaged", unit);
                continue;
            }
            if !active {
                self.fail_message(counter, message, "no longer a member of the group", unit);
                continue;
            }
            if Self::is_stale(&message, unit) {
                self.fail_message(counter, message, "nobody wants it any more", unit);
                continue;
            }
            match self.encrypt(group, &message, unit).await? {
                Some(Ok(parcel)) => {
                    room = room.saturating_sub(parcel.size());
                    done.push((counter, message, parcel));
                }
                Some(Err(reason)) => self.fail_message(counter, message, &reason, unit),
                None => {
                    whole = false;
                    break;
                }
            }
        }
        // Only now may the bytes be kept, since the ratchet that made them will be.
        if whole && !done.is_empty() {
            whole = self.mls(group).await?.is_some_and(|mls| {
                guarded("flush", group.as_bytes(), || mls.flush().is_ok()).unwrap_or(false)
            });
        }
        if whole {
            for (counter, message, parcel) in done {
                self.count_message(group, unit);
                self.encrypted(counter, message, parcel, unit);
            }
        } else {
            self.isolate(group, "encrypting failed", unit);
            for (counter, _) in waiting {
                self.write_outbox(counter, unit);
            }
        }
        Ok(())
    }

    fn encrypted(
        &mut self,
        counter: u64,
        mut message: StoredMessage,
        parcel: Parcel,
        unit: &mut Unit,
    ) {
        let record = self.groups.get(&message.group).map(|slot| &slot.record);
        let epoch = record.map_or(message.epoch, |record| record.epoch);
        let others = record.map_or(0, |record| record.members.len().saturating_sub(1));
        let recipients = if parcel.to_members { others } else { parcel.recipients.len() };
        let recipients = u32::try_from(recipients).unwrap_or(u32::MAX);
        if message.epoch != epoch || message.recipients != recipients {
            message.epoch = epoch;
            message.recipients = recipients;
            let (owner, seq) = (self.owner, message.seq);
            unit.batch.message_state(owner, seq, epoch, recipients, &message.delivery);
            self.said.change(&message);
            unit.messages.insert(seq, message.clone());
        }
        if recipients == 0 {
            self.outbox.remove(&counter);
            unit.batch.drop_outbox(self.owner, counter);
            self.message_sent(counter, message, unit);
            return;
        }
        if let Some(outgoing) = self.outbox.get_mut(&counter) {
            outgoing.record.parcel = Some(parcel);
            outgoing.record.epoch = epoch;
        }
        self.write_outbox(counter, unit);
    }

    /// The node has the message, or there is nobody to send it to.
    pub(super) fn message_sent(
        &mut self,
        counter: u64,
        mut message: StoredMessage,
        unit: &mut Unit,
    ) {
        message.delivery = DeliveryState::Sent;
        self.message_over(counter, &message, "message.sent", unit);
    }

    pub(super) fn fail_message(
        &mut self,
        counter: u64,
        mut message: StoredMessage,
        reason: &str,
        unit: &mut Unit,
    ) {
        self.outbox.remove(&counter);
        unit.batch.drop_outbox(self.owner, counter);
        message.delivery = DeliveryState::Failed { reason: reason.to_owned() };
        self.message_over(counter, &message, "message.failed", unit);
    }

    fn message_over(
        &mut self,
        counter: u64,
        message: &StoredMessage,
        event: &'static str,
        unit: &mut Unit,
    ) {
        let (owner, seq) = (self.owner, message.seq);
        let (epoch, recipients) = (message.epoch, message.recipients);
        unit.batch.message_state(owner, seq, epoch, recipients, &message.delivery);
        self.said.remove(seq);
        self.tell_over(message, event, unit);
        unit.messages.insert(seq, message.clone());
        let own = self.identity.key();
        for (reply, replayed) in self.waits.sends.remove(&counter).unwrap_or_default() {
            let value = message.clone().into_message(&own, &self.names);
            unit.reply(reply, Ok(Outcome { value, replayed }));
        }
    }

    pub(super) async fn send_waited(
        &mut self,
        counter: u64,
        unit: &mut Unit,
    ) -> Result<(), StoreError> {
        let waiting = self.waits.sends.remove(&counter).unwrap_or_default();
        let kind = self.outbox.get(&counter).map(|outgoing| outgoing.record.kind);
        let Some(OutboxKind::Message(seq)) = kind else {
            return Ok(());
        };
        for (reply, replayed) in waiting {
            let result = self.message_now(seq, unit).await;
            unit.reply(reply, result.map(|value| Outcome { value, replayed }));
        }
        Ok(())
    }

    /// `None`: the protocol stack panicked.
    async fn encrypt(
        &mut self,
        group: &GroupId,
        message: &StoredMessage,
        unit: &mut Unit,
    ) -> Result<Option<Result<Parcel, String>>, StoreError> {
        let identity = std::sync::Arc::clone(&self.identity);
        let own = identity.key();
        let published = self.published.clone();
        let kept = unit.plain.remove(&message.seq);
        let Some(mls) = self.mls(group).await? else {
            return Ok(Some(Err("the group's state is broken".into())));
        };
        Ok(guarded("encrypt", group.as_bytes(), || {
            let plain = match kept {
                Some(plain) => plain,
                None => plaintext(message.id, &message.content, mls.profile())
                    .map_err(|error| error.to_string())?,
            };
            let bytes = mls.encrypt(&identity, &plain).map_err(|error| error.to_string())?;
            match mls.suite() {
                Suite::Native => Ok(Parcel::to_members(bytes)),
                suite @ Suite::Envelope => {
                    let others = recipients(mls, |member| *member != own);
                    wrap(suite, &bytes, with_published(others, &published))
                }
            }
        }))
    }

    /// No commit of ours is in flight, and nobody's proposal waits.
    pub(super) async fn can_encrypt(&mut self, group: &GroupId) -> Result<bool, StoreError> {
        let waits = |slot: &actor::Slot| slot.record.pending.is_some() || slot.blocks();
        if self.groups.get(group).is_none_or(waits) {
            return Ok(false);
        }
        let mls = self.mls(group).await?;
        Ok(mls.is_some_and(|mls| mls.is_active() && !mls.has_pending() && !mls.has_proposals()))
    }

    pub(super) fn write_outbox(&self, counter: u64, unit: &mut Unit) {
        if let Some(outgoing) = self.outbox.get(&counter) {
            unit.batch.outbox(self.owner, counter, &outgoing.record);
        }
    }

    async fn message_now(&mut self, seq: u64, unit: &Unit) -> Result<Message, SessionError> {
        let message = self.stored_message(seq, unit).await?.ok_or(SessionError::MessageNotFound)?;
        Ok(message.into_message(&self.identity.key(), &self.names))
    }
}

fn check(message: &Outgoing) -> Result<(), SessionError> {
    let invalid = |text: &str| Err(SessionError::Invalid(text.to_owned()));
    if message.kind.is_empty() || message.kind.len() > 255 {
        return invalid("a message type has 1 to 255 bytes");
    }
    // A type of a bot's own (with a dot) carries any JSON.
    if !message.kind.contains('.') && !message.body.is_object() {
        return invalid("the content of this type of message is an object");
    }
    if message.kind == "text" {
        check_text(&message.body)?;
    }
    if message.body.to_string().len() > MAX_CONTENT {
        return Err(SessionError::TooLarge { what: "the content".into(), limit: MAX_CONTENT });
    }
    Ok(())
}

/// Whether the content of a text is one, and not too long.
fn check_text(body: &serde_json::Value) -> Result<(), SessionError> {
    match body.get("body").and_then(serde_json::Value::as_str) {
        None => Err(SessionError::Invalid("the content of a text has a string \"body\"".into())),
        Some("") => Err(SessionError::Invalid("a text is not empty".into())),
        Some(text) if text.len() > MAX_TEXT => {
            Err(SessionError::TooLarge { what: "the text".into(), limit: MAX_TEXT })
        }
        Some(_) => Ok(()),
    }
}

fn plaintext(
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

/// Whose key a payload is sealed for.
#[derive(Debug, Clone)]
pub(super) enum SealFor {
    /// The key in a leaf, so in an envelope of version 2.
    Leaf(HybridPublic),
    /// The key that a peer has published which has none in its leaf: in one of version 1.
    Published(HybridPublic),
    /// No key is known.
    Nobody,
}

impl From<Option<HybridPublic>> for SealFor {
    fn from(leaf: Option<HybridPublic>) -> Self {
        leaf.map_or(Self::Nobody, Self::Leaf)
    }
}

/// Whom a payload is for, with their keys.
pub(super) type Recipients = Vec<(IdentityKey, SealFor)>;

pub(super) fn recipients(mls: &Group, wanted: impl Fn(&IdentityKey) -> bool) -> Recipients {
    let members = mls.members().into_iter().filter(|member| wanted(&member.identity));
    members.map(|member| (member.identity, member.hybrid.into())).collect()
}

/// Puts MLS bytes into what the node takes: sealed per recipient in `envelope` groups.
pub(super) fn wrap(suite: Suite, mls: &[u8], recipients: Recipients) -> Result<Parcel, String> {
    if suite == Suite::Native || recipients.is_empty() {
        let recipients = recipients.into_iter().map(|(key, _)| (key, ByteBuf::new())).collect();
        return Ok(Parcel::to(recipients, mls.to_vec()));
    }
    let (mut members, mut keys, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for (recipient, seal) in &recipients {
        match seal {
            SealFor::Leaf(key) => {
                members.push(*recipient);
                keys.push(key);
            }
            // All of what it gets stands before a body that it does not get.
            SealFor::Published(key) => {
                let whole = envelope::seal_v1(key, mls).map_err(|error| error.to_string())?;
                alone.push((*recipient, ByteBuf::from(whole)));
            }
            SealFor::Nobody => return Err(format!("{recipient} has no hybrid key")),
        }
    }
    if keys.is_empty() {
        return Ok(Parcel::to(alone, Vec::new()));
    }
    let sealed = envelope::seal_v2(&keys, mls).map_err(|error| error.to_string())?;
    let prefixes = sealed.prefixes.into_iter().map(ByteBuf::from);
    let recipients = members.into_iter().zip(prefixes).chain(alone).collect();
    Ok(Parcel::to(recipients, sealed.body))
}
