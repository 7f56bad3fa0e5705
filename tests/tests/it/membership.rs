//! Three bots: add, remove, leave, rename, roles.

use quicproquo_tests::{Bot, LONG, Launch, bots, pair, wait_for};
use serde_json::json;
use tempfile::TempDir;

/// Waits until a bot sees a group with this many members; answers its epoch.
async fn members_seen(bot: &Bot, group: &str, count: usize) -> u64 {
    wait_for("the roster", LONG, || async {
        let seen = bot.group(group).await;
        let members = seen["members"].as_array().map_or(0, Vec::len);
        (members == count).then(|| seen["epoch"].as_u64().unwrap_or_default())
    })
    .await
}

#[tokio::test]
async fn the_removed_reads_nothing_more() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let carol = Bot::create(&up, "carol").await;
    let start = carol.tail().await;
    alice.add(&group, &[&carol]).await;
    carol.accept(&group).await;
    for bot in [&alice, &bob, &carol] {
        members_seen(bot, &group, 3).await;
    }

    let (bobs, carols) = (bob.tail().await, carol.tail().await);
    alice.say(&group, "for three").await;
    bob.hears(&bobs, &group, &["for three".into()]).await;
    carol.hears(&carols, &group, &["for three".into()]).await;

    alice.remove(&group, &carol).await;
    carol.event(&carols, "group.left").await;
    assert_eq!(carol.group(&group).await["state"], "removed");
    members_seen(&bob, &group, 2).await;

    let bobs = bob.tail().await;
    alice.say(&group, "for two").await;
    bob.say(&group, "indeed").await;
    bob.hears(&bobs, &group, &["for two".into()]).await;
    // Whatever the node would still send to carol comes before what it sends her now.
    let other = alice.create_group("other", &[&carol]).await;
    carol.accept(&other).await;
    alice.say(&other, "marker").await;
    carol.hears(&start, &other, &["marker".into()]).await;
    assert_eq!(carol.heard(&start, &group).await, ["for three"]);
    carol
        .api
        .post(&quicproquo_tests::bot::messages(&group), &quicproquo_tests::bot::text_message("x"))
        .await
        .expect_problem(409, "group-inactive");
}

#[tokio::test]
async fn leaving_renaming_and_roles_reach_everybody() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob, carol] = bots(&up, ["alice", "bob", "carol"]).await;
    let group = alice.create_group("before", &[&bob, &carol]).await;
    bob.accept(&group).await;
    carol.accept(&group).await;

    let path = format!("/v1/groups/{group}");
    let tail = carol.tail().await;
    alice.api.patch(&path, &json!({ "name": "after", "topic": "tea" })).await.expect(200);
    let renamed = carol.event(&tail, "group.renamed").await;
    assert_eq!(renamed["data"]["name"], "after");
    assert_eq!(carol.group(&group).await["topic"], "tea");

    // Only an admin may rename, and only an admin may make another one.
    bob.api.patch(&path, &json!({ "name": "mine" })).await.expect_problem(403, "not-admin");
    let role = format!("{path}/members/{}", bob.identity);
    alice.api.patch(&role, &json!({ "role": "admin" })).await.expect(200);
    wait_for("bob to be admin", LONG, || async {
        let members = bob.group(&group).await["members"].as_array().cloned().unwrap_or_default();
        members
            .iter()
            .any(|m| m["identity"] == bob.identity.as_str() && m["role"] == "admin")
            .then_some(())
    })
    .await;
    bob.api.patch(&path, &json!({ "name": "ours" })).await.expect(200);

    let tail = carol.tail().await;
    let left = carol.api.post(&format!("{path}/leave"), &json!({})).await;
    assert!((200..=204).contains(&left.status), "the answer was: {}", left.text);
    carol.event(&tail, "group.left").await;
    assert_eq!(carol.group(&group).await["state"], "left");
    for bot in [&alice, &bob] {
        members_seen(bot, &group, 2).await;
    }
    let tail = bob.tail().await;
    alice.say(&group, "we two").await;
    bob.hears(&tail, &group, &["we two".into()]).await;
}

#[tokio::test]
async fn declining_leaves_the_group() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let start = bob.tail().await;
    let group = alice.create_group("unwanted", &[&bob]).await;
    bob.event(&start, "invitation.received").await;
    let list = bob.api.get("/v1/invitations").await.expect(200);
    let id = list["items"][0]["invitation_id"].as_str().unwrap();
    let declined = bob.api.post(&format!("/v1/invitations/{id}/decline"), &json!({})).await;
    assert!((200..=204).contains(&declined.status), "the answer was: {}", declined.text);
    members_seen(&alice, &group, 1).await;
    let list = bob.api.get("/v1/invitations").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn replaced_keys_keep_the_conversation() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let before = alice.group(&group).await["epoch"].as_u64().unwrap();
    let path = format!("/v1/groups/{group}/update-keys");
    bob.api.post(&path, &json!({})).await.expect(200);
    wait_for("the new epoch", LONG, || async {
        (alice.group(&group).await["epoch"].as_u64() > Some(before)).then_some(())
    })
    .await;
    let tail = bob.tail().await;
    alice.say(&group, "with new keys").await;
    bob.hears(&tail, &group, &["with new keys".into()]).await;
}
