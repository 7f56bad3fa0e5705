//! Messages out of order and of past epochs.

use super::support::{Peer, deliver, group_of, now};
use crate::group::{ProcessError, Undecryptable};
use crate::id::GroupId;
use crate::suite::{Profile, Suite};

fn next_epoch(peers: &mut [Peer], id: &GroupId) {
    let staged = peers[0].with(id, |group, identity| group.update_keys(identity, None)).unwrap();
    deliver(peers, id, 0, &staged);
}

#[test]
fn messages_may_be_out_of_order() {
    let (mut peers, id) = group_of(2, Suite::Envelope, Profile::Standard);
    let mut messages: Vec<_> =
        (0..100_u8).map(|number| (number, peers[0].encrypt(&id, &[number]))).collect();
    messages.reverse();
    for (number, message) in messages {
        peers[1].reads(&id, &message, &[number]);
    }
}

#[test]
fn beyond_the_window_is_too_old() {
    let (mut peers, id) = group_of(2, Suite::Envelope, Profile::Standard);
    let old = peers[0].encrypt(&id, b"old");
    let mut group = peers[0].load(&id);
    let last = (0..150).map(|_| group.encrypt(&peers[0].identity, b"new").unwrap()).last().unwrap();
    peers[0].apply(group.take_writes().unwrap());
    peers[1].reads(&id, &last, b"new");
    assert_eq!(
        peers[1].process(&id, &old),
        Err(ProcessError::Undecryptable(Undecryptable::TooOld))
    );
}

#[test]
fn late_messages_of_past_epochs() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let mut late = Vec::new();
    for _ in 0..4 {
        late.push(peers[1].encrypt(&id, b"late"));
        next_epoch(&mut peers, &id);
    }
    assert_eq!(
        peers[2].process(&id, &late[0]),
        Err(ProcessError::Undecryptable(Undecryptable::EpochGone))
    );
    for message in &late[1..] {
        peers[2].reads(&id, message, b"late");
    }
}

#[test]
fn a_joiner_has_the_same_windows() {
    let (mut peers, id) = group_of(2, Suite::Envelope, Profile::Standard);
    let mut guest = Peer::new();
    let package = guest.package(Suite::Envelope);
    let staged =
        peers[0].with(&id, |group, identity| group.add(identity, &[package], now())).unwrap();
    deliver(&mut peers, &id, 0, &staged);
    guest.join(staged.welcome.as_ref().unwrap());
    peers.push(guest);
    let late = peers[1].encrypt(&id, b"late");
    for _ in 0..3 {
        next_epoch(&mut peers, &id);
    }
    peers[2].reads(&id, &late, b"late");
}

#[test]
fn past_epochs_can_be_forgotten() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let late = [peers[1].encrypt(&id, b"one"), peers[1].encrypt(&id, b"two")];
    next_epoch(&mut peers, &id);
    next_epoch(&mut peers, &id);
    let newer = peers[1].encrypt(&id, b"newer");
    next_epoch(&mut peers, &id);
    peers[2].with(&id, |group, _| group.keep_past_epochs(3)).unwrap();
    peers[2].reads(&id, &late[0], b"one");
    peers[2].with(&id, |group, _| group.keep_past_epochs(1)).unwrap();
    assert!(peers[2].process(&id, &late[1]).is_err());
    peers[2].reads(&id, &newer, b"newer");
    peers[0].with(&id, |group, _| group.keep_past_epochs(0)).unwrap();
    assert!(peers[0].process(&id, &newer).is_err());
}

#[test]
fn a_group_that_grows_large_keeps_the_newest_epoch() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let old = peers[1].encrypt(&id, b"old");
    next_epoch(&mut peers, &id);
    let new = peers[1].encrypt(&id, b"new");
    next_epoch(&mut peers, &id);
    peers[2].with(&id, |group, _| group.transact(|group| group.keep_at_most(1))).unwrap();
    peers[2].reads(&id, &new, b"new");
    assert!(peers[2].process(&id, &old).is_err());
}

#[test]
fn large_groups_keep_fewer_epochs() {
    use crate::group::windows::past_epochs;
    assert_eq!((past_epochs(1), past_epochs(200), past_epochs(201)), (3, 3, 1));
}
