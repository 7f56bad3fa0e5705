//! What a group or the node does not do, and how that is told.

use std::path::Path;

use quicproquo_tests::bot::messages;
use quicproquo_tests::{Answer, Api, Bot, LONG, Launch, bots, pair, wait_for};
use reqwest::Method;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

/// An identity that nobody has.
fn nobody() -> String {
    "5a".repeat(32)
}

#[tokio::test]
async fn a_roster_keeps_its_rules() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let before = alice.group(&group).await;
    let path = format!("/v1/groups/{group}");
    let members = format!("{path}/members");
    let (own, theirs) =
        (format!("{members}/{}", alice.identity), format!("{members}/{}", bob.identity));
    let stranger = format!("{members}/{}", nobody());
    let (api, role) = (&alice.api, |role: &str| json!({ "role": role }));
    let add = |identity: &str| json!({ "members": [identity] });

    api.patch(&own, &role("member")).await.expect_problem(409, "last-admin");
    api.post(&format!("{path}/leave"), &json!({})).await.expect_problem(409, "last-admin");
    for identity in [&bob.identity, &alice.identity, &bob.name] {
        api.post(&members, &add(identity)).await.expect_problem(409, "already-member");
    }
    api.patch(&stranger, &role("admin")).await.expect_problem(404, "member-not-found");
    api.delete(&stranger).await.expect_problem(404, "member-not-found");
    let missing = api.post(&members, &add(&nobody())).await;
    let missing = missing.expect_problem(409, "key-package-missing");
    assert!(missing["detail"].as_str().unwrap().contains(&nobody()), "{missing}");
    let new = json!({ "name": "of nobody", "members": [nobody()] });
    api.post("/v1/groups", &new).await.expect_problem(409, "key-package-missing");
    assert_eq!(alice.group(&group).await["epoch"], before["epoch"]);
    let groups = api.get("/v1/groups").await.expect(200);
    assert_eq!(groups["items"].as_array().unwrap().len(), 1, "{groups}");

    // With a successor the last admin may step down, and then leave.
    api.patch(&theirs, &role("admin")).await.expect(200);
    api.patch(&own, &role("member")).await.expect(200);
    api.patch(&theirs, &role("member")).await.expect_problem(403, "not-admin");
    api.post(&format!("{path}/leave"), &json!({})).await.expect(200);
    wait_for("bob to be alone", LONG, async || {
        let seen = bob.group(&group).await;
        (seen["members"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    bob.api.delete(&own).await.expect_problem(404, "member-not-found");
    // Who is alone leaves nobody behind.
    bob.api.post(&format!("{path}/leave"), &json!({})).await.expect(200);
}

/// Gives out other key packages of an identity than those that it has published.
async fn exchange(data: &Path, of: &Bot, with: &str) {
    let database = data.join("node/node.db");
    let mut connection =
        SqliteConnectOptions::new().filename(&database).connect().await.expect("the database");
    let query = "UPDATE packages SET data = coalesce((SELECT data FROM packages AS other \
                 WHERE identity = ? AND other.ciphersuite = packages.ciphersuite), \
                 CAST(substr(data, 1, length(data) - 1) || x'00' AS BLOB)) WHERE identity = ?";
    let changed = sqlx::query(query)
        .bind(hex::decode(with).expect("an identity"))
        .bind(hex::decode(&of.identity).expect("an identity"))
        .execute(&mut connection)
        .await
        .expect("packages change");
    assert!(changed.rows_affected() > 0);
    connection.close().await.expect("the database closes");
}

#[tokio::test]
async fn a_node_that_gives_out_other_key_packages_is_not_believed() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("up");
    let up = Launch::up(&data).start().await;
    let names = ["alice", "bob", "carol", "dave"];
    let [alice, bob, carol, dave] = bots(&up, names).await;
    let group = alice.create_group("alone", &[]).await;
    let stopped = up.stop().await;
    exchange(&data, &bob, &dave.identity).await;
    exchange(&data, &carol, &nobody()).await;
    let up = stopped.start().await;
    let api = Api::new(&up.url(), alice.api.token());
    let members = format!("/v1/groups/{group}/members");
    for (bot, detail) in [(&bob, "another identity"), (&carol, "not valid")] {
        let refused = api.post(&members, &json!({ "members": [bot.identity] })).await;
        let refused = refused.expect_problem(409, "key-package-refused");
        let told = refused["detail"].as_str().unwrap();
        assert!(told.contains(detail) && told.contains(&bot.identity), "{told}");
    }
    let seen = api.get(&members).await.expect(200);
    assert_eq!(seen["items"].as_array().unwrap().len(), 1, "{seen}");
    // The control: nobody has touched those of dave.
    api.post(&members, &json!({ "members": [dave.identity] })).await.expect(200);
}

async fn upload(api: &Api, size: usize) -> Answer {
    let request = api.request(Method::POST, "/v1/attachments?filename=x");
    let request = request.header("Content-Type", "application/octet-stream");
    api.send(request.body(vec![7; size])).await
}

#[tokio::test]
async fn a_file_over_the_quota_is_refused_by_the_node() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up"))
        .arg("--node-quotas-blob-quota-bytes", "10000")
        .start()
        .await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let refused = upload(&alice.api, 20_000).await.expect_problem(502, "node-refused");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("QUOTA_EXCEEDED"), "docs/problems.md promises the code: {detail}");
    // What fits is taken, until all of it together does not.
    upload(&alice.api, 6_000).await.expect(201);
    upload(&alice.api, 6_000).await.expect_problem(502, "node-refused");
    upload(&bob.api, 6_000).await.expect(201);
}

#[tokio::test]
async fn a_file_that_the_node_has_forgotten_is_told_as_expired() {
    let dir = TempDir::new().unwrap();
    let up =
        Launch::up(&dir.path().join("up")).arg("--node-quotas-blob-ttl-secs", "1").start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    let file = upload(&alice.api, 1000).await.expect(201);
    let message = json!({ "type": "file", "content": file });
    alice.api.post(&messages(&group), &message).await.expect(201);
    bob.event(&tail, "message.received").await;
    let path = format!("/v1/attachments/{}", file["attachment_id"].as_str().unwrap());
    for api in [&alice.api, &bob.api] {
        let expired = wait_for("the file to expire", LONG, async || {
            // Until then it is whole.
            let answer = api.send(api.request(Method::GET, &path)).await;
            assert!([200, 410].contains(&answer.status), "{}", answer.text);
            (answer.status == 410).then_some(answer)
        })
        .await;
        expired.expect_problem(410, "attachment-expired");
    }
}
