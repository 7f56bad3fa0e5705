//! Sessions: proofs, the fence, multicast, pushes.

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::Instance;
use quicproquo_schemas::limits::PUSH_WINDOW_BYTES;

use super::client::{Client, Pushed, TestNode, Who, code, config, run};

#[test]
fn a_multicast_reaches_subscribers_and_acknowledged_rows_are_gone() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let (alice, bob) = (Who::new(1), Who::new(2));
        let (a, b) = (Client::connect(&node).await, Client::connect(&node).await);
        let sender = a.authenticate(&alice).await.unwrap();
        assert_eq!((sender.last_send.counter, sender.acked_up_to), (0, 0));
        assert_eq!(sender.send(1, &[&alice, &bob], b"p", b"one").await.unwrap(), [Some(1); 2]);

        let receiver = b.authenticate(&bob).await.unwrap();
        let rows = receiver.subscribe().await;
        assert_eq!(rows.next().await, Pushed::Row(1, b"pone".to_vec()));
        assert_eq!(sender.send(2, &[&bob], b"", b"two").await.unwrap(), [Some(2)]);
        assert_eq!(rows.next().await, Pushed::Row(2, b"two".to_vec()));
        assert_eq!(receiver.peek(1).await, [Pushed::Row(2, b"two".to_vec())]);
        receiver.ack(1).await.unwrap();
        receiver.ack(999).await.unwrap();
        assert!(receiver.peek(0).await.is_empty());
        assert_eq!(sender.send(3, &[&bob], b"", b"x").await.unwrap(), [Some(3)]);
        assert_eq!(rows.next().await, Pushed::Row(3, b"x".to_vec()));

        let again = b.authenticate(&Who { attempt: 2, ..bob.clone() }).await.unwrap();
        assert_eq!(again.acked_up_to, 2);
        assert_eq!(rows.next().await, Pushed::Displaced(bob.instance));
        node.stop().await;
    });
}

#[test]
fn a_send_id_is_answered_word_for_word_and_never_means_two_sends() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let (alice, bob) = (Who::new(1), Who::new(2));
        let client = Client::connect(&node).await;
        let session = client.authenticate(&alice).await.unwrap();
        assert_eq!(session.send_result(7).await, None);
        let first = session.send(7, &[&bob], b"", b"once").await.unwrap();
        assert_eq!(session.send(7, &[&bob], b"", b"once").await.unwrap(), first);
        assert_eq!(session.send_result(7).await, Some(first));
        let other = session.send(7, &[&bob], b"", b"twice").await;
        assert_eq!(code(other), ErrorCode::BadSendId);
        // What came before it is told by its place among the sender's own rows.
        let mut places = Vec::new();
        for (counter, to) in [(8, &alice), (9, &bob), (7, &bob)] {
            session.send(counter, &[to], b"", b"once").await.unwrap();
            places.push(session.own_next.get());
        }
        assert!(session.send_result(9).await.is_some());
        places.push(session.own_next.get());
        assert_eq!(places, [1, 2, 1, 2]);
        let session = client.authenticate(&Who { attempt: 2, ..alice.clone() }).await.unwrap();
        assert_eq!((session.last_send.incarnation, session.last_send.counter), (1, 9));
        let twice = session.send(10, &[&bob, &bob], b"", b"x").await;
        assert_eq!(code(twice), ErrorCode::BadRequest);
        assert_eq!(code(session.send(10, &[], b"", b"x").await), ErrorCode::Empty);
        assert_eq!(code(session.send(10, &[&bob], b"", b"").await), ErrorCode::Empty);
        node.stop().await;
    });
}

