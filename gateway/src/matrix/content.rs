//! The contents of messages, as Matrix clients read them.

use quicproquo_client::{Message, RelatesTo};
use serde_json::{Map, Value, json};

use super::ids::Ids;

/// Kinds of files that clients tell apart.
const FILES: [&str; 4] = ["m.image", "m.video", "m.audio", "m.file"];
/// What the native content of a file has of its own.
const NATIVE: [&str; 7] = ["attachment_id", "name", "mime", "size", "encrypted", "blobs", "key"];
/// Before types that could be taken for something else.
pub(super) const OWN: &str = "org.quicproquo";
const VALUE: &str = "org.quicproquo.value";

/// The type and content of a message that stands for itself.
pub(super) fn content(ids: &Ids, message: &Message) -> (String, Value) {
    let (kind, mut content) = plain(ids, &message.kind, &message.body);
    if let Some(relation) = relation(&message.body, message.relates_to.as_ref()) {
        content.insert("m.relates_to".to_owned(), relation);
    }
    (kind, content.into())
}

/// The same without what it relates to.
pub(super) fn plain(ids: &Ids, kind: &str, body: &Value) -> (String, Map<String, Value>) {
    match kind {
        "text" => ("m.room.message".to_owned(), text(body)),
        "file" => ("m.room.message".to_owned(), file(ids, body)),
        // What looks like a state event, a redaction or Matrix's own encryption is none.
        kind if kind.starts_with("m.room.") || kind == "m.reaction" => {
            (format!("{OWN}.{kind}"), object(body))
        }
        kind if kind.contains('.') => (kind.to_owned(), object(body)),
        kind => (format!("{OWN}.{kind}"), object(body)),
    }
}

/// The content of what replaces another message.
pub(super) fn replacement(kind: &str, new: &Map<String, Value>, target: &str) -> Value {
    let mut content = new.clone();
    if kind == "m.room.message" {
        // For clients that do not know of edits.
        for field in ["body", "formatted_body"] {
            if let Some(Value::String(text)) = content.get_mut(field) {
                text.insert_str(0, "* ");
            }
        }
    }
    content.insert("m.new_content".to_owned(), new.clone().into());
    let relation = json!({ "rel_type": "m.replace", "event_id": target });
    content.insert("m.relates_to".to_owned(), relation);
    content.into()
}

fn object(body: &Value) -> Map<String, Value> {
    match body {
        Value::Object(fields) => without_relations(fields.clone()),
        other => [(VALUE.to_owned(), other.clone())].into_iter().collect(),
    }
}

fn without_relations(mut fields: Map<String, Value>) -> Map<String, Value> {
    fields.remove("m.relates_to");
    fields.remove("m.new_content");
    fields
}

fn text(body: &Value) -> Map<String, Value> {
    let mut content = object(body);
    let kind = content.get("msgtype").and_then(Value::as_str);
    if kind.is_none_or(|kind| FILES.contains(&kind)) {
        content.insert("msgtype".to_owned(), "m.text".into());
    }
    if content.contains_key("formatted_body") && !content.contains_key("format") {
        content.insert("format".to_owned(), "org.matrix.custom.html".into());
    }
    content
}

fn file(ids: &Ids, body: &Value) -> Map<String, Value> {
    let mut content = object(body);
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let name = text("name").unwrap_or("file").to_owned();
    for field in NATIVE {
        content.remove(field);
    }
    let caption = text("body").filter(|caption| !caption.is_empty()).unwrap_or(&name).to_owned();
    let Some(id) = text("attachment_id") else {
        let body = format!("{name} (a file that cannot be had here)");
        return Map::from_iter([
            ("msgtype".to_owned(), "m.notice".into()),
            ("body".to_owned(), body.into()),
        ]);
    };
    let mime = text("mime");
    let kind = text("msgtype").filter(|kind| FILES.contains(kind)).unwrap_or_else(|| {
        match mime.and_then(|mime| mime.split_once('/')).map(|(kind, _)| kind) {
            Some("image") => "m.image",
            Some("video") => "m.video",
            Some("audio") => "m.audio",
            _ => "m.file",
        }
    });
    content.insert("msgtype".to_owned(), kind.into());
    content.insert("filename".to_owned(), name.into());
    content.insert("body".to_owned(), caption.into());
    let info = content.entry("info").or_insert_with(|| json!({}));
    if let Some(info) = info.as_object_mut() {
        if let Some(mime) = mime {
            info.insert("mimetype".to_owned(), mime.into());
        }
        if let Some(size) = body.get("size").filter(|size| size.is_u64()) {
            info.insert("size".to_owned(), size.clone());
        }
    }
    let url = ids.file(id);
    match content.get_mut("file").and_then(Value::as_object_mut) {
        // Encrypted by its sender once more, who tells the key here.
        Some(file) => drop(file.insert("url".to_owned(), url.into())),
        None => drop(content.insert("url".to_owned(), url.into())),
    }
    content
}

fn relation(body: &Value, relates_to: Option<&RelatesTo>) -> Option<Value> {
    let given = body.get("m.relates_to").and_then(Value::as_object);
    match relates_to {
        Some(RelatesTo { rel, id }) if rel == "reply" => {
            Some(json!({ "m.in_reply_to": { "event_id": Ids::event(id) } }))
        }
        Some(RelatesTo { rel, id }) => {
            let mut relation = given.cloned().unwrap_or_default();
            // What changes a message is a message of its own type.
            let rel = if rel == "m.replace" { OWN } else { rel };
            relation.insert("rel_type".to_owned(), rel.into());
            relation.insert("event_id".to_owned(), Ids::event(id).into());
            Some(relation.into())
        }
        None => given.filter(|given| !given.contains_key("rel_type")).cloned().map(Value::Object),
    }
}
