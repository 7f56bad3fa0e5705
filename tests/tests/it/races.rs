//! Commits of the same epoch by different members: all converge.

use quicproquo_tests::{LONG, Launch, bots, wait_for};
use serde_json::json;
use tempfile::TempDir;

#[tokio::test]
async fn two_commits_at_the_same_moment_converge() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob, carol] = bots(&up, ["alice", "bob", "carol"]).await;
    let group = alice.create_group("race", &[&bob, &carol]).await;
    bob.accept(&group).await;
    carol.accept(&group).await;
    let path = format!("/v1/groups/{group}");
    let role = format!("{path}/members/{}", bob.identity);
    alice.api.patch(&role, &json!({ "role": "admin" })).await.expect(200);
    let epoch = alice.group(&group).await["epoch"].clone();
    wait_for("bob to see his role", LONG, || async {
        (bob.group(&group).await["epoch"] == epoch).then_some(())
    })
    .await;

    for round in 0..5 {
        let name = json!({ "name": format!("name {round}") });
        let topic = json!({ "topic": format!("topic {round}") });
        let (a, b) = tokio::join!(alice.api.patch(&path, &name), bob.api.patch(&path, &topic));
        for answer in [a, b] {
            assert!((200..=202).contains(&answer.status), "the answer was: {}", answer.text);
        }
        let mut epochs = Vec::new();
        for bot in [&alice, &bob, &carol] {
            let epoch = wait_for("both changes", LONG, || async {
                let seen = bot.group(&group).await;
                let both = seen["name"] == name["name"] && seen["topic"] == topic["topic"];
                both.then(|| seen["epoch"].clone())
            })
            .await;
            epochs.push(epoch);
        }
        assert!(epochs.iter().all(|e| *e == epochs[0]), "one branch: {epochs:?}");
    }
    for (speaker, listener) in [(&alice, &bob), (&bob, &carol), (&carol, &alice)] {
        let tail = listener.tail().await;
        speaker.say(&group, "still one group").await;
        listener.hears(&tail, &group, &["still one group".into()]).await;
    }
}
