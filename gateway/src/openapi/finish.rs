//! From what the derives give to the document that is published: every body has a name, unions
//! say which of their fields tells the variants apart, problems are shared, and bodies have
//! examples.
//!
//! Works on JSON, on whatever routes there are, so that a new route needs nothing here.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{examples, headers, responses, unions};

const SCHEMAS: &str = "#/components/schemas/";

/// The document in the order in which people read it.
#[derive(Serialize)]
struct Ordered<'a> {
    openapi: &'a Value,
    info: &'a Value,
    servers: &'a Value,
    tags: &'a Value,
    paths: &'a Value,
    components: &'a Value,
}

/// Finishes a document.
pub(super) fn finish(mut document: Value) -> Value {
    name_items(&mut document);
    let schemas = object(&mut document["components"]["schemas"]);
    flatten(schemas);
    unions::divide(schemas);
    name_requests(&mut document);
    nullable_references(&mut document["components"]["schemas"]);
    parameters(&mut document);
    patterns(&mut document["components"]["schemas"]);
    optional_bodies(&mut document);
    files(&mut document["paths"]);
    schema_examples(&mut document["components"]["schemas"]);
    examples::add(&mut document);
    responses::share(&mut document);
    headers::describe(&mut document);
    scopes(&mut document);
    document
}

/// The document as pretty JSON.
pub(super) fn text(document: &Value) -> String {
    let ordered = Ordered {
        openapi: &document["openapi"],
        info: &document["info"],
        servers: &document["servers"],
        tags: &document["tags"],
        paths: &document["paths"],
        components: &document["components"],
    };
    serde_json::to_string_pretty(&ordered).unwrap_or_default()
}

/// A reference to a schema.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{SCHEMAS}{name}") })
}

/// The name a reference leads to.
pub(super) fn referenced(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(SCHEMAS)
}

/// The fields of an object; what is none becomes one.
pub(super) fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was just made an object")
}

/// Every operation of a document, with its path and method.
pub(super) fn operations(document: &mut Value) -> impl Iterator<Item = (&str, &str, &mut Value)> {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object_mut().into_iter().flatten();
        methods.map(|(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// Lists are derived as `List_Bot`, with their items in place; items have names of their own.
fn name_items(document: &mut Value) {
    let schemas = object(&mut document["components"]["schemas"]);
    let names = schemas.keys().filter(|name| name.starts_with("List_"));
    let lists: Vec<String> = names.cloned().collect();
    for list in &lists {
        let item = list.trim_start_matches("List_").to_owned();
        let Some(items) = schemas[list].pointer_mut("/properties/items/items") else { continue };
        let derived = std::mem::replace(items, reference(&item));
        schemas.entry(item).or_insert(derived);
    }
    rename(document, |name| Some(format!("{}List", name.strip_prefix("List_")?)));
}

/// `NewBot` is `BotRequest`: in Go, `NewBot` makes a `Bot`.
fn name_requests(document: &mut Value) {
    rename(document, |name| {
        let rest = name.strip_prefix("New")?;
        rest.starts_with(|c: char| c.is_ascii_uppercase()).then(|| format!("{rest}Request"))
    });
}

/// Gives schemas other names, everywhere.
fn rename(document: &mut Value, new: impl Fn(&str) -> Option<String> + Copy) {
    let schemas = object(&mut document["components"]["schemas"]);
    let old = std::mem::take(schemas);
    schemas.extend(old.into_iter().map(|(name, schema)| (new(&name).unwrap_or(name), schema)));
    rename_references(document, new);
}

fn rename_references(value: &mut Value, new: impl Fn(&str) -> Option<String> + Copy) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(|value| rename_references(value, new));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| rename_references(value, new)),
        Value::String(text) => {
            if let Some(name) = text.strip_prefix(SCHEMAS).and_then(new) {
                *text = format!("{SCHEMAS}{name}");
            }
        }
        _ => {}
    }
}

