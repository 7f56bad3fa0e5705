//! Commits and proposals that our own code would not make, built with openmls.

use std::collections::BTreeSet;

use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{BasicCredential, CredentialWithKey, KeyPackage, LeafNodeParameters};

use super::support::{Peer, assert_agreed, deliver, group_of, now};
use crate::credential::credential_of;
use crate::extension::{ExtensionError, capabilities, leaf_extensions};
use crate::group::encrypt::to_bytes;
use crate::group::{CommitError, Forgery, Group, JoinError, ProcessError, Unauthorized};
use crate::id::GroupId;
use crate::identity::Identity;
use crate::key_package::for_adding;
use crate::provider::{IdentitySigner, MlsStore, Provider};
use crate::suite::{Profile, Suite};

/// A commit that no rule of ours has seen; the peer's rows stay as they were.
fn forge(peer: &Peer, id: &GroupId, parts: &[Forgery]) -> (Vec<u8>, Option<Vec<u8>>) {
    peer.load(id).forge(&peer.identity, parts).unwrap()
}

/// Every other member refuses the message for the same reason and stays as it is.
#[track_caller]
fn all_refuse(
    peers: &mut [Peer],
    id: &GroupId,
    sender: usize,
    message: &[u8],
    reason: Unauthorized,
) {
    for (index, peer) in peers.iter_mut().enumerate() {
        if index != sender {
            let rows = peer.db.clone();
            assert_eq!(peer.process(id, message), Err(ProcessError::Unauthorized(reason)));
            assert_eq!(peer.db, rows);
        }
    }
    // And the group goes on.
    let staged = peers[0].with(id, |group, identity| group.update_keys(identity, None)).unwrap();
    deliver(peers, id, 0, &staged);
    assert_agreed(peers, id);
}

fn leaf_index(peer: &Peer, of: &Peer, id: &GroupId) -> openmls::prelude::LeafNodeIndex {
    peer.load(id).leaf_of(&of.key()).unwrap()
}

#[test]
fn only_admins_add() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let mut friend = Peer::new();
    let package = friend.package(Suite::Envelope);
    let own = peers[1]
        .with(&id, |group, identity| group.add(identity, std::slice::from_ref(&package), now()));
    assert_eq!(own.unwrap_err(), CommitError::Unauthorized(Unauthorized::NotAdmin));
    let (commit, welcome) = forge(&peers[1], &id, &[Forgery::Add(package, now())]);
    all_refuse(&mut peers, &id, 1, &commit, Unauthorized::NotAdmin);
    // The friend notices as well.
    let welcome = welcome.unwrap();
    let joined = Group::join(&friend.identity, &welcome, friend.package_rows(&welcome));
    assert_eq!(joined.unwrap_err(), JoinError::InviterNotAdmin);
}

/// Who is added would refuse to join.
#[test]
fn whoever_adds_stays_an_admin() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let mut friend = Peer::new();
    let package = friend.package(Suite::Envelope);
    let handed_on = Forgery::Admins([peers[1].key()].into());
    let (commit, welcome) = forge(&peers[0], &id, &[Forgery::Add(package, now()), handed_on]);
    all_refuse(&mut peers, &id, 0, &commit, Unauthorized::NotAdmin);
    let welcome = welcome.unwrap();
    let joined = Group::join(&friend.identity, &welcome, friend.package_rows(&welcome));
    assert_eq!(joined.unwrap_err(), JoinError::InviterNotAdmin);
}

#[test]
fn only_admins_remove() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let (commit, _) = forge(&peers[1], &id, &[Forgery::Remove(peers[2].key())]);
    all_refuse(&mut peers, &id, 1, &commit, Unauthorized::NotAdmin);
    // Not even as a way to leave: by value it is a removal.
    let (commit, _) = forge(&peers[1], &id, &[Forgery::Remove(peers[0].key())]);
    all_refuse(&mut peers, &id, 1, &commit, Unauthorized::NotAdmin);
}

#[test]
fn only_admins_change_the_context() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let (commit, _) = forge(&peers[1], &id, &[Forgery::Admins([peers[1].key()].into())]);
    all_refuse(&mut peers, &id, 1, &commit, Unauthorized::NotAdmin);
}

