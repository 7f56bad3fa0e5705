//! Adding a member again on its own signed request.

use super::support::{Peer, assert_agreed, deliver, group_of, now};
use crate::group::commit::CommitError;
use crate::group::{
    Forgery, Group, JoinError, ProcessError, RepairError, RepairRequest, Unauthorized,
};
use crate::id::GroupId;
use crate::message::message_info;
use crate::suite::{Profile, Suite};

fn readd(
    peer: &mut Peer,
    id: &GroupId,
    request: &RepairRequest,
    package: &[u8],
) -> Result<crate::group::Staged, RepairError> {
    peer.with(id, |group, identity| group.readd(identity, request, package, now()))
}

#[test]
fn any_member_adds_again_who_asks() {
    for profile in [Profile::Standard, Profile::Plain] {
        let (mut peers, id) = group_of(3, Suite::Envelope, profile);
        // The only admin has lost its state; a member without a role helps.
        let mut lost = peers.remove(0);
        let key = lost.key();
        let sealed = RepairRequest::sign(&lost.identity, &id, 1, None).as_bytes().to_vec();
        let request = RepairRequest::parse(&sealed).unwrap();
        assert_eq!((request.member, &request.group_id, request.epoch), (key, &id, 1));
        let package = lost.package(Suite::Envelope);
        let staged = readd(&mut peers[0], &id, &request, &package).unwrap();
        assert!(message_info(&staged.commit).unwrap().hint.is_some());
        let summary = deliver(&mut peers, &id, 0, &staged);
        assert_eq!(summary.removed, [key]);
        assert_eq!(summary.added[0].identity, key);

        lost.db.retain(|scope, _| scope[0] == b'k');
        let welcome = staged.welcome.unwrap();
        if profile == Profile::Standard {
            let refused = Group::join(&lost.identity, &welcome, lost.package_rows(&welcome));
            assert_eq!(refused.unwrap_err(), JoinError::InviterNotAdmin);
        }
        let joined = Group::rejoin(&lost.identity, &welcome, lost.package_rows(&welcome)).unwrap();
        lost.apply(joined.writes);
        peers.insert(0, lost);
        assert_agreed(&peers, &id);
        if profile == Profile::Standard {
            assert_eq!(peers[1].load(&id).admins(), [key].into());
        }
        let message = peers[0].encrypt(&id, b"back");
        peers[2].reads(&id, &message, b"back");
    }
}

#[test]
fn a_request_serves_one_group_epoch_and_member() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let package = peers[2].package(Suite::Envelope);
    let foreign = peers[1].package(Suite::Envelope);
    let request = |epoch, id: &GroupId, peers: &[Peer]| {
        RepairRequest::sign(&peers[2].identity, id, epoch, None)
    };
    let good = request(1, &id, &peers);
    let stale = request(0, &id, &peers);
    let elsewhere = request(1, &GroupId::random(), &peers);
    let other_branch = RepairRequest::sign(&peers[2].identity, &id, 1, Some([1; 8]));
    for bad in [&stale, &elsewhere, &other_branch] {
        let refused = readd(&mut peers[1], &id, bad, &package);
        assert_eq!(refused.unwrap_err(), RepairError::OtherRequest);
    }
    let duplicate = readd(&mut peers[1], &id, &good, &foreign).unwrap_err();
    assert!(matches!(duplicate, RepairError::Commit(CommitError::AlreadyMember(_))));
    let stranger = Peer::new().package(Suite::Envelope);
    let other = readd(&mut peers[1], &id, &good, &stranger).unwrap_err();
    assert_eq!(other, RepairError::OtherRequest);
    let own = peers[2].with(&id, |group, identity| group.readd(identity, &good, &package, now()));
    assert_eq!(own.unwrap_err(), RepairError::Commit(CommitError::RemoveSelf));
}

#[test]
fn a_request_excuses_nothing_else() {
    let (mut peers, id) = group_of(4, Suite::Envelope, Profile::Standard);
    let request = RepairRequest::sign(&peers[2].identity, &id, 1, None);
    let victims = [2, 3].map(|index: usize| peers[index].key());
    // Removed on the strength of the request, but not added, or together with somebody else.
    for count in [1, 2] {
        let mut group = peers[1].load(&id);
        let leaves: Vec<_> =
            victims[..count].iter().map(|key| group.leaf_of(key).unwrap()).collect();
        let aad = [group.hint().as_slice(), request.as_bytes()].concat();
        group.mls.set_aad(aad);
        let signer = crate::provider::IdentitySigner(&peers[1].identity);
        let (commit, _, _) = group.mls.remove_members(&group.provider, &signer, &leaves).unwrap();
        let commit = crate::group::encrypt::to_bytes(&commit).unwrap();
        for index in [0, 2, 3] {
            let refused = peers[index].process(&id, &commit);
            assert_eq!(refused, Err(ProcessError::Unauthorized(Unauthorized::NotAdmin)));
        }
    }
    // In its place somebody else is added.
    let stranger = Forgery::Add(Peer::new().package(Suite::Envelope), now());
    let mut group = peers[1].load(&id);
    group.mls.set_aad([group.hint().as_slice(), request.as_bytes()].concat());
    let parts = [Forgery::Remove(victims[0]), stranger];
    let (commit, _) = group.forge(&peers[1].identity, &parts).unwrap();
    for index in [0, 2, 3] {
        let refused = peers[index].process(&id, &commit);
        assert_eq!(refused, Err(ProcessError::Unauthorized(Unauthorized::NotAdmin)));
    }
}

#[test]
fn damaged_requests_do_not_parse() {
    let identity = crate::identity::Identity::generate();
    let request = RepairRequest::sign(&identity, &GroupId::random(), 7, Some([5; 8]));
    assert_eq!(RepairRequest::parse(request.as_bytes()), Ok(request.clone()));
    let again = RepairRequest::sign(&identity, &request.group_id, 7, Some([5; 8]));
    assert_ne!(again.as_bytes(), request.as_bytes(), "a node knows no request by its bytes");
    for at in 0..request.as_bytes().len() {
        let mut damaged = request.as_bytes().to_vec();
        damaged[at] ^= 1;
        assert!(RepairRequest::parse(&damaged).is_err(), "byte {at}");
        assert!(RepairRequest::parse(&request.as_bytes()[..at]).is_err());
    }
    assert!(RepairRequest::parse(&[request.as_bytes(), b"x"].concat()).is_err());
}
