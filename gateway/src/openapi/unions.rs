//! Unions: one named schema for each variant, told apart by one field.

use serde_json::{Map, Value, json};

use super::finish::{object, reference};

/// A kind of message: its type, the first part of its schema's name, what it is, the schema of
/// its content (any JSON when there is none), and whether it names another message.
struct Kind {
    tag: &'static str,
    name: &'static str,
    about: &'static str,
    content: Option<&'static str>,
    related: bool,
}

const fn kind(
    tag: &'static str,
    name: &'static str,
    about: &'static str,
    content: Option<&'static str>,
    related: bool,
) -> Kind {
    Kind { tag, name, about, content, related }
}

/// What can be sent, besides types of a bot's own.
const SENT: [Kind; 7] = [
    kind("text", "Text", "A text.", Some("TextContent"), false),
    kind("file", "File", "A file that was uploaded.", Some("FileContent"), false),
    kind(
        "reaction",
        "Reaction",
        "A reaction; it has a route of its own.",
        Some("ReactionContent"),
        true,
    ),
    kind("edit", "Edit", "New content for an own message; it has a route of its own.", None, true),
    kind("delete", "Delete", "Deletes an own message; it has a route of its own.", None, true),
    kind("read", "Read", "How far the bot has read; it has a route of its own.", None, true),
    kind(
        "typing",
        "Typing",
        "The bot is writing; it has a route of its own.",
        Some("TypingContent"),
        false,
    ),
];

/// What history and events have, besides types of a sender's own.
const RECEIVED: [Kind; 8] = [
    kind("text", "Text", "A text.", Some("TextContent"), false),
    kind("file", "File", "A file.", None, false),
    kind("reaction", "Reaction", "A reaction to another message.", None, false),
    kind("edit", "Edit", "New content for an earlier message of its sender.", None, false),
    kind("delete", "Delete", "Deletes an earlier message of its sender.", None, false),
    kind("read", "Read", "How far its sender has read.", None, false),
    kind(
        "typing",
        "Typing",
        "That the bot is writing, as the answer to sending it.",
        Some("TypingContent"),
        false,
    ),
    kind("deleted", "Deleted", "What is left of a message that its sender deleted.", None, false),
];

/// Types of events, the schemas of their `data`, and when they come.
const EVENTS: [(&str, &str, &str); 20] = [
    ("message.received", "Message", "Somebody's message was decrypted."),
    ("message.sent", "Message", "An own message is durable at the node."),
    ("message.failed", "Message", "An own message was given up; `delivery.reason` says why."),
    (
        "message.undecryptable",
        "Undecryptable",
        "A payload cannot be read and was set aside, or this entry of the log is damaged.",
    ),
    (
        "member.typing",
        "MemberTyping",
        "Somebody is writing, or has stopped. It passes: 30 seconds later no door gives it any more.",
    ),
    ("group.joined", "GroupJoined", "This bot became a visible member."),
    ("group.members_changed", "MembersChanged", "Members came or went, or roles changed."),
    ("group.renamed", "GroupRenamed", "Name or topic changed."),
    ("group.left", "Departure", "This bot left, or somebody removed it."),
    (
        "group.isolated",
        "GroupReason",
        "The state of a group here is broken; its payloads are kept and it is tried again from time to time.",
    ),
    (
        "group.forked",
        "GroupForked",
        "Members of a group are at different states of one epoch: some did not get, or did not take, the same change.",
    ),
    (
        "group.needs_readd",
        "GroupReason",
        "The group has gone on without this bot, or seems to have; it asks the others to add it again. What is sent meanwhile waits, for 30 s at most unless the reason is `old_copy`.",
    ),
    ("group.repaired", "GroupReason", "The group is well again, or was never unwell."),
    (
        "group.change_failed",
        "GroupReason",
        "A change that this bot asked for cannot be made any more; or a member that asks to be added again cannot be.",
    ),
    ("invitation.received", "Invitation", "Somebody added this bot to a group."),
    ("invitation.ended", "Departure", "An invitation cannot be accepted any more."),
    (
        "gap.detected",
        "Gap",
        "Payloads to this bot were lost at the node: they expired, or its queue was full.",
    ),
    ("identity.changed", "IdentityChanged", "A name points to another key than before."),
    (
        "clock.off",
        "ClockOff",
        "The clocks of the gateway's machine and of the node differ by more than ten minutes. Members whose clocks are far apart may judge a change differently.",
    ),
    ("session.displaced", "SessionDisplaced", "Another instance runs this identity."),
];

