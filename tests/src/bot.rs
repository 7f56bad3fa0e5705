//! A bot as the tests see it: a token, a name, an identity, and what bots do.

use serde_json::{Value, json};

use crate::api::Api;
use crate::process::Running;
use crate::wait::{LONG, SOON, wait_for};

/// A bot of one gateway.
#[derive(Debug, Clone)]
pub struct Bot {
    /// A caller with its first token.
    pub api: Api,
    /// `bot_...`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its identity, 64 hex digits.
    pub identity: String,
}

/// Several bots on one gateway.
pub async fn bots<const N: usize>(gateway: &Running, names: [&str; N]) -> [Bot; N] {
    let mut made = Vec::with_capacity(N);
    for name in names {
        made.push(Bot::create(gateway, name).await);
    }
    made.try_into().expect("as many bots as names")
}

/// Two bots and a group in which both are active.
pub async fn pair(gateway: &Running) -> (Bot, Bot, String) {
    let [alice, bob] = bots(gateway, ["alice", "bob"]).await;
    let group = alice.create_group("pair", &[&bob]).await;
    bob.accept(&group).await;
    (alice, bob, group)
}

impl Bot {
    /// Creates a bot at a gateway.
    pub async fn create(gateway: &Running, name: &str) -> Self {
        let admin = gateway.admin();
        let bot = admin.post("/v1/bots", &json!({ "name": name })).await.expect(201);
        let token = find_token(&bot).expect("a new bot comes with a token").to_owned();
        let text = |field: &str| bot[field].as_str().expect(field).to_owned();
        Self {
            api: Api::new(&gateway.url(), &token),
            id: text("bot_id"),
            name: text("name"),
            identity: text("identity"),
        }
    }

    /// Creates a group and invites others with its first commit; answers its id.
    pub async fn create_group(&self, name: &str, others: &[&Bot]) -> String {
        let members: Vec<&str> = others.iter().map(|bot| bot.identity.as_str()).collect();
        let body = json!({ "name": name, "members": members });
        let group = self.api.post("/v1/groups", &body).await.expect(201);
        group["group_id"].as_str().expect("a group has an id").to_owned()
    }

    /// Waits for the invitation into a group and accepts it.
    pub async fn accept(&self, group: &str) {
        let invitation = wait_for("an invitation", LONG, || async {
            let list = self.api.get("/v1/invitations").await.expect(200);
            let all = list["items"].as_array().cloned().unwrap_or_default();
            all.into_iter().find(|i| i["group_id"] == group || i["invitation_id"] == group)
        })
        .await;
        let id = invitation["invitation_id"].as_str().expect("an invitation has an id");
        let answer = self.api.post(&format!("/v1/invitations/{id}/accept"), &json!({})).await;
        answer.expect(200);
    }

    /// Adds others to a group; answers the new epoch.
    pub async fn add(&self, group: &str, others: &[&Bot]) -> u64 {
        let members: Vec<&str> = others.iter().map(|bot| bot.identity.as_str()).collect();
        let path = format!("/v1/groups/{group}/members");
        let answer = self.api.post(&path, &json!({ "members": members })).await;
        assert!((200..=201).contains(&answer.status), "the answer was: {}", answer.text);
        answer.json()["epoch"].as_u64().expect("a membership call answers the epoch")
    }

    /// Removes another from a group.
    pub async fn remove(&self, group: &str, other: &Bot) {
        let path = format!("/v1/groups/{group}/members/{}", other.identity);
        let answer = self.api.delete(&path).await;
        assert!((200..=204).contains(&answer.status), "the answer was: {}", answer.text);
    }

    /// Sends a text; answers the message.
    pub async fn say(&self, group: &str, text: &str) -> Value {
        self.api.post(&messages(group), &text_message(text)).await.expect(201)
    }

    /// Sends a text again and again under one idempotency key until the gateway has taken it,
    /// whatever happens to the gateway meanwhile.
    pub async fn insist(&self, group: &str, key: &str, text: &str) -> Value {
        wait_for("a send to be taken", LONG, || async {
            match self.api.post_once(&messages(group), key, &text_message(text)).await {
                Ok(answer) if answer.status == 201 => Some(answer.json()),
                // A gateway that is going down or coming up, or the same request still running.
                Ok(answer) if answer.status == 409 || answer.status >= 500 => None,
                Ok(answer) => panic!("the answer was {}: {}", answer.status, answer.text),
                Err(_) => None,
            }
        })
        .await
    }

    /// The group as this bot sees it.
    pub async fn group(&self, group: &str) -> Value {
        self.api.get(&format!("/v1/groups/{group}")).await.expect(200)
    }

    /// The cursor behind the newest event.
    pub async fn tail(&self) -> String {
        let page = self.api.get("/v1/events?timeout=0").await.expect(200);
        page["next"].as_str().expect("a tail has a cursor").to_owned()
    }

    /// All events after a cursor that are there now.
    pub async fn events(&self, after: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut cursor = after.to_owned();
        loop {
            let path = format!("/v1/events?after={cursor}&timeout=0&limit=100");
            let page = self.api.get(&path).await.expect(200);
            let items = page["items"].as_array().cloned().unwrap_or_default();
            page["next"].as_str().expect("a page has a cursor").clone_into(&mut cursor);
            if items.is_empty() {
                return found;
            }
            found.extend(items);
        }
    }

    /// The texts others sent into a group after a cursor, in order.
    pub async fn heard(&self, after: &str, group: &str) -> Vec<String> {
        let events = self.events(after).await;
        let messages = events
            .iter()
            .filter(|event| event["type"] == "message.received" && event["group_id"] == group);
        messages.map(|event| body_of(&event["data"])).collect()
    }

    /// Waits until exactly these texts were heard after a cursor, in this order.
    pub async fn hears(&self, after: &str, group: &str, expected: &[String]) {
        wait_for("all messages", LONG, || async {
            (self.heard(after, group).await.len() >= expected.len()).then_some(())
        })
        .await;
        assert_eq!(self.heard(after, group).await, expected, "each once, in order");
    }

    /// Waits for an event of a type after a cursor and answers it.
    pub async fn event(&self, after: &str, kind: &str) -> Value {
        wait_for(kind, SOON, || async {
            self.events(after).await.into_iter().find(|event| event["type"] == kind)
        })
        .await
    }
}

/// The route of a group's messages.
pub fn messages(group: &str) -> String {
    format!("/v1/groups/{group}/messages")
}

/// The body of a request that sends a text.
pub fn text_message(text: &str) -> Value {
    json!({ "type": "text", "content": { "body": text } })
}

/// The text of a message.
pub fn body_of(message: &Value) -> String {
    message["content"]["body"].as_str().unwrap_or_default().to_owned()
}

/// The secret in the answer that created a bot or a token.
pub fn find_token(answer: &Value) -> Option<&str> {
    match answer {
        Value::String(text) if text.starts_with("qpq_") => Some(text),
        Value::Object(fields) => fields.values().find_map(find_token),
        _ => None,
    }
}
