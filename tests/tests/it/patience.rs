//! How long the gateway waits for a target of webhooks, and a reader for the gateway.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quicproquo_tests::target::status;
use quicproquo_tests::{LONG, Launch, SOON, Sse, Target, pair, wait_for, within};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

/// A target may take 20 s.
const TIMEOUT: std::ops::Range<Duration> = Duration::from_secs(18)..Duration::from_secs(40);
/// When a reader of a quiet stream is told something at the latest: it is to be 15 s, and other
/// tests have the processors as well.
const BEAT: Duration = Duration::from_secs(25);

#[tokio::test]
async fn a_target_that_hangs_is_given_up_and_a_quiet_stream_beats() {
    let dir = TempDir::new().unwrap();
    let hung = AtomicBool::new(false);
    let target = Target::start(Box::new(move |_| {
        // It answers the second time.
        if hung.swap(true, Ordering::AcqRel) { status(204) } else { None }
    }))
    .await;
    let up = Launch::up(&dir.path().join("up"))
        .arg("--webhook-target", &target.origin)
        .arg("--webhook-retries", "3s,3s")
        .start()
        .await;
    let (alice, bob, group) = pair(&up).await;
    let url = format!("{}/hook", target.origin);
    let hook = json!({ "url": url, "types": ["message.received"] });
    let hook = bob.api.post("/v1/webhooks", &hook).await.expect(201);
    let path = format!("/v1/webhooks/{}/deliveries", hook["webhook_id"].as_str().unwrap());

    let hangs = async {
        alice.say(&group, "hello").await;
        let first = target.next().await;
        let begun = Instant::now();
        let report = wait_for("the delivery to be given up", LONG, async || {
            let list = bob.api.get(&path).await.expect(200);
            list["items"].get(0).filter(|report| report["error"] == "timeout").cloned()
        })
        .await;
        let took = begun.elapsed();
        assert_eq!((&report["state"], &report["attempts"]), (&json!("pending"), &json!(1)));
        assert!(TIMEOUT.contains(&took), "given up after {took:?}");
        let second = target.next().await;
        assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
        assert_eq!(second.json()["attempt"], 2);
        wait_for("the delivery to have come", LONG, async || {
            let list = bob.api.get(&path).await.expect(200);
            (list["items"][0]["state"] == "delivered").then_some(())
        })
        .await;
    };
    let beats = async {
        let begun = Instant::now();
        let mut ear = Sse::open(&bob.api, "types=group.left", None).await;
        let opened = begun.elapsed();
        assert!(opened < Duration::from_secs(5), "the headers came after {opened:?}");
        let first = within("the first block", SOON, ear.block()).await.unwrap();
        assert!(first.contains("retry: "), "{first}");
        let beat = within("a comment", BEAT, ear.block()).await.unwrap();
        assert!(beat.starts_with(':'), "{beat}");
    };
    tokio::join!(hangs, beats);
}
