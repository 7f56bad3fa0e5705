//! Every request in the description is sent to a running system, as a reader would send it, with
//! the ids of the examples in the place of which there are real ones.

use std::collections::BTreeMap;

use quicproquo_tests::{Answer, Api, Bot, LONG, Launch, Running, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::committed;

/// Operations in an order in which each finds what it needs. What is not here is sent after them,
/// and may miss something (403, 404, 409), but has to be understood.
const ORDER: [&str; 15] = [
    "create_bot",
    "issue_token",
    "create_group",
    "verify_identity",
    "change_group",
    "change_member",
    "send_message",
    "put_read",
    "put_typing",
    "put_reaction",
    "extend_leases",
    "acknowledge_events",
    "edit_message",
    "change_bot",
    "export_bot",
];

/// Those that make what the others speak of.
const MAKERS: [&str; 4] = ["create_bot", "create_group", "send_message", "export_bot"];

/// What a delivery is called in the examples.
const DELIVERY: &str = "c1_1f.9a0be1f3.2";

/// An operation with the examples of its request, and those of its answers by their status.
struct Operation {
    method: Method,
    path: String,
    admin: bool,
    bodies: Vec<Value>,
    answers: BTreeMap<u16, Value>,
}

/// Every operation, by its id.
fn operations(document: &Value) -> BTreeMap<String, Operation> {
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("an object") {
        for (method, operation) in item.as_object().expect("an object") {
            let body = &operation["requestBody"]["content"]["application/json"];
            let many = body["examples"].as_object().into_iter().flatten();
            let many = many.map(|(_, example)| example["value"].clone());
            let bodies = body.get("example").cloned().into_iter().chain(many).collect();
            let answers = operation["responses"].as_object().expect("an object").iter();
            let answers = answers.map(|(status, answer)| {
                let example = answer["content"]["application/json"]["example"].clone();
                (status.parse().expect("a method or status"), example)
            });
            let operation = Operation {
                method: method.to_uppercase().parse().expect("a method or status"),
                path: path.clone(),
                admin: operation["security"][0].get("admin_token").is_some(),
                bodies,
                answers: answers.collect(),
            };
            let id = item[method]["operationId"].as_str().expect("an id").to_owned();
            found.insert(id, operation);
        }
    }
    found
}

/// What stands in the examples, and what is real.
#[derive(Default)]
struct Real {
    texts: Vec<(String, String)>,
}

impl Real {
    fn learn(&mut self, example: &Value, real: &Value) {
        if let (Some(example), Some(real)) = (example.as_str(), real.as_str()) {
            self.texts.retain(|(known, _)| known != example);
            self.texts.push((example.to_owned(), real.to_owned()));
        }
    }

    fn text(&self, text: &str) -> String {
        let known = self.texts.iter().find(|(example, _)| example == text);
        known.map_or_else(|| text.to_owned(), |(_, real)| real.clone())
    }

    fn body(&self, body: &Value) -> Value {
        match body {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.body(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, field)| (name.clone(), self.body(field))).collect()
            }
            other => other.clone(),
        }
    }

    /// A path with the ids that its parameters stand for.
    fn path(path: &str, parameters: &BTreeMap<&str, String>) -> String {
        let parts = path.split('/').map(|part| {
            let name = part.trim_start_matches('{').trim_end_matches('}');
            match parameters.get(name) {
                Some(value) if part.starts_with('{') => value.clone(),
                _ if part.starts_with('{') => "unknown".to_owned(),
                _ => part.to_owned(),
            }
        });
        parts.collect::<Vec<_>>().join("/")
    }
}

struct World {
    up: Running,
    alice: Bot,
    real: Real,
    parameters: BTreeMap<&'static str, String>,
}

impl World {
    async fn send(&self, operation: &Operation, body: &Value) -> Answer {
        let admin = self.up.admin();
        let api: &Api = if operation.admin { &admin } else { &self.alice.api };
        let path = Real::path(&operation.path, &self.parameters);
        let request = api.request(operation.method.clone(), &path);
        api.send(request.json(&self.real.body(body))).await
    }

    /// What later examples speak of: what this answer has in the place of its example's ids.
    fn remember(&mut self, example: &Value, answer: &Value) {
        for field in ["bot_id", "identity", "group_id", "message_id", "archive"] {
            self.real.learn(&example[field], &answer[field]);
            if let Some(text) = answer[field].as_str() {
                self.parameters.insert(field, text.to_owned());
            }
        }
    }

    /// Waits for a delivery to the consumer of the examples.
    async fn delivery(&self) -> Value {
        wait_for("a delivery", LONG, || async {
            let page = self.alice.api.get("/v1/events?timeout=0&consumer=main").await.expect(200);
            page["items"][0].get("delivery_id").cloned()
        })
        .await
    }
}

#[tokio::test]
async fn every_request_of_the_description_is_taken() {
    let document = committed();
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let alice = Bot::create(&up, "alice").await;
    // A consumer begins at the tail, so it is there before anything happens.
    alice.api.get("/v1/events?timeout=0&consumer=main").await.expect(200);
    let mut world = World {
        up,
        alice,
        real: Real::default(),
        parameters: BTreeMap::from([("key", "+1".to_owned())]),
    };
    let upload = world.alice.api.request(Method::POST, "/v1/attachments");
    let upload = upload.header("Content-Type", "application/pdf").body("a report");
    let attachment = world.alice.api.send(upload).await.expect(201);
    let example = json!("1c0ffee01c0ffee01c0ffee01c0ffee0");
    world.real.learn(&example, &attachment["attachment_id"]);
    let operations = operations(&document);
    let others = operations.keys().filter(|id| !ORDER.contains(&id.as_str()));
    let mut sent = 0;
    for id in ORDER.into_iter().chain(others.map(String::as_str)) {
        let operation = operations.get(id).unwrap_or_else(|| panic!("there is no {id}"));
        if id == "extend_leases" {
            world.real.learn(&json!("c1_1f"), &json!(world.alice.tail().await));
            let delivery = world.delivery().await;
            world.real.learn(&json!(DELIVERY), &delivery);
        }
        // The last message is one that the others can be about.
        let again = operation.bodies.first().filter(|_| id == "send_message");
        for body in operation.bodies.iter().chain(again) {
            let answer = world.send(operation, body).await;
            let context = format!("{id} {body}: {} {}", answer.status, answer.text);
            assert!(operation.answers.contains_key(&answer.status), "not described: {context}");
            let taken = (200..300).contains(&answer.status);
            let missed = !ORDER.contains(&id) && matches!(answer.status, 403 | 404 | 409);
            assert!(taken || missed, "{context}");
            if MAKERS.contains(&id) && (id != "send_message" || body["type"] == "text") {
                world.remember(&operation.answers[&answer.status], &answer.json());
            }
            sent += 1;
        }
    }
    assert!(sent >= 25, "only {sent} requests");
    world.up.stop().await;
}
