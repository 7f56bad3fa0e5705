//! A log that begins later than a reader's cursor.

use quicproquo_tests::{Api, Bot, LONG, Launch, pair, wait_for};
use serde_json::json;
use tempfile::TempDir;

#[tokio::test]
async fn a_cursor_older_than_what_is_kept_is_told_where_to_go_on() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).arg("--retention", "1s").start().await;
    let (alice, bob, group) = pair(&up).await;
    let begin = bob.tail().await;
    let path = "/v1/events?timeout=0&consumer=worker";
    bob.api.get(&format!("{path}&after={begin}")).await.expect(200);
    alice.say(&group, "long ago").await;
    bob.hears(&begin, &group, &["long ago".to_owned()]).await;
    // What is old is deleted at the next start.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let up = up.stop().await.start().await;
    let bob = Bot { api: Api::new(&up.url(), bob.api.token()), ..bob };
    let alice = Bot { api: Api::new(&up.url(), alice.api.token()), ..alice };
    let problem = wait_for("the log to begin later", LONG, || async {
        let answer = bob.api.get(&format!("/v1/events?timeout=0&after={begin}")).await;
        (answer.status == 410).then(|| answer.expect_problem(410, "cursor-expired"))
    })
    .await;
    let [oldest, newest] = ["oldest", "newest"].map(|end| problem[end].as_str().unwrap());
    let history = bob.api.get(&format!("/v1/groups/{group}/messages")).await.expect(200);
    assert_eq!(history["items"], json!([]));
    for cursor in [oldest, newest] {
        bob.api.get(&format!("/v1/events?timeout=0&after={cursor}")).await.expect(200);
    }

    // A consumer stays where it was until it is moved.
    bob.api.get(path).await.expect_problem(410, "cursor-expired");
    let ack = json!({ "consumer": "worker", "up_to": oldest });
    bob.api.post("/v1/events/ack", &ack).await.expect(200);
    alice.say(&group, "now").await;
    wait_for("the consumer to go on", LONG, || async {
        let page = bob.api.get(path).await.expect(200);
        page.to_string().contains("now").then_some(())
    })
    .await;
}
