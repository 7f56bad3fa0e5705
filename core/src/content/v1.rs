//! Version 1, the published binary encoding: `0x01`, a type byte, then fields;
//! lengths are big-endian.
//!
//! | type | fields |
//! |---|---|
//! | 01 chat | id 16, u16 length, text |
//! | 02 reply | ref id 16, u16 length, text |
//! | 03 reaction | ref id 16, u8 length, emoji |
//! | 04 read receipt | ref id 16 |
//! | 05 typing | 1 byte |
//! | 06 edit | ref id 16, u16 length, text |
//! | 07 delete | ref id 16 |
//! | 08 file | blob id 32, u16 length, name, u64 size, u16 length, MIME type |
//! | 09 dummy | |
//!
//! A file carries no key: it is shown as not encrypted and never written.

use serde_json::json;

use super::{Content, ContentError};
use crate::id::MessageId;

const VERSION: u8 = 0x01;
const CHAT: u8 = 0x01;
const REPLY: u8 = 0x02;
const REACTION: u8 = 0x03;
const READ: u8 = 0x04;
const TYPING: u8 = 0x05;
const EDIT: u8 = 0x06;
const DELETE: u8 = 0x07;
const FILE: u8 = 0x08;
const DUMMY: u8 = 0x09;

pub(super) fn encode(content: &Content) -> Result<Vec<u8>, ContentError> {
    let relation =
        content.relates_to.as_ref().map(|relation| (relation.rel.as_str(), &relation.id));
    let reference = |rel: &str| match relation {
        Some((found, id)) if found == rel => Ok(id.as_bytes()),
        _ => Err(ContentError::NotInV1("this relation")),
    };
    let unrelated = || relation.map_or(Ok(()), |_| Err(ContentError::NotInV1("this relation")));
    let mut bytes = vec![VERSION];
    match content.kind.as_str() {
        "text" if relation.is_none() => {
            bytes.push(CHAT);
            bytes.extend(content.id.as_bytes());
            long_text(&mut bytes, field(content, "body")?)?;
        }
        "text" => {
            bytes.push(REPLY);
            bytes.extend(reference("reply")?);
            long_text(&mut bytes, field(content, "body")?)?;
        }
        "reaction" => {
            bytes.push(REACTION);
            bytes.extend(reference("reaction")?);
            if !content.adds_reaction() {
                return Err(ContentError::NotInV1("the removal of a reaction"));
            }
            let key = field(content, "key")?;
            bytes.push(u8::try_from(key.len()).map_err(|_| ContentError::TextTooLong)?);
            bytes.extend(key.as_bytes());
        }
        "read" => {
            bytes.push(READ);
            bytes.extend(reference("read")?);
        }
        "typing" => {
            unrelated()?;
            let active =
                content.body.get("active").and_then(serde_json::Value::as_bool).unwrap_or(true);
            bytes.extend([TYPING, u8::from(active)]);
        }
        "edit" => {
            bytes.push(EDIT);
            bytes.extend(reference("edit")?);
            long_text(&mut bytes, field(content, "body")?)?;
        }
        "delete" => {
            bytes.push(DELETE);
            bytes.extend(reference("delete")?);
        }
        "dummy" => {
            unrelated()?;
            bytes.push(DUMMY);
        }
        "file" => return Err(ContentError::NotInV1("a file key")),
        _ => return Err(ContentError::NotInV1("this type")),
    }
    Ok(bytes)
}

fn field<'a>(content: &'a Content, name: &'static str) -> Result<&'a str, ContentError> {
    content
        .body
        .get(name)
        .and_then(serde_json::Value::as_str)
        .ok_or(ContentError::NotInV1("a body without text"))
}

fn long_text(bytes: &mut Vec<u8>, text: &str) -> Result<(), ContentError> {
    let length = u16::try_from(text.len()).map_err(|_| ContentError::TextTooLong)?;
    bytes.extend(length.to_be_bytes());
    bytes.extend(text.as_bytes());
    Ok(())
}

pub(super) fn decode(bytes: &[u8], unnamed: MessageId) -> Result<Content, ContentError> {
    let (kind, fields) = bytes.split_first().ok_or(ContentError::Malformed)?;
    let mut reader = Reader(fields);
    let content = match *kind {
        CHAT => {
            let id = reader.id()?;
            Content::text(id, reader.long_text()?)
        }
        REPLY => {
            let reference = reader.id()?;
            Content::text(unnamed, reader.long_text()?).relating("reply", reference)
        }
        REACTION => {
            let reference = reader.id()?;
            let key = reader.short_text()?;
            Content::new(unnamed, "reaction", json!({ "key": key })).relating("reaction", reference)
        }
        READ => Content::new(unnamed, "read", json!({})).relating("read", reader.id()?),
        TYPING => Content::new(unnamed, "typing", json!({ "active": reader.take(1)?[0] != 0 })),
        EDIT => {
            let reference = reader.id()?;
            Content::new(unnamed, "edit", json!({ "body": reader.long_text()? }))
                .relating("edit", reference)
        }
        DELETE => Content::new(unnamed, "delete", json!({})).relating("delete", reader.id()?),
        FILE => {
            let blob = hex::encode(reader.take(32)?);
            let name = reader.long_text()?;
            let size = reader.u64()?;
            let mime = reader.long_text()?;
            let body = json!({ "name": name, "size": size, "mime": mime, "blob": blob, "encrypted": false });
            Content::new(unnamed, "file", body)
        }
        DUMMY => Content::new(unnamed, "dummy", json!({})),
        other => {
            let data = hex::encode(reader.take(reader.0.len())?);
            Content::new(unnamed, "unknown.v1", json!({ "type": other, "data": data }))
        }
    };
    if reader.0.is_empty() { Ok(content) } else { Err(ContentError::Malformed) }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], ContentError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(ContentError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn id(&mut self) -> Result<MessageId, ContentError> {
        MessageId::from_slice(self.take(16)?).map_err(|_| ContentError::Malformed)
    }

    fn u64(&mut self) -> Result<u64, ContentError> {
        let bytes = self.take(8)?.try_into().map_err(|_| ContentError::Malformed)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn text(&mut self, len: usize) -> Result<&'a str, ContentError> {
        std::str::from_utf8(self.take(len)?).map_err(|_| ContentError::Malformed)
    }

    fn short_text(&mut self) -> Result<&'a str, ContentError> {
        let len = self.take(1)?[0];
        self.text(usize::from(len))
    }

    fn long_text(&mut self) -> Result<&'a str, ContentError> {
        let len = self.take(2)?;
        self.text(usize::from(u16::from_be_bytes([len[0], len[1]])))
    }
}
