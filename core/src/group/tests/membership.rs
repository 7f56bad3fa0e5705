//! Adding, removing, renaming, leaving, fresh keys.

use std::collections::BTreeSet;

use super::support::{Peer, assert_agreed, deliver, group_of, now};
use crate::group::{CommitError, EncryptError, Group, ProcessError, Processed, Role, Unauthorized};
use crate::kem::HybridSecret;
use crate::key_package::{self, KeyPackageError};
use crate::suite::{Profile, Suite};

const KINDS: [(Suite, Profile); 4] = [
    (Suite::Envelope, Profile::Standard),
    (Suite::Envelope, Profile::Plain),
    (Suite::Native, Profile::Standard),
    (Suite::Native, Profile::Plain),
];

#[test]
fn adding_and_removing() {
    for (suite, profile) in KINDS {
        let (mut peers, id) = group_of(3, suite, profile);
        let mut new = Peer::new();
        let package = new.package(suite);
        let staged =
            peers[0].with(&id, |group, identity| group.add(identity, &[package], now())).unwrap();
        assert_eq!(staged.recipients.len(), 3);
        assert_eq!(staged.added[0].identity, new.key());
        let summary = deliver(&mut peers, &id, 0, &staged);
        assert_eq!(summary.added.len(), 1);
        let joined = new.join(staged.welcome.as_ref().unwrap());
        assert_eq!(joined.inviter, peers[0].key());
        peers.push(new);
        assert_agreed(&peers, &id);
        let real = peers[0]
            .load(&id)
            .members()
            .into_iter()
            .find(|m| m.identity == summary.added[0].identity);
        assert_eq!(real, Some(summary.added[0].clone()));

        let victim = peers[1].key();
        let staged =
            peers[0].with(&id, |group, identity| group.remove(identity, &[victim])).unwrap();
        let summary = deliver(&mut peers, &id, 0, &staged);
        assert_eq!(summary.removed, [victim]);
        let mut removed = peers.remove(1);
        assert!(!removed.load(&id).is_active());
        assert_agreed(&peers, &id);

        let message = peers[0].encrypt(&id, b"without you");
        assert_eq!(removed.process(&id, &message), Err(ProcessError::Inactive));
        let refused = removed.with(&id, |group, identity| group.encrypt(identity, b"x"));
        assert_eq!(refused, Err(EncryptError::Inactive));
        peers[2].reads(&id, &message, b"without you");
    }
}

#[test]
fn a_removed_member_cannot_decrypt_with_its_old_state() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let victim = peers[2].key();
    let staged = peers[0].with(&id, |group, identity| group.remove(identity, &[victim])).unwrap();
    peers[0].merge(&id);
    peers[1].applies(&id, &staged.commit);
    let message = peers[0].encrypt(&id, b"secret");
    // It never saw its removal and still is in the old epoch.
    let refused = peers[2].process(&id, &message);
    assert_eq!(refused, Err(ProcessError::WrongEpoch { message_epoch: 2, group_epoch: 1 }));
}

#[test]
fn a_new_member_takes_the_free_place() {
    let (mut peers, id) = group_of(4, Suite::Envelope, Profile::Standard);
    let victim = peers[1].key();
    let staged = peers[0].with(&id, |group, identity| group.remove(identity, &[victim])).unwrap();
    deliver(&mut peers, &id, 0, &staged);
    peers.remove(1);
    let mut new = [Peer::new(), Peer::new()];
    let packages: Vec<_> = new.iter_mut().map(|peer| peer.package(Suite::Envelope)).collect();
    let staged =
        peers[0].with(&id, |group, identity| group.add(identity, &packages, now())).unwrap();
    deliver(&mut peers, &id, 0, &staged);
    let leaves: Vec<_> = staged.added.iter().map(|member| member.leaf).collect();
    assert_eq!(leaves, [1, 4]);
    let members = peers[0].load(&id).members();
    assert!(staged.added.iter().all(|added| members.contains(added)));
}

#[test]
fn renaming_and_naming_admins() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let staged = peers[0]
        .with(&id, |group, identity| group.set_context(identity, Some("new"), Some("why"), None))
        .unwrap();
    let summary = deliver(&mut peers, &id, 0, &staged);
    assert_eq!((summary.renamed.as_deref(), summary.topic.as_deref()), (Some("new"), Some("why")));
    assert_eq!(summary.admins, None);

    let admins: BTreeSet<_> = [peers[1].key()].into();
    let staged = peers[0]
        .with(&id, |group, identity| group.set_context(identity, None, None, Some(&admins)))
        .unwrap();
    let summary = deliver(&mut peers, &id, 0, &staged);
    assert_eq!(summary.admins, Some(admins));
    assert_agreed(&peers, &id);
    assert_eq!(peers[2].load(&id).role_of(&peers[0].key()), Some(Role::Member));
    assert_eq!(peers[2].load(&id).name(), "new");
    let refused =
        peers[0].with(&id, |group, identity| group.set_context(identity, Some("x"), None, None));
    assert_eq!(refused.unwrap_err(), CommitError::Unauthorized(Unauthorized::NotAdmin));
    assert!(!peers[0].load(&id).has_pending());
    let staged = peers[1]
        .with(&id, |group, identity| group.set_context(identity, Some("x"), None, None))
        .unwrap();
    deliver(&mut peers, &id, 1, &staged);
}

