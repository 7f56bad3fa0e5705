//! Frames and calls over the limits of the transport, each with its control.

use std::time::Duration;

use capnp::message::Builder;
use capnp_rpc::rpc_capnp::message;
use quicproquo_schemas::close::CloseCode;
use quicproquo_schemas::code::ErrorCode;
use tempfile::TempDir;

use super::client::{Client, TestNode, Who, code, config, run};
use super::raw::{Answer, Message, Raw, call, encode, finish};
use crate::TransportLimits;

const HEALTH: u16 = 5;
const FETCH_KEY_PACKAGE: u16 = 1;
const MIB: usize = 1024 * 1024;

async fn node(limits: impl FnOnce(&mut TransportLimits)) -> (TempDir, TestNode) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir);
    limits(&mut config.limits.transport);
    let node = TestNode::start(config).await;
    (dir, node)
}

/// An identity's token, from a connection that stays open beside others.
async fn token(node: &TestNode, who: &Who) -> (Client, super::client::Session, Vec<u8>) {
    let client = Client::connect(node).await;
    let session = client.authenticate(who).await.unwrap();
    let token = session.token().await.unwrap();
    (client, session, token)
}

#[test]
fn a_first_call_may_be_large_when_there_is_memory_for_it() {
    run(async {
        let bob = Who::new(2);
        let payload = vec![7; MIB];
        let (_dir, with) = node(|_| {}).await;
        let (_client, _session, token_with) = token(&with, &bob).await;
        let base = Client::connect(&with).await;
        assert_eq!(base.enqueue(&token_with, &bob, &payload, b"").await.unwrap(), 1);
        with.stop().await;

        let (_dir, without) = node(|limits| limits.first_call_memory = MIB / 2).await;
        let (_client, _session, token) = token(&without, &bob).await;
        let base = Client::connect(&without).await;
        base.enqueue(&token, &bob, &payload, b"").await.unwrap_err();
        assert_eq!(super::raw::closed(&base.connection).await.0, CloseCode::Busy);
        // A small first call shows the token as well, and the large one has no need of the budget.
        let base = Client::connect(&without).await;
        base.enqueue(&token, &bob, b"small", b"").await.unwrap();
        base.enqueue(&token, &bob, &payload, b"").await.unwrap();
        without.stop().await;
    });
}

#[test]
fn the_frame_limit_rises_with_authentication() {
    run(async {
        let bob = Who::new(2);
        let (_dir, node) = node(|_| {}).await;
        let (client, _session, token) = token(&node, &bob).await;
        // Over the payload limit and under that of frames: an answer.
        let seven = vec![7; 7 * MIB];
        assert_eq!(code(client.enqueue(&token, &bob, &seven, b"").await), ErrorCode::TooLarge);
        let nine = vec![7; 9 * MIB];
        client.enqueue(&token, &bob, &nine, b"").await.unwrap_err();
        let (code, reason) = super::raw::closed(&client.connection).await;
        assert_eq!(code, CloseCode::BadFrame, "{reason}");
        assert!(reason.contains(&(8 * MIB).to_string()), "{reason}");

        let stranger = Client::connect(&node).await;
        stranger.enqueue(b"no token", &bob, &seven, b"").await.unwrap_err();
        let (code, reason) = super::raw::closed(&stranger.connection).await;
        assert_eq!(code, CloseCode::BadFrame, "{reason}");
        assert!(reason.contains(&(6 * MIB).to_string()), "{reason}");
        node.stop().await;
    });
}

#[test]
fn a_higher_frame_limit_lets_larger_frames_in() {
    run(async {
        let bob = Who::new(2);
        let (_dir, node) = node(|limits| {
            limits.frame = 16 * MIB;
            limits.first_call_frame = 16 * MIB;
        })
        .await;
        let (client, _session, token) = token(&node, &bob).await;
        let nine = vec![7; 9 * MIB];
        assert_eq!(code(client.enqueue(&token, &bob, &nine, b"").await), ErrorCode::TooLarge);
        let stranger = Client::connect(&node).await;
        let refused = stranger.enqueue(b"no token", &bob, &nine, b"").await;
        assert!([ErrorCode::Unauthenticated, ErrorCode::TooLarge].contains(&code(refused)));
        node.stop().await;
    });
}

/// A message that the RPC system copies whole into its answer, `depth` structures deep.
fn nested(depth: usize) -> Message {
    let mut message = Builder::new_default();
    let root = message.init_root::<message::Builder<'_>>();
    let mut inner = root.init_obsolete_save().init_as::<message::Builder<'_>>();
    for _ in 0..depth {
        inner = inner.init_unimplemented();
    }
    message
}

#[test]
fn what_is_no_sound_frame_ends_the_connection_and_others_go_on() {
    run(async {
        let (_dir, node) = node(|_| {}).await;
        let announced = [&[0; 4][..], &(8u32 << 20).to_le_bytes()].concat();
        let segments = [&1000u32.to_le_bytes()[..], &[0; 4]].concat();
        let no_root = [0; 8].to_vec();
        let wild = [&[0; 4][..], &1u32.to_le_bytes(), &[0xff; 8]].concat();
        let deep = encode(&nested(40));
        for bytes in [announced, segments, no_root, wild, deep] {
            let mut raw = Raw::connect(&node).await;
            raw.message(&call(1, HEALTH)).await;
            assert_eq!(raw.answer().await, Answer(0, None));
            assert_eq!(raw.answer().await, Answer(1, None));
            raw.send.write_all(&bytes).await.unwrap();
            let (code, reason) = raw.closed().await;
            assert_eq!(code, CloseCode::BadFrame, "{reason}");
        }
        // The control: a shallow one of the same kind is answered, and the connection lives.
        let mut raw = Raw::connect(&node).await;
        raw.message(&nested(5)).await;
        raw.message(&call(1, HEALTH)).await;
        assert_eq!(raw.answer().await, Answer(0, None));
        assert_eq!(raw.answer().await, Answer(1, None));
        node.stop().await;
    });
}

