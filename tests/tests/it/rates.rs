//! Rates, request ids, metrics, and pages that belong to no bot.

use quicproquo_tests::bot::{find_token, messages, text_message};
use quicproquo_tests::target::status;
use quicproquo_tests::{
    Answer, Api, Bot, LONG, Launch, Running, SOON, Socket, Target, bots, pair, wait_for,
};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

fn nobody(gateway: &Running) -> Api {
    Api::new(&gateway.url(), "")
}

#[tokio::test]
async fn a_token_over_its_rate_is_told_when_to_come_again_and_others_are_not() {
    let dir = TempDir::new().unwrap();
    let launch = Launch::up(&dir.path().join("up"))
        .arg("--http-token-per-sec", "1")
        .arg("--http-token-burst", "4")
        .arg("--http-address-per-sec", "1")
        .arg("--http-address-burst", "3");
    let up = launch.start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let first = alice.api.get("/v1/me").await;
    assert_eq!(first.header("ratelimit-policy"), "\"token\";q=4;w=4");
    assert_eq!(first.header("ratelimit"), "\"token\";r=3;t=1");
    let over = over(&alice.api, "/v1/me").await;
    over.expect_problem(429, "rate-limited");
    assert_eq!(over.json()["retryable"], true);
    assert_eq!((over.header("retry-after"), over.header("ratelimit")), ("1", "\"token\";r=0;t=1"));
    bob.api.get("/v1/me").await.expect(200);

    // A flood without a valid token stops itself and nobody else.
    let stranger = Api::new(&up.url(), bob.api.token().trim_end_matches(char::is_alphanumeric));
    let over_address = over_limit(&stranger).await;
    assert_eq!(over_address.header("ratelimit-policy"), "\"address\";q=3;w=3");
    bob.api.get("/v1/me").await.expect(200);
    wait_for("room for one more", SOON, async || {
        (alice.api.get("/v1/me").await.status == 200).then_some(())
    })
    .await;

    // The control: 0 is no limit, and says nothing.
    let unlimited = Launch::up(&dir.path().join("free"))
        .arg("--http-token-per-sec", "0")
        .arg("--http-address-per-sec", "0")
        .start()
        .await;
    let [alice] = bots(&unlimited, ["alice"]).await;
    for _ in 0..20 {
        let answer = alice.api.get("/v1/me").await;
        answer.expect(200);
        assert_eq!(answer.header("ratelimit-policy"), "");
        nobody(&unlimited).get("/health/live").await.expect(200);
    }
}

#[tokio::test]
async fn a_send_over_a_socket_counts_as_the_request_that_it_stands_for() {
    let dir = TempDir::new().unwrap();
    for (rate, refused) in [("1", true), ("0", false)] {
        let launch = Launch::up(&dir.path().join(rate))
            .arg("--http-token-per-sec", rate)
            .arg("--http-token-burst", "12");
        let up = launch.start().await;
        let [alice] = bots(&up, ["alice"]).await;
        let group = alice.create_group("alone", &[]).await;
        let mut socket = Socket::open(&alice.api, "types=gap.detected").await;
        let mut statuses = Vec::new();
        for id in 0..30 {
            let message = text_message("fast");
            let frame = json!({ "type": "send", "id": id, "group_id": group, "message": message });
            socket.send(&frame).await;
            let result = loop {
                let frame = socket.next().await.unwrap();
                if frame["type"] == "result" {
                    break frame;
                }
            };
            assert_eq!(result["id"], id);
            if result["status"] == 429 {
                assert_eq!(result["problem"]["type"], "urn:quicproquo:problem:rate-limited");
            }
            statuses.push(result["status"].as_u64().unwrap());
        }
        assert_eq!(statuses[0], 201);
        // The control has no rate.
        assert_eq!(statuses.contains(&429), refused, "{statuses:?}");
    }
}

/// Asks until it is too much.
async fn over(api: &Api, path: &str) -> Answer {
    wait_for("too much", SOON, async || {
        let answer = api.get(path).await;
        (answer.status == 429).then_some(answer)
    })
    .await
}

async fn over_limit(stranger: &Api) -> Answer {
    let answer = over(stranger, "/v1/me").await;
    answer.expect_problem(429, "rate-limited");
    answer
}

