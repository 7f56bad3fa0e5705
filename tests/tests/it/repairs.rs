//! Events that tell of trouble, as a bot gets them, and each as it is described: a group that has
//! gone on without it, a message that was given up, another instance, a clock that is wrong.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::process::Command;

use quicproquo_tests::bot::{messages, text_message};
use quicproquo_tests::files::copy_tree;
use quicproquo_tests::{Api, Bot, LONG, Launch, Running, bots, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::asyncapi::validate;

/// A node and two gateways, with a bot each in one group.
struct Two {
    node: Running,
    here: Running,
    there: Running,
    alice: Bot,
    bob: Bot,
    group: String,
}

impl Two {
    async fn start(dir: &Path) -> Self {
        let node = Launch::node(&dir.join("node")).start().await;
        let here = Launch::gateway(&dir.join("here"), &node).start().await;
        let there = Launch::gateway(&dir.join("there"), &node).start().await;
        let [alice] = bots(&here, ["alice"]).await;
        let [bob] = bots(&there, ["bob"]).await;
        let group = alice.create_group("two", &[&bob]).await;
        bob.accept(&group).await;
        Self { node, here, there, alice, bob, group }
    }
}

/// The same bot at a gateway that was started again.
fn again(gateway: &Running, bot: &Bot) -> Bot {
    Bot { api: Api::new(&gateway.url(), bot.api.token()), ..bot.clone() }
}

/// The first event of a type after a cursor; it is as its description says.
async fn told(bot: &Bot, after: &str, kind: &str) -> Value {
    let event = wait_for(kind, LONG, || async {
        bot.events(after).await.into_iter().find(|event| event["type"] == kind)
    })
    .await;
    let document = bot.api.get("/asyncapi.json").await.expect(200);
    let message = json!({ "name": "serverSentEvent", "payload": event });
    assert_eq!(validate(&document, &[message]).await, Ok("1".to_owned()), "{event}");
    // Nor is it taken for any other.
    let mut bare = event.clone();
    bare["data"] = json!({});
    let bare = json!({ "name": "serverSentEvent", "payload": bare });
    validate(&document, &[bare]).await.unwrap_err();
    event
}

#[tokio::test]
async fn an_old_copy_of_a_gateway_is_told_and_repaired() {
    let dir = TempDir::new().unwrap();
    let Two { node: _node, here, there, alice, bob, group } = Two::start(dir.path()).await;
    let (data, monday) = (dir.path().join("here"), dir.path().join("monday"));
    let stopped = here.stop().await;
    copy_tree(&data, &monday);
    let here = stopped.start().await;
    let (former, bobs) = (again(&here, &alice), bob.tail().await);
    former.say(&group, "tuesday").await;
    let path = format!("/v1/groups/{group}/update-keys");
    former.api.post(&path, &json!({})).await.expect(200);
    former.say(&group, "wednesday").await;
    bob.hears(&bobs, &group, &["tuesday", "wednesday"].map(str::to_owned)).await;
    let stopped = here.stop().await;
    std::fs::remove_dir_all(&data).unwrap();
    copy_tree(&monday, &data);

    // Nobody is there who could add it again.
    let bobs_gateway = there.stop().await;
    let here = stopped.start().await;
    let alice = again(&here, &alice);
    let event = told(&alice, "c1_0", "group.needs_readd").await;
    assert_eq!(event["group_id"], group.as_str(), "{event}");
    assert_eq!(event["data"], json!({ "reason": "old_copy" }));
    let health = alice.api.get(&format!("/v1/groups/{group}/health")).await.expect(200);
    assert_eq!(health["healthy"], false, "{health}");
    assert_eq!(health["state"], "needs_readd", "{health}");
    let sent = alice.api.post(&messages(&group), &text_message("thursday")).await.expect(201);
    assert_eq!(sent["delivery"]["state"], "queued", "it can only receive: {sent}");
    let seen = alice.events("c1_0").await;
    assert!(!seen.iter().any(|event| event["type"] == "group.repaired"), "{seen:?}");

    let there = bobs_gateway.start().await;
    let bob = again(&there, &bob);
    let event = told(&alice, "c1_0", "group.repaired").await;
    assert_eq!(event["group_id"], group.as_str(), "{event}");
    assert_eq!(event["data"], json!({ "reason": "rejoined" }));
    let expected = ["tuesday", "wednesday", "thursday"].map(str::to_owned);
    bob.hears(&bobs, &group, &expected).await;
    assert_eq!(alice.group(&group).await["state"], "active");
    let tail = alice.tail().await;
    bob.say(&group, "friday").await;
    alice.hears(&tail, &group, &["friday".to_owned()]).await;
}

#[tokio::test]
async fn a_message_whose_group_is_gone_when_the_node_is_back_has_failed() {
    let dir = TempDir::new().unwrap();
    let Two { node, here: _here, there, alice, bob, group } = Two::start(dir.path()).await;
    let stopped = there.stop().await;
    alice.remove(&group, &bob).await;
    // Of that its gateway knows nothing, and cannot hear.
    let node = node.stop().await;
    let there = stopped.start().await;
    let bob = again(&there, &bob);
    let tail = bob.tail().await;
    // The message waits for a change of its group, and the change for the node.
    let path = format!("/v1/groups/{group}/update-keys?wait=0");
    let change = bob.api.post(&path, &json!({})).await;
    assert!([200, 202, 503].contains(&change.status), "{}", change.text);
    let sent = bob.api.post(&messages(&group), &text_message("too late")).await.expect(201);
    assert_eq!(sent["delivery"]["state"], "queued", "{sent}");
    let _node = node.start().await;
    let event = told(&bob, &tail, "message.failed").await;
    let delivery = &event["data"]["delivery"];
    assert_eq!(delivery["state"], "failed", "{event}");
    assert_eq!(delivery["reason"], "no longer a member of the group", "{event}");
    assert_eq!(event["data"]["message_id"], sent["message_id"], "{event}");
    let path = format!("/v1/groups/{group}/messages/{}", sent["message_id"].as_str().unwrap());
    assert_eq!(bob.api.get(&path).await.expect(200)["delivery"], *delivery);
}

#[tokio::test]
async fn members_that_took_different_changes_are_told_and_repaired() {
    let dir = TempDir::new().unwrap();
    let Two { node, here, there, alice, bob, group } = Two::start(dir.path()).await;
    // The node comes back as it was before a change that bob did not see.
    let (data, monday) = (dir.path().join("node"), dir.path().join("monday"));
    let stopped = (node.stop().await, there.stop().await);
    copy_tree(&data, &monday);
    let node = stopped.0.start().await;
    let path = format!("/v1/groups/{group}/update-keys");
    let change = alice.api.post(&path, &json!({})).await.expect(200);
    let stopped = (node.stop().await, stopped.1);
    let here = here.stop().await;
    std::fs::remove_dir_all(&data).unwrap();
    copy_tree(&monday, &data);
    let _node = stopped.0.start().await;
    let there = stopped.1.start().await;
    let bob = again(&there, &bob);
    let other = bob.api.post(&path, &json!({})).await.expect(200);
    assert_eq!(change["epoch"], other["epoch"], "{change} {other}");
    bob.say(&group, "where is everybody?").await;
    let here = here.start().await;
    let alice = again(&here, &alice);
    let event = told(&alice, "c1_0", "group.forked").await;
    assert_eq!(event["group_id"], group.as_str(), "{event}");
    assert_eq!(event["data"]["epoch"], other["epoch"], "{event}");
    // One of them, nobody can know which, leaves its state once it hears of the other.
    alice.say(&group, "here").await;
    wait_for("the repair", LONG, || async {
        let events = [alice.events("c1_0").await, bob.events("c1_0").await].concat();
        events.iter().any(|event| event["type"] == "group.repaired").then_some(())
    })
    .await;
    wait_for("one state", LONG, || async {
        let groups = [alice.group(&group).await, bob.group(&group).await];
        let are_active = groups.iter().all(|group| group["state"] == "active");
        (are_active && groups[0]["epoch"] == groups[1]["epoch"]).then_some(())
    })
    .await;
    let tail = bob.tail().await;
    alice.say(&group, "together").await;
    // What was said before the repair can come behind it.
    wait_for("the other to hear", LONG, async || {
        bob.heard(&tail, &group).await.contains(&"together".to_owned()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn whoever_is_displaced_is_told_by_whom() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let gateway = Launch::gateway(&first, &node).start().await;
    let [alice] = bots(&gateway, ["alice"]).await;
    let stopped = gateway.stop().await;
    copy_tree(&first, &second);
    let gateway = stopped.start().await;
    let alice = again(&gateway, &alice);
    let bot = format!("/v1/bots/{}", alice.id);
    let is_running = || async {
        (gateway.admin().get(&bot).await.expect(200)["state"] == "running").then_some(())
    };
    wait_for("alice to run", LONG, is_running).await;
    let _copy = Launch::gateway(&second, &node).start().await;
    let event = told(&alice, "c1_0", "session.displaced").await;
    assert!(event["data"]["by"].is_string(), "{event}");
}

#[tokio::test]
async fn a_gateway_whose_clock_is_ahead_is_told() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    // The variables are asked of the program that sets them.
    let faked = Command::new("faketime").args(["-f", "+20m", "env"]).output();
    let faked = faked.expect("faketime is installed: cargo xtask ci --install does that");
    let faked = String::from_utf8(faked.stdout).unwrap();
    let preload = faked.lines().find_map(|line| line.strip_prefix("LD_PRELOAD=")).unwrap();
    let launch = Launch::gateway(&dir.path().join("gateway"), &node)
        .env("LD_PRELOAD", preload)
        .env("FAKETIME", "+20m")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let gateway = launch.start().await;
    let [alice] = bots(&gateway, ["alice"]).await;
    let event = told(&alice, "c1_0", "clock.off").await;
    let ahead = event["data"]["ahead_seconds"].as_i64().unwrap();
    assert!((1195..=1205).contains(&ahead), "{event}");
    let bot = gateway.admin().get(&format!("/v1/bots/{}", alice.id)).await.expect(200);
    assert_eq!(bot["health"]["clock_ahead_seconds"], ahead, "{bot}");
}
