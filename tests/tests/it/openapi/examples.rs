//! Every operation of the description is called on a running system, with every example of its
//! request, as a reader would call it; the ids of the examples are replaced by real ones. Each
//! succeeds with the scopes that it names and no others, is refused without one of them, and
//! answers with the headers that are described.

use std::collections::{BTreeMap, BTreeSet};

use quicproquo_tests::bot::find_token;
use quicproquo_tests::{Answer, Api, Bot, LONG, Launch, Running, Socket, bots, wait_for, within};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::committed;
use super::operation::{Operation, check_headers, headers, operations};

/// All operations, in an order in which each finds what it needs.
const ORDER: [&str; 56] = [
    "get_live",
    "get_ready",
    "create_bot",
    "list_bots",
    "get_bot",
    "issue_token",
    "list_tokens",
    "revoke_token",
    "get_me",
    "get_identity",
    "verify_identity",
    "list_invitations",
    "accept_invitation",
    "decline_invitation",
    "create_group",
    "list_groups",
    "get_group",
    "get_group_health",
    "change_group",
    "list_members",
    "change_member",
    "add_members",
    "remove_member",
    "update_keys",
    "upload_attachment",
    "send_message",
    "download_attachment",
    "list_messages",
    "get_message",
    "put_read",
    "put_typing",
    "put_reaction",
    "delete_reaction",
    "edit_message",
    "list_events",
    "issue_ticket",
    "stream_events",
    "list_consumers",
    "extend_leases",
    "acknowledge_events",
    "list_parked",
    "replay_parked",
    "delete_consumer",
    "create_webhook",
    "list_webhooks",
    "get_webhook",
    "change_webhook",
    "list_deliveries",
    "replay_deliveries",
    "delete_webhook",
    "delete_message",
    "leave_group",
    "change_bot",
    "export_bot",
    "delete_bot",
    "import_bot",
];

/// Those whose answers have ids that the others speak of.
const MAKERS: [&str; 7] = [
    "create_bot",
    "issue_token",
    "create_group",
    "send_message",
    "upload_attachment",
    "create_webhook",
    "export_bot",
];
/// Ids and what else later requests take from an answer.
const IDS: [&str; 8] = [
    "bot_id",
    "token_id",
    "identity",
    "group_id",
    "message_id",
    "attachment_id",
    "webhook_id",
    "archive",
];

/// What a delivery to a consumer and one to a webhook are called in the examples.
const DELIVERY: &str = "c1_1f.9a0be1f3.2";
const REPORT: &str = "msg_9a0be1f3355c7d209a0be1f3";

/// Of these the passphrase is no part of what a repetition is compared with.
const PASSPHRASES: [&str; 2] = ["export_bot", "import_bot"];

/// Where a webhook of the examples delivers to.
const TARGET: &str = "https://hooks.example.org";

struct World {
    up: Running,
    alice: Bot,
    /// The texts of the examples in the place of which there are real ones.
    real: BTreeMap<String, String>,
    parameters: BTreeMap<&'static str, String>,
    /// Callers by their scopes.
    callers: BTreeMap<BTreeSet<String>, Api>,
}

impl World {
    fn learn(&mut self, example: &str, real: &Value) {
        let real = real.as_str().expect("a text").to_owned();
        self.real.insert(example.to_owned(), real);
    }

