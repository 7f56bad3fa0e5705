//! The `AsyncAPI` 3 document of the event stream, from the types of the frames.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, schema::Schema};

use crate::auth::{WEBSOCKET_PROTOCOL, WEBSOCKET_TOKEN};
use crate::events::{AUTH_TIMEOUT, HEARTBEAT, Incoming, Outgoing, SILENCE, close_codes};
use crate::model::{
    EventDto, FileContent, MessageDto, NewMessage, ReactionContent, TextContent, TypingContent,
    WebhookPayload,
};
use crate::openapi::unions;
use crate::problem::{FieldError, ProblemBody};

type Schemas = Map<String, Value>;

/// The `AsyncAPI` 3.0 document as pretty JSON with a newline at the end, as it is committed.
///
/// # Panics
/// Never: the document has no map with other keys than texts.
pub fn asyncapi_json() -> String {
    let mut text = serde_json::to_string_pretty(&document()).expect("the document is plain data");
    text.push('\n');
    text
}

fn document() -> Value {
    let mut schemas = Schemas::new();
    add::<EventDto>(&mut schemas);
    add::<MessageDto>(&mut schemas);
    add::<NewMessage>(&mut schemas);
    add::<ProblemBody>(&mut schemas);
    add::<FieldError>(&mut schemas);
    add::<WebhookPayload>(&mut schemas);
    add::<TextContent>(&mut schemas);
    add::<FileContent>(&mut schemas);
    add::<ReactionContent>(&mut schemas);
    add::<TypingContent>(&mut schemas);
    unions::divide(&mut schemas);
    discriminate(&mut schemas);
    let from_gateway = frames::<Outgoing>(&mut schemas);
    let from_bot = frames::<Incoming>(&mut schemas);
    schemas.values_mut().for_each(examples);
    let mut messages: Map<String, Value> = Map::new();
    for frame in from_gateway.iter().chain(&from_bot) {
        messages.insert(frame.message(), frame.describe());
    }
    messages.insert("serverSentEvent".to_owned(), sse_message());
    messages.insert("webhookDelivery".to_owned(), webhook_message());
    let refs = |frames: &[Frame]| -> Map<String, Value> {
        let one = |frame: &Frame| (frame.message(), reference("messages", &frame.message()));
        frames.iter().map(one).collect()
    };
    let mut socket = refs(&from_gateway);
    socket.extend(refs(&from_bot));
    let in_channel = |frames: &[Frame]| -> Value {
        let one = |frame: &Frame| json!({ "$ref": format!("#/channels/socket/messages/{}", frame.message()) });
        frames.iter().map(one).collect()
    };
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "quicproquo gateway: events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "One durable log per bot: over a WebSocket, as server-sent events, and \
                delivered to webhooks. The long poll and everything else is in the OpenAPI document \
                (`/openapi.json`); docs/events.md explains consumers.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "socket": server("ws", "The gateway's WebSocket."),
            "http": server("http", "The gateway's HTTP."),
        },
        "channels": {
            "socket": socket_channel(&socket),
            "serverSentEvents": {
                "address": "/v1/events",
                "title": "The event log as server-sent events",
                "description": "With `Accept: text/event-stream`. `id` is the cursor, `data` the \
                    event; `Last-Event-ID` goes on behind it.",
                "servers": [{ "$ref": "#/servers/http" }],
                "messages": { "serverSentEvent": reference("messages", "serverSentEvent") },
                "bindings": { "http": { "bindingVersion": "0.3.0" } },
            },
            "webhook": {
                "address": null,
                "title": "A webhook of a bot",
                "description": "The gateway posts to the URL that `POST /v1/webhooks` was given.",
                "messages": { "webhookDelivery": reference("messages", "webhookDelivery") },
            },
        },
        "operations": {
            "receiveFrames": operation("receive", "socket", &in_channel(&from_bot), "Frames that a bot may send."),
            "sendFrames": operation("send", "socket", &in_channel(&from_gateway), "Frames that the gateway sends."),
            "streamEvents": operation(
                "send", "serverSentEvents",
                &json!([{ "$ref": "#/channels/serverSentEvents/messages/serverSentEvent" }]),
                "Events, one after the other."
            ),
            "deliverEvents": operation(
                "send", "webhook",
                &json!([{ "$ref": "#/channels/webhook/messages/webhookDelivery" }]),
                "Events of a bot, to a target."
            ),
        },
        "components": {
            "schemas": schemas,
            "messages": messages,
            "securitySchemes": {
                "botToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "qpq_ token",
                    "description": "A token of one bot.",
                },
            },
        },
    })
}

fn server(protocol: &str, description: &str) -> Value {
    json!({
        "host": "127.0.0.1:8080",
        "protocol": protocol,
        "description": description,
        "security": [{ "$ref": "#/components/securitySchemes/botToken" }],
    })
}

fn operation(action: &str, channel: &str, messages: &Value, summary: &str) -> Value {
    json!({
        "action": action,
        "channel": { "$ref": format!("#/channels/{channel}") },
        "summary": summary,
        "messages": messages,
    })
}

