//! Every route of the description, with every kind of token that must not open it (T24).

use std::time::Duration;

use quicproquo_tests::bot::find_token;
use quicproquo_tests::described::{Operation, Things, operations};
use quicproquo_tests::seed::say;
use quicproquo_tests::{
    Answer, Api, Bot, LONG, Launch, Running, SOON, Socket, bots, pair, wait_for,
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Bot routes that every token of the bot opens.
const OF_ANY_SCOPE: [&str; 2] = ["GET /v1/me", "GET /v1/identities/{identity}"];

/// Where webhooks may deliver; nobody listens there.
const TARGET: &str = "http://127.0.0.1:9";

/// Where alice's consumer has what was set aside.
const PARKED: &str = "/v1/events/parked?consumer=main";

async fn call(operation: &Operation, api: &Api) -> Answer {
    let mut request = operation.request(api);
    if operation.path.ends_with("/ws") {
        request = request
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    }
    let answer = api.send(request).await;
    // A denial tells nothing but that.
    if answer.status >= 400 {
        assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.text);
    }
    answer
}

/// Everything that a request could change.
async fn state(up: &Running, alice: &Bot, bob: &Bot, group: &str) -> String {
    let admin = up.admin();
    let mut all = Vec::new();
    for path in ["/v1/bots".to_owned(), format!("/v1/bots/{}/tokens", alice.id)] {
        all.push(admin.get(&path).await.expect(200));
    }
    all.push(alice.api.get(PARKED).await.expect(200));
    for bot in [alice, bob] {
        for path in [
            "/v1/me".to_owned(),
            "/v1/groups".to_owned(),
            "/v1/invitations".to_owned(),
            format!("/v1/groups/{group}"),
            format!("/v1/groups/{group}/members"),
            format!("/v1/groups/{group}/messages"),
            "/v1/events?timeout=0".to_owned(),
            "/v1/events/consumers".to_owned(),
            "/v1/webhooks".to_owned(),
        ] {
            all.push(bot.api.get(&path).await.expect(200));
        }
    }
    let text = Value::from(all).to_string();
    for there in ["the one message", "/hook", "\"main\"", "\"invitation_id\"", "\"attempts\""] {
        assert!(text.contains(there), "{there} is missing: {text}");
    }
    text
}

/// Has an event of a consumer set aside, as nobody acknowledges it; answers its delivery.
async fn park(alice: &Bot, bob: &Bot, group: &str) -> Value {
    let query = "consumer=main&lease=1000&types=message.received";
    let ear = Socket::open(&alice.api, query).await;
    bob.say(group, "unhandled").await;
    let parked = wait_for("an event to be set aside", LONG, async || {
        let parked = alice.api.get(PARKED).await.expect(200);
        parked["items"].get(0).cloned()
    })
    .await;
    drop(ear);
    wait_for("the connection to end", SOON, async || {
        let all = alice.api.get("/v1/events/consumers").await.expect(200);
        (all["items"][0]["connections"] == 0).then_some(())
    })
    .await;
    parked["delivery_id"].clone()
}

/// What another gateway takes: a bot's token and the admin's.
async fn of_another_gateway(dir: &TempDir, up: &Running) -> [Api; 2] {
    let other = Launch::up(&dir.path().join("other")).start().await;
    let [stranger] = bots(&other, ["stranger"]).await;
    let admin = other.admin();
    admin.get("/v1/bots").await.expect(200);
    [stranger.api.token(), admin.token()].map(|token| Api::new(&up.url(), token))
}

async fn issue(up: &Running, bot: &Bot, body: Value) -> (Api, String) {
    let issued = up.admin().post(&format!("/v1/bots/{}/tokens", bot.id), &body).await.expect(201);
    let id = issued["token_id"].as_str().expect("an id").to_owned();
    (Api::new(&up.url(), find_token(&issued).expect("a token")), id)
}

/// Gives alice something of each kind; answers what it is called in paths and bodies.
async fn belongings(alice: &Bot, bob: &Bot, group: &str) -> Value {
    // Of a type that does not come, so that it stays as it is.
    let hook = json!({ "url": format!("{TARGET}/hook"), "types": ["gap.detected"] });
    let hook = alice.api.post("/v1/webhooks", &hook).await.expect(201);
    let tail = bob.tail().await;
    let message = alice.say(group, "the one message").await;
    bob.hears(&tail, group, &["the one message".to_owned()]).await;
    let invited = bob.create_group("not answered yet", &[alice]).await;
    wait_for("the invitation", LONG, async || {
        let list = alice.api.get("/v1/invitations").await.expect(200);
        (list["items"][0]["invitation_id"] == invited.as_str()).then_some(())
    })
    .await;
    let file = alice.api.request(Method::POST, "/v1/attachments");
    let file = file.header("Content-Type", "text/plain").body("of alice");
    let attachment = alice.api.send(file).await.expect(201);
    json!({
        "bot_id": alice.id, "group_id": group, "identity": bob.identity,
        "message_id": message["message_id"], "consumer": "main", "invitation_id": invited,
        "key": "%F0%9F%91%8D", "attachment_id": attachment["attachment_id"],
        "webhook_id": hook["webhook_id"], "delivery_id": park(alice, bob, group).await,
    })
}

/// Every operation that needs a token, about things that are there.
fn about(things: &Value, document: &Value) -> Vec<Operation> {
    let mut operations = operations(document, &Things::new(things));
    // Of two fields one is needed, which a schema does not say.
    let bodies = operations.iter_mut().filter_map(|operation| operation.body.as_mut());
    for body in bodies.filter(|body| body["consumer"].is_string()) {
        body["ids"] = json!([things["delivery_id"]]);
    }
    operations
}