#[test]
fn an_admin_cannot_break_the_context() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let stranger = Forgery::Admins([Peer::new().key()].into());
    for (part, reason) in
        [(Forgery::Plain, Unauthorized::Profile), (stranger, Unauthorized::NoAdminLeft)]
    {
        let (commit, _) = forge(&peers[0], &id, &[part]);
        all_refuse(&mut peers, &id, 0, &commit, reason);
    }
}

/// openmls itself wants every member to know a type of proposal before it is committed.
#[test]
fn proposals_that_nobody_knows_are_not_even_made() {
    let (peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let forged = peers[0].load(&id).forge(&peers[0].identity, &[Forgery::Custom(0xF0FF, vec![1])]);
    assert_eq!(forged, None);
}

#[test]
fn a_plain_group_stays_plain() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Plain);
    let (commit, _) = forge(&peers[1], &id, &[Forgery::Admins([peers[1].key()].into())]);
    all_refuse(&mut peers, &id, 1, &commit, Unauthorized::Profile);
    let refused =
        peers[0].with(&id, |group, identity| group.set_context(identity, Some("x"), None, None));
    assert_eq!(refused.unwrap_err(), CommitError::PlainProfile);
}

#[test]
fn by_reference_only_leaving() {
    for profile in [Profile::Standard, Profile::Plain] {
        let (mut peers, id) = group_of(3, Suite::Envelope, profile);
        let package = Peer::new().package(Suite::Envelope);
        // Not even an admin.
        for sender in [0, 1] {
            let victim = leaf_index(&peers[sender], &peers[2], &id);
            let proposals = {
                let signer = Identity::from_seed(peers[sender].identity.seed());
                let signer = IdentitySigner(&signer);
                let load = || peers[sender].load(&id);
                let (mut one, mut two, mut three) = (load(), load(), load());
                let (package, _) = for_adding(&one.provider, &package, now()).unwrap();
                [
                    one.mls.propose_add_member(&one.provider, &signer, &package).unwrap().0,
                    two.mls.propose_remove_member(&two.provider, &signer, victim).unwrap().0,
                    three
                        .mls
                        .propose_self_update(
                            &three.provider,
                            &signer,
                            LeafNodeParameters::default(),
                        )
                        .unwrap()
                        .0,
                ]
            };
            for (index, peer) in peers.iter_mut().enumerate() {
                for proposal in proposals.iter().filter(|_| index != sender) {
                    let refused = peer.process(&id, &to_bytes(proposal).unwrap());
                    assert_eq!(refused, Err(ProcessError::Unauthorized(Unauthorized::ByReference)));
                    assert!(!peer.load(&id).has_proposals());
                }
            }
        }
    }
}

#[test]
fn the_last_admin_cannot_slip_away() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let mut group = peers[0].load(&id);
    let signer = Identity::from_seed(peers[0].identity.seed());
    let Group { mls, provider, .. } = &mut group;
    let proposal = mls.leave_group(provider, &IdentitySigner(&signer)).unwrap();
    all_refuse(&mut peers, &id, 0, &to_bytes(&proposal).unwrap(), Unauthorized::NoAdminLeft);
}

#[test]
fn nobody_changes_identity() {
    for profile in [Profile::Standard, Profile::Plain] {
        let (mut peers, id) = group_of(3, Suite::Envelope, profile);
        let other = Identity::generate();
        let commit = peers[1].load(&id).forge_identity(&peers[1].identity, &other).unwrap();
        all_refuse(&mut peers, &id, 1, &commit, Unauthorized::Identity);
    }
}

