//! What operators see: metrics, health, stalls, a full disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quicproquo_schemas::code::ErrorCode;
use tokio::time::sleep;

use super::client::{Client, Pushed, TestNode, Who, code, config, run};
use super::directory::{claim, publish};
use crate::config::Sync;
use crate::health::Check;
use crate::key_package::tests::Recipe;
use crate::{Clock, NodeConfig, Ops, key_package};

const NOT: Duration = Duration::ZERO;

/// The value of a sample; 0 when the page has none.
fn value(ops: &Ops, sample: &str) -> f64 {
    let page = ops.metrics();
    let found = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found.map_or(0.0, |value| value.parse().unwrap())
}

#[track_caller]
fn shows(ops: &Ops, samples: &[(&str, f64)]) {
    for (sample, wanted) in samples {
        let name = format!("qpq_node_{sample}");
        assert!((value(ops, &name) - wanted).abs() < 1e-9, "{name}: {}", ops.metrics());
    }
}

/// The checks that fail, by name.
fn names(problems: &[crate::Problem]) -> Vec<&'static str> {
    problems.iter().map(|problem| problem.check.name()).collect()
}

async fn status(client: &Client) -> String {
    let answer = client.service().health_request().send().promise.await.unwrap();
    answer.get().unwrap().get_status().unwrap().to_string().unwrap()
}

/// Waits for a condition, at most 20 s.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if condition().await {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("waited for: {what}");
}

#[test]
fn every_row_and_call_is_counted_and_nobody_is_named() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let ops = node.ops.clone();
        let (alice, bob) = (Who::new(1), Who::new(2));
        let client = Client::connect(&node).await;
        let session = client.authenticate(&bob).await.unwrap();
        let token = session.token().await.unwrap();
        client.enqueue(&token, &bob, b"12345", b"").await.unwrap();
        client.enqueue(&token, &bob, b"12345", b"").await.unwrap();
        session.send(1, &[&alice, &bob], b"p", b"body").await.unwrap();
        assert_eq!(client.fetch(&token, &bob, b"", 0, NOT).await.unwrap().len(), 2);
        shows(
            &ops,
            &[
                ("connections_open", 1.0),
                ("connections_accepted_total", 1.0),
                ("handshake_seconds_count", 1.0),
                ("calls_in_flight", 0.0),
                // The second one was the same again.
                ("rows_queued_total{by=\"enqueue\"}", 1.0),
                ("rows_queued_bytes_total{by=\"enqueue\"}", 5.0),
                ("rows_queued_total{by=\"send\"}", 2.0),
                ("rows_queued_bytes_total{by=\"send\"}", 10.0),
                ("rows_delivered_total{by=\"fetch\"}", 2.0),
                ("rows_delivered_bytes_total{by=\"fetch\"}", 10.0),
                ("calls_total{method=\"enqueue\",code=\"OK\"}", 2.0),
                ("call_seconds_count{method=\"enqueue\"}", 2.0),
                ("calls_total{method=\"send\",code=\"OK\"}", 1.0),
                ("calls_total{method=\"authenticate\",code=\"OK\"}", 1.0),
                ("ready", 1.0),
            ],
        );
        let rows = session.subscribe().await;
        assert!(matches!(rows.next().await, Pushed::Row(1, _)));
        assert!(matches!(rows.next().await, Pushed::Row(2, _)));
        let refused = client.fetch(&token, &bob, b"", 0, NOT).await;
        assert_eq!(code(refused), ErrorCode::Subscribed);
        session.ack(1).await.unwrap();
        shows(
            &ops,
            &[
                ("subscribers", 1.0),
                ("waiters", 1.0),
                ("rows_delivered_total{by=\"push\"}", 2.0),
                ("rows_acknowledged_total", 1.0),
                ("calls_total{method=\"fetchWait\",code=\"SUBSCRIBED\"}", 1.0),
            ],
        );
        let batches = value(&ops, "qpq_node_batch_seconds_count{store=\"queues\"}");
        assert!(batches >= 4.0, "{batches}");
        for who in [&alice, &bob] {
            let identity = hex::encode(who.identity().as_bytes());
            assert!(!ops.metrics().to_lowercase().contains(&identity[..16]));
        }
        client.connection.close(0u32.into(), b"");
        until("the connection to be counted out", async || {
            value(&ops, "qpq_node_connections_open") < 0.5
        })
        .await;
        shows(&ops, &[("subscribers", 0.0), ("waiters", 0.0)]);
        node.stop().await;
        // Operators are answered to the end.
        assert_eq!(names(&ops.ready().await), ["draining"]);
        shows(&ops, &[("ready", 0.0)]);
    });
}

