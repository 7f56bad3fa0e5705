//! A revoked token's streams are over within a second, at every door, and what it has begun to send
//! is not done.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use quicproquo_tests::bot::{messages, text_message};
use quicproquo_tests::seed::say;
use quicproquo_tests::{Api, Bot, LONG, Later, Launch, Running, SOON, Socket, Sse, pair, within};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

/// A machine may be busy with something else, but not each time.
const TRIES: usize = 3;

/// From the answer to the revocation until socket, stream and poll are over, which is the later of
/// the three; zero when all were over before it.
async fn last_after_revoking(up: &Running, bot: &Bot) -> Duration {
    let tokens = format!("/v1/bots/{}/tokens", bot.id);
    let token = up.admin().post(&tokens, &json!({ "label": "ear" })).await.expect(201);
    let api = Api::new(&up.url(), token["token"].as_str().unwrap());
    let mut socket = Socket::open(&api, "").await;
    let mut stream = Sse::open(&api, "", None).await;
    stream.block().await.unwrap();
    let socket = async {
        assert_eq!(socket.closed().await.code, 4401);
        Instant::now()
    };
    let stream = async {
        within("the end of the stream", SOON, async { while stream.block().await.is_some() {} })
            .await;
        Instant::now()
    };
    let poll = async {
        // Longer than anything else here waits.
        let answer = api.get("/v1/events?timeout=60000").await;
        answer.expect_problem(401, "token-invalid");
        Instant::now()
    };
    let revoke = async {
        // The poll waits by now.
        api.get("/v1/me").await.expect(200);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let path = format!("{tokens}/{}", token["token_id"].as_str().unwrap());
        up.admin().delete(&path).await.expect(204);
        Instant::now()
    };
    let all = async { tokio::join!(socket, stream, poll, revoke) };
    let (socket, stream, poll, revoked) = within("all to be over", LONG, all).await;
    let [socket, stream, poll] =
        [socket, stream, poll].map(|over| over.saturating_duration_since(revoked));
    say(&format!("after a revocation: socket {socket:?}, stream {stream:?}, poll {poll:?}"));
    socket.max(stream).max(poll)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_reads_no_further_for_a_second() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        best = best.min(Box::pin(last_after_revoking(&up, &bob)).await);
        if best < Duration::from_secs(1) {
            break;
        }
    }
    assert!(best < Duration::from_secs(1), "the streams of a revoked token lived for {best:?}");
    // Another token of the same bot is not touched.
    let mut ear = Socket::open(&bob.api, "").await;
    alice.say(&group, "still here").await;
    ear.event("message.received").await;
}

#[tokio::test]
async fn what_a_token_has_begun_to_send_when_it_is_revoked_is_not_done() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tokens = format!("/v1/bots/{}/tokens", bob.id);
    let token = up.admin().post(&tokens, &json!({ "label": "slow" })).await.expect(201);
    let api = Api::new(&up.url(), token["token"].as_str().unwrap());
    let message = text_message("too late").to_string();
    let text = [("Content-Type", "application/json")];
    let file = [("Content-Type", "text/plain"), ("Idempotency-Key", "a file")];
    let begin = async |api: &Api| {
        let send = Later::post(api, &messages(&group), message.len(), &text).await;
        let mut upload = Later::post(api, "/v1/attachments", 8, &file).await;
        upload.write(b"half").await;
        (send, upload)
    };
    let refused = async |(send, upload): (Later, Later)| {
        for answer in [send.finish(message.as_bytes()).await, upload.finish(b"a fi").await] {
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
            assert!(answer.contains("urn:quicproquo:problem:token-invalid"), "{answer}");
        }
    };
    let begun = begin(&api).await;
    let path = format!("{tokens}/{}", token["token_id"].as_str().unwrap());
    up.admin().delete(&path).await.expect(204);
    refused(begun).await;
    // Nothing was kept, so that the same key is free for another file.
    let again = bob.api.request(reqwest::Method::POST, "/v1/attachments");
    let again = again.header("Idempotency-Key", "a file").header("Content-Type", "text/plain");
    let kept = bob.api.send(again.body("another file")).await;
    kept.expect(201);
    assert_eq!(kept.header("idempotency-replayed"), "");

    // A bot that is deleted has no tokens any more.
    let late = Later::post(&bob.api, "/v1/attachments", 8, &file).await;
    up.admin().delete(&format!("/v1/bots/{}", bob.id)).await.expect(204);
    let answer = late.finish(b"any file").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(alice.api.get(&messages(&group)).await.expect(200)["items"], json!([]));
}