fn socket_channel(messages: &Map<String, Value>) -> Value {
    json!({
        "address": "/v1/events/ws",
        "title": "The event log over a WebSocket",
        "description": socket_text(),
        "x-close-codes": close_codes()
            .map(|(code, reason)| json!({ "code": code, "reason": reason }))
            .collect::<Value>(),
        "servers": [{ "$ref": "#/servers/socket" }],
        "messages": messages,
        "bindings": { "ws": {
            "method": "GET", "query": query(), "headers": headers(), "bindingVersion": "0.1.0"
        } },
    })
}

/// How a stream begins, goes on and ends.
fn socket_text() -> String {
    let mut text = format!(
        "Frames are JSON texts, told apart by `type`. The gateway speaks first: `hello`. A browser \
         that gave no token sends `auth` before that, within {} s. A ping comes every {} s; a peer \
         that was silent for {} s is given up. A reader is fed from the log: being far behind costs \
         nothing and loses nothing.\n\nClose codes:\n",
        AUTH_TIMEOUT.as_secs(),
        HEARTBEAT.as_secs(),
        SILENCE.as_secs(),
    );
    for (code, reason) in close_codes() {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n- {code}: {reason}");
    }
    text
}

/// Headers of the request that opens the socket.
fn headers() -> Value {
    let protocols = format!(
        "For browsers, which cannot send `Authorization`: `{WEBSOCKET_PROTOCOL}`, alone or with \
         `{WEBSOCKET_TOKEN}<token>`. The gateway selects `{WEBSOCKET_PROTOCOL}`."
    );
    json!({
        "type": "object",
        "properties": {
            "Authorization": {
                "type": "string",
                "description": "`Bearer` and a token of one bot.",
            },
            "Sec-WebSocket-Protocol": { "type": "string", "description": protocols },
        },
    })
}

fn query() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let number = |low: u32, high: u32, description: &str| json!({ "type": "integer", "minimum": low, "maximum": high, "description": description });
    json!({
        "type": "object",
        "properties": {
            "after": text("Only events after this cursor; the log's tail when absent."),
            "types": text("Only these types, separated by commas."),
            "groups": text("Only events about these groups (ids), separated by commas."),
            "consumer": text("The named consumer."),
            "lease": number(1_000, 600_000, "How long a delivery may be unacknowledged, in milliseconds."),
            "prefetch": number(1, 1_000, "How many deliveries may be unacknowledged."),
            "ticket": text("A ticket, in the place of a token."),
        },
    })
}

fn sse_message() -> Value {
    json!({
        "name": "event",
        "title": "An event of the log",
        "contentType": "application/json",
        "payload": schema_reference("Event"),
    })
}

fn webhook_message() -> Value {
    let header = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "name": "delivery",
        "title": "An event on its way to a webhook (Standard Webhooks)",
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
            "properties": {
                "webhook-id": header("The same at each attempt."),
                "webhook-timestamp": header("When this attempt was signed, unix seconds."),
                "webhook-signature": header("`v1,` HMAC-SHA256 and `v1a,` Ed25519 over id, timestamp and body."),
            },
        },
        "payload": schema_reference("WebhookPayload"),
    })
}

/// One kind of frame: a variant of its enum.
struct Frame {
    /// The value of `type`.
    name: String,
    description: Option<Value>,
}

impl Frame {
    fn message(&self) -> String {
        format!("{}Frame", self.name)
    }

    fn describe(&self) -> Value {
        let mut message = json!({
            "name": self.name,
            "title": format!("The frame {}", self.name),
            "contentType": "application/json",
            "payload": schema_reference(&schema_name(&self.name)),
        });
        if let Some(description) = &self.description {
            message["summary"] = description.clone();
        }
        message
    }
}

/// `hello` as `HelloFrame`.
fn schema_name(frame: &str) -> String {
    let mut letters = frame.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain("Frame".chars()).collect()
}

/// Each variant of a tagged enum becomes a schema of its own.
fn frames<T: ToSchema>(schemas: &mut Schemas) -> Vec<Frame> {
    collect::<T>(schemas);
    let whole = plain(&T::schema());
    let variants = whole["oneOf"].as_array().cloned().unwrap_or_default();
    let frames = variants.into_iter().filter_map(|variant| {
        let name = tag(&variant)?;
        let description = variant.get("description").cloned();
        let variant = merged(variant, schemas);
        schemas.insert(schema_name(&name), variant);
        Some(Frame { name, description })
    });
    frames.collect()
}

/// The value of `type` of a variant; one that wraps another schema has it in a part.
fn tag(variant: &Value) -> Option<String> {
    if let Some(parts) = variant["allOf"].as_array() {
        return parts.iter().find_map(tag);
    }
    variant["properties"]["type"]["enum"][0].as_str().map(str::to_owned)
}

