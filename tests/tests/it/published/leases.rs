//! What a fetch acknowledges, through a real node.

use quicproquo_tests::{Launch, Running};
use tempfile::TempDir;

use super::{Client, LONG, NOT, run, token_for};

const BOB: [u8; 32] = [5; 32];

async fn node_with_rows(dir: &TempDir, rows: u8) -> (Running, Vec<u8>) {
    let data = dir.path().join("node");
    let node = Launch::node(&data).start().await;
    let token = token_for(&data, &BOB).await;
    let client = Client::connect(&node).await;
    for n in 1..=rows {
        let seq = client.enqueue(&token, &BOB, &[n]).await.expect("a position");
        assert_eq!(seq, u64::from(n));
    }
    (node, token)
}

#[test]
fn the_next_fetch_acknowledges_and_a_lost_connection_brings_rows_back() {
    run(async {
        let dir = TempDir::new().unwrap();
        let (node, token) = node_with_rows(&dir, 1).await;
        let first = Client::connect(&node).await;
        assert_eq!(first.fetch(&token, &BOB).await.unwrap(), [(1, vec![1])]);
        let other = Client::connect(&node).await;
        assert!(other.fetch(&token, &BOB).await.unwrap().is_empty(), "leased to the first");
        // What is lost on the way: the stream is reset, or the connection ends with an error.
        first.connection.close(7u32.into(), b"lost");
        assert_eq!(other.fetch_wait(&token, &BOB, LONG).await.unwrap(), [(1, vec![1])]);
        assert!(other.fetch(&token, &BOB).await.unwrap().is_empty(), "acknowledged");
        other.connection.close(7u32.into(), b"lost");
        let third = Client::connect(&node).await;
        assert!(third.fetch_wait(&token, &BOB, NOT).await.unwrap().is_empty(), "gone for good");
        node.stop().await;
    });
}

#[test]
fn a_clean_close_acknowledges_and_a_killed_node_forgets_leases_but_no_rows() {
    run(async {
        let dir = TempDir::new().unwrap();
        let (node, token) = node_with_rows(&dir, 2).await;
        let reader = Client::connect(&node).await;
        assert_eq!(reader.fetch(&token, &BOB).await.unwrap().len(), 2);
        let node = node.kill().await.start().await;
        let reader = Client::connect(&node).await;
        let rows = [(1, vec![1]), (2, vec![2])];
        assert_eq!(reader.fetch(&token, &BOB).await.unwrap(), rows, "nobody had acknowledged");
        reader.connection.close(0u32.into(), b"");
        // Nobody else gets them, whether the close has been seen yet or not.
        let other = Client::connect(&node).await;
        other.enqueue(&token, &BOB, &[3]).await.unwrap();
        let rows = other.fetch_wait(&token, &BOB, LONG).await.unwrap();
        assert_eq!(rows, [(3, vec![3])]);
        node.stop().await;
    });
}
