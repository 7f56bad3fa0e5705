//! Tables of routes and events, from the `OpenAPI` description.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quicproquo_client::EventData;
use serde_json::Value;

use super::{code, head, row};
use crate::exit::Failure;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn description() -> Result<Value, Failure> {
    serde_json::from_str(&quicproquo_gateway::openapi_json()).map_err(Failure::other)
}

/// A part of each tag: method and path, who may call it, what it does.
pub(super) fn routes() -> Result<String, Failure> {
    let api = description()?;
    let mut tags: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (path, operations) in api["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let operation = &operations[method];
            let Some(tag) = operation["tags"][0].as_str() else { continue };
            let token = match &operation["security"][0] {
                Value::Object(one) if one.contains_key("admin_token") => "admin",
                Value::Object(one) if one.contains_key("bot_token") => "bot",
                _ => "none",
            };
            let route = code(&format!("{} {path}", method.to_ascii_uppercase()));
            let does = operation["summary"].as_str().unwrap_or_default().trim_end_matches('.');
            tags.entry(tag).or_default().push(row(&[&route, token, does]));
        }
    }
    let mut text = String::new();
    for tag in api["tags"].as_array().into_iter().flatten() {
        let name = tag["name"].as_str().unwrap_or_default();
        let Some(rows) = tags.remove(name) else { continue };
        let about = tag["description"].as_str().unwrap_or_default();
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "### {name}\n\n{about}\n\n{}{}\n",
            head(&["route", "token", "does"]),
            rows.concat()
        );
    }
    match tags.keys().next() {
        Some(tag) => Err(Failure::other(format!("the tag {tag} is not described"))),
        None => Ok(text.trim_end().to_owned() + "\n"),
    }
}

/// Each type of event, when it comes, and the fields of its `data`.
pub(super) fn events() -> Result<String, Failure> {
    let api = description()?;
    let schemas = &api["components"]["schemas"];
    let mut text = head(&["type", "when", "`data`"]);
    for kind in EventData::KINDS {
        let schema = named(schemas, &schemas["Event"]["discriminator"]["mapping"][kind]);
        let when = schema["description"].as_str().unwrap_or_default().trim_end_matches('.');
        let data = named(schemas, &schema["properties"]["data"]["$ref"]);
        let fields = data["properties"].as_object().into_iter().flatten();
        let mut fields = fields.map(|(field, _)| code(field)).collect::<Vec<_>>().join(", ");
        if data["oneOf"].is_array() {
            "a [message](api.md#messages)".clone_into(&mut fields);
        }
        text += &row(&[&code(kind), when, &fields]);
    }
    Ok(text)
}

/// The schema that a reference is to.
fn named<'a>(schemas: &'a Value, reference: &Value) -> &'a Value {
    let name = reference.as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    &schemas[name]
}
