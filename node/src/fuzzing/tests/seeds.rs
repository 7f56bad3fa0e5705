//! Makes the seeds that are checked in under `node/fuzz/corpus`.

use capnp::message::{Builder, HeapAllocator};
use ed25519_dalek::Signer;
use quicproquo_schemas::id::Instance;
use quicproquo_schemas::node_capnp::{auth, node_service};
use quicproquo_schemas::session_capnp::{node, session};
use sha2::{Digest as _, Sha256};

use super::super::rig::TOKEN;
use super::super::{NOW, identity};
use super::replay::write;
use crate::auth::proof_tests::{proof, text};
use crate::auth::{Claimed, signed_bytes};
use crate::key_package::tests::Recipe;
use crate::tests::methods::methods;

const CHANNEL: [u8; 16] = [3; 16];

fn token(mut auth: auth::Builder<'_>) {
    auth.set_version(1);
    auth.set_access_token(&TOKEN);
}

/// Interface, method, and the one segment with the parameters.
fn call(interface: u8, method: u8, params: &Builder<HeapAllocator>) -> Vec<u8> {
    let segments = params.get_segments_for_output();
    assert_eq!(segments.len(), 1, "small enough for one segment");
    [&[interface, method], segments[0]].concat()
}

macro_rules! seed {
    ($interface:literal, $method:literal, $params:path, |$p:ident| $fill:expr) => {{
        let mut message = Builder::new_default();
        {
            #[allow(unused_mut, clippy::allow_attributes, reason = "not every method has any")]
            let mut $p = message.init_root::<$params>();
            $fill;
        }
        call($interface, $method, &message)
    }};
}

fn service_calls() -> Vec<Vec<u8>> {
    let (key, identity) = identity();
    let me = identity.as_bytes().as_slice();
    vec![
        seed!(0, 0, node_service::upload_key_package_params::Builder<'_>, |p| {
            p.set_identity_key(me);
            p.set_package(&Recipe::new(&key, 1).bytes());
            token(p.init_auth());
        }),
        seed!(0, 1, node_service::fetch_key_package_params::Builder<'_>, |p| {
            p.set_identity_key(me);
            token(p.init_auth());
        }),
        seed!(0, 2, node_service::enqueue_params::Builder<'_>, |p| {
            p.set_recipient_key(me);
            p.set_payload(b"payload");
            p.set_channel_id(&CHANNEL);
            p.set_version(1);
            p.set_ttl_secs(60);
            token(p.init_auth());
        }),
        seed!(0, 3, node_service::fetch_params::Builder<'_>, |p| {
            p.set_recipient_key(me);
            p.set_channel_id(&CHANNEL);
            p.set_version(1);
            p.set_limit(2);
            token(p.init_auth());
        }),
        seed!(0, 4, node_service::fetch_wait_params::Builder<'_>, |p| {
            p.set_recipient_key(me);
            p.set_version(1);
            p.set_timeout_ms(5);
            token(p.init_auth());
        }),
        seed!(0, 5, node_service::health_params::Builder<'_>, |p| {
            let _ = p;
        }),
        seed!(0, 6, node_service::upload_hybrid_key_params::Builder<'_>, |p| {
            p.set_identity_key(me);
            p.set_hybrid_public_key(&[6; 1216]);
            token(p.init_auth());
        }),
        seed!(0, 7, node_service::fetch_hybrid_key_params::Builder<'_>, |p| {
            p.set_identity_key(me);
            token(p.init_auth());
        }),
        seed!(1, 0, node::authenticate_params::Builder<'_>, |p| {
            p.set_identity_key(me);
            p.set_instance(&[8; 16]);
            p.set_attempt(1);
            p.set_invite("invite");
            p.set_signature(&[1; 64]);
        }),
        seed!(1, 1, node::resolve_name_params::Builder<'_>, |p| p.set_name("alice")),
        seed!(1, 2, node::names_of_params::Builder<'_>, |p| p.set_identity_key(me)),
    ]
}

