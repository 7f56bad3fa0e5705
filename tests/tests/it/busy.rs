//! As much as a gateway takes at once, and no more.

use futures::future::join_all;
use quicproquo_tests::bot::{body_of, messages, text_message};
use quicproquo_tests::{Api, LONG, Later, Launch, SOON, bots, pair, wait_for};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

/// As docs/problems.md has them.
const UPLOADS: usize = 8;
const WAITING_BYTES: usize = 128 * 1024 * 1024;

#[tokio::test]
async fn a_ninth_upload_is_sent_away_until_one_has_ended() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let mut running = Vec::new();
    for _ in 0..UPLOADS {
        running.push(Later::post(&alice.api, "/v1/attachments", 7, &[]).await);
    }
    let upload = async |api: &Api| {
        let request = api.request(Method::POST, "/v1/attachments");
        api.send(request.header("Content-Type", "text/plain").body("content")).await
    };
    // They are those of all bots.
    for bot in [&alice, &bob] {
        let refused = upload(&bot.api).await.expect_problem(503, "uploads-busy");
        assert_eq!(refused["retryable"], true);
    }
    // Everything else goes on.
    alice.create_group("meanwhile", &[&bob]).await;
    drop(running.pop());
    wait_for("a place", SOON, async || {
        let answer = upload(&bob.api).await;
        assert!([201, 503].contains(&answer.status), "{}", answer.text);
        (answer.status == 201).then_some(())
    })
    .await;
    for upload in running {
        let answer = upload.finish(b"content").await;
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
}

#[tokio::test]
async fn sends_wait_for_the_node_up_to_a_limit_and_all_arrive() {
    let dir = TempDir::new().unwrap();
    // What is over the quota of a queue would be lost there, and told as a gap.
    let node = Launch::node(&dir.path().join("node"))
        .arg("--node-quotas-queue-bytes", "1000000000")
        .start()
        .await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let node = node.stop().await;
    let content = "x".repeat(1000 * 1024);
    let large = json!({ "type": "org.example.large", "content": content });
    let send = async || alice.api.post(&format!("{}?wait=0", messages(&group)), &large).await;
    let mut taken = 0;
    let refused = loop {
        let answers = join_all((0..4).map(|_| send())).await;
        taken += answers.iter().filter(|answer| answer.status == 201).count();
        if let Some(refused) = answers.into_iter().find(|answer| answer.status != 201) {
            break refused;
        }
        assert!(taken * content.len() < 2 * WAITING_BYTES, "{taken} were taken");
    };
    assert!(taken * content.len() > WAITING_BYTES / 2, "{taken} were taken");
    let refused = refused.expect_problem(503, "outbox-full");
    assert_eq!(refused["retryable"], true);
    let text = text_message("there is room");
    let small = async || alice.api.post(&messages(&group), &text).await;
    small().await.expect_problem(503, "outbox-full");
    // It is one bot's own.
    bob.say(&group, "from bob").await;

    let _node = node.start().await;
    wait_for("room", LONG, async || {
        let answer = small().await;
        assert!([201, 503].contains(&answer.status), "{}", answer.text);
        (answer.status == 201).then_some(())
    })
    .await;
    wait_for("what was said last", LONG, async || {
        let page = bob.api.get(&format!("{}?type=text", messages(&group))).await.expect(200);
        let mut items = page["items"].as_array().unwrap().iter();
        items.any(|item| body_of(item) == "there is room").then_some(())
    })
    .await;
    let mut seen = 0;
    let mut next = format!("{}?limit=20&type=org.example.large", messages(&group));
    while !next.is_empty() {
        let page = bob.api.get(&next).await;
        seen += page.expect(200)["items"].as_array().unwrap().len();
        next = page.header("link").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
    }
    assert_eq!(seen, taken);
}