/// Files are derived as arrays of numbers; this is how generators know bytes.
fn files(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "application/octet-stream" {
                    value["schema"] = json!({ "type": "string", "format": "binary" });
                } else {
                    files(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(files),
        _ => {}
    }
}

/// Types that contain another one have its fields; they say so one by one, which every generator
/// understands.
fn flatten(schemas: &mut Map<String, Value>) {
    let names: Vec<String> = schemas.keys().cloned().collect();
    for name in names {
        let Some(parts) = schemas[&name]["allOf"].as_array().cloned() else { continue };
        let mut whole = json!({ "type": "object", "required": [], "properties": {} });
        for part in &parts {
            let part = referenced(part).map_or(part, |name| &schemas[name]).clone();
            if let (Some(all), Some(some)) =
                (whole["required"].as_array_mut(), part["required"].as_array())
            {
                all.extend(some.iter().cloned());
            }
            let properties = part["properties"].as_object().cloned().unwrap_or_default();
            object(&mut whole["properties"]).extend(properties);
        }
        if let Some(text) = schemas[&name].get("description") {
            whole["description"] = text.clone();
        }
        schemas.insert(name, whole);
    }
}

/// `null` or a reference: the text belongs to the field and not to one of the two.
fn nullable_references(value: &mut Value) {
    if let Some(text) = value.pointer_mut("/oneOf").and_then(|variants| {
        let variants = variants.as_array_mut()?;
        let nullable = variants.len() == 2 && variants.iter().any(|v| v["type"] == "null");
        let found = variants.iter_mut().find(|v| v["$ref"].is_string())?;
        nullable.then(|| found.as_object_mut()?.remove("description")).flatten()
    }) {
        value["description"] = text;
    }
    each(value, nullable_references);
}

/// How values of parameters look that do not say so themselves.
const PATTERNS: [(&str, &str); 5] = [
    ("Idempotency-Key", "^[!-~]([ -~]{0,253}[!-~])?$"),
    ("If-Match", r#"^("[0-9]{1,19}"|[*])$"#),
    ("Last-Event-ID", CURSOR),
    ("after", CURSOR),
    ("before", CURSOR),
];
const CURSOR: &str = "^c1_(0|[1-9a-f][0-9a-f]{0,14})$";

/// A parameter that may be absent is not `null`, and may have to look like something.
fn parameters(document: &mut Value) {
    for (_, _, operation) in operations(document) {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            let named = PATTERNS.iter().find(|(name, _)| parameter["name"] == *name);
            if let (Some((_, pattern)), Some(schema)) = (named, parameter.get_mut("schema"))
                && schema.get("pattern").is_none()
            {
                schema["pattern"] = (*pattern).into();
            }
            let Some(kind) = parameter.pointer_mut("/schema/type") else { continue };
            if let Some(kinds) = kind.as_array() {
                *kind = kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default();
            }
        }
    }
}

/// How texts look that are called so, in whichever body.
const TEXTS: [(&str, &str); 8] = [
    ("message_id", "^[0-9a-f]{32}$"),
    ("reply_to", "^[0-9a-f]{32}$"),
    ("group_id", "^[0-9a-f]{64}$"),
    ("identity", "^[0-9a-f]{64}$"),
    ("identities", "^[0-9a-f]{64}$"),
    ("cursor", CURSOR),
    ("consumer", "^[0-9A-Za-z._-]{1,64}$"),
    // Of a request; the members of an answer are objects.
    ("members", "^([0-9a-f]{64}|[a-z0-9._-]{1,63})$"),
];

/// Gives the fields of bodies their patterns.
fn patterns(value: &mut Value) {
    let fields = value.get_mut("properties").and_then(Value::as_object_mut);
    for (name, field) in fields.into_iter().flatten() {
        let Some((_, pattern)) = TEXTS.iter().find(|(known, _)| known == name) else { continue };
        let field = if field.get("items").is_some() { &mut field["items"] } else { field };
        let kind = &field["type"];
        let is_text = kind == "string" || kind.as_array().is_some_and(|all| all[0] == "string");
        if is_text && field.get("pattern").is_none() {
            field["pattern"] = (*pattern).into();
        }
    }
    each(value, patterns);
}

/// A body that may be `{}` may be absent as well.
fn optional_bodies(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    for (_, _, operation) in operations(document) {
        let schema = operation.pointer("/requestBody/content/application~1json/schema");
        let schema = schema.and_then(referenced).and_then(|name| schemas.get(name));
        if schema
            .is_some_and(|schema| schema["type"] == "object" && schema.get("required").is_none())
        {
            operation["requestBody"]["required"] = false.into();
        }
    }
}

/// The scopes that a token needs, which `security` lists, are said where people read.
fn scopes(document: &mut Value) {
    for (_, _, operation) in operations(document) {
        let needed = operation["security"][0]["bot_token"].as_array().into_iter().flatten();
        let named = needed.filter_map(Value::as_str).map(|scope| format!("`{scope}`"));
        let named: Vec<_> = named.collect();
        let text = match named.as_slice() {
            [] => continue,
            [scope] => format!("The token needs the scope {scope}."),
            more => format!("The token needs the scopes {}.", more.join(" and ")),
        };
        let before = operation["description"].as_str().map(|text| format!("{text}\n\n"));
        operation["description"] = format!("{}{text}", before.unwrap_or_default()).into();
    }
}

/// JSON Schema has `examples`.
fn schema_examples(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        let is_schema =
            ["type", "oneOf", "$ref", "description"].iter().any(|key| fields.contains_key(*key));
        if is_schema && let Some(example) = fields.remove("example") {
            fields.insert("examples".to_owned(), json!([example]));
        }
        for (key, value) in fields {
            if key != "examples" && key != "default" {
                schema_examples(value);
            }
        }
    } else {
        each(value, schema_examples);
    }
}

fn each(value: &mut Value, work: fn(&mut Value)) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(work),
        Value::Array(items) => items.iter_mut().for_each(work),
        _ => {}
    }
}
