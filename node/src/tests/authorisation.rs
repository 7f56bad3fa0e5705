//! Every RPC method against every kind of caller that must not get in: each is refused with its
//! code, and not a byte of what the node keeps changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use capnp::any_pointer;
use capnp::traits::HasTypeId;
use ed25519_dalek::Signer;
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::{IdentityKey, Instance};
use quicproquo_schemas::limits::{
    AUTH_DOMAIN, AUTH_EXPORTER_LABEL, HYBRID_PUBLIC_KEY_LEN, VERSION,
};
use quicproquo_schemas::session_capnp::session;
use sha2::{Digest, Sha256};

use super::client::{Client, Session, TestNode, Who, code, config, put_token, run};
use super::methods::{documented, methods};
use crate::key_package::tests::{NOW, Recipe};
use crate::{Clock, StaticToken, issue_access_token, list_access_tokens, revoke_access_token};

const OPERATOR: &[u8] = b"the operator's own token";
const NOT: Duration = Duration::ZERO;

/// What a method of the bootstrap object asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Nothing.
    Open,
    /// Any valid access token.
    AnyToken,
    /// An access token of the very identity.
    OwnToken,
    /// A signature over this connection's exporter.
    Proof,
}

/// Every method of the bootstrap object. Those of `Session` all ask for a live Session.
const DOORS: [(&str, &str, Door); 11] = [
    ("NodeService", "uploadKeyPackage", Door::OwnToken),
    ("NodeService", "fetchKeyPackage", Door::AnyToken),
    ("NodeService", "enqueue", Door::AnyToken),
    ("NodeService", "fetch", Door::OwnToken),
    ("NodeService", "fetchWait", Door::OwnToken),
    ("NodeService", "health", Door::Open),
    ("NodeService", "uploadHybridKey", Door::OwnToken),
    ("NodeService", "fetchHybridKey", Door::AnyToken),
    ("Node", "authenticate", Door::Proof),
    ("Node", "resolveName", Door::Open),
    ("Node", "namesOf", Door::Open),
];

fn methods_with(door: Door) -> impl Iterator<Item = &'static str> {
    DOORS.into_iter().filter(move |(.., kind)| *kind == door).map(|(_, name, _)| name)
}

#[test]
fn every_method_of_the_bootstrap_object_has_its_door() {
    for interface in ["NodeService", "Node"] {
        let mut declared: Vec<String> =
            methods(interface).into_iter().map(|(name, _)| name).collect();
        let mut listed: Vec<&str> =
            DOORS.iter().filter(|(of, ..)| *of == interface).map(|(_, name, _)| *name).collect();
        declared.sort_unstable();
        listed.sort_unstable();
        assert_eq!(declared, listed, "say in DOORS what each method of {interface} asks for");
    }
}

/// A well-formed call of a method that takes an `Auth`; `token` none leaves it null.
async fn call(
    client: &Client,
    method: &str,
    token: Option<&[u8]>,
    of: &Who,
) -> Result<(), capnp::Error> {
    let service = client.service();
    let identity = of.identity();
    let key = identity.as_bytes().as_slice();
    macro_rules! send {
        ($request:ident, |$params:ident| $fill:expr) => {{
            let mut request = service.$request();
            let mut $params = request.get();
            $fill;
            if let Some(token) = token {
                put_token($params.init_auth(), token);
            }
            request.send().promise.await.map(|_| ())
        }};
    }
    match method {
        "uploadKeyPackage" => send!(upload_key_package_request, |params| {
            params.set_identity_key(key);
            params.set_package(&Recipe::new(&of.key, 7).bytes());
        }),
        "fetchKeyPackage" => send!(fetch_key_package_request, |params| {
            params.set_identity_key(key);
        }),
        "enqueue" => send!(enqueue_request, |params| {
            params.set_recipient_key(key);
            params.set_payload(b"let me in");
            params.set_version(VERSION);
        }),
        "fetch" => send!(fetch_request, |params| {
            params.set_recipient_key(key);
            params.set_version(VERSION);
        }),
        "fetchWait" => send!(fetch_wait_request, |params| {
            params.set_recipient_key(key);
            params.set_version(VERSION);
            params.set_timeout_ms(1);
        }),
        "uploadHybridKey" => send!(upload_hybrid_key_request, |params| {
            params.set_identity_key(key);
            params.set_hybrid_public_key(&[6; HYBRID_PUBLIC_KEY_LEN]);
        }),
        "fetchHybridKey" => send!(fetch_hybrid_key_request, |params| {
            params.set_identity_key(key);
        }),
        other => panic!("no call is written for {other}"),
    }
}

