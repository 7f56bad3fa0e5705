//! Generated requests, valid and not, by schemathesis: what the gateway answers is described, and
//! never a fault of its own. Short in the gate; `cargo xtask long openapi` sends 20,000.

use quicproquo_tests::{LONG, Launch, Running, bots, files, seed, within};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::committed;

/// What fits its schema is taken, unless the state of things forbids it.
const STATE: &str = "[checks.positive_data_acceptance]\n\
    expected-statuses = [\"2xx\", 401, 403, 404, 409, 410, 412, 422, 429, \"5xx\"]\n\
    [checks.negative_data_rejection]\n\
    expected-statuses = [400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 429, \"5xx\"]\n";

/// Nobody waits for events that do not come, so no wrong `timeout` is sent either.
const EVENTS: &str = "[[operations]]\ninclude-name = \"GET /v1/events\"\n\
    parameters = { \"query.timeout\" = 0 }\n\
    [operations.checks]\nnegative_data_rejection.enabled = false\n\
    positive_data_acceptance.enabled = false\n";

/// Here rules between fields, or between a field and what there is, are not in the schemas, so a
/// request can fit its schema and be refused with 400 all the same.
const BETWEEN_FIELDS: [&str; 13] = [
    // An invite is counted in bytes.
    "POST /v1/bots",
    // Each of the types has a length of its own.
    "GET /v1/groups/{group_id}/messages",
    // To a schema 1.0 is an integer.
    "POST /v1/events/extend",
    // The archive opens.
    "POST /v1/bots/import",
    // `name` or `topic`.
    "PATCH /v1/groups/{group_id}",
    // What each type of message has as its content.
    "PATCH /v1/groups/{group_id}/messages/{message_id}",
    // A reaction is counted in bytes, and has no control characters.
    "PUT /v1/groups/{group_id}/messages/{message_id}/reactions/{key}",
    "DELETE /v1/groups/{group_id}/messages/{message_id}/reactions/{key}",
    // `up_to` or `ids`.
    "POST /v1/events/ack",
    // A `plain` group has neither name nor topic.
    "POST /v1/groups",
    // `reply_to` or `relates_to`, and what each type of message has as its content.
    "POST /v1/groups/{group_id}/messages",
    // `after` is a cursor of this log.
    "POST /v1/webhooks",
    // `safety_number` only with `verified`.
    "PUT /v1/identities/{identity}/verification",
];

/// The description as schemathesis reads it. It takes a discriminator for a closed list of values;
/// the types of messages are open.
fn readable() -> Value {
    let mut document = committed();
    let schemas = document["components"]["schemas"].as_object_mut().expect("schemas");
    for name in ["Message", "MessageRequest"] {
        let closed =
            schemas[name].as_object_mut().and_then(|schema| schema.remove("discriminator"));
        assert!(closed.is_some(), "{name} has a discriminator");
    }
    // A text in quotes it sends as an empty one.
    for item in document["paths"].as_object_mut().expect("paths").values_mut() {
        for operation in item.as_object_mut().expect("operations").values_mut() {
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                if parameter["name"] == "If-Match" {
                    parameter["schema"] = json!({ "type": "string", "enum": ["*", "\"1234\""] });
                }
            }
        }
    }
    document
}

/// One run with one token, over the operations with a tag or without it.
async fn generate(up: &Running, dir: &TempDir, token: &str, tags: [&str; 2]) -> String {
    let examples = seed::setting("QPQ_CASES", 12, 550).to_string();
    let seed = seed::seed("schemathesis").to_string();
    let mut command = Command::new(files::venv("schemathesis"));
    command
        .current_dir(dir.path())
        .args(["--config-file", "schemathesis.toml", "run", "openapi.json", "--url", &up.url()])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(tags)
        // A WebSocket, and what would end the group that the others need.
        .args(["--exclude-operation-id", "stream_events", "--exclude-operation-id", "leave_group"])
        // Any bytes are a file, so none are wrong.
        .args(["--exclude-operation-id", "upload_attachment"])
        .args(["--mode", "all", "--max-examples", &examples, "--seed", &seed])
        .args(["--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color"])
        .args(["--suppress-health-check", "all"])
        .args(["--request-timeout", "75", "--warnings", "off"])
        .kill_on_drop(true);
    let limit = LONG * if seed::is_long() { 40 } else { 2 };
    let output = within("schemathesis", limit, command.output()).await.expect("run schemathesis");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complaint}");
    said
}

/// How many requests a run says it sent.
fn cases(said: &str) -> u64 {
    let line = said.lines().find(|line| line.contains(" generated"));
    let number =
        line.and_then(|line| line.split_whitespace().next()?.replace(',', "").parse().ok());
    number.unwrap_or_else(|| panic!("no count of cases:\n{said}"))
}

#[tokio::test]
async fn generated_requests_are_answered_as_described() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let group = alice.create_group("pair", &[&bob]).await;
    let message = alice.say(&group, "hi").await;
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("openapi.json"), readable().to_string()).unwrap();
    // Something real behind the ids.
    let looser = BETWEEN_FIELDS.map(|name| {
        format!(
            "[[operations]]\ninclude-name = \"{name}\"\n[operations.checks]\n\
             positive_data_acceptance.enabled = false\n"
        )
    });
    let config = format!(
        "{STATE}[parameters]\n\"path.group_id\" = \"{group}\"\n\"path.message_id\" = {}\n\
         \"path.identity\" = \"bob\"\n\"path.bot_id\" = \"{}\"\n{EVENTS}{}",
        message["message_id"],
        bob.id,
        looser.concat()
    );
    std::fs::write(at("schemathesis.toml"), config).unwrap();

    let spoken = generate(&up, &dir, alice.api.token(), ["--exclude-tag", "bots"]).await;
    let managed = generate(&up, &dir, up.admin().token(), ["--include-tag", "bots"]).await;
    let count = cases(&spoken) + cases(&managed);
    seed::say(&format!("schemathesis: {count} cases, 0 failures"));
    assert!(count > seed::pick(1_000, 20_000), "only {count} cases");
    up.stop().await;
}