#[test]
fn one_session_lives_and_the_displaced_one_is_told_by_whom() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let alice = Who::new(1);
        let client = Client::connect(&node).await;
        let first = client.authenticate(&alice).await.unwrap();
        let token = first.token().await.unwrap();
        let rows = first.subscribe().await;

        let rival = Who { instance: Instance::new([9; 16]), ..alice.clone() };
        let other = Client::connect(&node).await;
        let second = other.authenticate(&rival).await.unwrap();
        assert_eq!(rows.next().await, Pushed::Displaced(rival.instance));
        let error = first.send(1, &[&alice], b"", b"x").await.unwrap_err();
        assert!(error.extra.ends_with(&"09".repeat(16)), "{error}");
        assert_eq!(code::<()>(Err(error)), ErrorCode::Displaced);
        assert_eq!(code(first.ack(1).await), ErrorCode::Displaced);
        assert_eq!(code(first.token().await), ErrorCode::Displaced);
        let stale = client.enqueue(&token, &alice, b"x", b"").await;
        assert_eq!(code(stale), ErrorCode::Unauthenticated);
        second.send(1, &[&alice], b"", b"x").await.unwrap();

        let older = Who { attempt: 0, ..rival.clone() };
        assert_eq!(code(other.authenticate(&older).await.map(|_| ())), ErrorCode::Fenced);
        let older = Who { incarnation: 0, ..rival.clone() };
        assert_eq!(code(other.authenticate(&older).await.map(|_| ())), ErrorCode::Fenced);
        let restored = Who { incarnation: 2, attempt: 0, ..alice };
        other.authenticate(&restored).await.unwrap();
        node.stop().await;
    });
}

#[test]
fn a_proof_is_of_one_key_on_one_connection() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut closed = config(&dir);
        closed.registration = crate::Registration::Closed;
        let node = TestNode::start(closed).await;
        let client = Client::connect(&node).await;
        let refused = client.authenticate(&Who::new(1)).await.map(|_| ());
        assert_eq!(code(refused), ErrorCode::RegistrationRefused);

        let mut request = client.node.authenticate_request();
        request.get().set_identity_key(Who::new(1).identity().as_bytes());
        request.get().set_instance(&[1; 16]);
        request.get().set_signature(&[1; 64]);
        let forged = request.send().promise.await.map(|_| ());
        assert_eq!(code(forged), ErrorCode::BadSignature);
        let mut request = client.node.authenticate_request();
        request.get().set_identity_key(&[1; 31]);
        let short = request.send().promise.await.map(|_| ());
        assert_eq!(code(short), ErrorCode::BadId);
        node.stop().await;
    });
}

#[test]
fn pushes_stop_at_the_window_and_go_on_with_acks() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let bob = Who::new(2);
        let client = Client::connect(&node).await;
        let session = client.authenticate(&bob).await.unwrap();
        for counter in 1..=300 {
            session.send(counter, &[&bob], b"", b"small").await.unwrap();
        }
        let large = vec![7; PUSH_WINDOW_BYTES * 2];
        session.send(301, &[&bob], b"", &large).await.unwrap();
        let rows = session.subscribe().await;
        for seq in 1..=256 {
            assert_eq!(rows.next().await, Pushed::Row(seq, b"small".to_vec()));
        }
        assert!(rows.silent().await);
        session.ack(256).await.unwrap();
        for seq in 257..=300 {
            assert_eq!(rows.next().await, Pushed::Row(seq, b"small".to_vec()));
        }
        assert!(rows.silent().await);
        session.ack(300).await.unwrap();
        assert_eq!(rows.next().await, Pushed::Row(301, large));
        node.stop().await;
    });
}

#[test]
fn a_full_queue_is_said_and_leaves_a_gap() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut small = config(&dir);
        small.limits.queue_rows = 4;
        let node = TestNode::start(small).await;
        let (alice, bob) = (Who::new(1), Who::new(2));
        let client = Client::connect(&node).await;
        let sender = client.authenticate(&alice).await.unwrap();
        assert_eq!(sender.send(1, &[&bob], b"", b"1").await.unwrap(), [Some(1)]);
        assert_eq!(sender.send(2, &[&bob], b"", b"2").await.unwrap(), [Some(2)]);
        // Above half full, and alice has her quarter.
        assert_eq!(sender.send(3, &[&bob, &alice], b"", b"3").await.unwrap(), [None, Some(1)]);
        assert_eq!(sender.send(3, &[&bob, &alice], b"", b"3").await.unwrap(), [None, Some(1)]);
        sender.send(4, &[&alice], b"", b"4").await.unwrap();
        let own = sender.send(5, &[&bob, &alice], b"", b"5").await;
        assert_eq!(code(own), ErrorCode::QueueFull);

        let receiver = client.authenticate(&bob).await.unwrap();
        let rows = receiver.subscribe().await;
        assert_eq!(rows.next().await, Pushed::Row(1, b"1".to_vec()));
        assert_eq!(rows.next().await, Pushed::Row(2, b"2".to_vec()));
        assert!(rows.silent().await);
        receiver.ack(1).await.unwrap();
        assert_eq!(rows.next().await, Pushed::Gap(3, 1));
        node.stop().await;
    });
}