    fn body(&self, body: &Value) -> Value {
        match body {
            Value::String(text) => self.real.get(text).unwrap_or(text).clone().into(),
            Value::Array(items) => items.iter().map(|item| self.body(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, field)| (name.clone(), self.body(field))).collect()
            }
            other => other.clone(),
        }
    }

    /// A path with the ids that its parameters stand for, and the query it needs.
    fn path(&self, operation: &Operation) -> String {
        let parts = operation.path.split('/').map(|part| match part.strip_prefix('{') {
            Some(name) => {
                let name = name.trim_end_matches('}');
                self.parameters.get(name).unwrap_or_else(|| panic!("no {name}")).as_str()
            }
            None => part,
        });
        let query = match operation.id.as_str() {
            "list_events" => "?timeout=0",
            "list_parked" => "?consumer=main",
            _ => "",
        };
        parts.collect::<Vec<_>>().join("/") + query
    }

    /// A caller whose token has these scopes.
    async fn caller(&mut self, scopes: &BTreeSet<String>) -> Api {
        if let Some(known) = self.callers.get(scopes) {
            return known.clone();
        }
        let tokens = format!("/v1/bots/{}/tokens", self.alice.id);
        let issued = self.up.admin().post(&tokens, &json!({ "scopes": scopes })).await.expect(201);
        let api = Api::new(&self.up.url(), find_token(&issued).expect("a token"));
        self.callers.insert(scopes.clone(), api.clone());
        api
    }

    async fn send(
        &self,
        api: &Api,
        operation: &Operation,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Answer {
        let mut request = api.request(operation.method.clone(), &self.path(operation));
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let request = match (operation.id.as_str(), body) {
            ("upload_attachment", _) => {
                request.header("Content-Type", "application/pdf").body("a report")
            }
            ("stream_events", _) => request
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            (_, Some(body)) => request.json(&self.body(body)),
            _ => request,
        };
        api.send(request).await
    }

    /// The same request in other words: its body has a space more, or is there at all.
    async fn other(
        &self,
        api: &Api,
        operation: &Operation,
        body: Option<&Value>,
        key: &str,
    ) -> Answer {
        let request = api.request(operation.method.clone(), &self.path(operation));
        let request = request.header("Idempotency-Key", key);
        let request = match (operation.id.as_str(), body) {
            ("upload_attachment", _) => {
                request.header("Content-Type", "application/pdf").body("another report")
            }
            (_, Some(body)) => request
                .header("Content-Type", "application/json")
                .body(format!("{} ", self.body(body))),
            _ => request.json(&json!({})),
        };
        api.send(request).await
    }

    /// What later requests speak of: what this answer has in the place of its example's ids.
    fn remember(&mut self, example: &Value, answer: &Value) {
        for field in IDS {
            let (Some(example), Some(real)) = (example[field].as_str(), answer[field].as_str())
            else {
                continue;
            };
            self.real.insert(example.to_owned(), real.to_owned());
            self.parameters.insert(field, real.to_owned());
        }
    }

    /// Waits until a list of alice's has an item with this field.
    async fn listed(&self, path: &str, field: &str) -> Value {
        wait_for(field, LONG, || async {
            self.alice.api.get(path).await.expect(200)["items"][0].get(field).cloned()
        })
        .await
    }

    /// An invitation for alice to a new group; answers its id.
    async fn invited(&mut self, host: &Bot) -> String {
        let group = host.create_group("host's", &[&self.alice]).await;
        self.parameters.insert("invitation_id", group.clone());
        self.listed("/v1/invitations", "invitation_id").await;
        group
    }

    /// An event that was delivered to the consumer ten times in vain.
    async fn set_aside(&mut self) {
        // What a poll has left open is not delivered to another connection.
        let all = json!({ "consumer": "main", "up_to": self.alice.tail().await });
        self.alice.api.post("/v1/events/ack", &all).await.expect(200);
        for text in ["again and again", "what comes after it"] {
            self.alice.say(&self.parameters["group_id"], text).await;
        }
        let mut ear = Socket::open(&self.alice.api, "consumer=main&lease=1000").await;
        let path = "/v1/events/parked?consumer=main";
        let parked = within("an event to be set aside", LONG, async {
            loop {
                ear.frame().await.expect("a frame");
                let all = self.alice.api.get(path).await.expect(200);
                if let Some(id) = all["items"][0]["delivery_id"].as_str() {
                    return id.to_owned();
                }
            }
        })
        .await;
        self.parameters.insert("delivery_id", parked);
    }
}