/// Unions of requests, whose variants take no other fields.
const CLOSED: [&str; 1] = ["InvitePolicy"];

/// A type of a bot's own: words with dots between them.
const OWN_TYPE: &str = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$";

/// Divides every union of a document's schemas.
pub(crate) fn divide(schemas: &mut Map<String, Value>) {
    tagged(schemas);
    new_messages(schemas);
    messages(schemas);
    events(schemas);
}

/// One variant of a union.
struct Variant {
    name: String,
    tag: Option<String>,
    schema: Value,
}

/// Puts a union in the place of a schema.
fn union(schemas: &mut Map<String, Value>, parent: &str, field: &str, variants: Vec<Variant>) {
    let mut mapping = Map::new();
    let mut one_of = Vec::new();
    for Variant { name, tag, schema } in variants {
        let target = reference(&name);
        if let Some(tag) = tag {
            mapping.insert(tag, target["$ref"].clone());
        }
        one_of.push(target);
        schemas.insert(name, schema);
    }
    let description = schemas[parent]["description"].clone();
    let union = json!({
        "description": description,
        "oneOf": one_of,
        "discriminator": { "propertyName": field, "mapping": mapping },
    });
    schemas.insert(parent.to_owned(), union);
}

/// A field with one value.
fn tag_schema(tag: &str) -> Value {
    json!({ "type": "string", "enum": [tag] })
}

/// Enums that are derived with a tag have their variants in place.
fn tagged(schemas: &mut Map<String, Value>) {
    let names: Vec<String> = schemas.keys().cloned().collect();
    for parent in names {
        let Some(variants) = schemas[&parent]["oneOf"].as_array().cloned() else { continue };
        let Some(field) = tag_field(&variants) else { continue };
        let variants = variants.into_iter().map(|mut schema| {
            let tag = schema["properties"][&field]["enum"][0].as_str().unwrap_or_default();
            let (name, tag) = (format!("{parent}{}", pascal(tag)), tag.to_owned());
            if CLOSED.contains(&parent.as_str()) {
                schema["additionalProperties"] = false.into();
            }
            if schema["required"].as_array().is_some_and(|required| required.len() == 1) {
                schema["examples"] = json!([{ &field: tag }]);
            }
            Variant { name, tag: Some(tag), schema }
        });
        let variants = variants.collect();
        union(schemas, &parent, &field, variants);
    }
}

/// The field that has one value in each variant.
fn tag_field(variants: &[Value]) -> Option<String> {
    let single = |schema: &Value, field: &str| {
        schema["properties"][field]["enum"].as_array().is_some_and(|values| values.len() == 1)
    };
    let fields = variants.first()?["properties"].as_object()?;
    fields.keys().find(|field| variants.iter().all(|schema| single(schema, field))).cloned()
}

fn new_messages(schemas: &mut Map<String, Value>) {
    let Some(mut base) = schemas.get("NewMessage").cloned() else { return };
    // Examples are those of the variants; none of them asks for verified members.
    object(&mut base).remove("example");
    object(&mut base["properties"]["require"]).remove("example");
    let mut variants: Vec<Variant> = SENT
        .iter()
        .map(|kind| {
            let mut schema = base.clone();
            schema["description"] = kind.about.into();
            let mut required = vec!["type", "content"];
            let properties = object(&mut schema["properties"]);
            properties.insert("type".to_owned(), tag_schema(kind.tag));
            if let Some(content) = kind.content {
                properties.insert("content".to_owned(), reference(content));
            } else {
                properties["content"]["type"] = "object".into();
                properties["content"]["example"] = received(kind.tag);
            }
            if kind.related {
                properties.remove("reply_to");
                properties.insert("relates_to".to_owned(), reference("RelatesTo"));
                properties["relates_to"]["example"] = related(kind.tag);
                required.push("relates_to");
            }
            schema["required"] = json!(required);
            Variant {
                name: format!("New{}Message", kind.name),
                tag: Some(kind.tag.to_owned()),
                schema,
            }
        })
        .collect();
    let mut own = base;
    own["description"] = "A message of a type of your own, with any content.".into();
    own["properties"]["type"] = json!({
        "type": "string", "pattern": OWN_TYPE, "maxLength": 128, "example": "org.example.report"
    });
    own["properties"]["content"]["example"] = json!({ "celsius": 21 });
    variants.push(Variant { name: "NewOwnMessage".to_owned(), tag: None, schema: own });
    union(schemas, "NewMessage", "type", variants);
}

