//! The log as server-sent events.

use quicproquo_tests::bot::body_of;
use quicproquo_tests::{LONG, Launch, SOON, Sse, pair, wait_for, within};
use serde_json::json;
use tempfile::TempDir;

#[tokio::test]
async fn a_reader_that_comes_back_misses_nothing() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let query = "types=message.received";
    let mut ear = Sse::open(&bob.api, query, None).await;
    assert_eq!(ear.headers()["content-type"], "text/event-stream");
    assert!(ear.block().await.unwrap().contains("retry: "));
    alice.say(&group, "one").await;
    let one = ear.event().await;
    assert_eq!(body_of(&one["data"]), "one");
    assert_eq!(one["cursor"], ear.last_id);
    assert!(one.get("delivery_id").is_none(), "nothing to acknowledge: {one}");
    let last = ear.last_id.clone();
    drop(ear);
    for text in ["two", "three"] {
        alice.say(&group, text).await;
    }
    // The first address is asked for again; the id counts.
    let begin = format!("{query}&after=c1_0");
    let mut ear = Sse::open(&bob.api, &begin, Some(&last)).await;
    for text in ["two", "three"] {
        assert_eq!(body_of(&ear.event().await["data"]), text);
    }
    // The cursor is the same at every door.
    let page = bob.api.get(&format!("/v1/events?after={last}&{query}")).await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 2);

    // A gateway that stops ends the stream cleanly.
    let stopped = tokio::join!(
        up.stop(),
        within("the end", SOON, async { while ear.block().await.is_some() {} })
    );
    drop(stopped);
}

#[tokio::test]
async fn a_quiet_stream_shows_signs_of_life_and_ends_with_its_token() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tokens = format!("/v1/bots/{}/tokens", bob.id);
    let token = up.admin().post(&tokens, &json!({ "label": "ear" })).await.expect(201);
    let api = quicproquo_tests::Api::new(&up.url(), token["token"].as_str().unwrap());
    let mut ear = Sse::open(&api, "types=group.renamed", None).await;
    ear.block().await.unwrap();
    // What is filtered moves the reader's place all the same.
    alice.say(&group, "not for you").await;
    let moved = within("a comment with the new place", LONG, async {
        loop {
            let block = ear.block().await.unwrap();
            assert!(block.starts_with(':'), "{block}");
            if let Some((_, id)) = block.split_once("id: ") {
                return id.trim().to_owned();
            }
        }
    })
    .await;
    let tail = bob.tail().await;
    assert_eq!(moved, tail);

    let path = format!("{tokens}/{}", token["token_id"].as_str().unwrap());
    up.admin().delete(&path).await.expect(204);
    within("the end of the stream", SOON, async { while ear.block().await.is_some() {} }).await;
}

#[tokio::test]
async fn a_consumer_reads_here_and_acknowledges_by_request() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let query = "consumer=ear&types=message.received";
    let mut ear = Sse::open(&bob.api, query, None).await;
    alice.say(&group, "one").await;
    alice.say(&group, "two").await;
    let one = ear.event().await;
    let ack = json!({ "consumer": "ear", "ids": [one["delivery_id"]] });
    bob.api.post("/v1/events/ack", &ack).await.expect(200);
    assert_eq!(body_of(&ear.event().await["data"]), "two");
    drop(ear);
    // What was not acknowledged comes again, whatever id the reader has.
    wait_for("the connection to end", SOON, async || {
        let all = bob.api.get("/v1/events/consumers").await.expect(200);
        (all["items"][0]["connections"] == 0).then_some(())
    })
    .await;
    let mut ear = Sse::open(&bob.api, query, Some("c1_0")).await;
    let two = ear.event().await;
    assert_eq!((body_of(&two["data"]), &two["attempt"]), ("two".to_owned(), &json!(1)));
}

#[tokio::test]
async fn a_lost_place_is_told_before_the_stream_begins() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (_alice, bob, _) = pair(&up).await;
    let open = async |id: &str| {
        let request = bob.api.request(reqwest::Method::GET, "/v1/events");
        let request = request.header("accept", "text/html, text/event-stream;q=0.9");
        bob.api.send(request.header("last-event-id", id)).await
    };
    open("c1_ffff").await.expect_problem(400, "cursor-invalid");
    open("seven").await.expect_problem(400, "cursor-invalid");
}