/// A call without parameters of any method of any interface.
async fn bare_call(
    client: &capnp::capability::Client,
    interface: u64,
    method: u16,
) -> Result<(), capnp::Error> {
    let request: capnp::capability::Request<any_pointer::Owned, any_pointer::Owned> =
        client.new_call(interface, method, None);
    request.send().promise.await.map(|_| ())
}

/// SHA-256 of every file that the node keeps, but for those that hold locks and no data.
fn state(dir: &Path) -> BTreeMap<PathBuf, [u8; 32]> {
    let mut files = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.is_file() && !path.to_string_lossy().ends_with("-shm") {
                let digest = Sha256::digest(std::fs::read(&path).unwrap()).into();
                files.insert(path, digest);
            }
        }
    }
    files
}

/// The state, once nothing is being written any more.
async fn settled(dir: &Path) -> BTreeMap<PathBuf, [u8; 32]> {
    let mut before = state(dir);
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = state(dir);
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("the node goes on writing");
}

fn proof(who: &Who, exporter: &[u8; 32]) -> Vec<u8> {
    let signed = [
        AUTH_DOMAIN,
        who.identity.as_bytes(),
        &who.incarnation.to_be_bytes(),
        who.instance.as_bytes(),
        &who.attempt.to_be_bytes(),
        exporter,
    ]
    .concat();
    who.key.sign(&signed).to_bytes().to_vec()
}

fn exporter(client: &Client) -> [u8; 32] {
    let mut bytes = [0; 32];
    client.connection.export_keying_material(&mut bytes, AUTH_EXPORTER_LABEL, b"").unwrap();
    bytes
}

async fn present(client: &Client, who: &Who, signature: &[u8]) -> Result<(), capnp::Error> {
    let mut request = client.node.authenticate_request();
    let mut params = request.get();
    params.set_identity_key(who.identity.as_bytes());
    params.set_incarnation(who.incarnation);
    params.set_instance(who.instance.as_bytes());
    params.set_attempt(who.attempt);
    params.set_signature(signature);
    request.send().promise.await.map(|_| ())
}

/// A token of a Session of `who` that has ended with its connection.
async fn token_of_closed_session(node: &TestNode, who: &Who, watcher: &Client) -> Vec<u8> {
    let client = Client::connect(node).await;
    let session = client.authenticate(who).await.unwrap();
    let token = session.token().await.unwrap();
    client.connection.close(0u32.into(), b"");
    while call(watcher, "fetchHybridKey", Some(&token), who).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    token
}