fn related(rel: &str) -> Value {
    json!({ "rel": rel, "message_id": super::examples::MESSAGE })
}

fn messages(schemas: &mut Map<String, Value>) {
    let Some(mut base) = schemas.get("Message").cloned() else { return };
    object(&mut base).remove("example");
    let mut variants: Vec<Variant> = RECEIVED
        .iter()
        .map(|kind| {
            let mut schema = base.clone();
            schema["description"] = kind.about.into();
            schema["properties"]["type"] = tag_schema(kind.tag);
            match kind.content {
                Some(content) => schema["properties"]["content"] = reference(content),
                None => schema["properties"]["content"]["example"] = received(kind.tag),
            }
            Variant {
                name: format!("{}Message", kind.name),
                tag: Some(kind.tag.to_owned()),
                schema,
            }
        })
        .collect();
    let mut own = base;
    own["description"] =
        "A message of a type of its sender's own. Its content is what the sender has written."
            .into();
    let known: Vec<&str> = RECEIVED.iter().map(|kind| kind.tag).collect();
    own["properties"]["type"] = json!({
        "type": "string", "not": { "enum": known }, "example": "org.example.report"
    });
    own["properties"]["content"]["example"] = json!({ "celsius": 21 });
    variants.push(Variant { name: "OwnMessage".to_owned(), tag: None, schema: own });
    union(schemas, "Message", "type", variants);
}

/// Examples of contents that are what their senders make of them.
fn received(tag: &str) -> Value {
    match tag {
        "reaction" => json!({ "key": "👍" }),
        "edit" => json!({ "body": "hello" }),
        "file" => json!({ "name": "report.pdf", "size": 18_211, "mime": "application/pdf" }),
        "deleted" => Value::Null,
        _ => json!({}),
    }
}

fn events(schemas: &mut Map<String, Value>) {
    let Some(base) = schemas.get("Event").cloned() else { return };
    let data = schemas.remove("EventData").unwrap_or_default();
    for mut schema in data["oneOf"].as_array().cloned().unwrap_or_default() {
        if let Some(Value::String(name)) = object(&mut schema).remove("title") {
            schemas.insert(name, schema);
        }
    }
    let variants = EVENTS
        .iter()
        .map(|(tag, data, when)| {
            let mut schema = base.clone();
            schema["description"] = (*when).into();
            schema["properties"]["type"] = tag_schema(tag);
            schema["properties"]["data"] = reference(data);
            let name = format!("{}Event", pascal(tag));
            Variant { name, tag: Some((*tag).to_owned()), schema }
        })
        .collect();
    union(schemas, "Event", "type", variants);
}

/// `group.members_changed` as `GroupMembersChanged`.
fn pascal(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + rest
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quicproquo_client::EventData;

    use super::*;

    #[test]
    fn every_type_of_event_is_a_variant() {
        let described: BTreeSet<_> = EVENTS.iter().map(|(tag, _, _)| *tag).collect();
        assert_eq!(described, EventData::KINDS.into_iter().collect());
    }

    #[test]
    fn names_of_schemas_are_words() {
        assert_eq!(pascal("group.members_changed"), "GroupMembersChanged");
        assert_eq!(pascal("ask"), "Ask");
    }
}
