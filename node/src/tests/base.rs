//! Clients that know only `NodeService`.

use std::time::Duration;

use capnp::any_pointer;
use capnp::capability::Request;
use capnp::traits::HasTypeId as _;
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::node_capnp::node_service;

use super::client::{Client, TestNode, Who, code, config, put_token, run};
use crate::{Clock, StaticToken, issue_access_token, key_package};

const NOT: Duration = Duration::ZERO;
const CHANNEL: &[u8] = &[3; 16];

fn rows(payloads: &[(u64, &[u8])]) -> Vec<(u64, Vec<u8>)> {
    payloads.iter().map(|(seq, payload)| (*seq, payload.to_vec())).collect()
}

async fn token_of(client: &Client, who: &Who) -> (Vec<u8>, super::client::Session) {
    let session = client.authenticate(who).await.unwrap();
    (session.token().await.unwrap(), session)
}

#[test]
fn equal_payloads_are_one_row_and_channels_are_apart() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let bob = Who::new(2);
        let client = Client::connect(&node).await;
        let (token, _session) = token_of(&client, &bob).await;
        let token = token.as_slice();
        assert_eq!(client.enqueue(token, &bob, b"a", b"").await.unwrap(), 1);
        assert_eq!(client.enqueue(token, &bob, b"a", CHANNEL).await.unwrap(), 2);
        assert_eq!(client.enqueue(token, &bob, b"a", b"").await.unwrap(), 1);
        assert_eq!(client.enqueue(token, &bob, b"b", b"").await.unwrap(), 3);
        let got = client.fetch(token, &bob, b"", 0, NOT).await.unwrap();
        assert_eq!(got, rows(&[(1, b"a"), (3, b"b")]));
        let got = client.fetch(token, &bob, CHANNEL, 0, NOT).await.unwrap();
        assert_eq!(got, rows(&[(2, b"a")]));
        // The hash outlives the row, and positions are not used again.
        assert!(client.fetch(token, &bob, b"", 0, NOT).await.unwrap().is_empty());
        assert_eq!(client.enqueue(token, &bob, b"a", b"").await.unwrap(), 1);
        assert!(client.fetch(token, &bob, b"", 0, NOT).await.unwrap().is_empty());
        assert_eq!(client.enqueue(token, &bob, b"c", b"").await.unwrap(), 4);
        node.stop().await;
    });
}

#[test]
fn a_lease_ends_with_the_next_fetch_or_a_clean_close_and_not_with_a_reset() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let bob = Who::new(2);
        let keeper = Client::connect(&node).await;
        let (token, _session) = token_of(&keeper, &bob).await;
        let token = token.as_slice();
        for payload in [b"1", b"2", b"3"] {
            keeper.enqueue(token, &bob, payload, b"").await.unwrap();
        }
        let (a, b) = (Client::connect(&node).await, Client::connect(&node).await);
        assert_eq!(a.fetch(token, &bob, b"", 1, NOT).await.unwrap(), rows(&[(1, b"1")]));
        assert_eq!(b.fetch(token, &bob, b"", 1, NOT).await.unwrap(), rows(&[(2, b"2")]));
        assert_eq!(a.fetch(token, &bob, b"", 1, NOT).await.unwrap(), rows(&[(3, b"3")]));
        b.connection.close(9u32.into(), b"");
        let wait = Duration::from_secs(5);
        let back = keeper.fetch(token, &bob, b"", 0, wait).await.unwrap();
        assert_eq!(back, rows(&[(2, b"2")]));
        a.connection.close(0u32.into(), b"");
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(keeper.fetch(token, &bob, b"", 0, NOT).await.unwrap().is_empty());
        node.stop().await;
    });
}

#[test]
fn a_waiting_fetch_is_woken_and_only_four_may_wait() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let bob = Who::new(2);
        let client = Client::connect(&node).await;
        let (token, session) = token_of(&client, &bob).await;
        let token = token.as_slice();
        let wait = Duration::from_secs(20);
        let waiting = client.fetch(token, &bob, b"", 0, wait);
        let enqueue = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            client.enqueue(token, &bob, b"late", b"").await.unwrap()
        };
        let (got, seq) = tokio::join!(waiting, enqueue);
        assert_eq!(got.unwrap(), rows(&[(seq, b"late")]));

        let channels: Vec<[u8; 16]> = (10..14).map(|n| [n; 16]).collect();
        let short = Duration::from_millis(400);
        let four = channels.iter().map(|channel| client.fetch(token, &bob, channel, 0, short));
        let four = futures::future::join_all(four);
        let fifth = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            client.fetch(token, &bob, &[9; 16], 0, short).await
        };
        let (four, fifth) = tokio::join!(four, fifth);
        assert!(four.into_iter().all(|rows| rows.unwrap().is_empty()));
        assert_eq!(code(fifth), ErrorCode::RateLimited);

        let _rows = session.subscribe().await;
        assert_eq!(code(client.fetch(token, &bob, b"", 0, NOT).await), ErrorCode::Subscribed);
        node.stop().await;
    });
}