#[tokio::test]
async fn every_operation_is_as_it_is_described() {
    let document = committed();
    let operations = operations(&document);
    let ids: BTreeSet<_> = operations.keys().map(String::as_str).collect();
    assert_eq!(ids, BTreeSet::from(ORDER), "every operation has its place in the order");
    let known = headers(&operations);
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).arg("--webhook-target", TARGET).start().await;
    let [alice, host, guest] = bots(&up, ["alice", "host", "guest"]).await;
    // A consumer begins at the tail, so it is there before anything happens.
    alice.api.get("/v1/events?timeout=0&consumer=main").await.expect(200);
    let identity = alice.identity.clone();
    let parameters = [("key", "+1"), ("consumer", "main"), ("identity", &identity)];
    let mut world = World {
        up,
        alice,
        real: BTreeMap::new(),
        parameters: parameters.map(|(name, value)| (name, value.to_owned())).into(),
        callers: BTreeMap::new(),
    };
    let tail = json!(world.alice.tail().await);
    world.learn("c1_1f", &tail);
    let (mut sent, mut refused, mut repeated, mut accepted) = (0, 0, 0, String::new());
    for id in ORDER {
        let operation = &operations[id];
        match id {
            "accept_invitation" => accepted = world.invited(&host).await,
            "decline_invitation" => {
                world.invited(&host).await;
            }
            "add_members" => world.learn("weather", &json!(guest.name)),
            "remove_member" => {
                world.parameters.insert("identity", guest.identity.clone());
            }
            "extend_leases" => {
                let path = "/v1/events?timeout=0&consumer=main";
                let delivery = world.listed(path, "delivery_id").await;
                world.learn(DELIVERY, &delivery);
            }
            "list_parked" => world.set_aside().await,
            "replay_deliveries" => {
                host.say(&accepted, "hello alice").await;
                let path = world.path(&operations["list_deliveries"]);
                let delivery = world.listed(&path, "delivery_id").await;
                world.learn(REPORT, &delivery);
            }
            _ => {}
        }
        let api = if operation.admin {
            world.up.admin()
        } else {
            // A token has at least one scope; for what needs none any will do.
            let any = BTreeSet::from(["webhooks:manage".to_owned()]);
            let needed = if operation.scopes.is_empty() { &any } else { &operation.scopes };
            world.caller(needed).await
        };
        for scope in &operation.scopes {
            let mut others = BTreeSet::from(SCOPES.map(str::to_owned));
            others.remove(scope);
            let without = world.caller(&others).await;
            let answer = world.send(&without, operation, operation.bodies.first(), None).await;
            let problem = answer.expect_problem(403, "scope-missing");
            assert!(problem["detail"].as_str().unwrap().contains(scope.as_str()), "{problem}");
            check_headers(&document, &known, &operation.answers[&403], &answer);
            refused += 1;
        }
        let bodies = operation.bodies.iter().map(Some);
        let nothing = operation.bodies.is_empty().then_some(None);
        for body in bodies.chain(nothing) {
            let key = operation.once.then(|| format!("{id} {sent}"));
            let answer = world.send(&api, operation, body, key.as_deref()).await;
            let context = format!("{id} {body:?}: {} {}", answer.status, answer.text);
            assert!((101..300).contains(&answer.status), "{context}");
            let described = operation.answers.get(&answer.status);
            let described = described.unwrap_or_else(|| panic!("not described: {context}"));
            check_headers(&document, &known, described, &answer);
            if let Some(key) = &key {
                // The same again is answered and not done, whatever it speaks of has become.
                let again = world.send(&api, operation, body, Some(key)).await;
                assert_eq!(again.header("idempotency-replayed"), "true", "{id}: {}", again.text);
                check_headers(&document, &known, &operation.answers[&again.status], &again);
                assert_eq!(again.json()["message_id"], answer.json()["message_id"], "{id}");
                assert_eq!(answer.header("idempotency-replayed"), "", "{id}");
                // In other words it is another request; of passphrases nothing is kept.
                if !PASSPHRASES.contains(&id) {
                    let other = world.other(&api, operation, body, key).await;
                    other.expect_problem(422, "idempotency-mismatch");
                }
                repeated += 1;
            }
            let example = &described["content"]["application/json"]["example"];
            // Of messages one that the others can be about.
            let of_use = id != "send_message" || body.is_some_and(|body| body["type"] == "text");
            if MAKERS.contains(&id) && of_use {
                world.remember(example, &answer.json());
            }
            sent += 1;
        }
    }
    assert!(sent > ORDER.len() && refused > 40, "{sent} requests and {refused} refusals");
    assert!(repeated > 30, "only {repeated} repetitions");
    world.up.stop().await;
}

/// All scopes that there are.
const SCOPES: [&str; 7] = [
    "messages:read",
    "messages:send",
    "groups:read",
    "groups:manage",
    "invitations:manage",
    "identity:manage",
    "webhooks:manage",
];
