//! The fuzzers' corpus, replayed, and mutated at random for a bounded number of rounds.

#[path = "../../../node/fuzz/replay.rs"]
mod replay;

use zeroize::Zeroizing;

use super::{Importer, KEY, archive, master_key, record, sealed_row};
use crate::archive::{Archive, ArchiveKey};
use crate::store::fuzzing_seeds::{exported, records, sealed};
use replay::{corpus, replay_and_mutate, write};

#[test]
fn sealed_rows() {
    replay_and_mutate("sealed_row", 2_000, sealed_row);
}

#[test]
fn records_of_all_kinds() {
    replay_and_mutate("record", 3_000, record);
}

#[test]
fn master_keys() {
    replay_and_mutate("master_key", 2_000, master_key);
}

#[test]
fn archives() {
    replay_and_mutate("archive", 1_000, archive);
}

#[test]
fn imports() {
    let dir = tempfile::tempdir().unwrap();
    let importer = Importer::open(dir.path());
    replay_and_mutate("import", 150, |data| importer.import(data));
}

fn key() -> ArchiveKey {
    ArchiveKey::Key(Zeroizing::new(KEY))
}

#[test]
fn the_seeds_get_past_the_door() {
    let opened = corpus("archive").iter().filter(|it| Archive::open(it, &key()).is_ok()).count();
    assert!(opened > 0);
}

/// `cargo nextest run -p quicproquo-client --run-ignored only write_the_seeds`, after a change of a
/// format.
#[tokio::test]
#[ignore = "writes into the checkout"]
async fn write_the_seeds() {
    let exported = exported().await;
    let mut plain = Vec::new();
    ciborium::into_writer(&exported, &mut plain).unwrap();
    let words = ArchiveKey::Passphrase(Zeroizing::new("words".to_owned()));
    let archives = [&key(), &words].map(|key| Archive::seal(&exported, key).unwrap());
    write("archive", &archives);
    write("import", &[plain]);
    write("record", &records());
    write("sealed_row", &records().iter().map(|record| sealed(record)).collect::<Vec<_>>());
    let hex = "0123456789abcdefABCDEF".repeat(3)[..64].to_owned();
    let keys = [hex.clone(), format!(" {hex}\n"), hex[..63].to_owned(), format!("{hex}g")];
    write("master_key", &keys.map(String::into_bytes));
}