/// Who is in a group is not asked for its name again: a leaf that names somebody else would speak for
/// it as long as the group lives.
#[test]
fn nobody_comes_under_another_name() {
    for profile in [Profile::Standard, Profile::Plain] {
        let (mut peers, id) = group_of(3, Suite::Envelope, profile);
        let (impostor, somebody, mut friend) =
            (Identity::generate(), Identity::generate(), Peer::new());
        let named = CredentialWithKey {
            credential: BasicCredential::new(somebody.key().as_bytes().to_vec()).into(),
            signature_key: impostor.key().as_bytes().to_vec().into(),
        };
        let provider = Provider::default();
        let bundle = KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .leaf_node_extensions(leaf_extensions(friend.hybrid.public()).unwrap())
            .build(Suite::Envelope.ciphersuite(), &provider, &IdentitySigner(&impostor), named)
            .unwrap();
        let (package, _) = for_adding(&provider, &friend.package(Suite::Envelope), now()).unwrap();
        let mut group = peers[0].load(&id);
        let signer = IdentitySigner(&peers[0].identity);
        let Group { mls, provider, .. } = &mut group;
        let packages = [bundle.key_package().clone(), package];
        let (commit, welcome, _) = mls.add_members(provider, &signer, &packages).unwrap();
        let (commit, welcome) = (to_bytes(&commit).unwrap(), to_bytes(&welcome).unwrap());
        all_refuse(&mut peers, &id, 0, &commit, Unauthorized::Identity);
        let refused = Group::join(&friend.identity, &welcome, friend.package_rows(&welcome));
        assert_eq!(refused.unwrap_err(), JoinError::Identity);
    }
}

#[test]
fn a_malformed_hybrid_key_is_refused() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let (commit, _) = forge(&peers[1], &id, &[Forgery::Hybrid(Some(vec![1, 2, 3]))]);
    all_refuse(&mut peers, &id, 1, &commit, Unauthorized::Extension(ExtensionError::Hybrid));
    assert!(leaf_extensions(peers[1].hybrid.public()).is_ok());
}

#[test]
fn nobody_goes_without_a_hybrid_key() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let (commit, _) = forge(&peers[1], &id, &[Forgery::Hybrid(None)]);
    all_refuse(&mut peers, &id, 1, &commit, Unauthorized::NoHybridKey);
    // Nor does an admin add somebody without one.
    let friend = Peer::new();
    let (commit, _) = forge(&peers[0], &id, &[Forgery::Add(bare_package(&friend), now())]);
    all_refuse(&mut peers, &id, 0, &commit, Unauthorized::NoHybridKey);
}

/// A key package with our capabilities and no extensions in its leaf.
fn bare_package(peer: &Peer) -> Vec<u8> {
    let store = MlsStore::new();
    let provider = Provider::new(store);
    let signer = IdentitySigner(&peer.identity);
    openmls::prelude::KeyPackage::builder()
        .leaf_node_capabilities(capabilities())
        .build(Suite::Envelope.ciphersuite(), &provider, &signer, credential_of(&peer.identity))
        .unwrap()
        .key_package()
        .tls_serialize_detached()
        .unwrap()
}

#[test]
fn handshakes_in_the_clear_are_refused() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let commit = peers[0].load(&id).forge_in_the_clear(&peers[0].identity).unwrap();
    all_refuse(&mut peers, &id, 0, &commit, Unauthorized::NotEncrypted);
}

#[test]
fn a_commit_of_an_unknown_proposal_is_refused_by_all() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    // Peer 1 proposes to remove peer 2 by reference and commits that itself.
    let victim = leaf_index(&peers[1], &peers[2], &id);
    let signer = Identity::from_seed(peers[1].identity.seed());
    let mut group = peers[1].load(&id);
    let Group { mls, provider, .. } = &mut group;
    mls.propose_remove_member(provider, &IdentitySigner(&signer), victim).unwrap();
    let (commit, _, _) =
        mls.commit_to_pending_proposals(provider, &IdentitySigner(&signer)).unwrap();
    let commit = to_bytes(&commit).unwrap();
    for index in [0, 2] {
        let refused = peers[index].process(&id, &commit).unwrap_err();
        assert!(matches!(refused, ProcessError::Undecryptable(_)), "{refused}");
        assert!(refused.is_final());
    }
}

#[test]
fn in_a_plain_group_everybody_may() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Plain);
    let victim = peers[0].key();
    let staged = peers[1].with(&id, |group, identity| group.remove(identity, &[victim])).unwrap();
    deliver(&mut peers, &id, 1, &staged);
    let left: BTreeSet<_> = peers[2].load(&id).members().into_iter().map(|m| m.identity).collect();
    assert_eq!(left, [peers[1].key(), peers[2].key()].into());
}