#[test]
fn a_node_with_little_to_do_commits_where_it_is_asked() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        // A disk that is slow at the moment would put it off.
        let node = TestNode::start(NodeConfig { sync: Sync::None, ..config(&dir) }).await;
        let ops = node.ops.clone();
        let bob = Who::new(2);
        let client = Client::connect(&node).await;
        let session = client.authenticate(&bob).await.unwrap();
        let token = session.token().await.unwrap();
        let rows = session.subscribe().await;
        let mut last = 0_u64;
        until("a commit in place", async || {
            last += 1;
            let payload = last.to_be_bytes();
            assert_eq!(client.enqueue(&token, &bob, &payload, b"").await.unwrap(), last);
            assert!(matches!(rows.next().await, Pushed::Row(seq, _) if seq == last));
            value(&ops, "qpq_node_batches_in_place_total{store=\"queues\"}") > 0.5
        })
        .await;
        session.ack(last).await.unwrap();
        client.connection.close(0u32.into(), b"");
        node.stop().await;
    });
}

#[test]
fn a_call_whose_caller_goes_is_counted_as_cancelled() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let bob = Who::new(2);
        let client = Client::connect(&node).await;
        let session = client.authenticate(&bob).await.unwrap();
        let token = session.token().await.unwrap();
        let wait = Duration::from_secs(50);
        let waits = async || value(&node.ops, "qpq_node_calls_in_flight") > 0.5;
        tokio::select! {
            _ = client.fetch(&token, &bob, b"", 0, wait) => panic!("nothing to fetch"),
            () = until("the call to run", waits) => {}
        }
        until("the call to be over", async || {
            let sample = "qpq_node_calls_total{method=\"fetchWait\",code=\"CANCELLED\"}";
            value(&node.ops, sample) > 0.5
        })
        .await;
        shows(&node.ops, &[("calls_in_flight", 0.0)]);
        node.stop().await;
    });
}

#[test]
fn packages_are_counted_by_what_is_handed_out() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut one_each = config(&dir);
        one_each.limits.claims_per_pair.burst = 1;
        let node = TestNode::start(one_each).await;
        let (alice, bob) = (Who::new(1), Who::new(2));
        let client = Client::connect(&node).await;
        let (asks, owns) =
            (client.authenticate(&alice).await.unwrap(), client.authenticate(&bob).await.unwrap());
        let package = Recipe::new(&bob.key, 1).bytes();
        let last = Recipe::new(&bob.key, 2).last_resort().bytes();
        publish(&owns, &[package], &last).await.unwrap();
        for _ in 0..2 {
            claim(&asks, &[&bob]).await.unwrap();
        }
        claim(&asks, &[&alice]).await.unwrap();
        shows(
            &node.ops,
            &[
                ("key_packages_published_total{kind=\"one_time\"}", 1.0),
                ("key_packages_published_total{kind=\"last_resort\"}", 1.0),
                ("key_packages_claimed_total{kind=\"one_time\"}", 1.0),
                ("key_packages_claimed_total{kind=\"last_resort\"}", 1.0),
                ("key_packages_claimed_total{kind=\"none\"}", 1.0),
            ],
        );
        node.stop().await;
    });
}

