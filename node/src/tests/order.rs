//! The order of sends that are out at once, some of which are refused for now.

use std::time::Duration;

use futures::future::join_all;
use quicproquo_schemas::code::ErrorCode;

use super::client::{Client, Pushed, Session, TestNode, Who, code, config, run};
use crate::config::Rate;

/// Sizes of bodies in KiB, of which the node takes eight at once: the second does not fit behind
/// the first, the third does.
const SIZES: [usize; 6] = [5, 5, 1, 1, 5, 1];

async fn node(dir: &tempfile::TempDir, period: Duration) -> TestNode {
    let mut slow = config(dir);
    slow.limits.kibibytes_per_sender = Rate { burst: 8, period };
    TestNode::start(slow).await
}

fn body(counter: u64) -> Vec<u8> {
    let size = SIZES[usize::try_from(counter).unwrap() - 1];
    vec![u8::try_from(counter).unwrap(); size * 1024]
}

async fn received(session: &Session) -> Vec<u64> {
    let counter = |row| match row {
        Pushed::Row(_, body) => u64::from(body[0]),
        other => panic!("{other:?}"),
    };
    session.peek(0).await.into_iter().map(counter).collect()
}

#[test]
fn refused_sends_are_repeated_and_arrive_in_their_order() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = node(&dir, Duration::from_millis(50)).await;
        let (alice, bob) = (Who::new(1), Who::new(2));
        let client = Client::connect(&node).await;
        let sender = client.authenticate(&alice).await.unwrap();
        let receiver = client.authenticate(&bob).await.unwrap();
        let mut waiting: Vec<u64> = (1..=6).collect();
        let mut refusals = 0;
        while !waiting.is_empty() {
            let all = waiting.iter().map(|counter| {
                let (sender, bob, counter) = (&sender, &bob, *counter);
                async move { (counter, sender.send(counter, &[bob], b"", &body(counter)).await) }
            });
            let answers = join_all(all).await;
            waiting.clear();
            for (counter, answer) in answers {
                if answer.is_err() {
                    assert_eq!(code(answer), ErrorCode::RateLimited);
                    waiting.push(counter);
                    refusals += 1;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(refusals >= 5, "the rate is not low enough");
        assert_eq!(received(&receiver).await, [1, 2, 3, 4, 5, 6]);
        node.stop().await;
    });
}

/// The control: a client that asks about a refused send may go on without it, and its order is
/// then another one.
#[test]
fn who_asks_about_a_refused_send_may_go_on_without_it() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = node(&dir, Duration::from_secs(5)).await;
        let (alice, bob) = (Who::new(1), Who::new(2));
        let client = Client::connect(&node).await;
        let receiver = client.authenticate(&bob).await.unwrap();
        let sender = client.authenticate(&alice).await.unwrap();
        let send = |counter: u64| {
            let (sender, bob) = (&sender, &bob);
            async move { sender.send(counter, &[bob], b"", &body(counter)).await }
        };
        send(1).await.unwrap();
        assert_eq!(code(send(2).await), ErrorCode::RateLimited);
        let held = send(3).await.unwrap_err();
        assert!(held.extra.contains("RATE_LIMITED: send 2 was refused"), "{held}");
        // Of both: each holds up what is behind it.
        assert_eq!(sender.send_result(2).await, None);
        assert_eq!(code(send(4).await), ErrorCode::RateLimited);
        assert_eq!(sender.send_result(3).await, None);
        send(4).await.unwrap();
        send(3).await.unwrap();
        assert_eq!(received(&receiver).await, [1, 4, 3]);

        // Another Session has no refused sends.
        assert_eq!(code(send(5).await), ErrorCode::RateLimited);
        let again = Who { attempt: 2, ..alice.clone() };
        let sender = client.authenticate(&again).await.unwrap();
        sender.send(6, &[&bob], b"", &body(6)).await.unwrap();
        node.stop().await;
    });
}