#[test]
fn tokens_open_what_they_are_bound_to() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut with_static = config(&dir);
        with_static.static_token = Some(StaticToken::new(b"operator"));
        let node = TestNode::start(with_static).await;
        let (alice, bob) = (Who::new(1), Who::new(2));
        let client = Client::connect(&node).await;
        let clock = Clock::from_fn(|| key_package::tests::NOW);
        let (_, issued) =
            issue_access_token(dir.path(), alice.identity(), 60, &clock).await.unwrap();
        let issued = issued.as_bytes().as_slice();
        client.enqueue(issued, &alice, b"x", b"").await.unwrap();
        assert_eq!(client.fetch(issued, &alice, b"", 0, NOT).await.unwrap().len(), 1);
        assert_eq!(code(client.fetch(issued, &bob, b"", 0, NOT).await), ErrorCode::Forbidden);
        client.enqueue(b"operator", &bob, b"x", b"").await.unwrap();
        assert_eq!(code(client.fetch(b"operator", &bob, b"", 0, NOT).await), ErrorCode::Forbidden);
        for wrong in [&b""[..], b"wrong", &[0; 32]] {
            let refused = client.enqueue(wrong, &bob, b"x", b"").await;
            assert_eq!(code(refused), ErrorCode::Unauthenticated);
        }
        let (_, expired) =
            issue_access_token(dir.path(), alice.identity(), 0, &clock).await.unwrap();
        let refused = client.enqueue(expired.as_bytes(), &bob, b"x", b"").await;
        assert_eq!(code(refused), ErrorCode::Unauthenticated);
        // A null auth is an empty one.
        let mut request = client.service().upload_hybrid_key_request();
        request.get().set_identity_key(alice.identity().as_bytes());
        let refused = request.send().promise.await.map(|_| ());
        assert_eq!(code(refused), ErrorCode::Unauthenticated);
        node.stop().await;
    });
}

#[test]
fn malformed_calls_get_their_codes() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let bob = Who::new(2);
        let client = Client::connect(&node).await;
        let (token, _session) = token_of(&client, &bob).await;
        let token = token.as_slice();
        let enqueue = async |recipient: &[u8], payload: &[u8], channel: &[u8], version| {
            let mut request = client.service().enqueue_request();
            let mut params = request.get();
            params.set_recipient_key(recipient);
            params.set_payload(payload);
            params.set_channel_id(channel);
            params.set_version(version);
            put_token(params.init_auth(), token);
            code(request.send().promise.await.map(|_| ()))
        };
        let to = IdentityKey::new([1; 32]);
        let to = to.as_bytes().as_slice();
        assert_eq!(enqueue(&to[1..], b"x", b"", 1).await, ErrorCode::BadId);
        assert_eq!(enqueue(to, b"x", &[1; 15], 1).await, ErrorCode::BadId);
        assert_eq!(enqueue(to, b"x", b"", 2).await, ErrorCode::BadVersion);
        assert_eq!(enqueue(to, b"", b"", 1).await, ErrorCode::Empty);
        let large = vec![0; 5 * 1024 * 1024 + 1];
        assert_eq!(enqueue(to, &large, b"", 1).await, ErrorCode::TooLarge);
        // Parameters that are no struct, of a method that there is, and of one that there is not.
        let no_struct = async |method| {
            let service = client.service().client;
            let mut request: Request<any_pointer::Owned, any_pointer::Owned> =
                service.new_call(node_service::Client::TYPE_ID, method, None);
            request.get().set_as::<capnp::text::Owned>("no struct").unwrap();
            request.send().promise.await.map(|_| ()).unwrap_err()
        };
        for method in 0..8 {
            // `health` looks at no parameters.
            if method != 5 {
                assert_eq!(code(Err::<(), _>(no_struct(method).await)), ErrorCode::BadRequest);
            }
        }
        assert_eq!(no_struct(8).await.kind, capnp::ErrorKind::Unimplemented);
        client.enqueue(token, &bob, &large[1..], b"").await.unwrap();
        let got = client.fetch(token, &bob, b"", 0, NOT).await.unwrap();
        assert_eq!(got, [(1, large[1..].to_vec())]);
        let health = client.service().health_request().send().promise.await.unwrap();
        assert_eq!(health.get().unwrap().get_status().unwrap(), "ok");
        node.stop().await;
    });
}
