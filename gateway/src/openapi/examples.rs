//! Examples of bodies, put together from those of their fields. A test sends every one of a
//! request to a running gateway and validates every one of an answer.

use serde_json::{Map, Value, json};

use super::finish::{object, operations, referenced};

const IDENTITY: &str = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
const GROUP: &str = "5f2b9c0d1e3a48576b8c9dae0f102132435465768798a9bacbdcedfe0f1a2b3c";
pub(super) const MESSAGE: &str = "9b2f6c1d0e3a48576b8c9dae0f102132";
pub(super) const REQUEST: &str = "urn:uuid:6f0c1f5e-3d0b-4d0e-9c56-0d6a7a4e1b2c";

/// Examples of texts that have none of their own, by the field's name.
const NAMED: [(&str, &str); 26] = [
    ("identity", IDENTITY),
    ("inviter", IDENTITY),
    ("by", IDENTITY),
    ("from", IDENTITY),
    ("to", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
    ("identities", IDENTITY),
    ("added", IDENTITY),
    ("removed", IDENTITY),
    ("group_id", GROUP),
    ("invitation_id", GROUP),
    ("message_id", MESSAGE),
    ("bot_id", "bot_1f0c9a77e03b5d42"),
    ("token_id", "tok_9a0be1f3355c7d20"),
    ("name", "weather"),
    ("names", "weather"),
    ("ciphersuite", "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"),
    ("passphrase", "correct horse battery staple"),
    ("archive", "UVBRQQ=="),
    ("next", "c1_1f"),
    ("label", "dashboard"),
    ("topic", "What runs and what does not"),
    ("group_name", "ops"),
    ("gone", "c1_1f.9a0be1f3.2"),
    ("pointer", "/name"),
    ("payload_hash", GROUP),
    ("reason", "removed"),
];
/// Routes that answer another kind of message than a text.
const ANSWERED: [(&str, &str); 5] = [
    ("put_reaction", "ReactionMessage"),
    ("delete_reaction", "ReactionMessage"),
    ("put_read", "ReadMessage"),
    ("delete_message", "DeletedMessage"),
    ("edit_message", "TextMessage"),
];
const TIME: &str = "2026-11-24T03:00:00.000Z";

/// Adds the examples of all bodies that have none.
pub(super) fn add(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    for (_, _, operation) in operations(document) {
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        if let Some(body) = operation.pointer_mut("/requestBody/content/application~1json") {
            request(&Writer { schemas: &schemas, id: None }, body);
        }
        for (status, response) in object(&mut operation["responses"]) {
            let body = response.pointer_mut("/content/application~1json");
            if let Some(body) = body.filter(|_| status.starts_with('2')) {
                let writer = Writer { schemas: &schemas, id: Some(&id) };
                let example = writer.value("", &body["schema"]);
                object(body).entry("example").or_insert(example);
            }
        }
    }
}

/// Of a union one example for each variant, in the order of the variants.
fn request(writer: &Writer<'_>, body: &mut Value) {
    if body.get("example").is_some() || body.get("examples").is_some() {
        return;
    }
    let schema = body["schema"].clone();
    let union = referenced(&schema).and_then(|name| writer.schemas.get(name));
    let tag = union.and_then(|union| union["discriminator"]["propertyName"].as_str());
    let variants = union.and_then(|union| union["oneOf"].as_array());
    let (Some(tag), Some(variants)) = (tag, variants) else {
        body["example"] = writer.value("", &schema);
        return;
    };
    let named = variants.iter().enumerate().map(|(index, variant)| {
        let value = writer.value("", variant);
        let name = format!("{}-{}", index + 1, value[tag].as_str().unwrap_or_default());
        let about = referenced(variant).map(|name| &writer.schemas[name]["description"]);
        (name, json!({ "summary": about, "value": value }))
    });
    body["examples"] = named.collect::<Map<_, _>>().into();
}

/// Writes examples of schemas.
struct Writer<'a> {
    schemas: &'a Map<String, Value>,
    /// The operation that answers; none for a request.
    id: Option<&'a str>,
}

impl Writer<'_> {
    fn value(&self, field: &str, schema: &Value) -> Value {
        if let Some(example) = own(schema) {
            return example.clone();
        }
        if let Some(target) = referenced(schema).and_then(|name| self.schemas.get(name)) {
            return self.value(field, target);
        }
        if let Some(variants) = schema["oneOf"].as_array() {
            return self.variant(variants).map_or(Value::Null, |one| self.value(field, one));
        }
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        let kind = match &schema["type"] {
            // What may be absent and has no example is absent.
            Value::Array(_) => "null",
            kind => kind.as_str().unwrap_or("object"),
        };
        match kind {
            "object" => self.fields(schema),
            "array" => json!([self.value(field, &schema["items"])]),
            "string" if schema["format"] == "date-time" => TIME.into(),
            "string" => named(field).into(),
            "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
            "boolean" => false.into(),
            _ => Value::Null,
        }
    }

    /// The variant that this operation answers, or else the first that is something.
    fn variant<'v>(&self, variants: &'v [Value]) -> Option<&'v Value> {
        let answered = ANSWERED.iter().find(|(id, _)| Some(*id) == self.id);
        let named = |one: &&Value| answered.is_some_and(|(_, name)| referenced(one) == Some(*name));
        let something = |one: &&Value| one["type"] != "null";
        variants.iter().find(named).or_else(|| variants.iter().find(something))
    }

    fn fields(&self, schema: &Value) -> Value {
        let required = schema["required"].as_array();
        let is_required =
            |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
        let fields = schema["properties"].as_object().into_iter().flatten();
        let wanted = fields.filter(|(name, field)| is_required(name) || own(field).is_some());
        wanted
            .map(|(name, field)| (name.clone(), self.value(name, field)))
            .collect::<Map<_, _>>()
            .into()
    }
}

/// The example a schema gives itself.
fn own(schema: &Value) -> Option<&Value> {
    schema["examples"].get(0)
}

fn named(field: &str) -> &str {
    NAMED.iter().find(|(name, _)| *name == field).map_or("text", |(_, example)| example)
}
