//! A corpus, replayed by ordinary tests and mutated at random for a bounded number of rounds. Tests
//! of each crate that has fuzzers include this file; the corpus is that crate's own.

use std::path::{Path, PathBuf};

/// Longest input that mutation makes.
const MAX_LEN: usize = 16 * 1024;

fn corpus_dir(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// The files of a target's corpus, in order of their names.
pub(super) fn corpus(target: &str) -> Vec<Vec<u8>> {
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

pub(super) fn replay_and_mutate(target: &str, rounds: usize, mut run: impl FnMut(&[u8])) {
    let seeds = corpus(target);
    for seed in &seeds {
        run(seed);
    }
    let mut random = random(target);
    for _ in 0..rounds {
        run(&mutate(&mut random, &seeds));
    }
}

/// Writes seeds into the checkout, in the place of those that a former version has made.
pub(super) fn write(target: &str, seeds: &[Vec<u8>]) {
    let dir = corpus_dir(target);
    std::fs::create_dir_all(&dir).unwrap();
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-")) {
            std::fs::remove_file(path).unwrap();
        }
    }
    for (index, seed) in seeds.iter().enumerate() {
        std::fs::write(dir.join(format!("seed-{index:02}")), seed).unwrap();
    }
}