fn session_calls() -> Vec<Vec<u8>> {
    let (key, identity) = identity();
    let me = identity.as_bytes().as_slice();
    let name_signature = key.sign(&[b"quicproquo-name-v1\x05alice", me].concat()).to_bytes();
    vec![
        seed!(2, 0, session::access_token_params::Builder<'_>, |p| {
            let _ = p;
        }),
        seed!(2, 1, session::publish_key_packages_params::Builder<'_>, |p| {
            p.set_last_resort(&Recipe::new(&key, 3).last_resort().bytes());
            p.init_one_time(1).set(0, &Recipe::new(&key, 2).bytes());
        }),
        seed!(2, 1, session::publish_key_packages_params::Builder<'_>, |p| {
            p.set_replace(true);
            p.init_one_time(1).set(0, &Recipe::new(&key, 5).bytes());
        }),
        seed!(2, 2, session::claim_key_packages_params::Builder<'_>, |p| {
            p.set_ciphersuite(1);
            p.init_identities(1).set(0, me);
        }),
        seed!(2, 3, session::key_package_stock_params::Builder<'_>, |p| {
            let _ = p;
        }),
        seed!(2, 4, session::send_params::Builder<'_>, |p| {
            p.set_body(b"body");
            p.set_channel_id(&CHANNEL);
            p.set_ttl_secs(60);
            let mut id = p.reborrow().init_id();
            id.set_incarnation(1);
            id.set_counter(1);
            let mut delivery = p.init_deliveries(1).get(0);
            delivery.set_recipient_key(me);
            delivery.set_prefix(b"prefix");
            delivery.set_include_body(true);
        }),
        seed!(2, 5, session::send_result_params::Builder<'_>, |p| {
            let mut id = p.init_id();
            id.set_incarnation(1);
            id.set_counter(1);
        }),
        seed!(2, 6, session::subscribe_params::Builder<'_>, |p| {
            let _ = p;
        }),
        seed!(2, 7, session::ack_params::Builder<'_>, |p| p.set_seq_up_to(1)),
        seed!(2, 8, session::peek_params::Builder<'_>, |p| p.set_limit(3)),
        seed!(2, 9, session::claim_name_params::Builder<'_>, |p| {
            p.set_name("alice");
            p.set_signature(&name_signature);
        }),
    ]
}

/// Of a blob that fits into one piece, and the end of it all.
fn later_calls() -> Vec<Vec<u8>> {
    let (key, identity) = identity();
    let heir = [4; 32];
    let transfer = [b"quicproquo-transfer-v1", identity.as_bytes().as_slice(), &heir].concat();
    let sha256 = Sha256::digest(b"a blob");
    vec![
        seed!(2, 10, session::put_blob_params::Builder<'_>, |p| {
            p.set_sha256(&sha256);
            p.set_size(6);
            p.set_chunk(b"a blob");
        }),
        seed!(2, 11, session::get_blob_params::Builder<'_>, |p| {
            p.set_sha256(&sha256);
            p.set_limit(3);
        }),
        seed!(2, 12, session::blob_size_params::Builder<'_>, |p| p.set_sha256(&sha256)),
        seed!(2, 13, session::release_blob_params::Builder<'_>, |p| p.set_sha256(&sha256)),
        seed!(2, 14, session::delete_identity_params::Builder<'_>, |p| {
            p.set_heir(&heir);
            p.set_signature(&key.sign(&transfer).to_bytes());
        }),
    ]
}

/// Methods without a seed of their own get one with empty parameters.
fn empty_calls() -> Vec<Vec<u8>> {
    let mut calls = Vec::new();
    for (interface, name) in (0..).zip(["NodeService", "Node", "Session"]) {
        for (_, ordinal) in methods(name) {
            // A null pointer: every field has its default.
            calls.push([&[interface, u8::try_from(ordinal).unwrap()], [0; 8].as_slice()].concat());
        }
    }
    calls
}

