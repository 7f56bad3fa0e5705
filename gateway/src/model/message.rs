//! Messages on the wire.

use quicproquo_client::{
    AttachmentId, DeliveryState, Message, MessageId, Outgoing, Reaction, RelatesTo,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::bot::post_quantum;
use super::group::{ciphersuite, trust};
use super::{IdentityDto, rfc3339};
use crate::problem::{Kind, Problem};

const MAX_TEXT: usize = 64 * 1024;
const MAX_TYPE: usize = 128;

/// A message to send.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"type": "text", "content": {"body": "hi"}}))]
pub(crate) struct NewMessage {
    /// `text`, `file`, or a namespaced type of your own (with a dot, like `org.example.report`).
    /// Also `reaction`, `edit`, `delete`, `read` and `typing`, each of which has a route of its own.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    kind: String,
    /// For `text` `{"body": "..."}`, at most 64 KiB; for `file` `{"attachment_id": "..."}` of an
    /// upload, with another `name` and what else you like; for a type of your own any JSON. In all
    /// at most 1 MiB.
    #[serde(default)]
    content: Value,
    /// The id of the message this one answers.
    #[serde(default)]
    reply_to: Option<String>,
    /// The message this one changes, and how.
    #[serde(default)]
    relates_to: Option<RelatesToDto>,
    /// What must be so, or the message is not sent.
    #[serde(default)]
    require: Option<Require>,
}

/// What must be so for a message to be sent.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Require {
    /// How well the key of every member must be known.
    trust: RequiredTrust,
}

/// How well keys must be known.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RequiredTrust {
    /// Their safety numbers were compared.
    Verified,
}

/// Whether every member must be verified.
pub(super) fn verified(require: Option<Require>) -> bool {
    matches!(require, Some(Require { trust: RequiredTrust::Verified }))
}

/// A relation to another message of the group.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RelatesTo)]
pub(crate) struct RelatesToDto {
    /// How: `reply`, `reaction`, `edit`, `delete`, `read`.
    #[schema(example = "reply")]
    rel: String,
    /// The other message's id.
    message_id: String,
}

impl NewMessage {
    /// Whether every member must be verified.
    pub(crate) fn verified_only(&self) -> bool {
        verified(self.require)
    }

    /// For the engine.
    pub(crate) fn parse(self) -> Result<Outgoing, Problem> {
        let relates_to = match (self.reply_to, self.relates_to) {
            (None, None) => None,
            (Some(id), None) => {
                Some(RelatesTo { rel: "reply".to_owned(), id: message_id("/reply_to", &id)? })
            }
            (None, Some(RelatesToDto { rel, message_id: id })) => {
                Some(RelatesTo { rel, id: message_id("/relates_to/message_id", &id)? })
            }
            (Some(_), Some(_)) => {
                return Err(Problem::field("/reply_to", "not together with relates_to"));
            }
        };
        check_kind(&self.kind, relates_to.is_some())?;
        match self.kind.as_str() {
            "text" => check_text(&self.content)?,
            "file" => check_file(&self.content)?,
            _ => {}
        }
        Ok(Outgoing { kind: self.kind, body: self.content, relates_to })
    }
}

pub(super) fn message_id(pointer: &str, text: &str) -> Result<MessageId, Problem> {
    text.parse().map_err(|_| Problem::field(pointer, "not a message id"))
}

/// Whether this may be the type of a message: words with dots between them.
pub(crate) fn is_kind(kind: &str) -> bool {
    kind.len() <= MAX_TYPE
        && kind.split('.').all(|part| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        })
}

fn check_kind(kind: &str, related: bool) -> Result<(), Problem> {
    let own = kind.contains('.') && is_kind(kind);
    match kind {
        "reaction" | "edit" | "delete" | "read" if !related => {
            Err(Problem::field("/relates_to", format!("a {kind} names the message it is about")))
        }
        "text" | "file" | "reaction" | "edit" | "delete" | "read" | "typing" => Ok(()),
        _ if own => Ok(()),
        _ => Err(Problem::field(
            "/type",
            "text, file, reaction, edit, delete, read, typing, or a namespaced type with a dot",
        )),
    }
}

fn check_file(content: &Value) -> Result<(), Problem> {
    let id = content.get("attachment_id").and_then(Value::as_str);
    match id.map(str::parse::<AttachmentId>) {
        Some(Ok(_)) => Ok(()),
        _ => Err(Problem::field("/content/attachment_id", "the id of an attachment")),
    }
}

fn check_text(content: &Value) -> Result<(), Problem> {
    match content.get("body") {
        Some(Value::String(body)) if body.is_empty() => {
            Err(Problem::field("/content/body", "not empty"))
        }
        Some(Value::String(body)) if body.len() > MAX_TEXT => {
            let detail = format!("at most {MAX_TEXT} bytes");
            Err(Problem::new(Kind::TooLarge).at("/content/body", detail))
        }
        Some(Value::String(_)) => Ok(()),
        _ => Err(Problem::field("/content/body", "a string")),
    }
}

