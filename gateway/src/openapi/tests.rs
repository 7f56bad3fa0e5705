//! Rules for the document as a whole.

use std::collections::HashSet;

use serde_json::Value;

use super::*;

fn document() -> Value {
    serde_json::from_str(&openapi_json()).unwrap()
}

/// Every operation with a name for complaints.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    all.collect()
}

/// A response behind its reference, if it is one.
fn resolve<'a>(document: &'a Value, response: &'a Value) -> &'a Value {
    match response["$ref"].as_str() {
        Some(target) => document.pointer(target.trim_start_matches('#')).unwrap(),
        None => response,
    }
}

#[test]
fn openapi_is_current() {
    let committed = include_str!("../../../openapi/gateway.json");
    assert!(
        committed == openapi_json(),
        "openapi/gateway.json is not current: run `cargo xtask openapi`"
    );
}

#[test]
fn every_operation_is_described_and_closed() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = HashSet::new();
    for (what, operation) in operations(&document) {
        let summary = operation["summary"].as_str().unwrap();
        assert!(!summary.is_empty() && summary.len() <= 120, "the summary of {what}");
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "the tag of {what}");
        let id = operation["operationId"].as_str().unwrap().to_owned();
        assert!(ids.insert(id), "{what} shares its operationId");
        let closed = !operation["security"].as_array().unwrap().is_empty();
        assert_eq!(closed, what.contains(" /v1/"), "{what}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{what} {}", parameter["name"]);
        }
    }
}

#[test]
fn every_error_is_a_problem_with_examples() {
    let document = document();
    for (what, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        let closed = what.contains(" /v1/");
        let due: &[&str] =
            if closed { &["400", "401", "403", "500", "503"] } else { &["403", "500"] };
        for status in due {
            assert!(responses.contains_key(*status), "{what} lacks {status}");
        }
        for (status, response) in responses {
            let response = resolve(&document, response);
            assert!(response["description"].is_string(), "{what} {status}");
            if status.as_str() < "400" {
                continue;
            }
            let content = response["content"].as_object().unwrap();
            assert_eq!(content.keys().collect::<Vec<_>>(), [MEDIA_TYPE], "{what} {status}");
            let problem = &content[MEDIA_TYPE];
            assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem");
            assert!(!problem["examples"].as_object().unwrap().is_empty(), "{what} {status}");
        }
    }
}

#[test]
fn every_body_has_a_name_and_an_example() {
    let document = document();
    for (what, operation) in operations(&document) {
        let mut bodies: Vec<(String, &Value)> = Vec::new();
        bodies.extend(operation.get("requestBody").map(|body| ("request".to_owned(), body)));
        for (status, response) in operation["responses"].as_object().unwrap() {
            bodies.push((status.clone(), resolve(&document, response)));
        }
        for (where_, body) in bodies {
            let Some(json) = body.pointer("/content/application~1json") else { continue };
            assert!(json["schema"]["$ref"].is_string(), "{what} {where_} has no name");
            let examples = json.get("example").or(json.get("examples"));
            assert!(examples.is_some_and(|all| !all.is_null()), "{what} {where_} has no example");
        }
    }
}

/// Schemas inside others that are objects with fields.
fn anonymous(schema: &Value, place: &str, found: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            if place.matches('/').count() > 0
                && fields.get("properties").is_some_and(Value::is_object)
            {
                found.push(place.to_owned());
            }
            for (key, value) in fields.iter().filter(|(key, _)| *key != "examples") {
                // The keys inside `properties` are the fields' names.
                let value = if key == "properties" { value.as_object() } else { None }.map_or_else(
                    || vec![(key.clone(), value)],
                    |fields| fields.iter().map(|(name, schema)| (name.clone(), schema)).collect(),
                );
                for (name, schema) in value {
                    anonymous(schema, &format!("{place}/{name}"), found);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                anonymous(item, &format!("{place}/-"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn no_schema_is_anonymous_and_unions_are_told_apart() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "the name {name}");
        assert!(schema["description"].is_string(), "{name} is not described");
        let mut found = Vec::new();
        anonymous(schema, name, &mut found);
        assert_eq!(found, Vec::<String>::new());
        assert!(schema.get("anyOf").is_none() && schema.get("allOf").is_none(), "{name}");
        if schema.get("oneOf").is_some() {
            assert!(schema["discriminator"]["propertyName"].is_string(), "{name}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let text = openapi_json();
    let document = document();
    for part in text.split("\"$ref\": \"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} is missing");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        let reference = format!("\"$ref\": \"#/components/schemas/{name}\"");
        assert!(text.contains(&reference), "{name} is not used");
    }
}

#[test]
fn files_are_bytes() {
    let document = document();
    let bytes = serde_json::json!({ "type": "string", "format": "binary" });
    let upload = &document["paths"]["/v1/attachments"]["post"]["requestBody"];
    assert_eq!(upload["content"]["application/octet-stream"]["schema"], bytes);
    let answers = &document["paths"]["/v1/attachments/{attachment_id}"]["get"]["responses"];
    assert_eq!(answers["200"]["content"]["application/octet-stream"]["schema"], bytes);
}
