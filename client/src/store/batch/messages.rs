//! Rows of messages.

use quicproquo_core::id::{GroupId, MessageId};
use quicproquo_core::identity::IdentityKey;

use super::super::messages::{Class, seal_delivery, state_text, target};
use super::super::tables::CONTENT;
use super::super::{Owner, StoredMessage, record};
use super::{Batch, Statement, Value};
use crate::model::DeliveryState;

impl Batch {
    /// Ignored when this sender has used this message id in this group before. A received message is
    /// its own entry of the event log.
    pub(crate) fn message(&mut self, owner: Owner, message: &StoredMessage) {
        let content = &message.content;
        let row = message.associated(owner);
        let sealed = record::seal(&self.sealer, CONTENT, &row, content);
        let StoredMessage { seq, epoch, recipients, delivery, .. } = message;
        let state = state_text(delivery);
        let seal = message
            .own
            .then(|| seal_delivery(&self.sealer, owner, *seq, &state, *epoch, *recipients));
        let attachment = content.sealed_file().map(|file| file.id().as_bytes().to_vec());
        let target = target(&content.kind, content.relates_to.as_ref());
        self.statements.push(Statement {
            sql: "INSERT OR IGNORE INTO messages (owner, seq, group_id, sender, message_id, epoch, \
             received_at, recipients, state, content, class, target, attachment, seal) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            once: (!message.own).then_some(*seq),
            values: values![
                owner.0,
                *seq,
                message.group.as_bytes(),
                &message.sender.as_bytes()[..],
                &message.id.as_bytes()[..],
                *epoch,
                message.received_at_ms,
                *recipients,
                state,
                sealed,
                Class::of(&content.kind) as i64,
                target.map(|id| &id.as_bytes()[..]),
                attachment,
                seal,
            ],
        });
    }

    /// What has become of an own message.
    pub(crate) fn message_state(
        &mut self,
        owner: Owner,
        seq: u64,
        epoch: u64,
        recipients: u32,
        state: &DeliveryState,
    ) {
        let state = state_text(state);
        let seal = seal_delivery(&self.sealer, owner, seq, &state, epoch, recipients);
        self.add(
            "UPDATE messages SET state = ?, epoch = ?, recipients = ?, seal = ? \
             WHERE owner = ? AND seq = ?",
            values![state, epoch, recipients, seal, owner.0, seq],
        );
    }

    /// Empties what was deleted before it was here, or before it was sent.
    pub(crate) fn empty_deleted(&mut self, owner: Owner, at: u64) {
        self.rewrites = true;
        self.add(
            "UPDATE messages INDEXED BY messages_by_id \
             SET content = x'', attachment = NULL, class = ?, deleted_at = ? \
             WHERE owner = ? AND (group_id, message_id, sender) IN \
             (SELECT group_id, target, sender FROM messages INDEXED BY messages_deletions \
             WHERE owner = ? AND class = 6 \
             AND state NOT LIKE '{\"state\":\"failed\"%') \
             AND deleted_at IS NULL AND class IN (0, 1, 2, 3) \
             AND state <> '{\"state\":\"queued\"}'",
            values![Class::Deleted as i64, at, owner.0, owner.0],
        );
    }

    /// An upload, by its sealed record.
    pub(in crate::store) fn put_attachment(
        &mut self,
        owner: Owner,
        id: &[u8; 16],
        sealed: Vec<u8>,
        at: u64,
    ) {
        self.add(
            "INSERT OR IGNORE INTO attachments (owner, attachment_id, created_at, record) \
             VALUES (?, ?, ?, ?)",
            values![owner.0, &id[..], at, sealed],
        );
    }

    /// Forgets uploads older than this (unix milliseconds).
    pub(crate) fn forget_attachments(&mut self, owner: Owner, before: u64) {
        self.add(
            "DELETE FROM attachments WHERE owner = ? AND created_at < ?",
            values![owner.0, before],
        );
    }

    /// The sender of a message has deleted it: its content and that of its edits go. What is
    /// still to be encrypted stays until history is deleted, and is not shown.
    pub(crate) fn message_deleted(
        &mut self,
        owner: Owner,
        group: &GroupId,
        id: &MessageId,
        sender: &IdentityKey,
        at: u64,
    ) {
        self.rewrites = true;
        let names = |of: &mut Vec<Value>| {
            of.extend(values![
                owner.0,
                group.as_bytes(),
                &id.as_bytes()[..],
                &sender.as_bytes()[..]
            ]);
        };
        let mut values = values![Class::Deleted as i64, at];
        names(&mut values);
        self.add(
            "UPDATE messages SET content = x'', attachment = NULL, \
             class = CASE WHEN class IN (0, 1, 2, 3) THEN ? ELSE class END, deleted_at = ? \
             WHERE owner = ? AND group_id = ? AND message_id = ? AND sender = ? \
             AND deleted_at IS NULL AND state <> '{\"state\":\"queued\"}'",
            values,
        );
        let mut values = values![at];
        names(&mut values);
        values.push((Class::Edit as i64).into());
        self.add(
            "UPDATE messages INDEXED BY messages_by_target SET content = x'', deleted_at = ? \
             WHERE owner = ? AND group_id = ? AND target = ? AND sender = ? AND class = ? \
             AND state <> '{\"state\":\"queued\"}'",
            values,
        );
    }
}