/// A message of a group.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageDto {
    /// Chosen by its sender: unique only together with group and sender.
    #[schema(example = "9b2f6c1d0e3a48576b8c9dae0f102132")]
    message_id: String,
    /// The group's id.
    group_id: String,
    /// Who sent it, as MLS authenticated it.
    sender: IdentityDto,
    /// Its type.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    kind: String,
    /// Its content: any JSON for a type of the sender's own.
    content: Value,
    /// What it answers or changes.
    #[schema(required = true)]
    relates_to: Option<RelatesToDto>,
    /// The sender's clock.
    #[schema(format = DateTime)]
    sent_at: String,
    /// The gateway's clock when it was decrypted, or sent.
    #[schema(format = DateTime)]
    received_at: String,
    /// The epoch it was encrypted in.
    epoch: u64,
    /// How it was protected.
    security: SecurityDto,
    /// How far it has come; of an own message that was changed, how far the change has.
    delivery: DeliveryDto,
    /// When its sender last changed it (the gateway's clock); `content` is the one of now.
    #[schema(required = true, format = DateTime)]
    edited_at: Option<String>,
    /// When its sender deleted it (the gateway's clock). Its `type` is `deleted` then, and its
    /// `content` is null.
    #[schema(required = true, format = DateTime)]
    deleted_at: Option<String>,
    /// How members have reacted, the oldest reaction first.
    reactions: Vec<ReactionDto>,
}

/// A reaction to a message.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Reaction)]
pub(crate) struct ReactionDto {
    /// An emoji, or any short text.
    #[schema(example = "👍")]
    key: String,
    /// How many show it.
    #[schema(example = 1)]
    count: usize,
    /// Whose it is: identities, the first first.
    by: Vec<String>,
}

impl From<Reaction> for ReactionDto {
    fn from(reaction: Reaction) -> Self {
        let by: Vec<String> = reaction.by.iter().map(ToString::to_string).collect();
        Self { key: reaction.key, count: by.len(), by }
    }
}

impl MessageDto {
    /// Without what others have said to it.
    pub(crate) fn without_reactions(mut self) -> Self {
        self.reactions.clear();
        self
    }
}

/// How a message was protected.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Security)]
pub(crate) struct SecurityDto {
    /// Always `mls-1.0` (RFC 9420).
    #[schema(example = "mls-1.0")]
    protocol: &'static str,
    /// The ciphersuite, as IANA names it.
    ciphersuite: &'static str,
    /// The post-quantum policy: `envelope` or `native`.
    #[schema(example = "envelope")]
    post_quantum: &'static str,
    /// How well the sender's key is known: `verified`, `tofu` or `changed`.
    #[schema(example = "tofu")]
    trust: &'static str,
}

/// How far a message has come.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryDto {
    /// `queued` (durable at the gateway), `sent` (durable at the node) or `failed`.
    #[schema(example = "sent")]
    state: &'static str,
    /// To how many others it went; 0 for received messages. Not to those whose queues at the node
    /// were full: they get `gap.detected` instead.
    recipients: u32,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Message> for MessageDto {
    fn from(message: Message) -> Self {
        let (state, reason) = match message.delivery {
            DeliveryState::Queued => ("queued", None),
            DeliveryState::Sent => ("sent", None),
            DeliveryState::Failed { reason } => ("failed", Some(reason)),
        };
        Self {
            message_id: message.id.to_string(),
            group_id: message.group.to_string(),
            sender: IdentityDto::new(&message.sender, message.sender_name),
            kind: message.kind,
            content: message.body,
            relates_to: message.relates_to.map(|relation| RelatesToDto {
                rel: relation.rel,
                message_id: relation.id.to_string(),
            }),
            sent_at: rfc3339(message.sent_at_ms),
            received_at: rfc3339(message.received_at_ms),
            epoch: message.epoch,
            security: SecurityDto {
                protocol: "mls-1.0",
                ciphersuite: ciphersuite(message.suite),
                post_quantum: post_quantum(message.suite),
                trust: trust(message.trust),
            },
            delivery: DeliveryDto { state, recipients: message.recipients, reason },
            edited_at: message.edited_at_ms.map(rfc3339),
            deleted_at: message.deleted_at_ms.map(rfc3339),
            reactions: message.reactions.into_iter().map(Into::into).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Outgoing, Problem> {
        serde_json::from_str::<NewMessage>(text).unwrap().parse()
    }

    #[test]
    fn text_replies_and_own_types_pass() {
        let text = parse(r#"{"type":"text","content":{"body":"hi"},"reply_to":null}"#).unwrap();
        assert_eq!((text.kind.as_str(), text.relates_to), ("text", None));
        let id = "ab".repeat(16);
        let reply =
            parse(&format!(r#"{{"type":"text","content":{{"body":"hi"}},"reply_to":"{id}"}}"#));
        let relation = reply.unwrap().relates_to.unwrap();
        assert_eq!((relation.rel.as_str(), relation.id), ("reply", id.parse().unwrap()));
        parse(r#"{"type":"org.example.report","content":[1,2]}"#).unwrap();
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        for (text, pointer) in [
            (r#"{"type":"text"}"#, "/content/body"),
            (r#"{"type":"text","content":{"body":""}}"#, "/content/body"),
            (r#"{"type":"text","content":{"body":7}}"#, "/content/body"),
            (r#"{"type":"text","content":{"body":"a"},"reply_to":"x"}"#, "/reply_to"),
            (r#"{"type":"reaction","content":{"key":"+1"}}"#, "/relates_to"),
            (r#"{"type":"file","content":{}}"#, "/content/attachment_id"),
            (r#"{"type":"image","content":{}}"#, "/type"),
            (r#"{"type":"org..x","content":{}}"#, "/type"),
        ] {
            let problem = parse(text).unwrap_err().body(String::new());
            let body = serde_json::to_value(problem).unwrap();
            assert_eq!(body["errors"][0]["pointer"], pointer, "{text}");
        }
        let large = format!(r#"{{"type":"text","content":{{"body":"{}"}}}}"#, "x".repeat(65_537));
        assert_eq!(parse(&large).unwrap_err().kind(), Kind::TooLarge);
    }
}
