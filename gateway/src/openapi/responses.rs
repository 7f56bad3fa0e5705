//! Answers: problems that many routes share are described once, with every kind they can have.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::examples;
use super::finish::{object, operations};
use crate::problem::{Kind, MEDIA_TYPE};

/// Gives problems their examples, puts those that occur more than once into the components, and
/// names the headers of answers.
pub(super) fn share(document: &mut Value) {
    let mut shared = Map::new();
    for (_, _, operation) in operations(document) {
        let takes = |header: &str| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters.into_iter().any(|parameter| parameter["name"] == header)
        };
        let (guarded, once) = (takes("If-Match"), takes("Idempotency-Key"));
        // Said in so many words: it needs no token.
        object(operation).entry("security").or_insert_with(|| json!([]));
        let responses = object(&mut operation["responses"]);
        // Without the header there is nothing that could fail.
        responses.retain(|status, _| match status.as_str() {
            "412" => guarded,
            "422" => once,
            _ => true,
        });
        for (status, response) in responses.iter_mut() {
            let Some(status) = status.parse().ok().and_then(|code| StatusCode::from_u16(code).ok())
            else {
                continue;
            };
            if response["content"].get(MEDIA_TYPE).is_some() {
                response["content"][MEDIA_TYPE]["examples"] = kinds(status);
                let name = name(status);
                let first = shared.entry(name.clone()).or_insert_with(|| response.clone());
                if *first == *response {
                    *response = json!({ "$ref": format!("#/components/responses/{name}") });
                }
            } else if status.is_success() && once {
                response["headers"]["Idempotency-Replayed"] = json!({
                    "description": "`true` when an earlier request with the same key did the work.",
                    "schema": { "type": "string", "enum": ["true"] },
                });
            }
        }
    }
    document["components"]["responses"] = Value::Object(shared);
}

/// `Not Found` as `NotFound`.
fn name(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or("Problem");
    reason.chars().filter(char::is_ascii_alphabetic).collect()
}

/// One example for every kind of problem with this status.
fn kinds(status: StatusCode) -> Value {
    let kinds = Kind::ALL.iter().filter(|kind| kind.status() == status);
    kinds
        .map(|kind| {
            let body = crate::problem::Problem::new(*kind).body(examples::REQUEST.to_owned());
            (kind.slug().to_owned(), json!({ "summary": kind.title(), "value": body }))
        })
        .collect::<Map<_, _>>()
        .into()
}