/// A variant that wraps another schema as one object: that one permits no further field, and `type`
/// is one.
fn merged(variant: Value, schemas: &Schemas) -> Value {
    let Some(parts) = variant["allOf"].as_array() else { return variant };
    let mut whole = Map::new();
    for part in parts {
        let inner = part["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        let part = inner.and_then(|name| schemas.get(name)).unwrap_or(part);
        for (key, value) in part.as_object().into_iter().flatten() {
            match (whole.get_mut(key), value) {
                (Some(Value::Object(have)), Value::Object(more)) => have.extend(more.clone()),
                (Some(Value::Array(have)), Value::Array(more)) => have.extend(more.clone()),
                (Some(_), _) => {}
                (None, value) => drop(whole.insert(key.clone(), value.clone())),
            }
        }
    }
    Value::Object(whole)
}

fn add<T: ToSchema>(schemas: &mut Schemas) {
    collect::<T>(schemas);
    schemas.insert(T::name().into_owned(), plain(&T::schema()));
}

/// What a type refers to; what is there already stays as it is.
fn collect<T: ToSchema>(schemas: &mut Schemas) {
    let mut found = Vec::new();
    T::schemas(&mut found);
    for (name, schema) in found {
        schemas.entry(name).or_insert_with(|| plain(&schema));
    }
}

/// `AsyncAPI` has no mapping: the value of a discriminator is the name of a schema. So where each
/// variant of a union has one value, that becomes the variant's name. An open union keeps its
/// variants, whose `type`s exclude each other.
fn discriminate(schemas: &mut Schemas) {
    let is_union = |name: &&String| schemas[*name]["discriminator"].is_object();
    let unions: Vec<String> = schemas.keys().filter(is_union).cloned().collect();
    for name in unions {
        let Some(Value::Object(mut union)) = schemas.remove(&name) else { continue };
        let discriminator = union.remove("discriminator").unwrap_or_default();
        let mapping = discriminator["mapping"].as_object().cloned().unwrap_or_default();
        if union["oneOf"].as_array().map(Vec::len) == Some(mapping.len()) {
            let field = &discriminator["propertyName"];
            for (value, target) in &mapping {
                let variant = target.as_str().and_then(|path| path.rsplit('/').next());
                if let Some(schema) = variant.and_then(|variant| schemas.remove(variant)) {
                    schemas.insert(value.clone(), schema);
                }
            }
            let variants = mapping.keys().map(|value| schema_reference(value)).collect();
            union.insert("oneOf".to_owned(), variants);
            union.insert("type".to_owned(), "object".into());
            union.insert("required".to_owned(), json!([field]));
            let properties = [(field.as_str().unwrap_or_default(), json!({ "type": "string" }))];
            union.insert("properties".to_owned(), properties.into_iter().collect());
            union.insert("discriminator".to_owned(), field.clone());
        }
        schemas.insert(name, Value::Object(union));
    }
}

fn plain(schema: &RefOr<Schema>) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

/// JSON Schema has lists of examples; a single `example` is `OpenAPI`'s.
fn examples(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // A field of that name is a schema, and no example.
            if let Some(example) = fields.remove("example") {
                fields.insert("examples".to_owned(), json!([example]));
            }
            fields.values_mut().for_each(examples);
        }
        Value::Array(items) => items.iter_mut().for_each(examples),
        _ => {}
    }
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn schema_reference(name: &str) -> Value {
    reference("schemas", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asyncapi_is_current() {
        let committed = include_str!("../../openapi/events.asyncapi.json");
        assert!(
            committed == asyncapi_json(),
            "openapi/events.asyncapi.json is not current: run `cargo xtask openapi`"
        );
    }

    #[test]
    fn every_frame_and_every_reference_is_there() {
        let document = document();
        for name in ["hello", "event", "extended", "result", "pong", "error"] {
            assert!(
                document["components"]["messages"][format!("{name}Frame")].is_object(),
                "{name}"
            );
        }
        for name in ["ack", "extend", "auth", "send", "ping"] {
            let pointer = format!("/channels/socket/messages/{name}Frame");
            assert!(document.pointer(&pointer).is_some(), "{name}");
        }
        let socket = &document["channels"]["socket"];
        let text = socket["description"].as_str().unwrap();
        for code in [1012, 4008, 4401, 4403, 4408, 4409, 4410, 4413] {
            assert!(text.contains(&format!("\n- {code}: ")), "{text}");
            let listed = socket["x-close-codes"].as_array().unwrap();
            assert!(listed.iter().any(|one| one["code"] == code), "{code}");
        }
        assert!(text.contains("every 25 s") && text.contains("for 60 s"), "{text}");
        let headers = &socket["bindings"]["ws"]["headers"]["properties"];
        let protocols = headers["Sec-WebSocket-Protocol"]["description"].as_str().unwrap();
        assert!(protocols.contains("`qpq.v1`") && protocols.contains("`qpq.token.<token>`"));
        let event = &document["components"]["schemas"]["Event"];
        assert_eq!(event["discriminator"], "type");
        assert_eq!(document["components"]["schemas"]["group.left"]["type"], "object");
        let text = document.to_string();
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer} is missing");
        }
    }
}
