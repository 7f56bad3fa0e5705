//! Events that a Matrix client sends, as messages of a group.

use quicproquo_client::{MessageId, Outgoing, RelatesTo};
use serde_json::{Map, Value, json};

use super::error::{forbidden, invalid};
use super::ids::Ids;
use crate::model::is_kind;
use crate::problem::{Kind, Problem};

/// Kinds of messages that have a file.
const FILES: [&str; 4] = ["m.image", "m.video", "m.audio", "m.file"];
const FALLBACK: &str = "</mx-reply>";

/// The message that an event of this type and content is.
pub(super) fn outgoing(ids: &Ids, kind: &str, content: Value) -> Result<Outgoing, Problem> {
    let Value::Object(mut content) = content else {
        return Err(bad("the content of an event is an object"));
    };
    let relation = match content.remove("m.relates_to") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(relation)) => relation,
        Some(_) => return Err(bad("m.relates_to is an object")),
    };
    match kind {
        "m.reaction" => reaction(&relation),
        "m.room.redaction" => Err(invalid("redact an event by PUT .../redact/{eventId}/{txnId}")),
        "m.room.encrypted" => Err(forbidden(
            "every message travels over MLS: Matrix's own encryption is not supported",
        )),
        _ if kind.starts_with("m.room.") && kind != "m.room.message" => {
            Err(invalid(format!("{kind} is no event that can be sent")))
        }
        _ if !(kind.contains('.') && is_kind(kind)) => Err(invalid(
            "the type of an event is words of A-Z, a-z, 0-9, '_' and '-' with dots between them, \
             at least two words, at most 128 bytes",
        )),
        _ if rel_type(&relation) == Some("m.replace") => edit(ids, &mut content, &relation),
        "m.room.message" | "m.sticker" => related(message(ids, content)?, relation),
        _ => {
            let body = content.into();
            related(Outgoing { kind: kind.to_owned(), body, relates_to: None }, relation)
        }
    }
}

/// The deletion of a message.
pub(super) fn deletion(id: MessageId, reason: Option<&str>) -> Outgoing {
    let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    about("delete", body, id)
}

/// A message of this type about another one.
pub(super) fn about(kind: &str, body: Value, id: MessageId) -> Outgoing {
    let relates_to = Some(RelatesTo { rel: kind.to_owned(), id });
    Outgoing { kind: kind.to_owned(), body, relates_to }
}

fn bad(detail: &str) -> Problem {
    Problem::new(Kind::JsonInvalid).detail(detail)
}

fn rel_type(relation: &Map<String, Value>) -> Option<&str> {
    relation.get("rel_type").and_then(Value::as_str)
}

fn target(relation: &Map<String, Value>) -> Result<MessageId, Problem> {
    let event = relation.get("event_id").and_then(Value::as_str);
    event
        .and_then(Ids::message)
        .ok_or_else(|| invalid("m.relates_to/event_id is not the id of a message"))
}

fn reaction(relation: &Map<String, Value>) -> Result<Outgoing, Problem> {
    let key = relation.get("key").and_then(Value::as_str);
    match (rel_type(relation), key) {
        (Some("m.annotation"), Some(key)) => {
            Ok(about("reaction", json!({ "key": key }), target(relation)?))
        }
        _ => Err(bad("a reaction relates to an event by m.annotation, with a key")),
    }
}

fn edit(
    ids: &Ids,
    content: &mut Map<String, Value>,
    relation: &Map<String, Value>,
) -> Result<Outgoing, Problem> {
    let Some(Value::Object(mut new)) = content.remove("m.new_content") else {
        return Err(bad("what replaces an event has m.new_content, an object"));
    };
    new.remove("m.relates_to");
    let body = if new.contains_key("msgtype") { message(ids, new)?.body } else { new.into() };
    Ok(about("edit", body, target(relation)?))
}

