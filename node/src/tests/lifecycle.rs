//! Start, restart, shutdown, and what TLS refuses.

use std::time::Duration;

use quicproquo_schemas::close::CloseCode;
use quicproquo_schemas::code::ErrorCode;

use super::client::{Client, Pushed, TestNode, Who, code, config, dial, run, tls};
use crate::{Node, NodeError};

#[test]
fn a_restart_keeps_queues_fences_and_results() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let bob = Who::new(2);
        let node = TestNode::start(config(&dir)).await;
        let client = Client::connect(&node).await;
        let session = client.authenticate(&bob).await.unwrap();
        for counter in 1..=3 {
            session.send(counter, &[&bob], b"p", b"body").await.unwrap();
        }
        session.ack(1).await.unwrap();
        node.stop().await;

        let node = TestNode::start(config(&dir)).await;
        let client = Client::connect(&node).await;
        let older = Who { attempt: 0, ..bob.clone() };
        assert_eq!(code(client.authenticate(&older).await.map(|_| ())), ErrorCode::Fenced);
        let session = client.authenticate(&Who { attempt: 2, ..bob.clone() }).await.unwrap();
        assert_eq!((session.acked_up_to, session.last_send.counter), (1, 3));
        assert_eq!(session.send_result(3).await, Some(vec![Some(3)]));
        let kept = [2, 3].map(|seq| Pushed::Row(seq, b"pbody".to_vec()));
        assert_eq!(session.peek(0).await, kept);
        session.ack(3).await.unwrap();
        assert_eq!(session.send(4, &[&bob], b"", b"x").await.unwrap(), [Some(4)]);
        node.stop().await;
    });
}

#[test]
fn a_shutdown_lets_waiting_calls_answer_and_closes_connections() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let bob = Who::new(2);
        let node = TestNode::start(config(&dir)).await;
        let client = Client::connect(&node).await;
        let session = client.authenticate(&bob).await.unwrap();
        let token = session.token().await.unwrap();
        let waiting = client.fetch(&token, &bob, b"", 0, Duration::from_secs(50));
        let stop = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            node.stop().await;
        };
        let (rows, ()) = tokio::join!(waiting, stop);
        assert!(rows.unwrap().is_empty());
        let reason = client.connection.closed().await;
        assert!(matches!(reason, quinn::ConnectionError::ApplicationClosed(_)), "{reason}");
    });
}

#[test]
fn a_drain_answers_every_call_or_says_that_it_shuts_down() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let bob = Who::new(2);
        let node = TestNode::start(config(&dir)).await;
        let client = Client::connect(&node).await;
        let session = client.authenticate(&bob).await.unwrap();
        let token = session.token().await.unwrap();
        let (client, token, bob) = (&client, &token, &bob);
        let mut stored = 0;
        let sending = async {
            for n in 0u64.. {
                match client.enqueue(token, bob, &n.to_be_bytes(), b"").await {
                    Ok(_) => stored = n + 1,
                    Err(error) => return error,
                }
            }
            unreachable!()
        };
        let stop = async {
            while client.fetch(token, bob, b"", 1, Duration::ZERO).await.unwrap().is_empty() {}
            node.stop().await;
        };
        let (error, ()) = tokio::join!(sending, stop);
        let told = ErrorCode::find(&error.extra) == Some(ErrorCode::ShuttingDown);
        assert!(told || error.kind == capnp::ErrorKind::Disconnected, "{error}");
        assert_eq!(super::raw::closed(&client.connection).await.0, CloseCode::ShuttingDown);
        // What was answered is there, and at most the one more whose answer was cut off.
        let node = TestNode::start(config(&dir)).await;
        let client = Client::connect(&node).await;
        let again = Who { attempt: 2, ..bob.clone() };
        let kept = client.authenticate(&again).await.unwrap().peek(0).await;
        let Some(Pushed::Row(last, _)) = kept.last() else { panic!("{kept:?}") };
        assert!(*last >= stored.min(256), "{last} of {stored}");
        node.stop().await;
    });
}

#[test]
fn a_taken_port_and_a_taken_directory_are_named() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::bind(config(&dir)).await.unwrap();
        let error = Node::bind(config(&dir)).await.unwrap_err();
        assert!(matches!(error, NodeError::Lock(_)), "{error}");
        let other = tempfile::tempdir().unwrap();
        let mut same_port = config(&other);
        same_port.listen = node.local_addr();
        let error = Node::bind(same_port).await.unwrap_err();
        assert!(error.to_string().contains(&node.local_addr().to_string()), "{error}");
    });
}

#[test]
fn serving_can_be_moved_to_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::bind(config(&dir)).await.unwrap();
        is_send(&node);
        is_send(&node.serve(tokio_util::sync::CancellationToken::new()));
        is_send(&Node::bind(config(&dir)));
    });
}

#[test]
fn another_protocol_is_refused() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let mut wrong = tls(&node);
        wrong.alpn_protocols = vec![b"h3".to_vec()];
        assert!(dial(&node, wrong).await.is_err());
        node.stop().await;
    });
}

#[test]
fn two_workers_serve_alike() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut two = config(&dir);
        two.workers = 2;
        let node = TestNode::start(two).await;
        let bob = Who::new(2);
        let (first, second) = (Client::connect(&node).await, Client::connect(&node).await);
        let session = first.authenticate(&bob).await.unwrap();
        let token = session.token().await.unwrap();
        assert_eq!(second.enqueue(&token, &bob, b"x", b"").await.unwrap(), 1);
        assert_eq!(session.peek(0).await, [Pushed::Row(1, b"x".to_vec())]);
        node.stop().await;
    });
}
