//! Who is who: safety numbers, verification, and names that change hands, as bots meet them.

use quicproquo_tests::{Answer, Bot, Launch, Shell, Socket, bots, tool};
use serde_json::{Value, json};
use tempfile::TempDir;

async fn look_up(bot: &Bot, other: &str) -> Value {
    bot.api.get(&format!("/v1/identities/{other}")).await.expect(200)
}

async fn verify(bot: &Bot, other: &str, body: &Value) -> Answer {
    bot.api.put(&format!("/v1/identities/{other}/verification"), body).await
}

fn member_trust(group: &Value, identity: &str) -> Value {
    let members = group["members"].as_array().expect("a group has members");
    let member = members.iter().find(|member| member["identity"] == identity);
    member.expect("the member is there")["trust"].clone()
}

#[tokio::test]
async fn a_safety_number_is_compared_and_trust_travels() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let group = alice.create_group("tea", &[&bob]).await;
    bob.accept(&group).await;
    let mut ear = Socket::open(&alice.api, "").await;
    let (seen, own) = (look_up(&alice, "bob").await, look_up(&bob, "alice").await);
    assert_eq!(seen["safety_number"], own["safety_number"]);
    let number = seen["safety_number"].as_str().unwrap();
    assert_eq!(number.bytes().filter(u8::is_ascii_digit).count(), 60);
    assert!(number.contains(seen["fingerprint"].as_str().unwrap()));
    assert_eq!((&seen["trust"], &seen["names"]), (&json!("tofu"), &json!(["bob"])));
    assert!(seen["first_seen_at"].is_string() && seen["verified_at"].is_null());
    let itself = look_up(&alice, &alice.identity).await;
    assert_eq!((&itself["trust"], &itself["safety_number"]), (&json!("verified"), &Value::Null));

    let message = json!({
        "type": "text", "content": { "body": "psst" }, "require": { "trust": "verified" },
    });
    let path = format!("/v1/groups/{group}/messages");
    let problem = alice.api.post(&path, &message).await.expect_problem(412, "not-verified");
    assert!(problem["detail"].as_str().unwrap().contains(&bob.identity), "{problem}");
    let wrong = json!({ "verified": true, "safety_number": "0".repeat(60) });
    verify(&alice, "bob", &wrong).await.expect_problem(409, "safety-number-mismatch");
    verify(&alice, &alice.identity, &json!({ "verified": true }))
        .await
        .expect_problem(400, "request-invalid");
    let odd = json!({ "verified": false, "safety_number": number });
    verify(&alice, "bob", &odd).await.expect_problem(400, "request-invalid");
    let right = json!({ "verified": true, "safety_number": number.replace(' ', "") });
    let verified = verify(&alice, "bob", &right).await.expect(200);
    assert_eq!(verified["trust"], "verified");
    assert!(verified["verified_at"].is_string());
    assert_eq!(member_trust(&alice.group(&group).await, &bob.identity), "verified");
    alice.api.post(&path, &message).await.expect(201);
    bob.say(&group, "hello").await;
    let frame = ear.event("message.received").await;
    assert_eq!(frame["event"]["data"]["security"]["trust"], "verified");

    let taken_back = verify(&alice, &bob.identity, &json!({ "verified": false })).await.expect(200);
    assert_eq!(taken_back["trust"], "tofu");

    let narrow = json!({ "label": "narrow", "scopes": ["messages:send", "groups:read"] });
    let narrow =
        up.admin().post(&format!("/v1/bots/{}/tokens", alice.id), &narrow).await.expect(201);
    let token = narrow["token"].as_str().unwrap();
    let narrow = Bot { api: quicproquo_tests::Api::new(&up.url(), token), ..alice.clone() };
    let refused = verify(&narrow, "bob", &json!({ "verified": true })).await;
    refused.expect_problem(403, "scope-missing");
}

#[tokio::test]
async fn people_compare_safety_numbers_on_the_command_line() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let as_bot = async |bot: &Bot, args: &[&str]| {
        let shell = Shell::at(&up).with("QPQ_TOKEN", bot.api.token());
        shell.run(&[&["identity"], args].concat()).await
    };
    let shown = as_bot(&bob, &["show", "alice"]).await;
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stdout.contains(&alice.identity), "{}", shown.stdout);
    let lines = shown.stdout.lines().skip_while(|line| !line.starts_with("Safety number"));
    let number = lines.map(|line| &line[15..]).collect::<Vec<_>>().join(" ");
    let wrong = as_bot(&alice, &["verify", "bob", "--number", &"1".repeat(60)]).await;
    assert_eq!(wrong.code, 1, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("safety number"), "{}", wrong.stderr);
    let unsaid = as_bot(&alice, &["verify", "bob"]).await;
    assert_eq!(unsaid.code, 2, "{}", unsaid.stderr);
    let verified = as_bot(&alice, &["verify", "bob", "--number", &number, "--json"]).await;
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    let verified: Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!(verified["trust"], "verified");
    let undone = as_bot(&alice, &["verify", "bob", "--undo"]).await;
    assert!(undone.stdout.contains("on first use"), "{}", undone.stdout);
    let odd = as_bot(&alice, &["show", "Bob?x=1"]).await;
    assert_eq!(odd.code, 2, "{}", odd.stderr);
}

#[tokio::test]
async fn a_name_that_changes_hands_is_told() {
    let dir = TempDir::new().unwrap();
    let node_dir = dir.path().join("node");
    let node = Launch::node(&node_dir).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let [alice, bob] = bots(&gateway, ["alice", "bob"]).await;
    let first = alice.create_group("first", &[&bob]).await;
    bob.accept(&first).await;
    let mut ear = Socket::open(&alice.api, "").await;
    gateway.admin().delete(&format!("/v1/bots/{}", bob.id)).await.expect(204);
    let ended = tool(&node_dir, &["node", "name", "release", "bob", "--to-anyone"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);

    // Nobody looks the name up: being in a group with its new holder is enough.
    let other = Bot::create(&gateway, "bob").await;
    let second = other.create_group("second", &[&alice]).await;
    let frame = ear.event("identity.changed").await;
    let data = &frame["event"]["data"];
    assert_eq!((&data["name"], &data["to"]), (&json!("bob"), &json!(other.identity)));
    assert_eq!(data["from"], bob.identity.as_str());
    alice.accept(&second).await;
    other.say(&second, "the same bob as ever").await;
    let frame = ear.event("message.received").await;
    assert_eq!(frame["event"]["data"]["security"]["trust"], "changed");
    assert_eq!(member_trust(&alice.group(&second).await, &other.identity), "changed");
    assert_eq!(look_up(&alice, "bob").await["identity"], other.identity.as_str());
}