/// Adds what a message relates to.
fn related(mut message: Outgoing, relation: Map<String, Value>) -> Result<Outgoing, Problem> {
    let Some(body) = message.body.as_object_mut() else { return Ok(message) };
    if let Some(rel) = rel_type(&relation) {
        if !is_kind(rel) || !rel.contains('.') || rel == "m.annotation" {
            return Err(invalid("m.relates_to/rel_type is not one that this event can have"));
        }
        message.relates_to = Some(RelatesTo { rel: rel.to_owned(), id: target(&relation)? });
        let mut more = relation;
        more.remove("rel_type");
        more.remove("event_id");
        if !more.is_empty() {
            body.insert("m.relates_to".to_owned(), more.into());
        }
        return Ok(message);
    }
    let answered = relation.get("m.in_reply_to").and_then(|to| to.get("event_id"));
    match answered.and_then(Value::as_str) {
        None => {}
        Some(event) => {
            without_fallback(body);
            match Ids::message(event) {
                Some(id) => message.relates_to = Some(RelatesTo { rel: "reply".to_owned(), id }),
                // An answer to what is no message, the coming of a member say.
                None => drop(body.insert("m.relates_to".to_owned(), relation.into())),
            }
        }
    }
    Ok(message)
}

/// What is quoted at the beginning of a reply, for clients that do not know of replies.
fn without_fallback(body: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = body.get_mut("body")
        && text.starts_with("> ")
        && let Some((quoted, rest)) = text.split_once("\n\n")
        && quoted.lines().all(|line| line.starts_with('>'))
        && !rest.is_empty()
    {
        *text = rest.to_owned();
    }
    if let Some(Value::String(html)) = body.get_mut("formatted_body")
        && html.starts_with("<mx-reply>")
        && let Some(end) = html.find(FALLBACK)
    {
        html.drain(..end + FALLBACK.len());
    }
}

fn message(ids: &Ids, mut content: Map<String, Value>) -> Result<Outgoing, Problem> {
    content.remove("m.new_content");
    let kind = content.get("msgtype").and_then(Value::as_str).unwrap_or("m.image").to_owned();
    let (url, sealed) = (content.get("url"), content.get("file").and_then(|file| file.get("url")));
    let url = url.or(sealed).and_then(Value::as_str).map(str::to_owned);
    match url {
        Some(url) if FILES.contains(&kind.as_str()) => file(ids, content, &kind, &url),
        None if FILES.contains(&kind.as_str()) => Err(bad("a file has a url")),
        _ => {
            if !content.get("body").is_some_and(Value::is_string) {
                return Err(bad("a message has a body, a string"));
            }
            // What a native bot would not say either.
            if kind == "m.text" {
                content.remove("msgtype");
            }
            Ok(Outgoing { kind: "text".to_owned(), body: content.into(), relates_to: None })
        }
    }
}

fn file(
    ids: &Ids,
    mut content: Map<String, Value>,
    kind: &str,
    url: &str,
) -> Result<Outgoing, Problem> {
    let id =
        ids.attachment(url).ok_or_else(|| invalid("the url is not of a file of this server"))?;
    content.remove("url");
    if let Some(file) = content.get_mut("file").and_then(Value::as_object_mut) {
        file.remove("url");
    }
    let text = |name: &str| content.get(name).and_then(Value::as_str).map(str::to_owned);
    let (name, body) = (text("filename"), text("body"));
    let caption = name.is_some() && body != name;
    if !caption {
        content.remove("body");
    }
    content.remove("filename");
    if let Some(name) = name.or(body).filter(|name| !name.is_empty()) {
        content.insert("name".to_owned(), name.into());
    }
    content.insert("msgtype".to_owned(), kind.into());
    content.insert("attachment_id".to_owned(), id.to_string().into());
    Ok(Outgoing { kind: "file".to_owned(), body: content.into(), relates_to: None })
}

#[cfg(test)]
mod tests;
