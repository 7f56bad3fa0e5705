//! The content of application messages, inside the MLS encryption.
//!
//! Two encodings map into one neutral form. Version 1 is the published binary
//! one; it is read everywhere and written in plain groups. Version 2 is a JSON
//! object with open, namespaced types. A type nobody here knows reaches the
//! reader as it is.

mod v1;
mod v2;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::id::MessageId;

/// Most bytes of a text.
pub const MAX_TEXT_LEN: usize = 64 * 1024;
/// Most bytes of an encoded content.
pub const MAX_CONTENT_LEN: usize = 1024 * 1024;
/// Most bytes of a type or relation.
pub const MAX_KIND_LEN: usize = 255;

/// An encoding of contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The published binary encoding, first byte `0x01`.
    V1,
    /// JSON, first byte `0x02`.
    V2,
}

/// How a message relates to an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelatesTo {
    /// The relation: `reply`, `reaction`, `read`, `edit`, `delete` or a namespaced one.
    pub rel: String,
    /// The earlier message.
    pub id: MessageId,
}

/// The content of a message.
///
/// The kinds that version 1 knows, with their bodies: `text` `{"body"}` (with
/// relation `reply` for a reply), `reaction` `{"key", "active"?}` (`false` takes
/// it back, which version 1 cannot say), `read` `{}`, `typing` `{"active"}`, `edit` `{"body"}`, `delete` `{}`, `file` `{"name", "size",
/// "mime", "blob", "encrypted"}`, `dummy` `{}`. What a version 1 message of
/// unknown type carries is `unknown.v1` `{"type", "data"}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The id its sender gave it.
    pub id: MessageId,
    /// Its type.
    pub kind: String,
    /// Its body, any JSON value.
    pub body: serde_json::Value,
    /// The message it relates to.
    pub relates_to: Option<RelatesTo>,
    /// When its sender says it was sent, unix milliseconds.
    pub sent_at_ms: Option<u64>,
}

/// Why a content cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// The bytes are empty or end too early, or go on after the end, or a text has no text.
    #[error("the content is malformed")]
    Malformed,
    /// The first byte is no version known here.
    #[error("unknown content version {0}")]
    UnknownVersion(u8),
    /// A text has more than 64 KiB, or does not fit the length field.
    #[error("the text is too long")]
    TextTooLong,
    /// The content has more than 1 MiB.
    #[error("the content is too long")]
    TooLong,
    /// The type or relation is empty or too long.
    #[error("a type or a relation has 1 to 255 bytes")]
    Kind,
    /// Version 1 has no place for this.
    #[error("version 1 cannot carry {0}")]
    NotInV1(&'static str),
}

impl Content {
    /// A text message.
    pub fn text(id: MessageId, body: &str) -> Self {
        Self::new(id, "text", serde_json::json!({ "body": body }))
    }

    /// A message of any type.
    pub fn new(id: MessageId, kind: &str, body: serde_json::Value) -> Self {
        Self { id, kind: kind.to_owned(), body, relates_to: None, sent_at_ms: None }
    }

    /// The same, related to an earlier message.
    #[must_use]
    pub fn relating(mut self, rel: &str, id: MessageId) -> Self {
        self.relates_to = Some(RelatesTo { rel: rel.to_owned(), id });
        self
    }

    /// Writes the content. Version 1 carries only its own types, and only of
    /// texts the message id.
    pub fn encode(&self, version: Version) -> Result<Vec<u8>, ContentError> {
        self.check()?;
        match version {
            Version::V1 => v1::encode(self),
            Version::V2 => v2::encode(self),
        }
    }

    /// Reads a content. `unnamed` becomes the id of contents that carry none
    /// (all of version 1 but plain texts): take something unique to the
    /// message, such as a part of the hash of its ciphertext.
    pub fn decode(bytes: &[u8], unnamed: MessageId) -> Result<Self, ContentError> {
        if bytes.len() > MAX_CONTENT_LEN {
            return Err(ContentError::TooLong);
        }
        let (version, rest) = bytes.split_first().ok_or(ContentError::Malformed)?;
        let content = match version {
            0x01 => v1::decode(rest, unnamed),
            0x02 => v2::decode(rest),
            other => Err(ContentError::UnknownVersion(*other)),
        }?;
        content.check()?;
        // Whoever handles texts can rely on there being one.
        if content.kind == "text" && content.body_text().is_none() {
            return Err(ContentError::Malformed);
        }
        Ok(content)
    }

    /// The text in the body of a `text` or `edit`, if it is there.
    pub fn body_text(&self) -> Option<&str> {
        self.body.get("body").and_then(serde_json::Value::as_str)
    }

    /// Whether a `reaction` adds itself, or else takes an earlier one back.
    pub fn adds_reaction(&self) -> bool {
        self.body.get("active") != Some(&serde_json::Value::Bool(false))
    }

    fn check(&self) -> Result<(), ContentError> {
        let acceptable = |kind: &str| !kind.is_empty() && kind.len() <= MAX_KIND_LEN;
        if !acceptable(&self.kind)
            || self.relates_to.as_ref().is_some_and(|relation| !acceptable(&relation.rel))
        {
            return Err(ContentError::Kind);
        }
        if self.body_text().is_some_and(|text| text.len() > MAX_TEXT_LEN) {
            return Err(ContentError::TextTooLong);
        }
        Ok(())
    }
}