/// The first bytes of a client: `Bootstrap`, then a `Call` of `health`, framed.
fn streams() -> Vec<Vec<u8>> {
    use capnp_rpc::rpc_capnp::message;
    let mut bootstrap = Builder::new_default();
    bootstrap.init_root::<message::Builder<'_>>().init_bootstrap().set_question_id(0);
    let mut health = Builder::new_default();
    {
        let mut call = health.init_root::<message::Builder<'_>>().init_call();
        call.set_question_id(1);
        call.set_interface_id(<node_service::Client as capnp::traits::HasTypeId>::TYPE_ID);
        call.set_method_id(5);
        let mut target = call.reborrow().init_target().init_promised_answer();
        target.set_question_id(0);
        call.init_params();
    }
    let mut finish = Builder::new_default();
    finish.init_root::<message::Builder<'_>>().init_finish().set_question_id(1);
    let framed =
        |message: &Builder<HeapAllocator>| capnp::serialize::write_message_to_words(message);
    let (bootstrap, health, finish) = (framed(&bootstrap), framed(&health), framed(&finish));
    let huge_claim = [&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f], &bootstrap[8..]].concat();
    let many_segments = [&[0xff, 0xff, 0, 0], &[1; 64][..]].concat();
    vec![
        bootstrap.clone(),
        [bootstrap.as_slice(), &health].concat(),
        [bootstrap.as_slice(), &health, &finish].concat(),
        [finish.as_slice(), &health].concat(),
        huge_claim,
        many_segments,
    ]
}

/// Streams of frames, each behind the two bytes that say how it is cut.
fn frames() -> Vec<Vec<u8>> {
    // The first word of a table: segments less one, size of the first.
    let table =
        |segments: u32, words: u32| [(segments - 1).to_le_bytes(), words.to_le_bytes()].concat();
    let text = |first_segment: u32, len: usize| {
        let allocator = HeapAllocator::new().first_segment_words(first_segment);
        let mut message = Builder::new(allocator);
        message.set_root::<capnp::text::Owned>("x".repeat(len).as_str()).unwrap();
        capnp::serialize::write_message_to_words(&message)
    };
    let cut = |sizes: [u8; 2], stream: Vec<u8>| [sizes.as_slice(), &stream].concat();
    let empty = vec![0; 8];
    let most = [table(512, 0), vec![0; 4 * 511], vec![0; 4]].concat();
    let none_there = [table(2, 1), vec![0; 8], vec![0; 8]].concat();
    let far_pointer = [table(1, 1), vec![2, 0, 0, 0, 9, 0, 0, 0]].concat();
    let itself = [table(1, 1), vec![0xfc, 0xff, 0xff, 0xff, 0, 0, 1, 0]].concat();
    vec![
        cut([0, 0], text(64, 3)),
        cut([6, 1], text(1, 3)),
        cut([2, 255], [text(1, 900), text(64, 300), text(1, 40)].concat()),
        cut([63, 3], [text(8, 6000), text(8, 6000), text(8, 6000)].concat()),
        cut([7, 0], [empty.clone(), empty, text(4, 1)].concat()),
        cut([4, 2], most),
        cut([1, 1], none_there),
        cut([8, 8], far_pointer),
        cut([8, 8], itself),
        cut([3, 0], table(513, 0)),
        cut([3, 0], [table(1, 1 << 23), vec![0; 40]].concat()),
        cut([3, 0], [table(2, u32::MAX), vec![0xff; 8]].concat()),
        cut([9, 0], text(64, 2000)[..1000].to_vec()),
    ]
}

fn auth_proof() -> Vec<u8> {
    let (key, identity) = identity();
    let claimed =
        Claimed { identity, incarnation: 1, instance: Instance::new([7; 16]), attempt: 1 };
    let signed = signed_bytes(&claimed, &[9; 32]);
    [signed.as_slice(), &key.sign(&signed).to_bytes()].concat()
}

/// `cargo nextest run -p quicproquo-node --run-ignored only write_the_seeds`, after a change of
/// the schemas.
#[test]
#[ignore = "writes into the checkout"]
fn write_the_seeds() {
    let (key, _) = identity();
    let mut hybrid = Recipe::new(&key, 4);
    hybrid.ciphersuite = 0x004f;
    hybrid.init_key = vec![1; 1216];
    hybrid.encryption_key = vec![2; 1216];
    let classic = Recipe::new(&key, 1).bytes();
    let last_resort = Recipe::new(&key, 2).last_resort().bytes();
    write("key_package", &[classic, last_resort, hybrid.bytes()]);
    write("auth_proof", &[auth_proof()]);
    write("token_proof", &[text(&proof(&key, [7; 32], NOW)).into_bytes()]);
    let calls = [service_calls(), session_calls(), later_calls(), empty_calls()];
    write("call", &calls.concat());
    write("frame", &frames());
    write("stream", &streams());
}
