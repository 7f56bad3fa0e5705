//! Welcomes: joining, joining twice, last-resort packages.

use super::support::{Peer, assert_agreed, group_of, now};
use crate::group::{Group, JoinError, LoadError, Processed, welcome_key_package_refs};
use crate::id::GroupId;
use crate::provider::{StoreError, key_package_scope};
use crate::suite::{Profile, Suite};

fn invite(peers: &mut [Peer], id: &GroupId, package: Vec<u8>) -> Vec<u8> {
    let staged =
        peers[0].with(id, |group, identity| group.add(identity, &[package], now())).unwrap();
    peers[0].merge(id);
    staged.welcome.unwrap()
}

#[test]
fn a_welcome_can_be_looked_at_first() {
    let (mut peers, id) = group_of(1, Suite::Native, Profile::Standard);
    let mut guest = Peer::new();
    let package = guest.package(Suite::Native);
    let welcome = invite(&mut peers, &id, package);
    let info = Group::peek_welcome(&welcome, guest.package_rows(&welcome)).unwrap();
    assert_eq!((info.group_id, info.epoch, info.inviter), (id.clone(), 1, peers[0].key()));
    assert_eq!(
        (info.suite, info.profile, info.name.as_str()),
        (Suite::Native, Profile::Standard, "name")
    );
    assert_eq!(info.members.len(), 2);
    let joined = guest.join(&welcome);
    assert_eq!(joined.used_refs, welcome_key_package_refs(&welcome).unwrap());
    assert!(!joined.last_resort);
    peers.push(guest);
    assert_agreed(&peers, &id);
}

#[test]
fn the_same_welcome_twice() {
    let (mut peers, id) = group_of(1, Suite::Envelope, Profile::Standard);
    let mut guest = Peer::new();
    let package = guest.package(Suite::Envelope);
    let welcome = invite(&mut peers, &id, package);
    guest.join(&welcome);
    let again = Group::join(&guest.identity, &welcome, guest.package_rows(&welcome));
    assert_eq!(again.unwrap_err(), JoinError::NoKeyPackage);
    let scope = key_package_scope(&welcome_key_package_refs(&welcome).unwrap()[0]);
    assert!(guest.db[&scope].is_empty(), "the one-time package is gone");
}

#[test]
fn a_last_resort_package_serves_several_welcomes() {
    let mut guest = Peer::new();
    let package = guest.packages(Suite::Envelope, 1, true).remove(0);
    for _ in 0..2 {
        let (mut peers, id) = group_of(1, Suite::Envelope, Profile::Standard);
        let welcome = invite(&mut peers, &id, package.clone());
        let joined = guest.join(&welcome);
        assert!(joined.last_resort);
        let message = peers[0].encrypt(&id, b"hello");
        guest.reads(&id, &message, b"hello");
    }
}

#[test]
fn a_welcome_for_others_is_refused() {
    let (mut peers, id) = group_of(1, Suite::Envelope, Profile::Standard);
    let mut guest = Peer::new();
    let package = guest.package(Suite::Envelope);
    let welcome = invite(&mut peers, &id, package);
    let stranger = Peer::new();
    let refused = Group::join(&stranger.identity, &welcome, Vec::new());
    assert_eq!(refused.unwrap_err(), JoinError::NoKeyPackage);
    let refused = Group::join(&stranger.identity, &welcome, guest.package_rows(&welcome));
    assert_eq!(refused.unwrap_err(), JoinError::WrongIdentity);
    let refused = Group::join(&guest.identity, b"no", guest.package_rows(&welcome));
    assert_eq!(refused.unwrap_err(), JoinError::Malformed);
    let mut damaged = welcome.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let refused = Group::join(&guest.identity, &damaged, guest.package_rows(&welcome));
    assert!(matches!(refused, Err(JoinError::Invalid(_))));
}

#[test]
fn a_joiner_can_be_of_a_third_party_welcome() {
    // One Welcome for several: each loads only its own package.
    let (mut peers, id) = group_of(4, Suite::Envelope, Profile::Plain);
    let message = peers[3].encrypt(&id, b"hi");
    assert!(matches!(peers[1].process(&id, &message), Ok(Processed::Application { .. })));
}

#[test]
fn missing_and_corrupt_rows_are_told_apart() {
    let (peers, id) = group_of(1, Suite::Envelope, Profile::Standard);
    assert_eq!(Group::load(&id, []).unwrap_err(), LoadError::Missing);
    let mut rows = peers[0].db.values().next().unwrap().clone();
    rows.insert(b"tree".to_vec(), vec![0xFF]);
    assert_eq!(
        Group::load(&id, rows).unwrap_err(),
        LoadError::Store(StoreError::Corrupt("tree".into()))
    );
}
