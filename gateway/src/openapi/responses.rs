//! Answers: problems that many routes share are described once, with every kind they can have.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::examples;
use super::finish::{object, operations};
use crate::problem::{Kind, MEDIA_TYPE};

/// Gives problems their examples, and puts the usual one of each status into the components.
pub(super) fn share(document: &mut Value) {
    let mut found: BTreeMap<String, Vec<(Value, u32)>> = BTreeMap::new();
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
                let same = found.entry(name(status)).or_default();
                match same.iter_mut().find(|(known, _)| known == response) {
                    Some((_, times)) => *times += 1,
                    None => same.push((response.clone(), 1)),
                }
            }
        }
    }
    // Of the texts for one status the usual one.
    let usual = found.into_iter().filter_map(|(name, texts)| {
        texts.into_iter().max_by_key(|(_, times)| *times).map(|(response, _)| (name, response))
    });
    let shared: Map<_, _> = usual.collect();
    for (_, _, operation) in operations(document) {
        for (_, response) in object(&mut operation["responses"]) {
            if let Some((name, _)) = shared.iter().find(|(_, usual)| *usual == response) {
                *response = json!({ "$ref": format!("#/components/responses/{name}") });
            }
        }
    }
    document["components"]["responses"] = Value::Object(shared);
}

/// The status whose problem has this name among the components.
pub(super) fn status(wanted: &str) -> Option<StatusCode> {
    Kind::ALL.iter().map(|kind| kind.status()).find(|status| name(*status) == wanted)
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
