//! What a lease keeps from others, and when rows come back to whoever waits for them.

use std::time::Duration;

use quicproquo_schemas::code::ErrorCode;

use super::client::{Client, Session, TestNode, Who, code, config, run};
use crate::NodeConfig;

const NOT: Duration = Duration::ZERO;
/// Far longer than a test may take: who waits it out has not been woken.
const LONG: Duration = Duration::from_mins(2);
const CHANNEL: &[u8] = &[3; 16];

/// A node, bob's token and the Session that it lives with.
async fn start(config: NodeConfig, bob: &Who) -> (TestNode, Client, Vec<u8>, Session) {
    let node = TestNode::start(config).await;
    let client = Client::connect(&node).await;
    let session = client.authenticate(bob).await.unwrap();
    let token = session.token().await.unwrap();
    (node, client, token, session)
}

/// Until the node has begun what was called on this connection before: calls begin in their order.
/// Several times, so that it most likely also waits.
async fn until_begun(client: &Client) {
    for _ in 0..20 {
        client.service().health_request().send().promise.await.unwrap();
    }
}

#[test]
fn rows_of_a_reset_connection_wake_who_waits_for_them() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let bob = Who::new(2);
        let (node, keeper, token, _session) = start(config(&dir), &bob).await;
        keeper.enqueue(&token, &bob, b"1", b"").await.unwrap();
        let (holder, waiter) = (Client::connect(&node).await, Client::connect(&node).await);
        assert_eq!(holder.fetch(&token, &bob, b"", 0, NOT).await.unwrap().len(), 1);
        let waiting = waiter.fetch(&token, &bob, b"", 0, LONG);
        let reset = async {
            until_begun(&waiter).await;
            holder.connection.close(9u32.into(), b"");
        };
        let (rows, ()) = tokio::join!(waiting, reset);
        assert_eq!(rows.unwrap(), [(1, b"1".to_vec())]);
        node.stop().await;
    });
}

#[test]
fn rows_of_a_lease_that_runs_out_come_to_who_waits_for_them() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let bob = Who::new(2);
        let mut short = config(&dir);
        short.limits.lease = Duration::from_millis(300);
        let (node, holder, token, _session) = start(short, &bob).await;
        holder.enqueue(&token, &bob, b"1", b"").await.unwrap();
        assert_eq!(holder.fetch(&token, &bob, b"", 0, NOT).await.unwrap().len(), 1);
        let waiter = Client::connect(&node).await;
        let rows = waiter.fetch(&token, &bob, b"", 0, LONG).await.unwrap();
        assert_eq!(rows, [(1, b"1".to_vec())]);
        // Too late to acknowledge: the row is the waiter's now, or free again.
        holder.fetch(&token, &bob, b"", 0, NOT).await.unwrap();
        let again = waiter.fetch(&token, &bob, CHANNEL, 0, NOT).await.unwrap();
        assert!(again.is_empty());
        node.stop().await;
    });
}

#[test]
fn a_subscription_ends_a_waiting_fetch() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let bob = Who::new(2);
        let (node, _client, token, session) = start(config(&dir), &bob).await;
        let waiter = Client::connect(&node).await;
        let waiting = waiter.fetch(&token, &bob, b"", 0, LONG);
        let subscribe = async {
            until_begun(&waiter).await;
            session.subscribe().await
        };
        let (refused, _rows) = tokio::join!(waiting, subscribe);
        assert_eq!(code(refused), ErrorCode::Subscribed);
        node.stop().await;
    });
}

#[test]
fn a_dropped_call_leases_nothing() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let bob = Who::new(2);
        let (node, client, token, _session) = start(config(&dir), &bob).await;
        let waiter = Client::connect(&node).await;
        {
            let waiting = waiter.fetch(&token, &bob, b"", 0, LONG);
            tokio::select! {
                _ = waiting => panic!("there is nothing to fetch"),
                () = until_begun(&waiter) => {}
            }
        }
        client.enqueue(&token, &bob, b"1", b"").await.unwrap();
        assert_eq!(client.fetch(&token, &bob, b"", 0, LONG).await.unwrap().len(), 1);
        node.stop().await;
    });
}

#[test]
fn a_second_fetch_before_the_answer_is_empty() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let bob = Who::new(2);
        let (node, client, token, _session) = start(config(&dir), &bob).await;
        let first = client.fetch(&token, &bob, b"", 0, LONG);
        let second = async {
            let rows = client.fetch(&token, &bob, b"", 0, LONG).await.unwrap();
            assert!(rows.is_empty());
            client.enqueue(&token, &bob, b"1", b"").await.unwrap()
        };
        let (rows, seq) = tokio::join!(first, second);
        assert_eq!(rows.unwrap(), [(seq, b"1".to_vec())]);
        node.stop().await;
    });
}

#[test]
fn a_gap_in_front_does_not_hide_the_rows_behind_it() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let bob = Who::new(2);
        let mut small = config(&dir);
        small.limits.queue_rows = 8;
        let (node, client, token, _session) = start(small, &bob).await;
        for n in 1..=4 {
            assert_eq!(client.enqueue(&token, &bob, &[n], b"").await.unwrap(), u64::from(n));
        }
        let refused = client.enqueue(&token, &bob, b"lost", b"").await;
        assert_eq!(code(refused), ErrorCode::QueueFull);
        let reader = Client::connect(&node).await;
        assert_eq!(reader.fetch(&token, &bob, b"", 0, NOT).await.unwrap().len(), 4);
        reader.connection.close(0u32.into(), b"");
        // Until the close has made room; position 5 is the mark for what was refused.
        let behind = loop {
            match client.enqueue(&token, &bob, b"behind", b"").await {
                Ok(seq) => break seq,
                Err(error) => assert_eq!(code::<()>(Err(error)), ErrorCode::QueueFull),
            }
        };
        assert_eq!(behind, 6);
        let rows = client.fetch(&token, &bob, b"", 1, NOT).await.unwrap();
        assert_eq!(rows, [(6, b"behind".to_vec())]);
        node.stop().await;
    });
}

#[test]
fn rows_that_one_connection_took_are_never_anothers() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let bob = Who::new(2);
        let (node, client, token, _session) = start(config(&dir), &bob).await;
        let rows = 60;
        for n in 0..rows {
            client.enqueue(&token, &bob, &[n], b"").await.unwrap();
        }
        let takers = (0..4).map(async |_| {
            let taker = Client::connect(&node).await;
            let mut taken = Vec::new();
            loop {
                let rows = taker.fetch(&token, &bob, b"", 1, NOT).await.unwrap();
                if rows.is_empty() {
                    return taken;
                }
                taken.extend(rows.into_iter().map(|(seq, _)| seq));
            }
        });
        let mut taken = futures::future::join_all(takers).await.concat();
        taken.sort_unstable();
        let all: Vec<u64> = (1..=u64::from(rows)).collect();
        assert_eq!(taken, all, "each row once");
        node.stop().await;
    });
}