/// Alice's identity is what everybody is after; her displaced Session is one of the attackers.
struct World {
    dir: tempfile::TempDir,
    node: TestNode,
    client: Client,
    alice: Who,
    mallory: Who,
    /// Credentials that open nothing.
    dead: Vec<(&'static str, Option<Vec<u8>>)>,
    /// Valid, but not alice's.
    foreign: Vec<(&'static str, Vec<u8>)>,
    own: Vec<u8>,
    displaced: Session,
    live: Session,
    _others: Vec<(Client, Option<Session>)>,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(&dir);
        config.static_token = Some(StaticToken::new(OPERATOR));
        let node = TestNode::start(config).await;
        let client = Client::connect(&node).await;
        let (alice, mallory) = (Who::new(1), Who::new(2));
        let clock = Clock::from_fn(|| NOW);
        let issue = async |life| {
            issue_access_token(dir.path(), alice.identity, life, &clock).await.unwrap()
        };
        let (expires, expired) = issue(0).await;
        // The sweep of expired tokens comes first, and changes nothing later.
        while list_access_tokens(dir.path()).await.unwrap().contains(&expires) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (revoked, revoked_token) = issue(3_600).await;
        assert!(
            call(&client, "fetchHybridKey", Some(revoked_token.as_bytes()), &alice).await.is_ok()
        );
        assert!(revoke_access_token(dir.path(), revoked.hash).await.unwrap());
        let closed = token_of_closed_session(&node, &alice, &client).await;

        let first = Client::connect(&node).await;
        // The node closes a connection a second after its last Session was displaced.
        let beside = first.authenticate(&Who::new(3)).await.unwrap();
        let displaced = first.authenticate(&Who { attempt: 2, ..alice.clone() }).await.unwrap();
        let displaced_token = displaced.token().await.unwrap();
        let second = Client::connect(&node).await;
        let rival = Who { instance: Instance::new([9; 16]), ..alice.clone() };
        let live = second.authenticate(&rival).await.unwrap();
        let own = live.token().await.unwrap();
        let third = Client::connect(&node).await;
        let other = third.authenticate(&mallory).await.unwrap();
        let others = other.token().await.unwrap();

        // Something to steal.
        live.send(1, &[&alice], b"", b"a secret").await.unwrap();
        call(&client, "uploadKeyPackage", Some(&own), &alice).await.unwrap();

        let issued = |token: &crate::AccessToken| Some(token.as_bytes().to_vec());
        let dead = vec![
            ("no token", None),
            ("an empty token", Some(Vec::new())),
            ("an unknown token", Some(vec![9; 32])),
            ("an expired token", issued(&expired)),
            ("a revoked token", issued(&revoked_token)),
            ("a closed Session's token", Some(closed)),
            ("a displaced Session's token", Some(displaced_token)),
        ];
        let foreign =
            vec![("another identity's token", others), ("the static token", OPERATOR.to_vec())];
        Self {
            dir,
            node,
            client,
            alice,
            mallory,
            dead,
            foreign,
            own,
            displaced,
            live,
            _others: vec![(first, Some(beside)), (second, None), (third, Some(other))],
        }
    }
}

#[test]
fn who_has_no_right_gets_its_code_and_changes_nothing() {
    run(async {
        let world = World::new().await;
        let World { client, alice, .. } = &world;
        let before = settled(world.dir.path()).await;
        let documented = documented();
        let mut refused = 0;
        for method in methods_with(Door::AnyToken).chain(methods_with(Door::OwnToken)) {
            let codes = &documented[&format!("NodeService.{method}")];
            assert!(codes.contains(&ErrorCode::Unauthenticated), "{method} in docs/node.md");
            for (what, token) in &world.dead {
                let answer = call(client, method, token.as_deref(), alice).await;
                assert_eq!(code(answer), ErrorCode::Unauthenticated, "{method} with {what}");
                refused += 1;
            }
        }
        for method in methods_with(Door::OwnToken) {
            let codes = &documented[&format!("NodeService.{method}")];
            assert!(codes.contains(&ErrorCode::Forbidden), "{method} in docs/node.md");
            for (what, token) in &world.foreign {
                let answer = call(client, method, Some(token), alice).await;
                assert_eq!(code(answer), ErrorCode::Forbidden, "{method} with {what}");
                refused += 1;
            }
        }
        assert_eq!(refused, 7 * 7 + 4 * 2);

        // Session's methods on an object that is none, and on a displaced Session.
        for (name, ordinal) in methods("Session") {
            let bootstrap = &client.node.client;
            let error = bare_call(bootstrap, session::Client::TYPE_ID, ordinal).await.unwrap_err();
            assert_eq!(error.kind, capnp::ErrorKind::Unimplemented, "{name}: {error}");
            let codes = &documented[&format!("Session.{name}")];
            assert!(codes.contains(&ErrorCode::Displaced), "{name} in docs/node.md");
            let session = &world.displaced.calls.client;
            let answer = bare_call(session, session::Client::TYPE_ID, ordinal).await;
            assert_eq!(code(answer), ErrorCode::Displaced, "{name} on a displaced Session");
        }
        let answer = world.displaced.send(1, &[alice], b"", b"x").await;
        assert_eq!(code(answer), ErrorCode::Displaced);
        assert_eq!(code(world.displaced.ack(1).await), ErrorCode::Displaced);
        assert_eq!(settled(world.dir.path()).await, before, "nothing was changed");

        // The same calls are in order: with the right credential each of them is done.
        for method in methods_with(Door::AnyToken) {
            for (what, token) in &world.foreign {
                let answer = call(client, method, Some(token), alice).await;
                assert!(answer.is_ok(), "{method} with {what}: {answer:?}");
            }
        }
        for method in methods_with(Door::AnyToken).chain(methods_with(Door::OwnToken)) {
            let answer = call(client, method, Some(&world.own), alice).await;
            assert!(answer.is_ok(), "{method} with alice's own token: {answer:?}");
        }
        for (_, ordinal) in methods("Session") {
            let session = &world.live.calls.client;
            let answer = bare_call(session, session::Client::TYPE_ID, ordinal).await;
            let displaced = answer.err().and_then(|error| ErrorCode::find(&error.extra));
            assert_ne!(displaced, Some(ErrorCode::Displaced));
        }
        assert_ne!(settled(world.dir.path()).await, before, "the state shows what was done");
        world.node.stop().await;
    });
}

#[test]
fn a_proof_opens_one_session_on_one_connection() {
    run(async {
        let world = World::new().await;
        let World { client, alice, mallory, .. } = &world;
        let before = settled(world.dir.path()).await;
        let next = Who { attempt: 9, ..alice.clone() };
        let genuine = proof(&next, &exporter(client));

        let other = Client::connect(&world.node).await;
        let replayed = present(&other, &next, &genuine).await;
        assert_eq!(code(replayed), ErrorCode::BadSignature, "replayed on another connection");
        let spoilt = [
            Who { identity: mallory.identity, ..next.clone() },
            Who { incarnation: 2, ..next.clone() },
            Who { instance: Instance::new([8; 16]), ..next.clone() },
            Who { attempt: 10, ..next.clone() },
        ];
        for who in &spoilt {
            let answer = present(client, who, &genuine).await;
            assert_eq!(code(answer), ErrorCode::BadSignature);
        }
        let theirs = Who { key: mallory.key.clone(), ..next.clone() };
        let answer = present(client, &next, &proof(&theirs, &exporter(client))).await;
        assert_eq!(code(answer), ErrorCode::BadSignature, "another key");
        // The neutral element is a key under which more than one signature verifies.
        let weak = Who { identity: IdentityKey::new([1; 32]), ..next.clone() };
        let answer = present(client, &weak, &[0; 64]).await;
        assert_eq!(code(answer), ErrorCode::BadSignature, "a weak key");
        for length in [0, 63, 65] {
            let answer = present(client, &next, &vec![1; length]).await;
            assert_eq!(code(answer), ErrorCode::BadSignature, "{length} bytes of signature");
        }

        // The live Session is of instance 9, attempt 1, incarnation 1.
        let fenced = [
            Who { incarnation: 0, attempt: 99, ..next.clone() },
            Who { instance: Instance::new([9; 16]), attempt: 0, ..next.clone() },
        ];
        for who in &fenced {
            let answer = present(client, who, &proof(who, &exporter(client))).await;
            assert_eq!(code(answer), ErrorCode::Fenced);
        }
        for incarnation in [0, 2, u64::MAX] {
            let mut request = world.live.calls.send_request();
            request.get().init_id().set_incarnation(incarnation);
            request.get().set_body(b"x");
            let mut list = request.get().init_deliveries(1);
            let mut delivery = list.reborrow().get(0);
            delivery.set_recipient_key(alice.identity.as_bytes());
            delivery.set_include_body(true);
            let answer = request.send().promise.await.map(|_| ());
            assert_eq!(code(answer), ErrorCode::BadSendId, "incarnation {incarnation}");
        }
        assert_eq!(settled(world.dir.path()).await, before, "nothing was changed");

        world.live.send(2, &[alice], b"", b"x").await.unwrap();
        present(client, &next, &genuine).await.unwrap();
        assert_ne!(settled(world.dir.path()).await, before);
        world.node.stop().await;
    });
}

#[test]
fn the_static_token_is_one_sender() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut small = config(&dir);
        small.static_token = Some(StaticToken::new(OPERATOR));
        small.limits.queue_rows = 8;
        let node = TestNode::start(small).await;
        let (first, second) = (Client::connect(&node).await, Client::connect(&node).await);
        let bob = Who::new(2);
        // Half of the queue is anybody's; above it a sender has a quarter.
        for n in 0..4 {
            first.enqueue(OPERATOR, &bob, &[n], b"").await.unwrap();
        }
        for client in [&first, &second] {
            let refused = client.enqueue(OPERATOR, &bob, b"x", b"").await;
            assert_eq!(code(refused), ErrorCode::QueueFull);
        }
        let session = second.authenticate(&Who::new(3)).await.unwrap();
        let token = session.token().await.unwrap();
        second.enqueue(&token, &bob, b"x", b"").await.unwrap();
        assert_eq!(code(first.fetch(OPERATOR, &bob, b"", 0, NOT).await), ErrorCode::Forbidden);
        node.stop().await;
    });
}