#[test]
fn below_the_watermark_rows_are_refused_and_the_rest_goes_on() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let bob = Who::new(2);
        let node = TestNode::start(config(&dir)).await;
        let client = Client::connect(&node).await;
        let session = client.authenticate(&bob).await.unwrap();
        let token = session.token().await.unwrap();
        for payload in [b"a", b"b"] {
            client.enqueue(&token, &bob, payload, b"").await.unwrap();
        }
        assert_eq!(status(&client).await, "ok");
        node.stop().await;

        let mut full = config(&dir);
        full.min_free_disk = Some(u64::MAX);
        let node = TestNode::start(full).await;
        let client = Client::connect(&node).await;
        let session = client.authenticate(&Who { attempt: 2, ..bob.clone() }).await.unwrap();
        let token = session.token().await.unwrap();
        let refused = client.enqueue(&token, &bob, b"c", b"").await;
        assert_eq!(code(refused), ErrorCode::StorageFull);
        assert_eq!(code(session.send(1, &[&bob], b"", b"c").await), ErrorCode::StorageFull);
        let last = Recipe::new(&bob.key, 2).last_resort().bytes();
        assert_eq!(code(publish(&session, &[], &last).await), ErrorCode::StorageFull);
        // Nothing of it is remembered.
        assert_eq!(session.send_result(1).await, None);
        assert_eq!(client.fetch(&token, &bob, b"", 1, NOT).await.unwrap().len(), 1);
        assert_eq!(session.peek(1).await.len(), 1);
        session.ack(2).await.unwrap();
        assert!(session.peek(0).await.is_empty());
        assert_eq!(status(&client).await, "degraded: disk");
        assert_eq!(names(&node.ops.ready().await), ["disk"]);
        assert!(node.ops.live().is_empty());
        shows(&node.ops, &[("disk_low", 1.0), ("ready", 0.0)]);
        node.stop().await;

        let node = TestNode::start(config(&dir)).await;
        let client = Client::connect(&node).await;
        let session = client.authenticate(&Who { attempt: 3, ..bob.clone() }).await.unwrap();
        assert_eq!(session.send(1, &[&bob], b"", b"c").await.unwrap(), [Some(3)]);
        node.stop().await;
    });
}

/// A clock that stops the thread that reads it, while it is told to.
fn sticky_clock(stuck: &Arc<AtomicBool>, thread: &'static str) -> Clock {
    let stuck = Arc::clone(stuck);
    Clock::from_fn(move || {
        while std::thread::current().name() == Some(thread) && stuck.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        key_package::tests::NOW
    })
}

#[test]
fn a_worker_that_hangs_is_found_and_named() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let stuck = Arc::new(AtomicBool::new(false));
        let mut sticky = config(&dir);
        sticky.stall = Duration::from_millis(500);
        sticky.clock = sticky_clock(&stuck, "qpq-endpoint");
        let node = TestNode::start(sticky).await;
        let bob = Who::new(2);
        let client = Client::connect(&node).await;
        let session = client.authenticate(&bob).await.unwrap();
        let ops = node.ops.clone();
        assert!(ops.live().is_empty() && ops.ready().await.is_empty());
        shows(&ops, &[("threads_stalled", 0.0), ("stalls_total", 0.0)]);

        stuck.store(true, Ordering::SeqCst);
        // Reads the clock on the thread of its connection.
        let call = session.token();
        let found = async {
            until("the stall to be found", async || !ops.live().is_empty()).await;
            assert!(ops.live()[0].detail.contains("endpoint"), "{:?}", ops.live());
            assert_eq!(names(&ops.ready().await), ["threads"]);
            until("the watchdog to tell", async || value(&ops, "qpq_node_stalls_total") > 0.5)
                .await;
            shows(&ops, &[("threads_stalled", 1.0), ("ready", 0.0)]);
            stuck.store(false, Ordering::SeqCst);
        };
        let (token, ()) = tokio::join!(call, found);
        token.unwrap();
        until("the thread to go on", async || ops.live().is_empty()).await;
        assert_eq!(status(&client).await, "ok");
        shows(&ops, &[("stalls_total", 1.0), ("threads_stalled", 0.0)]);
        node.stop().await;
    });
}

#[test]
fn requests_that_wait_too_long_are_told() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let stuck = Arc::new(AtomicBool::new(false));
        let mut sticky = config(&dir);
        sticky.stall = Duration::from_millis(500);
        sticky.clock = sticky_clock(&stuck, "qpq-writer");
        let node = TestNode::start(sticky).await;
        let bob = Who::new(2);
        let client = Client::connect(&node).await;
        let session = client.authenticate(&bob).await.unwrap();
        let token = session.token().await.unwrap();
        let ops = node.ops.clone();
        stuck.store(true, Ordering::SeqCst);
        let found = async {
            until("the lag to be seen", async || {
                status(&client).await == "degraded: writer, threads"
            })
            .await;
            assert!(value(&ops, "qpq_node_writer_lag_seconds{store=\"queues\"}") > 0.2);
            until("a test write to be missed", async || {
                ops.ready().await.iter().any(|problem| problem.check == Check::Store)
            })
            .await;
            stuck.store(false, Ordering::SeqCst);
        };
        let (seq, ()) = tokio::join!(client.enqueue(&token, &bob, b"x", b""), found);
        assert_eq!(seq.unwrap(), 1);
        until("the writer to be well", async || ops.ready().await.is_empty()).await;
        node.stop().await;
    });
}
