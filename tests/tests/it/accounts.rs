//! Who may use a node: invites, bans, deletion, as an operator and a bot's author meet them.

use std::path::Path;

use quicproquo_tests::bot::find_token;
use quicproquo_tests::{Api, Launch, Running, SOON, tool, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

async fn operate(node: &Path, args: &[&str]) -> String {
    let ended = tool(node, args).await;
    assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
    ended.stdout
}

async fn invite(node: &Path) -> String {
    let line = operate(node, &["node", "invite", "create", "--uses", "1", "--json"]).await;
    let line: Value = serde_json::from_str(&line).expect("a line of JSON");
    line["invite"].as_str().expect("an invite").to_owned()
}

async fn by_invite(dir: &TempDir) -> Running {
    Launch::node(&dir.path().join("node")).arg("--node-registration", "invite").start().await
}

#[tokio::test]
async fn a_bot_comes_in_by_its_own_invite_or_its_gateways() {
    let dir = TempDir::new().unwrap();
    let node_dir = dir.path().join("node");
    let node = by_invite(&dir).await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let admin = gateway.admin();
    let refused = admin.post("/v1/bots", &json!({ "name": "alice" })).await;
    let problem = refused.expect_problem(403, "registration-refused");
    assert!(problem["detail"].as_str().unwrap().contains("invite"), "{problem}");
    let wrong = json!({ "name": "alice", "invite": "qpi_wrong" });
    admin.post("/v1/bots", &wrong).await.expect_problem(403, "registration-refused");
    let empty = json!({ "name": "alice", "invite": "" });
    admin.post("/v1/bots", &empty).await.expect_problem(400, "request-invalid");

    let code = invite(&node_dir).await;
    admin.post("/v1/bots", &json!({ "name": "alice", "invite": code })).await.expect(201);
    let again = json!({ "name": "bob", "invite": code });
    admin.post("/v1/bots", &again).await.expect_problem(403, "registration-refused");
    let list = operate(&node_dir, &["node", "invite", "list"]).await;
    assert!(list.contains("0 of 1 uses left"), "{list}");
    assert!(!list.contains(&code), "a list never shows a code");

    let code = invite(&node_dir).await;
    let other = Launch::gateway(&dir.path().join("other"), &node);
    let other = other.arg("--node-invite", &code).start().await;
    other.admin().post("/v1/bots", &json!({ "name": "bob" })).await.expect(201);
}

#[tokio::test]
async fn a_banned_bot_is_refused_and_a_deleted_one_is_gone_at_the_node() {
    let dir = TempDir::new().unwrap();
    let node_dir = dir.path().join("node");
    let node = Launch::node(&node_dir).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let admin = gateway.admin();
    let bot = admin.post("/v1/bots", &json!({ "name": "alice" })).await.expect(201);
    let (id, identity) = (bot["bot_id"].as_str().unwrap(), bot["identity"].as_str().unwrap());
    let path = format!("/v1/bots/{id}");
    let state = async || admin.get(&path).await.expect(200)["state"].clone();
    assert_eq!(state().await, "running");

    operate(&node_dir, &["node", "identity", "ban", identity]).await;
    wait_for("the ban to be felt", SOON, async || (state().await == "refused").then_some(())).await;
    let list = operate(&node_dir, &["node", "identity", "list"]).await;
    assert!(list.contains(identity) && list.contains("banned"), "{list}");
    operate(&node_dir, &["node", "identity", "unban", identity]).await;

    let other = admin.post("/v1/bots", &json!({ "name": "bob" })).await.expect(201);
    let token = find_token(&other).unwrap();
    Api::new(&gateway.url(), token).get("/v1/me").await.expect(200);
    let (id, identity) = (other["bot_id"].as_str().unwrap(), other["identity"].as_str().unwrap());
    admin.delete(&format!("/v1/bots/{id}")).await.expect(204);
    let list = operate(&node_dir, &["node", "identity", "list"]).await;
    assert!(!list.contains(identity), "{list}");
    let list = operate(&node_dir, &["node", "name", "list"]).await;
    assert!(list.contains("bob  deleted"), "{list}");
    let again = json!({ "name": "bob" });
    admin.post("/v1/bots", &again).await.expect_problem(409, "name-taken");
    operate(&node_dir, &["node", "name", "release", "bob", "--to-anyone"]).await;
    admin.post("/v1/bots", &again).await.expect(201);
}

#[tokio::test]
async fn a_bot_that_is_deleted_while_the_node_is_away_is_deleted_there_later() {
    let dir = TempDir::new().unwrap();
    let node_dir = dir.path().join("node");
    let node = Launch::node(&node_dir).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let admin = gateway.admin();
    let bot = admin.post("/v1/bots", &json!({ "name": "alice" })).await.expect(201);
    let (id, identity) = (bot["bot_id"].as_str().unwrap(), bot["identity"].as_str().unwrap());
    let node = node.stop().await;
    admin.delete(&format!("/v1/bots/{id}")).await.expect(204);
    admin.get(&format!("/v1/bots/{id}")).await.expect_problem(404, "bot-not-found");
    let gateway = gateway.stop().await;
    let _node = node.start().await;
    let _gateway = gateway.start().await;
    wait_for("the node to forget the bot", SOON, async || {
        let list = operate(&node_dir, &["node", "identity", "list"]).await;
        (!list.contains(identity)).then_some(())
    })
    .await;
}