#[test]
fn calls_over_the_limit_wait_for_a_place_and_are_refused_when_none_ends() {
    run(async {
        for (limit, expected) in [(64, 16), (80, 0)] {
            let dir = tempfile::tempdir().unwrap();
            let mut config = config(&dir);
            config.limits.waiting_fetches = 100;
            config.limits.transport.calls_in_flight = limit;
            config.limits.transport.call_patience = Duration::from_millis(100);
            let node = TestNode::start(config).await;
            let bob = Who::new(2);
            let (_client, _session, token) = token(&node, &bob).await;
            let client = Client::connect(&node).await;
            let channels: Vec<[u8; 16]> = (0..80).map(|n| [n; 16]).collect();
            let wait = Duration::from_secs(3);
            let calls = channels.iter().map(|channel| client.fetch(&token, &bob, channel, 0, wait));
            let answers = futures::future::join_all(calls).await;
            let refused: Vec<_> = answers.into_iter().filter(Result::is_err).map(code).collect();
            assert_eq!(refused, vec![ErrorCode::RateLimited; expected], "limit {limit}");
            node.stop().await;
        }
    });
}

#[test]
fn calls_that_end_make_room_for_as_many_as_a_client_sends_at_once() {
    run(async {
        let (_dir, node) = node(|limits| limits.calls_in_flight = 4).await;
        let bob = Who::new(2);
        let (client, _session, token) = token(&node, &bob).await;
        let calls = (0..300u32).map(|n| {
            let (client, token, bob) = (&client, &token, &bob);
            async move { client.enqueue(token, bob, &n.to_be_bytes(), b"").await }
        });
        let seqs = futures::future::try_join_all(calls).await.unwrap();
        assert_eq!(seqs, (1..=300).collect::<Vec<u64>>(), "in the order they were sent");
        node.stop().await;
    });
}

#[test]
fn answered_calls_count_until_they_are_finished() {
    run(async {
        let (_dir, node) = node(|limits| limits.calls_in_flight = 8).await;
        let mut raw = Raw::connect(&node).await;
        assert_eq!(raw.answer().await, Answer(0, None));
        // Refused for want of a token, answered, and not finished.
        for id in 1..=8 {
            raw.message(&call(id, FETCH_KEY_PACKAGE)).await;
            let Answer(_, code) = raw.answer().await;
            assert_eq!(code, Some(ErrorCode::BadId));
        }
        raw.message(&call(9, HEALTH)).await;
        assert_eq!(raw.answer().await, Answer(9, Some(ErrorCode::RateLimited)));
        raw.message(&finish(9)).await;
        raw.message(&finish(3)).await;
        raw.message(&call(9, HEALTH)).await;
        assert_eq!(raw.answer().await, Answer(9, None));
        // Health needs no finish.
        for id in 10..100 {
            raw.message(&call(id, HEALTH)).await;
            assert_eq!(raw.answer().await, Answer(id, None));
        }
        // Who goes on against refusals is shown out.
        raw.message(&call(3, FETCH_KEY_PACKAGE)).await;
        for id in 1000..3000 {
            raw.message(&call(id, HEALTH)).await;
        }
        assert_eq!(raw.closed().await.0, CloseCode::TooManyCalls);
        node.stop().await;
    });
}

#[test]
fn who_never_reads_is_read_no_further_and_closed() {
    run(async {
        let calls = (1..=20_000).flat_map(|id| encode(&call(id, HEALTH))).collect::<Vec<u8>>();
        for (stalled, closes) in [(Duration::from_secs(1), true), (Duration::from_mins(1), false)] {
            let (_dir, node) = node(|limits| {
                limits.unsent_before_auth = 16 * 1024;
                limits.stream_window = 64 * 1024;
                limits.stalled = stalled;
            })
            .await;
            let mut raw = Raw::with_window(&node, 4096).await;
            let writing = raw.send.write_all(&calls);
            let written = tokio::time::timeout(Duration::from_secs(4), writing).await;
            if closes {
                written.expect("the connection is closed").unwrap_err();
                assert_eq!(raw.closed().await.0, CloseCode::Stalled);
            } else {
                // 16 KiB of answers wait, so 2 MB of calls are not taken.
                assert!(written.is_err(), "all calls were read though no answer was");
            }
            node.stop().await;
        }
    });
}

#[test]
fn who_reads_late_gets_everything() {
    run(async {
        let (_dir, node) = node(|limits| {
            limits.unsent_before_auth = 16 * 1024;
            limits.stream_window = 64 * 1024;
        })
        .await;
        let mut raw = Raw::with_window(&node, 4096).await;
        assert_eq!(raw.answer().await, Answer(0, None));
        let calls = (1..=3000).flat_map(|id| encode(&call(id, HEALTH))).collect::<Vec<u8>>();
        let Raw { mut send, mut answers, connection: _connection, .. } = raw;
        let writer = tokio::task::spawn_local(async move {
            send.write_all(&calls).await.unwrap();
            send
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        for id in 1..=3000 {
            assert_eq!(answers.next().await, Answer(id, None));
        }
        drop(writer.await.unwrap());
        node.stop().await;
    });
}
