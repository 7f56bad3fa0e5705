//! The fuzzers' corpus, replayed, and mutated at random for a bounded number of rounds.

#[path = "../../../node/fuzz/replay.rs"]
mod replay;
mod seeds;

use super::{Room, content, envelope};
use replay::replay_and_mutate;

#[test]
fn envelopes() {
    replay_and_mutate("envelope", 300, envelope);
}

#[test]
fn contents() {
    replay_and_mutate("content", 3_000, content);
}

#[test]
fn messages_of_a_group() {
    let room = Room::new();
    replay_and_mutate("process", 300, |data| room.process(data));
}

#[test]
fn welcomes() {
    let room = Room::new();
    replay_and_mutate("welcome", 300, |data| room.welcome(data));
}

#[test]
fn commits_by_no_rules() {
    let room = Room::new();
    replay_and_mutate("commit", 100, |data| room.commit(data));
}
