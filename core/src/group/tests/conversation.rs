//! Members of a group talk, in every suite and profile.

use super::support::{Peer, assert_agreed, deliver, group_of, now};
use crate::group::{EncryptError, GroupParams, Processed, Role};
use crate::id::GroupId;
use crate::message::{ContentKind, MessageKind, message_info};
use crate::provider::group_scope;
use crate::suite::{Profile, Suite};
use crate::{CreateError, Group};

fn every_kind() -> impl Iterator<Item = (Suite, Profile)> {
    Suite::ALL.into_iter().flat_map(|suite| [(suite, Profile::Standard), (suite, Profile::Plain)])
}

#[test]
fn everybody_reads_everybody() {
    for (suite, profile) in every_kind() {
        for count in [2, 3] {
            let (mut peers, id) = group_of(count, suite, profile);
            for sender in 0..count {
                for round in 0..3 {
                    let text = format!("{sender} says {round}");
                    let message = peers[sender].encrypt(&id, text.as_bytes());
                    for reader in (0..count).filter(|reader| *reader != sender) {
                        peers[reader].reads(&id, &message, text.as_bytes());
                    }
                    assert_eq!(peers[sender].process(&id, &message), Ok(Processed::OwnMessage));
                }
            }
            let group = peers[1].load(&id);
            assert_eq!((group.suite(), group.profile()), (suite, profile));
        }
    }
}

#[test]
fn members_roles_and_keys_are_known_to_all() {
    let (peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let group = peers[2].load(&id);
    let members = group.members();
    assert_eq!(members.len(), 3);
    for (leaf, peer) in (0..).zip(&peers) {
        let member = members.iter().find(|member| member.identity == peer.key()).unwrap();
        assert_eq!(member.hybrid.as_ref(), Some(peer.hybrid.public()));
        assert_eq!(member.leaf, leaf);
    }
    assert_eq!(group.role_of(&peers[0].key()), Some(Role::Admin));
    assert_eq!(group.role_of(&peers[1].key()), Some(Role::Member));
    assert_eq!(group.role_of(&Peer::new().key()), None);
    assert_eq!(group.own_identity(), Some(peers[2].key()));
    assert_eq!((group.name(), group.topic()), ("name".into(), "topic".into()));
    assert_eq!(group.admins(), [peers[0].key()].into());
}

#[test]
fn messages_carry_the_hint_of_their_epoch() {
    let (mut peers, id) = group_of(2, Suite::Envelope, Profile::Standard);
    let message = peers[0].encrypt(&id, b"x");
    let info = message_info(&message).unwrap();
    assert_eq!(info.kind, MessageKind::PrivateMessage);
    assert_eq!(info.group_id, Some(id.clone()));
    assert_eq!(info.epoch, Some(1));
    assert_eq!(info.content, Some(ContentKind::Application));
    assert_eq!(info.hint, Some(peers[1].load(&id).hint()));
    let key = peers[0].key();
    match peers[1].process(&id, &message).unwrap() {
        Processed::Application { sender, epoch, hint_matches, .. } => {
            assert_eq!((sender, epoch, hint_matches), (key, 1, Some(true)));
        }
        other => panic!("{other:?}"),
    }
    let staged = peers[0].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
    let info = message_info(&staged.commit).unwrap();
    assert!(info.is_commit());
    assert!(info.hint.is_some());
}

#[test]
fn lengths_are_padded() {
    let (mut peers, id) = group_of(2, Suite::Native, Profile::Standard);
    let short = peers[0].encrypt(&id, b"");
    let longer = peers[0].encrypt(&id, b"ok");
    assert_eq!(short.len(), longer.len());
}

#[test]
fn a_step_writes_only_rows_of_its_group() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let other = peers[0].create(Suite::Envelope, Profile::Plain);
    let before = peers[0].db[&group_scope(other.as_bytes())].clone();
    let mut group = peers[0].load(&id);
    group.encrypt(&peers[0].identity, b"opens our branch of the tree").unwrap();
    peers[0].apply(group.take_writes().unwrap());
    group.encrypt(&peers[0].identity, b"x").unwrap();
    let writes = group.take_writes().unwrap();
    assert_eq!(writes.len(), 1, "one message rewrites our ratchet and nothing else");
    assert!(writes.iter().all(|write| write.scope == group_scope(id.as_bytes())));
    peers[0].apply(writes);

    let staged = peers[0].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
    deliver(&mut peers, &id, 0, &staged);
    assert_eq!(peers[0].db[&group_scope(other.as_bytes())], before);
    assert_agreed(&peers, &id);
}

#[test]
fn other_identities_cannot_use_the_group() {
    let (mut peers, id) = group_of(2, Suite::Envelope, Profile::Standard);
    let stranger = Peer::new();
    let refused = peers[0].with(&id, |group, _| group.encrypt(&stranger.identity, b"x"));
    assert_eq!(refused, Err(EncryptError::WrongIdentity));
}

#[test]
fn a_plain_group_has_no_name() {
    let peer = Peer::new();
    let params = GroupParams {
        group_id: GroupId::random(),
        suite: Suite::Envelope,
        profile: Profile::Plain,
        name: "name",
        topic: "",
        hybrid: peer.hybrid.public(),
        now: now(),
    };
    assert_eq!(Group::create(&peer.identity, params).unwrap_err(), CreateError::PlainProfile);
}

#[test]
fn debug_shows_no_secrets() {
    let (peers, id) = group_of(1, Suite::Envelope, Profile::Standard);
    let shown = format!("{:?}", peers[0].load(&id));
    assert!(shown.len() < 200, "{shown}");
}
