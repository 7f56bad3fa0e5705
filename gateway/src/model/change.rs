//! What changes or marks another message, and who is writing, on the wire.

use quicproquo_client::{MessageId, Outgoing, RelatesTo};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::message::{Require, message_id, verified};
use crate::problem::Problem;

/// What to change about an own message.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"content": {"body": "hello"}}))]
pub(crate) struct MessageEdit {
    /// The new content in place of the former one: for a text `{"body": "..."}`, for a type of
    /// your own an object.
    content: Value,
    /// What must be so, or the change is not sent.
    #[serde(default)]
    require: Option<Require>,
}

/// A reaction to send.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReaction {
    /// What must be so, or the reaction is not sent.
    #[serde(default)]
    require: Option<Require>,
}

/// Whether the bot is writing.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"active": true}))]
pub(crate) struct Typing {
    /// `true` when absent. Others forget it after 30 seconds: say it again while it lasts.
    #[serde(default = "yes")]
    active: bool,
    /// What must be so, or it is not sent.
    #[serde(default)]
    require: Option<Require>,
}

const fn yes() -> bool {
    true
}

/// How far the bot has read.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"message_id": "9b2f6c1d0e3a48576b8c9dae0f102132"}))]
pub(crate) struct ReadMarker {
    /// The newest message it has read.
    message_id: String,
    /// What must be so, or it is not sent.
    #[serde(default)]
    require: Option<Require>,
}

/// A message of this type about another one.
fn about(kind: &str, body: Value, id: MessageId) -> Outgoing {
    let relates_to = Some(RelatesTo { rel: kind.to_owned(), id });
    Outgoing { kind: kind.to_owned(), body, relates_to }
}

/// A message that deletes an own one.
pub(crate) fn deletion(id: MessageId) -> Outgoing {
    about("delete", json!({}), id)
}

/// A message that takes a reaction back.
pub(crate) fn reaction_taken_back(key: &str, id: MessageId) -> Outgoing {
    about("reaction", json!({ "key": key, "active": false }), id)
}

impl MessageEdit {
    /// For the engine, and whether every member must be verified.
    pub(crate) fn parse(self, id: MessageId) -> Result<(Outgoing, bool), Problem> {
        let verified = verified(self.require);
        if !self.content.is_object() {
            return Err(Problem::field("/content", "an object"));
        }
        Ok((about("edit", self.content, id), verified))
    }
}

impl NewReaction {
    /// For the engine, and whether every member must be verified.
    pub(crate) fn parse(self, key: &str, id: MessageId) -> (Outgoing, bool) {
        (about("reaction", json!({ "key": key }), id), verified(self.require))
    }
}

impl Typing {
    /// For the engine, and whether every member must be verified.
    pub(crate) fn parse(self) -> (Outgoing, bool) {
        let body = json!({ "active": self.active });
        let outgoing = Outgoing { kind: "typing".to_owned(), body, relates_to: None };
        (outgoing, verified(self.require))
    }
}

impl ReadMarker {
    /// For the engine, and whether every member must be verified.
    pub(crate) fn parse(self) -> Result<(Outgoing, bool), Problem> {
        let id = message_id("/message_id", &self.message_id)?;
        Ok((about("read", json!({}), id), verified(self.require)))
    }
}