#[tokio::test]
async fn what_happens_is_counted_and_nobody_is_named() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let mut ear = Socket::open(&bob.api, "consumer=counted").await;
    let tail = bob.tail().await;
    alice.say(&group, "counted").await;
    ear.event("message.received").await;
    bob.hears(&tail, &group, &["counted".to_owned()]).await;
    nobody(&up).get("/nowhere").await.expect_problem(404, "route-not-found");

    let page = nobody(&up).get("/metrics").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    for line in [
        "qpq_gateway_requests_total{method=\"POST\",route=\"/v1/groups/{group_id}/messages\",status=\"201\"} 1",
        "qpq_gateway_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 1",
        "qpq_gateway_request_seconds_count{method=\"POST\",route=\"/v1/groups/{group_id}/messages\"} 1",
        "qpq_gateway_streams_open{door=\"websocket\"} 1",
        "qpq_gateway_bots{link=\"up\"} 2",
        "qpq_gateway_consumers 1",
        "qpq_gateway_requests_in_flight 1",
    ] {
        assert!(page.text.lines().any(|found| found == line), "{line}\n{}", page.text);
    }
    let delivered = "qpq_gateway_delivery_seconds_count{door=\"websocket\"} ";
    let count = page.text.lines().find_map(|line| line.strip_prefix(delivered));
    assert!(count.is_some_and(|count| count != "0"), "{}", page.text);
    for secret in [&alice.identity[..16], &bob.id, &group[..16], "counted\"", "alice"] {
        assert!(!page.text.contains(secret), "{secret} is on the page");
    }
}

#[tokio::test]
async fn a_request_has_one_id_everywhere() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).log("debug").start().await;
    let api = nobody(&up);
    let given = "6F0C1F5E3D0B4D0E9C560D6A7A4E1B2C";
    let id = "6f0c1f5e-3d0b-4d0e-9c56-0d6a7a4e1b2c";
    let answer = api.send(api.request(Method::GET, "/v1/me").header("x-request-id", given)).await;
    let problem = answer.expect_problem(401, "token-missing");
    assert_eq!(answer.header("x-request-id"), id);
    assert_eq!(problem["instance"], format!("urn:uuid:{id}"));
    assert!(String::from_utf8_lossy(&up.log()).contains(id));
    let request = api.request(Method::GET, "/v1/me").header("x-request-id", "canary of a caller");
    let answer = api.send(request).await;
    assert_eq!(answer.header("x-request-id").len(), 36);
    assert!(!String::from_utf8_lossy(&up.log()).contains("canary of a caller"));
}

#[tokio::test]
async fn what_a_socket_refuses_is_in_the_log_under_its_instance() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).log("quicproquo_gateway=debug").start().await;
    let alice = Bot::create(&up, "alice").await;
    let mut socket = Socket::open(&alice.api, "").await;
    let session = socket.hello["session"].as_str().unwrap().to_owned();
    let line = |with: &str| {
        let log = String::from_utf8_lossy(&up.log()).into_owned();
        let found = log.lines().find(|line| line.contains(with)).map(str::to_owned);
        found.unwrap_or_else(|| panic!("{with} is not in the log:\n{log}"))
    };
    let begin = line(&session);
    assert!(begin.contains("a stream begins") && begin.contains(&alice.id), "{begin}");
    let message = json!({ "type": "text", "content": { "body": "to nobody" } });
    for (frame, status) in [
        (json!({ "type": "shout" }), "400"),
        (json!({ "type": "ack", "ids": [] }), "400"),
        (json!({ "type": "send", "id": 1, "group_id": "00", "message": message }), "404"),
    ] {
        socket.send(&frame).await;
        let answer = socket.frame().await.expect("the stream is open");
        let instance = answer["problem"]["instance"].as_str().unwrap();
        let line = line(instance.trim_start_matches("urn:uuid:"));
        assert!(line.contains(&session), "{frame}: {line}");
        assert!(line.contains(&format!("status={status}")), "{frame}: {line}");
    }
}

