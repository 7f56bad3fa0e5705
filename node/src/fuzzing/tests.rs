//! The fuzzers' corpus, replayed, and mutated at random for a bounded number of rounds.

#[path = "../../fuzz/replay.rs"]
mod replay;
mod seeds;

use std::collections::BTreeMap;

use quicproquo_schemas::code::ErrorCode;

use super::{Answer, Rig, auth_proof, frame, key_package, token_proof};
use crate::tests::methods::{documented, methods};
use replay::{corpus, replay_and_mutate};

#[test]
fn key_packages() {
    replay_and_mutate("key_package", 3_000, key_package);
}

#[test]
fn auth_proofs() {
    replay_and_mutate("auth_proof", 500, auth_proof);
}

#[test]
fn token_proofs() {
    replay_and_mutate("token_proof", 1_000, token_proof);
}

#[test]
fn frames() {
    replay_and_mutate("frame", 3_000, frame);
}

#[test]
fn streams() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path());
    replay_and_mutate("stream", 150, |data| rig.stream(data));
    rig.stop();
}

/// `Interface.method` of an input of [`Rig::call`].
fn method_name(data: &[u8]) -> Option<String> {
    let interface = ["NodeService", "Node", "Session"][usize::from(*data.first()? % 3)];
    let ordinal = u16::from(data.get(1)? % 32);
    let (name, _) = methods(interface).into_iter().find(|(_, at)| *at == ordinal)?;
    Some(format!("{interface}.{name}"))
}

/// Whatever the parameters are: the codes are those of docs/node.md, and never "internal".
fn judge(documented: &BTreeMap<String, Vec<ErrorCode>>, data: &[u8], answer: &Answer) {
    let name = method_name(data);
    match answer {
        Answer::Refused(code) => {
            let name = name.expect("only methods refuse with a code");
            assert_ne!(*code, ErrorCode::Internal, "{name}");
            assert!(documented[&name].contains(code), "{name} answers {code}: {data:?}");
        }
        Answer::Done => assert!(name.is_some(), "a method that is not declared"),
        Answer::Malformed(text) => assert_eq!(name, None, "an error without a code: {text}"),
        Answer::Waiting | Answer::Nothing => {}
    }
}

#[test]
fn calls() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path());
    let documented = documented();
    let mut done = 0;
    replay_and_mutate("call", 2_000, |data| {
        let answer = rig.call(data);
        done += usize::from(answer == Answer::Done);
        judge(&documented, data, &answer);
    });
    rig.check();
    assert!(done > 20, "the seeds get past the door: {done}");
    rig.stop();
}

#[test]
fn every_method_has_a_seed() {
    let seeded: Vec<String> = corpus("call").iter().filter_map(|seed| method_name(seed)).collect();
    for name in documented().keys() {
        assert!(seeded.contains(name), "node/fuzz/corpus/call has no seed for {name}");
    }
}
