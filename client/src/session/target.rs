//! Messages that are about another one or carry a file, and who is writing.

use quicproquo_core::content::{Content, MAX_TEXT_LEN};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;

use super::actor::Actor;
use super::unit::Unit;
use crate::error::SessionError;
use crate::event::{EventData, TYPING_LIVES_MS};
use crate::model::Outgoing;
use crate::store::{
    Class, DELETE, EDIT, FILE, REACTION, StoredMessage, TYPING, can_become, is_reaction, target,
};

/// A notice that its sender wrote longer ago than this is of no use any more, however wrong its
/// clock is, in milliseconds.
const TYPING_LATE_MS: u64 = 5 * 60 * 1000;

impl Actor {
    /// Checks what is about something else than itself: another message, or a file.
    pub(super) async fn prepare(
        &mut self,
        group: &GroupId,
        message: Outgoing,
    ) -> Result<Outgoing, SessionError> {
        if message.kind == FILE {
            return self.with_file(message).await;
        }
        self.check_target(group, &message).await?;
        Ok(message)
    }

    /// The body of a file says how to get and open it.
    async fn with_file(&mut self, mut message: Outgoing) -> Result<Outgoing, SessionError> {
        let invalid = |text: &str| SessionError::Invalid(text.to_owned());
        let Some(body) = message.body.as_object_mut() else {
            return Err(invalid("the content of a file is an object"));
        };
        let id = body.remove("attachment_id");
        let id = id.as_ref().and_then(serde_json::Value::as_str).and_then(|id| id.parse().ok());
        let Some(id) = id else {
            return Err(invalid("the content of a file has an \"attachment_id\""));
        };
        let uploaded = self.store.uploaded(self.owner, &id).await?;
        let uploaded = uploaded.ok_or(SessionError::AttachmentNotFound)?;
        match body.get("name") {
            None => {
                body.insert("name".to_owned(), uploaded.name.into());
            }
            Some(serde_json::Value::String(_)) => {}
            Some(_) => return Err(invalid("the name of a file is a string")),
        }
        body.insert("mime".to_owned(), uploaded.mime.into());
        uploaded.file.put_into(body);
        Ok(message)
    }

    /// What is about another message names one that is here; an edit or deletion an own one.
    /// Whoever receives it does not rely on that.
    async fn check_target(
        &mut self,
        group: &GroupId,
        message: &Outgoing,
    ) -> Result<(), SessionError> {
        let class = Class::of(&message.kind);
        if !class.has_target() {
            return Ok(());
        }
        self.usable(group)?;
        let Some(id) = target(&message.kind, message.relates_to.as_ref()) else {
            let kind = &message.kind;
            let text = format!("a {kind} names the message it is about, with the relation {kind}");
            return Err(SessionError::Invalid(text));
        };
        if message.kind == REACTION {
            check_reaction(message)?;
        }
        let found = self.store.messages_with(self.owner, group, id).await?;
        let shown: Vec<&StoredMessage> =
            found.iter().filter(|found| Class::of(&found.content.kind).is_shown()).collect();
        if shown.is_empty() {
            return Err(SessionError::MessageNotFound);
        }
        if !matches!(class, Class::Edit | Class::Delete) {
            return Ok(());
        }
        let own = self.identity.key();
        let Some(own) = shown.iter().find(|found| found.sender == own) else {
            return Err(SessionError::NotYourMessage);
        };
        if message.kind == EDIT {
            check_edit(own, message)?;
            let (owner, sender) = (self.owner, own.sender);
            if self.store.is_deleted(owner, group, id, &sender).await? {
                return Err(SessionError::NotEditable("the message was deleted".into()));
            }
        }
        Ok(())
    }

    /// The content of what its sender has deleted goes, in the same unit.
    pub(super) fn delete_target(&self, deletion: &StoredMessage, at: u64, unit: &mut Unit) {
        let content = &deletion.content;
        if content.kind != DELETE {
            return;
        }
        if let Some(id) = target(&content.kind, content.relates_to.as_ref()) {
            let (group, sender) = (&deletion.group, &deletion.sender);
            unit.batch.message_deleted(self.owner, group, id, sender, at);
        }
    }

    /// Says what became of an own message.
    pub(super) fn tell_over(
        &mut self,
        message: &StoredMessage,
        event: &'static str,
        unit: &mut Unit,
    ) {
        if message.content.kind == TYPING {
            return;
        }
        self.append_about(unit, event, message);
        if event == "message.sent" {
            self.delete_target(message, unit.now_ms, unit);
        }
    }

    /// Somebody is writing, or has stopped: an event that passes, and no message.
    pub(super) fn typing(
        &mut self,
        group: &GroupId,
        sender: IdentityKey,
        content: &Content,
        unit: &mut Unit,
    ) {
        let late = unit.now_ms.saturating_sub(TYPING_LATE_MS);
        let visible = self.groups.get(group).is_some_and(|slot| slot.record.is_visible());
        if !visible || content.sent_at_ms.is_some_and(|sent| sent < late) {
            return;
        }
        let active = content.body.get("active").and_then(serde_json::Value::as_bool);
        let data = EventData::MemberTyping {
            name: self.names.name(&sender),
            by: sender,
            active: active.unwrap_or(true),
            until_ms: unit.now_ms + TYPING_LIVES_MS,
        };
        self.emit(unit, Some(group), data);
    }

    /// Whether a message has waited so long that nobody wants it any more.
    pub(super) fn is_stale(message: &StoredMessage, unit: &Unit) -> bool {
        message.content.kind == TYPING
            && message.content.sent_at_ms.saturating_add(TYPING_LIVES_MS) < unit.now_ms
    }
}

fn check_reaction(message: &Outgoing) -> Result<(), SessionError> {
    let invalid = |text: &str| Err(SessionError::Invalid(text.to_owned()));
    match message.body.get("key").and_then(serde_json::Value::as_str) {
        Some(key) if !is_reaction(key) => {
            invalid("the key of a reaction has 1 to 255 bytes, and no control characters")
        }
        Some(_) => match message.body.get("active") {
            None | Some(serde_json::Value::Bool(_)) => Ok(()),
            Some(_) => invalid("\"active\" of a reaction is true or false"),
        },
        None => invalid("the content of a reaction has a string \"key\""),
    }
}

/// An edit must pass as what it changes would.
fn check_edit(target: &StoredMessage, message: &Outgoing) -> Result<(), SessionError> {
    let invalid = |text: &str| Err(SessionError::Invalid(text.to_owned()));
    let kind = target.content.kind.as_str();
    match Class::of(kind) {
        Class::Deleted => Err(SessionError::NotEditable("the message was deleted".into())),
        Class::Text => match message.body.get("body").and_then(serde_json::Value::as_str) {
            None => invalid("the new content of a text has a string \"body\""),
            Some("") => invalid("the new text is not empty"),
            Some(text) if text.len() > MAX_TEXT_LEN => {
                Err(SessionError::TooLarge { what: "the text".into(), limit: MAX_TEXT_LEN })
            }
            Some(_) => Ok(()),
        },
        Class::Other if can_become(kind, &message.body) => Ok(()),
        Class::Other if kind.contains('.') => invalid("the new content of a message is an object"),
        _ => Err(SessionError::NotEditable(format!("a message of type {kind} cannot be edited"))),
    }
}