/// What another bot is refused is there for its owner.
async fn are_there_for(alice: &Bot, operations: &[Operation]) {
    for (name, status) in [
        ("GET /v1/attachments/{attachment_id}", 200),
        ("POST /v1/invitations/{invitation_id}/accept", 200),
        ("POST /v1/events/parked/{delivery_id}/replay", 202),
        ("DELETE /v1/events/consumers/{consumer}", 204),
        ("DELETE /v1/webhooks/{webhook_id}", 204),
    ] {
        let operation = operations.iter().find(|one| one.name == name).expect(name);
        assert!(operation.has_ids, "{name}");
        let answer = call(operation, &alice.api).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
    }
}

#[tokio::test]
async fn every_route_is_closed_to_every_other_token_and_nothing_changes() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up"))
        .arg("--http-address-per-sec", "0")
        .arg("--webhook-target", TARGET)
        .start()
        .await;
    let (alice, bob, group) = pair(&up).await;
    let [mallory] = bots(&up, ["mallory"]).await;
    let mut things = belongings(&alice, &bob, &group).await;

    let nobody = Api::new(&up.url(), "");
    let malformed = Api::new(&up.url(), "qpq_malformed");
    let shifted = Api::new(&up.url(), &shifted(alice.api.token()));
    let [unknown, unknown_admin] = of_another_gateway(&dir, &up).await;
    let (revoked, id) = issue(&up, &alice, json!({ "scopes": ["messages:read"] })).await;
    let end = json!({ "scopes": ["messages:read"], "expires_at": in_two_seconds() });
    let (expired, _) = issue(&up, &alice, end).await;
    let (hooks, _) = issue(&up, &alice, json!({ "scopes": ["webhooks:manage"] })).await;
    let (reads, _) = issue(&up, &alice, json!({ "scopes": ["groups:read"] })).await;
    let tokens = format!("/v1/bots/{}/tokens", alice.id);
    up.admin().delete(&format!("{tokens}/{id}")).await.expect(204);
    wait_for("the token to expire", SOON, async || {
        (expired.get("/v1/me").await.status == 401).then_some(())
    })
    .await;

    things["token_id"] = json!(id);
    let operations = about(&things, &nobody.get("/openapi.json").await.expect(200));
    let before = state(&up, &alice, &bob, &group).await;
    let (mut denied, mut others) = (0, 0);
    for operation in &operations {
        let name = &operation.name;
        for (api, slug) in [
            (&nobody, "token-missing"),
            (&malformed, "token-invalid"),
            (&shifted, "token-invalid"),
            (&unknown, "token-invalid"),
            (&unknown_admin, "token-invalid"),
            (&revoked, "token-invalid"),
        ] {
            let answer = call(operation, api).await;
            assert_eq!(answer.status, 401, "{name}: {}", answer.text);
            answer.expect_problem(401, slug);
            denied += 1;
        }
        // To the admin's routes an expired token is a bot's as well.
        let (status, slug) =
            if operation.of_admin { (403, "bot-token-refused") } else { (401, "token-expired") };
        let answer = call(operation, &expired).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
        answer.expect_problem(status, slug);
        let (other, slug) = if operation.of_admin {
            (&alice.api, "bot-token-refused")
        } else {
            (&up.admin(), "admin-token-refused")
        };
        let answer = call(operation, other).await;
        assert_eq!(answer.status, 403, "{name}: {}", answer.text);
        answer.expect_problem(403, slug);
        denied += 2;
        if operation.of_admin {
            continue;
        }
        let other_scope = if operation.tag == "webhooks" { &reads } else { &hooks };
        let answer = call(operation, other_scope).await;
        if OF_ANY_SCOPE.contains(&name.as_str()) {
            assert_eq!(answer.status, 200, "{name}: {}", answer.text);
        } else {
            assert_eq!(answer.status, 403, "{name}: {}", answer.text);
            answer.expect_problem(403, "scope-missing");
            denied += 1;
        }
        if operation.has_ids {
            others += 1;
            let answer = call(operation, &mallory.api).await;
            assert!(
                [403, 404].contains(&answer.status),
                "{name}: {} {}",
                answer.status,
                answer.text
            );
            denied += 1;
        }
    }
    say(&format!("{} operations, {denied} denials, {others} of another bot", operations.len()));
    assert!(operations.len() > 30 && denied > 300, "{denied} denials");
    assert_eq!(state(&up, &alice, &bob, &group).await, before);
    // The controls: the state that is compared does show a change.
    alice.say(&group, "one more").await;
    assert_ne!(state(&up, &alice, &bob, &group).await, before);
    are_there_for(&alice, &operations).await;
}

/// A token that was copied wrongly: two of its characters change places, so that its checksum does
/// not fit.
fn shifted(token: &str) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let at = (4..40).find(|at| bytes[*at] != bytes[at + 1]).expect("two different characters");
    bytes.swap(at, at + 1);
    String::from_utf8(bytes).expect("ASCII")
}

pub(crate) fn in_two_seconds() -> String {
    let at = std::time::UNIX_EPOCH.elapsed().expect("after 1970") + Duration::from_secs(2);
    let date = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{}", at.as_secs()), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .expect("run date");
    String::from_utf8(date.stdout).expect("text").trim().to_owned()
}
