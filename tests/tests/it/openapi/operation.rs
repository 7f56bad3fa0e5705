//! The operations of the description with their examples, and the headers that they are said to
//! answer with.

use std::collections::{BTreeMap, BTreeSet};

use quicproquo_tests::Answer;
use reqwest::Method;
use serde_json::Value;

/// An operation with the examples of its request, and its answers by their status.
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) admin: bool,
    /// Whether it takes an idempotency key.
    pub(super) once: bool,
    pub(super) scopes: BTreeSet<String>,
    pub(super) bodies: Vec<Value>,
    pub(super) answers: BTreeMap<u16, Value>,
}

/// Every operation, by its id.
pub(super) fn operations(document: &Value) -> BTreeMap<String, Operation> {
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("an object") {
        for (method, operation) in item.as_object().expect("an object") {
            let body = &operation["requestBody"]["content"]["application/json"];
            let many = body["examples"].as_object().into_iter().flatten();
            let many = many.map(|(_, example)| example["value"].clone());
            let bodies = body.get("example").cloned().into_iter().chain(many).collect();
            let answers = operation["responses"].as_object().expect("an object").iter();
            let answers = answers.map(|(status, answer)| {
                (status.parse().expect("a status"), resolve(document, answer).clone())
            });
            let security = &operation["security"][0];
            let scopes = security["bot_token"].as_array().into_iter().flatten();
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            let operation = Operation {
                id: id.clone(),
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                admin: security.get("admin_token").is_some(),
                once: takes(operation, "Idempotency-Key"),
                scopes: scopes.filter_map(Value::as_str).map(str::to_owned).collect(),
                bodies,
                answers: answers.collect(),
            };
            found.insert(id, operation);
        }
    }
    found
}

fn takes(operation: &Value, header: &str) -> bool {
    let mut parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.any(|parameter| parameter["name"] == header)
}

/// What is behind a reference, if it is one.
pub(super) fn resolve<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(target) => document.pointer(target.trim_start_matches('#')).expect("a component"),
        None => part,
    }
}

/// The names of all headers that any answer is said to have, in lower case.
pub(super) fn headers(operations: &BTreeMap<String, Operation>) -> BTreeSet<String> {
    let answers = operations.values().flat_map(|operation| operation.answers.values());
    let all = answers.filter_map(|answer| answer["headers"].as_object());
    all.flat_map(|headers| headers.keys().map(|name| name.to_lowercase())).collect()
}

/// An answer has the headers it is said to have, and of all that are described no other.
pub(super) fn check_headers(
    document: &Value,
    known: &BTreeSet<String>,
    described: &Value,
    answer: &Answer,
) {
    let headers = described["headers"].as_object().expect("every answer has some");
    for (name, header) in headers {
        let due = resolve(document, header)["required"] == true;
        assert!(!due || !answer.header(name).is_empty(), "{name} is missing: {answer:?}");
    }
    let told: BTreeSet<_> = headers.keys().map(|name| name.to_lowercase()).collect();
    for name in answer.headers.keys().map(|name| name.as_str().to_owned()) {
        assert!(!known.contains(&name) || told.contains(&name), "{name}: {answer:?}");
    }
}
