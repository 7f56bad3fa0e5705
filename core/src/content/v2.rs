//! Version 2: `0x02`, then the JSON object `{id, type, content, relates_to?,
//! sent_at?}`, `sent_at` in unix milliseconds. Unknown fields are ignored.

use serde::{Deserialize, Serialize};

use super::{Content, ContentError, MAX_CONTENT_LEN, RelatesTo};
use crate::id::MessageId;

const VERSION: u8 = 0x02;

#[derive(Deserialize)]
struct Wire {
    id: MessageId,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    content: serde_json::Value,
    #[serde(default)]
    relates_to: Option<RelatesTo>,
    #[serde(default)]
    sent_at: Option<u64>,
}

/// The same, to be written.
#[derive(Serialize)]
struct WireRef<'a> {
    id: MessageId,
    #[serde(rename = "type")]
    kind: &'a str,
    content: &'a serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    relates_to: Option<&'a RelatesTo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<u64>,
}

pub(super) fn encode(content: &Content) -> Result<Vec<u8>, ContentError> {
    let wire = WireRef {
        id: content.id,
        kind: &content.kind,
        content: &content.body,
        relates_to: content.relates_to.as_ref(),
        sent_at: content.sent_at_ms,
    };
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, &wire).map_err(|_| ContentError::Malformed)?;
    if bytes.len() > MAX_CONTENT_LEN { Err(ContentError::TooLong) } else { Ok(bytes) }
}

pub(super) fn decode(json: &[u8]) -> Result<Content, ContentError> {
    let wire: Wire = serde_json::from_slice(json).map_err(|_| ContentError::Malformed)?;
    Ok(Content {
        id: wire.id,
        kind: wire.kind,
        body: wire.content,
        relates_to: wire.relates_to,
        sent_at_ms: wire.sent_at,
    })
}
