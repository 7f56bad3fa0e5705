//! The fuzzers' corpus, replayed, and mutated at random for a bounded number of rounds.

mod seeds;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quicproquo_schemas::code::ErrorCode;

use super::{Answer, Rig, auth_proof, frame, key_package, token_proof};
use crate::tests::methods::{documented, methods};

/// Longest input that mutation makes.
const MAX_LEN: usize = 16 * 1024;

fn corpus_dir(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// The files of a target's corpus, in order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = corpus_dir(target);
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|error| {
        panic!("{}: {error}; `write_the_seeds` makes it", dir.display());
    });
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{target} has a corpus");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Printed, and taken from `QPQ_SEED` to replay a run.
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "a test's only setting")]
fn random(test: &str) -> fastrand::Rng {
    let given = std::env::var("QPQ_SEED").ok();
    let seed = given.map_or_else(|| fastrand::u64(..), |text| text.parse().expect("a number"));
    eprintln!("{test}: QPQ_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// A few small changes, or a piece of another seed.
fn mutate(random: &mut fastrand::Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=bytes.len());
        match random.u8(..7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.u8(..)),
            2 => {
                let other = &seeds[random.usize(..seeds.len())];
                bytes.truncate(at);
                bytes.extend(&other[at.min(other.len())..]);
            }
            3 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.usize(..5)],
            4 if at < bytes.len() => bytes[at] = random.u8(..),
            _ if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            _ => bytes.push(random.u8(..)),
        }
    }
    bytes.truncate(MAX_LEN);
    bytes
}

fn replay_and_mutate(target: &str, rounds: usize, mut run: impl FnMut(&[u8])) {
    let seeds = corpus(target);
    for seed in &seeds {
        run(seed);
    }
    let mut random = random(target);
    for _ in 0..rounds {
        run(&mutate(&mut random, &seeds));
    }
}

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
