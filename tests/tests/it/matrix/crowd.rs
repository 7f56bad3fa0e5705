//! Many that wait, and how long a message takes by either API.

use std::time::Duration;

use quicproquo_tests::{Api, LONG, Launch, SOON, pair, seed, wait_for, within};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use super::{client, next, put_event, room, sync, texts};

const WAITING: usize = 1_000;
const MESSAGES: u32 = 200;

pub(super) fn waiting(page: &str) -> usize {
    let row = "qpq_gateway_streams_open{door=\"matrix\"} ";
    let line = page.lines().find_map(|line| line.strip_prefix(row));
    line.and_then(|count| count.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_thousand_syncs_wait_and_all_are_answered() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let since = next(&sync(&bob.api, "", 0).await);
    // Past the own invitation and whatever else is news at once.
    let since = next(&sync(&bob.api, &since, 0).await);
    let path = client(&format!("/sync?since={since}&timeout=60000"));
    let polls = futures::future::join_all((0..WAITING).map(|_| bob.api.get(&path)));
    let admin = up.admin();
    let wake = async {
        wait_for("all to wait", LONG, || async {
            (waiting(&admin.get("/metrics").await.text) == WAITING).then_some(())
        })
        .await;
        // Who waits is in nobody's way.
        bob.api.get(&client("/account/whoami")).await.expect(200);
        alice.say(&group, "wake up").await;
    };
    let (answers, ()) = tokio::join!(within("all answers", LONG, polls), wake);
    for answer in answers {
        assert_eq!(texts(&answer.expect(200), &group), ["wake up"]);
    }
    wait_for("none to be left", SOON, || async {
        (waiting(&admin.get("/metrics").await.text) == 0).then_some(())
    })
    .await;
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// From the call that sends to the end of the poll that hears it, by turns; the figures are printed.
#[tokio::test]
async fn a_message_goes_by_either_api() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let mut since = next(&sync(&bob.api, "", 0).await);
    let mut cursor = bob.tail().await;
    let (mut matrix, mut native) = (Vec::new(), Vec::new());
    let text = |n: u32| json!({ "msgtype": "m.text", "body": n.to_string() });
    for n in 0..MESSAGES {
        let begun = Instant::now();
        let listen = async {
            loop {
                let answer = sync(&bob.api, &since, 30_000).await;
                since = next(&answer);
                if texts(&answer, &group).contains(&n.to_string()) {
                    return begun.elapsed();
                }
            }
        };
        let txn = n.to_string();
        let content = text(n);
        let send = put_event(&alice.api, &group, "m.room.message", &txn, &content);
        let (took, _) = tokio::join!(listen, send);
        matrix.push(took);

        let body = format!("native {n}");
        let begun = Instant::now();
        let listen = async {
            loop {
                let path = format!("/v1/events?after={cursor}&timeout=30000");
                let page = bob.api.get(&path).await.expect(200);
                page["next"].as_str().expect("a cursor").clone_into(&mut cursor);
                if page["items"].to_string().contains(&body) {
                    return begun.elapsed();
                }
            }
        };
        let (took, _) = tokio::join!(listen, alice.say(&group, &body));
        native.push(took);
    }
    let (matrix, native) = (median(matrix), median(native));
    let ratio = matrix.as_secs_f64() / native.as_secs_f64();
    seed::say(&format!("send to sync: matrix {matrix:?}, native {native:?}, ratio {ratio:.2}"));
    throughput(&alice.api, &bob.api, &group, &since, &cursor).await;
    let path = client(&format!("/rooms/{}/joined_members", room(&group)));
    alice.api.get(&path).await.expect(200);
}

/// Messages in flight at once, until the other has all of them.
async fn throughput(alice: &Api, bob: &Api, group: &str, since: &str, cursor: &str) {
    let begun = Instant::now();
    let send =
        futures::future::join_all(
            (0..MESSAGES).map(|n| {
                let content = json!({ "msgtype": "m.text", "body": format!("many {n}") });
                async move {
                    put_event(alice, group, "m.room.message", &format!("t{n}"), &content).await
                }
            }),
        );
    let listen = async {
        let (mut since, mut heard) = (since.to_owned(), 0_usize);
        while heard < MESSAGES as usize {
            let answer = sync(bob, &since, 30_000).await;
            since = next(&answer);
            heard += texts(&answer, group).iter().filter(|t| t.starts_with("many")).count();
        }
    };
    tokio::join!(send, listen);
    let matrix = f64::from(MESSAGES) / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let path = format!("/v1/groups/{group}/messages");
    let send = futures::future::join_all((0..MESSAGES).map(|n| {
        let body = json!({ "type": "text", "content": { "body": format!("more {n}") } });
        let path = &path;
        async move { alice.post(path, &body).await.expect(201) }
    }));
    let listen = async {
        let (mut cursor, mut heard) = (cursor.to_owned(), 0_usize);
        while heard < MESSAGES as usize {
            let path = format!("/v1/events?after={cursor}&timeout=30000&limit=100");
            let page = bob.get(&path).await.expect(200);
            page["next"].as_str().expect("a cursor").clone_into(&mut cursor);
            let items = page["items"].as_array().expect("a list");
            heard += items.iter().filter(|item| item.to_string().contains("\"more ")).count();
        }
    };
    tokio::join!(send, listen);
    let native = f64::from(MESSAGES) / begun.elapsed().as_secs_f64();
    seed::say(&format!("messages a second: matrix {matrix:.0}, native {native:.0}"));
}
