//! Two commits for one epoch: one wins, all converge.

use sha2::{Digest as _, Sha256};

use super::support::{assert_agreed, deliver, group_of, now};
use crate::group::{ProcessError, Processed, Undecryptable};
use crate::suite::{Profile, Suite};

#[test]
fn the_loser_applies_the_winner() {
    for suite in Suite::ALL {
        let (mut peers, id) = group_of(3, suite, Profile::Standard);
        let winner = peers[0]
            .with(&id, |group, identity| group.set_context(identity, Some("won"), None, None))
            .unwrap();
        let loser =
            peers[1].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
        assert!(peers[1].load(&id).has_pending(), "the pending commit survives a reload");
        deliver(&mut peers, &id, 0, &winner);
        assert!(!peers[1].load(&id).has_pending());
        assert_agreed(&peers, &id);
        // The loser's commit is of a decided epoch, for all.
        for peer in &mut peers {
            let late = peer.process(&id, &loser.commit);
            assert_eq!(late, Err(ProcessError::WrongEpoch { message_epoch: 1, group_epoch: 2 }));
            assert!(late.unwrap_err().is_final());
        }
        let again =
            peers[1].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
        deliver(&mut peers, &id, 1, &again);
        assert_agreed(&peers, &id);
    }
}

#[test]
fn the_hash_is_that_of_the_bytes() {
    let (mut peers, id) = group_of(2, Suite::Envelope, Profile::Standard);
    let staged = peers[0].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
    assert_eq!(staged.commit_hash, <[u8; 32]>::from(Sha256::digest(&staged.commit)));
    assert_eq!(peers[0].process(&id, &staged.commit), Ok(Processed::OwnMessage));
    assert!(peers[0].load(&id).has_pending(), "the claim to be our own merges nothing");
    assert_eq!(peers[0].load(&id).epoch(), 1);
}

#[test]
fn a_pending_commit_can_be_dropped() {
    let (mut peers, id) = group_of(2, Suite::Envelope, Profile::Standard);
    let before = peers[0].authenticator(&id);
    peers[0].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
    // Meanwhile messages go out in the epoch before.
    let message = peers[0].encrypt(&id, b"meanwhile");
    peers[0].with(&id, |group, _| group.clear_pending()).unwrap();
    assert!(!peers[0].load(&id).has_pending());
    assert_eq!(peers[0].authenticator(&id), before);
    peers[1].reads(&id, &message, b"meanwhile");
    let message = peers[0].encrypt(&id, b"after");
    peers[1].reads(&id, &message, b"after");
}

#[test]
fn a_replayed_commit_or_message_changes_nothing() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let message = peers[0].encrypt(&id, b"once");
    peers[1].reads(&id, &message, b"once");
    let rows = peers[1].db.clone();
    assert_eq!(
        peers[1].process(&id, &message),
        Err(ProcessError::Undecryptable(Undecryptable::Replayed))
    );
    assert_eq!(peers[1].db, rows);
    let staged = peers[0].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
    peers[1].applies(&id, &staged.commit);
    let rows = peers[1].db.clone();
    assert!(peers[1].process(&id, &staged.commit).is_err());
    assert_eq!(peers[1].db, rows);
}

#[test]
fn an_error_leaves_the_group_in_memory_usable() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let first = peers[0].encrypt(&id, b"first");
    let mut damaged = first.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let future = {
        let staged =
            peers[2].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
        peers[2].merge(&id);
        (peers[2].encrypt(&id, b"later"), staged.commit)
    };
    let mut group = peers[1].load(&id);
    let aead = group.process(&damaged);
    assert_eq!(aead, Err(ProcessError::Undecryptable(Undecryptable::Aead)));
    let early = group.process(&future.0);
    assert_eq!(early, Err(ProcessError::WrongEpoch { message_epoch: 2, group_epoch: 1 }));
    assert!(!early.unwrap_err().is_final());
    assert_eq!(group.process(b"garbage"), Err(ProcessError::Malformed));
    assert!(!group.dirty());
    assert!(matches!(group.process(&first), Ok(Processed::Application { .. })));
    assert!(matches!(group.process(&future.1), Ok(Processed::Commit(_))));
    assert!(matches!(group.process(&future.0), Ok(Processed::Application { .. })));
}

#[test]
fn a_message_of_another_group_is_refused() {
    let (mut peers, id) = group_of(2, Suite::Envelope, Profile::Standard);
    let other = peers[0].create(Suite::Envelope, Profile::Standard);
    let message = peers[0].encrypt(&other, b"x");
    assert_eq!(peers[1].process(&id, &message), Err(ProcessError::WrongGroup));
}

#[test]
fn forks_show_in_the_hint() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let one = peers[0].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
    let package = super::support::Peer::new().package(Suite::Envelope);
    peers[0].merge(&id);
    peers[1].applies(&id, &one.commit);
    // Peer 2 is fed another commit of the same epoch.
    let two = peers[2].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
    assert_eq!(two.summary.epoch, 2);
    peers[2].merge(&id);
    assert_ne!(peers[0].authenticator(&id), peers[2].authenticator(&id));
    let message = peers[0].encrypt(&id, b"x");
    let hint = crate::message::message_info(&message).unwrap().hint.unwrap();
    assert_ne!(hint, peers[2].load(&id).hint());
    assert!(matches!(peers[2].process(&id, &message), Err(ProcessError::Undecryptable(_))));
    let added =
        peers[0].with(&id, |group, identity| group.add(identity, &[package], now())).unwrap();
    assert!(matches!(peers[2].process(&id, &added.commit), Err(ProcessError::Undecryptable(_))));
}