#[test]
fn a_removed_admin_is_none_when_added_again() {
    let (mut peers, id) = group_of(2, Suite::Envelope, Profile::Standard);
    let admins: BTreeSet<_> = peers.iter().map(Peer::key).collect();
    let staged = peers[0]
        .with(&id, |group, identity| group.set_context(identity, None, None, Some(&admins)))
        .unwrap();
    deliver(&mut peers, &id, 0, &staged);
    let victim = peers[1].key();
    let staged = peers[0].with(&id, |group, identity| group.remove(identity, &[victim])).unwrap();
    let summary = deliver(&mut peers, &id, 0, &staged);
    assert_eq!(summary.admins, Some([peers[0].key()].into()));
    assert_eq!((summary.removed, summary.left), (vec![victim], Vec::new()), "it had no say in it");
    let package = peers[1].package(Suite::Envelope);
    let staged =
        peers[0].with(&id, |group, identity| group.add(identity, &[package], now())).unwrap();
    peers[0].merge(&id);
    peers[1].db.retain(|scope, _| scope[0] == b'k');
    peers[1].join(staged.welcome.as_ref().unwrap());
    assert_agreed(&peers, &id);
    assert_eq!(peers[1].load(&id).role_of(&victim), Some(Role::Member));
}

#[test]
fn updating_keys() {
    for suite in Suite::ALL {
        let (mut peers, id) = group_of(3, suite, Profile::Standard);
        let fresh = HybridSecret::generate().unwrap();
        let staged = peers[1]
            .with(&id, |group, identity| group.update_keys(identity, Some(fresh.public())))
            .unwrap();
        deliver(&mut peers, &id, 1, &staged);
        let staged =
            peers[1].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
        deliver(&mut peers, &id, 1, &staged);
        assert_agreed(&peers, &id);
        let members = peers[0].load(&id).members();
        let updated = members.iter().find(|member| member.identity == peers[1].key()).unwrap();
        assert_eq!(updated.hybrid.as_ref(), Some(fresh.public()), "kept when none is given");
        let message = peers[1].encrypt(&id, b"after");
        peers[2].reads(&id, &message, b"after");
    }
}

#[test]
fn leaving() {
    for (suite, profile) in KINDS {
        let (mut peers, id) = group_of(3, suite, profile);
        let proposal = peers[2].with(&id, Group::propose_leave).unwrap();
        let leaver = peers[2].key();
        for peer in &mut peers[..2] {
            assert_eq!(
                peer.process(&id, &proposal),
                Ok(Processed::LeaveProposed { member: leaver })
            );
            assert!(peer.load(&id).has_proposals());
            let blocked = peer.with(&id, |group, identity| group.encrypt(identity, b"x"));
            assert_eq!(blocked, Err(EncryptError::ProposalsPending));
        }
        let own = peers[2].with(&id, Group::commit_proposals);
        assert_eq!(own.unwrap_err(), CommitError::Nothing);
        // A member without a role may commit it.
        let staged = peers[1].with(&id, Group::commit_proposals).unwrap();
        let summary = deliver(&mut peers, &id, 1, &staged);
        assert_eq!((summary.by, summary.removed), (peers[1].key(), vec![leaver]));
        assert_eq!(summary.left, [leaver], "by its own wish");
        let left = peers.remove(2);
        assert!(!left.load(&id).is_active());
        assert!(!peers[0].load(&id).has_proposals());
        assert_agreed(&peers, &id);
        let message = peers[0].encrypt(&id, b"on");
        peers[1].reads(&id, &message, b"on");
    }
}

#[test]
fn other_commits_cover_stored_leaves() {
    let (mut peers, id) = group_of(4, Suite::Envelope, Profile::Standard);
    let leaver = peers[3].key();
    let proposal = peers[3].with(&id, Group::propose_leave).unwrap();
    for peer in &mut peers[..3] {
        peer.process(&id, &proposal).unwrap();
    }
    let staged = peers[0]
        .with(&id, |group, identity| group.set_context(identity, Some("new"), None, None))
        .unwrap();
    // An admin removes by value; whose wish it was is known all the same.
    let summary = deliver(&mut peers, &id, 0, &staged);
    assert_eq!((summary.removed, summary.left), (vec![leaver], vec![leaver]));
    peers.remove(3);
    assert_agreed(&peers, &id);
}