#[tokio::test]
async fn webhooks_are_counted_by_what_became_of_their_attempts() {
    let dir = TempDir::new().unwrap();
    let [good, bad] = [200, 500].map(|code| Target::start(Box::new(move |_| status(code))));
    let (good, bad) = (good.await, bad.await);
    let up = Launch::up(&dir.path().join("up"))
        .env("QPQ_HTTP_WEBHOOKS_TARGETS", &format!("{},{}", good.origin, bad.origin))
        .arg("--webhook-retries", "1s")
        .start()
        .await;
    let (alice, bob, group) = pair(&up).await;
    for target in [&good, &bad] {
        let url = format!("{}/canary", target.origin);
        let hook = json!({ "url": url, "types": ["message.received"] });
        bob.api.post("/v1/webhooks", &hook).await.expect(201);
    }
    alice.say(&group, "counted").await;
    let gave_up = "qpq_gateway_webhook_events_failed_total 1";
    let page = wait_for("the last attempt", LONG, async || {
        let page = nobody(&up).get("/metrics").await.text;
        page.lines().any(|line| line == gave_up).then_some(page)
    })
    .await;
    for line in [
        "qpq_gateway_webhook_attempt_seconds_count{outcome=\"delivered\"} 1",
        "qpq_gateway_webhook_attempt_seconds_count{outcome=\"status\"} 2",
        "qpq_gateway_webhook_delivery_seconds_count 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    for secret in [&bob.id, "whk_", "canary", "127.0.0.1"] {
        assert!(!page.contains(secret), "{secret} is on the page");
    }
}

#[tokio::test]
async fn pages_lead_on_and_can_be_closed() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let api = nobody(&up);
    let home = api.get("/").await;
    assert!(home.status == 200 && home.text.contains("swagger"), "{}: {}", home.status, home.text);
    let problem = api.get("/v1/me").await;
    assert_eq!(problem.header("link"), "</problems/token-missing>; rel=\"help\"");
    let page = api.get("/problems/token-missing").await;
    assert!(page.header("content-type").starts_with("text/html"), "{}", page.text);
    assert!(page.text.contains("urn:quicproquo:problem:token-missing"), "{}", page.text);
    assert!(api.get("/problems").await.text.contains("problems/token-missing"));
    api.get("/problems/none").await.expect_problem(404, "not-found");
    let wrong = api.send(api.request(Method::PUT, "/v1/me")).await;
    wrong.expect_problem(405, "method-not-allowed");
    assert_eq!(wrong.header("allow"), "GET,HEAD");
    for path in ["/v1/none", "/none"] {
        api.get(path).await.expect_problem(404, "route-not-found");
    }

    let launch = Launch::up(&dir.path().join("other"))
        .arg("--http-metrics", "admin")
        .arg("--http-docs", "closed");
    let up = launch.start().await;
    let [alice] = bots(&up, ["alice"]).await;
    nobody(&up).get("/metrics").await.expect_problem(401, "token-missing");
    alice.api.get("/metrics").await.expect_problem(403, "bot-token-refused");
    assert_eq!(up.admin().get("/metrics").await.status, 200);
    for path in ["/", "/docs/", "/openapi.json", "/problems", "/problems/token-missing"] {
        up.admin().get(path).await.expect_problem(404, "route-not-found");
    }
    nobody(&up).get("/health/ready").await.expect(200);
}

#[tokio::test]
async fn a_token_that_expires_closes_its_streams_and_polls() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, _bob, group) = pair(&up).await;
    // Of its date the gateway keeps milliseconds; the answer has them.
    let soon = std::process::Command::new("date")
        .args(["-u", "-d", "+4 seconds", "+%Y-%m-%dT%H:%M:%S.%3NZ"])
        .output()
        .expect("run date");
    let soon = String::from_utf8(soon.stdout).expect("text");
    let body = json!({ "scopes": ["messages:read"], "expires_at": soon.trim() });
    let tokens = format!("/v1/bots/{}/tokens", alice.id);
    let issued = up.admin().post(&tokens, &body).await.expect(201);
    let reader = Api::new(&up.url(), find_token(&issued).expect("a token"));
    let mut ear = Socket::open(&reader, "").await;
    let (closed, poll) = tokio::join!(ear.closed(), reader.get("/v1/events?timeout=60000"));
    assert_eq!(closed.code, 4401);
    poll.expect_problem(401, "token-invalid");
    reader.get("/v1/events").await.expect_problem(401, "token-expired");
    alice.api.post(&messages(&group), &text_message("still")).await.expect(201);
}
