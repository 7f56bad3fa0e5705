//! Bots that stand still: another instance runs them.

use quicproquo_tests::bot::{messages, text_message};
use quicproquo_tests::files::copy_tree;
use quicproquo_tests::{Api, Bot, LONG, Launch, Running, bots, wait_for};
use serde_json::json;
use tempfile::TempDir;

async fn is(gateway: &Running, bot: &Bot, state: &str) {
    let path = format!("/v1/bots/{}", bot.id);
    wait_for(state, LONG, async || {
        let seen = gateway.admin().get(&path).await.expect(200);
        (seen["state"] == state).then_some(())
    })
    .await;
}

#[tokio::test]
async fn of_two_gateways_on_one_database_the_former_stands_still_until_it_is_resumed() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let gateway = Launch::gateway(&first, &node).start().await;
    let there = Launch::gateway(&dir.path().join("there"), &node).start().await;
    let [alice] = bots(&gateway, ["alice"]).await;
    let [bob] = bots(&there, ["bob"]).await;
    let group = alice.create_group("pair", &[&bob]).await;
    bob.accept(&group).await;
    let tail = bob.tail().await;
    let stopped = gateway.stop().await;
    copy_tree(&first, &second);
    let gateway = stopped.start().await;
    is(&gateway, &alice, "running").await;
    let copy = Launch::gateway(&second, &node).start().await;
    is(&copy, &alice, "running").await;
    is(&gateway, &alice, "displaced").await;

    let path = format!("/v1/groups/{group}");
    let say = |text: &str| (messages(&group), text_message(text));
    let refused = async |api: &Api| {
        let (send, message) = say("nobody");
        api.post(&send, &message).await.expect_problem(409, "bot-displaced");
        let name = json!({ "name": "nobody" });
        api.patch(&path, &name).await.expect_problem(409, "bot-displaced");
        let member = json!({ "members": ["bob"] });
        let add = api.post(&format!("{path}/members"), &member).await;
        add.expect_problem(409, "bot-displaced");
        // What it has can be read.
        api.get(&path).await.expect(200);
    };
    refused(&alice.api).await;
    // That outlives a restart: the two would displace each other in turns.
    let gateway = gateway.stop().await.start().await;
    is(&gateway, &alice, "displaced").await;
    refused(&Api::new(&gateway.url(), alice.api.token())).await;
    let other = Api::new(&copy.url(), alice.api.token());
    let (send, message) = say("from the copy");
    other.post(&send, &message).await.expect(201);
    bob.hears(&tail, &group, &["from the copy".to_owned()]).await;

    let path = format!("/v1/bots/{}", alice.id);
    let resumed = copy.admin().patch(&path, &json!({ "state": "running" })).await;
    resumed.expect(200);
    is(&copy, &alice, "running").await;
    gateway.admin().patch(&path, &json!({ "state": "running" })).await.expect(200);
    is(&copy, &alice, "displaced").await;
    is(&gateway, &alice, "running").await;
    refused(&other).await;
}