#[test]
fn a_leaver_may_also_be_removed_by_name() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let leaver = peers[2].key();
    let proposal = peers[2].with(&id, Group::propose_leave).unwrap();
    for peer in &mut peers[..2] {
        peer.process(&id, &proposal).unwrap();
    }
    let staged = peers[0].with(&id, |group, identity| group.remove(identity, &[leaver])).unwrap();
    let summary = deliver(&mut peers, &id, 0, &staged);
    assert_eq!(summary.removed, [leaver]);
}

#[test]
fn the_last_admin_names_a_successor() {
    let (mut peers, id) = group_of(4, Suite::Envelope, Profile::Standard);
    let refused = peers[0].with(&id, Group::propose_leave);
    assert_eq!(refused, Err(CommitError::Unauthorized(Unauthorized::NoAdminLeft)));
    let admins: BTreeSet<_> = [peers[0].key(), peers[1].key()].into();
    let staged = peers[0]
        .with(&id, |group, identity| group.set_context(identity, None, None, Some(&admins)))
        .unwrap();
    deliver(&mut peers, &id, 0, &staged);
    // Both admins want to leave at once: one goes, one stays, which keeps nobody else.
    let leavers = [0, 1, 3];
    let proposals = leavers.map(|index| peers[index].with(&id, Group::propose_leave).unwrap());
    for (leaver, proposal) in leavers.into_iter().zip(&proposals) {
        for peer in (0..4).filter(|peer| *peer != leaver) {
            peers[peer].process(&id, proposal).unwrap();
        }
    }
    let staged = peers[2].with(&id, Group::commit_proposals).unwrap();
    let summary = deliver(&mut peers, &id, 2, &staged);
    let removed: BTreeSet<_> = summary.removed.into_iter().collect();
    assert_eq!(removed, [peers[0].key(), peers[3].key()].into());
    assert!(peers[1].load(&id).is_active());
}

#[test]
fn mistakes_are_named() {
    let (mut peers, id) = group_of(2, Suite::Envelope, Profile::Standard);
    let own = peers[0].key();
    let stranger = Peer::new().key();
    let native = Peer::new().package(Suite::Native);
    let again = peers[1].package(Suite::Envelope);
    let member = peers[1].key();
    peers[0].with(&id, |group, identity| {
        assert_eq!(group.remove(identity, &[own]).unwrap_err(), CommitError::RemoveSelf);
        assert_eq!(group.remove(identity, &[]).unwrap_err(), CommitError::Nothing);
        let unknown = group.remove(identity, &[stranger]).unwrap_err();
        assert_eq!(unknown, CommitError::NotAMember(stranger));
        assert!(matches!(group.add(identity, &[native], now()), Err(CommitError::Suite(_))));
        let member_already = group.add(identity, &[again], now()).unwrap_err();
        assert_eq!(member_already, CommitError::AlreadyMember(member));
        let malformed = group.add(identity, &[vec![1, 2, 3]], now()).unwrap_err();
        assert_eq!(malformed, CommitError::KeyPackage(0, KeyPackageError::Malformed));
        assert_eq!(group.merge_pending().unwrap_err(), CommitError::Nothing);
        assert!(!group.dirty(), "nothing was written");
        group.update_keys(identity, None).unwrap();
        assert_eq!(group.update_keys(identity, None).unwrap_err(), CommitError::Pending);
    });
}

#[test]
fn a_package_with_too_little_life_is_not_added() {
    let (mut peers, id) = group_of(1, Suite::Envelope, Profile::Standard);
    let package = Peer::new().package(Suite::Envelope);
    let later = now() + 36 * 24 * 60 * 60;
    assert!(!key_package::inspect(&package, later).unwrap().may_be_added(later));
    let refused = peers[0].with(&id, |group, identity| group.add(identity, &[package], later));
    assert!(matches!(
        refused,
        Err(CommitError::KeyPackage(0, KeyPackageError::TooLittleLeft { .. }))
    ));
}

#[test]
fn fifty_in_one_commit() {
    let (mut peers, id) = group_of(1, Suite::Envelope, Profile::Standard);
    let mut new: Vec<Peer> = (0..50).map(|_| Peer::new()).collect();
    let packages: Vec<_> = new.iter_mut().map(|peer| peer.package(Suite::Envelope)).collect();
    let staged =
        peers[0].with(&id, |group, identity| group.add(identity, &packages, now())).unwrap();
    assert_eq!((staged.recipients.len(), staged.added.len()), (1, 50));
    peers[0].merge(&id);
    for mut peer in [new.remove(49), new.remove(0)] {
        peer.join(staged.welcome.as_ref().unwrap());
        peers.push(peer);
    }
    assert_agreed(&peers, &id);
    let message = peers[1].encrypt(&id, b"hello all");
    peers[0].reads(&id, &message, b"hello all");
    peers[2].reads(&id, &message, b"hello all");
}
