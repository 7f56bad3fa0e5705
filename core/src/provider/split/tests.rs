//! The serializer writes what `ciborium` writes, whatever is cut.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::{Split, is_skeleton, join, split};
use crate::provider::store::encode;

#[derive(Serialize)]
enum Choice {
    Unit,
    New(i64),
    Tuple(u8, Option<bool>),
    Struct { a: Vec<u8>, b: () },
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Wrapped(u16);

#[derive(Serialize)]
struct Pair(i8, char);

struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

fn joined(split: &Split) -> Option<Vec<u8>> {
    let row = |key: &[u8]| split.pieces.get(key)?.as_ref().map(|piece| piece.as_slice());
    assert!(is_skeleton(&split.skeleton));
    join(&split.skeleton, row).map(|value| value.to_vec())
}

#[track_caller]
fn same(value: &impl Serialize) {
    let split = split(value, &|_| false).unwrap();
    assert_eq!(joined(&split), Some(encode(value).unwrap().to_vec()));
}

#[test]
fn every_kind_of_value_is_written_as_ciborium_does() {
    for number in [0, 23, 24, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX] {
        same(&number);
        let signed = number.cast_signed();
        same(&(signed, signed.wrapping_neg(), !signed));
    }
    same(&(i8::MIN, i16::MIN, i32::MIN, i64::MIN));
    for length in [0, 23, 24, 255, 256, 70_000] {
        same(&vec![200_u8; length]);
        same(&"x".repeat(length));
        same(&Bytes(vec![7; length]));
    }
    same(&[Choice::Unit, Choice::New(-7), Choice::Tuple(1, None), Choice::Tuple(1, Some(true))]);
    same(&Choice::Struct { a: vec![1, 2], b: () });
    same(&(Unit, Wrapped(9), Pair(-1, 'é'), UNIX_EPOCH + Duration::new(5, 7)));
    same(&BTreeMap::from([("a", Some(1)), ("b", None)]));
}

#[test]
fn what_cannot_be_written_is_refused() {
    assert!(split(&1.5, &|_| false).is_err());
}

#[derive(Serialize)]
#[serde(rename = "SecretTree")]
struct Tree {
    leaf_nodes: Vec<Option<u8>>,
    parent_nodes: Vec<Option<u8>>,
}

#[derive(Serialize)]
#[serde(rename = "MessageSecrets")]
struct Secrets {
    serialized_context: Vec<u8>,
    secret_tree: Tree,
}

#[derive(Serialize)]
#[serde(rename = "EpochTree")]
struct Epoch {
    message_secrets: Secrets,
    leaves: Vec<u8>,
}

fn epoch(context: u8, leaf_nodes: Vec<Option<u8>>) -> Epoch {
    let parent_nodes = leaf_nodes.iter().rev().copied().collect();
    let message_secrets = Secrets {
        serialized_context: vec![context],
        secret_tree: Tree { leaf_nodes, parent_nodes },
    };
    Epoch { message_secrets, leaves: vec![context; 3] }
}

#[test]
fn blocks_nulls_and_ends_of_vectors_are_put_together_again() {
    for length in [0, 1, 15, 16, 17, 64, 100_u8] {
        same(&epoch(1, vec![None; length.into()]));
        same(&epoch(1, vec![Some(1); length.into()]));
        for holes in [1, 5, 16, 40] {
            let leaf_nodes = (0..length).map(|n| (n / holes % 2 == 0).then_some(n));
            same(&[epoch(1, leaf_nodes.clone().collect()), epoch(2, leaf_nodes.collect())]);
        }
    }
}

#[test]
fn one_changed_element_changes_one_piece() {
    let mut value = epoch(1, vec![Some(1); 100]);
    let before = split(&value, &|_| false).unwrap();
    value.message_secrets.secret_tree.leaf_nodes[50] = Some(2);
    let after = split(&value, &|_| false).unwrap();
    assert_eq!(before.skeleton, after.skeleton);
    let pieces = after.pieces.iter();
    assert_eq!(pieces.filter(|(key, piece)| before.pieces.get(*key) != Some(piece)).count(), 1);
}

#[test]
fn known_members_of_an_epoch_are_not_written_again() {
    let value = epoch(1, vec![Some(1); 3]);
    let first = split(&value, &|_| false).unwrap();
    let second = split(&value, &|key| first.pieces.contains_key(key)).unwrap();
    assert_eq!(first.skeleton, second.skeleton);
    assert_eq!(second.pieces.values().filter(|piece| piece.is_none()).count(), 1);
}

#[test]
fn epochs_that_cannot_be_told_apart_are_refused() {
    assert!(split(&[epoch(1, vec![Some(1)]), epoch(1, vec![Some(1)])], &|_| false).is_err());
}

#[test]
fn a_missing_piece_is_noticed_and_so_is_a_short_skeleton() {
    let whole = split(&epoch(1, vec![Some(1); 40]), &|_| false).unwrap();
    for key in whole.pieces.keys() {
        let mut part = Split { skeleton: whole.skeleton.clone(), pieces: whole.pieces.clone() };
        part.pieces.remove(key);
        assert_eq!(joined(&part), None);
    }
    let value = joined(&whole);
    for length in 1..whole.skeleton.len() {
        let mut skeleton = whole.skeleton.clone();
        skeleton.truncate(length);
        let part = Split { skeleton, pieces: whole.pieces.clone() };
        assert_ne!(joined(&part), value);
    }
}
