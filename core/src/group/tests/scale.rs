//! What messages write, and what stays of it.

use std::collections::BTreeSet;

use super::support::{Peer, deliver, group_of, now};
use crate::group::{Group, LoadError, ProcessError, Processed, Undecryptable};
use crate::id::GroupId;
use crate::provider::{MlsStore, StoreError, group_scope};
use crate::suite::{Profile, Suite};

/// A speaker and a listener among `members`; the others only have leaves.
struct Room {
    speaker: Peer,
    listener: Peer,
    id: GroupId,
}

impl Room {
    /// The second commit leaves a past epoch behind that has all the members.
    fn of(members: usize, suite: Suite) -> Self {
        let (mut speaker, mut listener) = (Peer::new(), Peer::new());
        let id = speaker.create(suite, Profile::Standard);
        let mut packages = vec![listener.package(suite)];
        packages.extend((2..members).map(|_| Peer::new().package(suite)));
        let staged =
            speaker.with(&id, |group, identity| group.add(identity, &packages, now())).unwrap();
        speaker.merge(&id);
        listener.join(staged.welcome.as_ref().unwrap());
        let staged =
            speaker.with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
        speaker.merge(&id);
        listener.applies(&id, &staged.commit);
        Self { speaker, listener, id }
    }
}

/// Bytes of rows since the last call.
fn written(group: &mut Group) -> usize {
    let writes = group.take_writes().unwrap();
    writes.iter().map(|write| write.key.len() + write.value.as_ref().map_or(0, |v| v.len())).sum()
}

#[test]
fn one_message_writes_its_ratchet_whatever_the_size_of_the_group() {
    let sizes = [(Suite::Envelope, 2), (Suite::Envelope, 100), (Suite::Native, 2)];
    for (suite, members) in sizes.into_iter().chain([(Suite::Native, 10), (Suite::Native, 1000)]) {
        let room = Room::of(members, suite);
        let (mut from, mut to) = (room.speaker.load(&room.id), room.listener.load(&room.id));
        let mut messages = |count: usize| {
            for _ in 0..count {
                let message = from.encrypt(&room.speaker.identity, b"text").unwrap();
                to.process(&message).unwrap();
            }
            (written(&mut from), written(&mut to))
        };
        // The first ones open branches of the tree.
        let (sent, received) = messages(1);
        assert!(sent < 6 * 1024 && received < 6 * 1024, "{members}: first {sent} {received}");
        let (sent, received) = messages(1);
        assert!(sent < 512 && received < 512, "{members}: one {sent} {received}");
        let (sent, received) = messages(100);
        assert!(sent < 512 && received < 512, "{members}: a hundred {sent} {received}");
    }
}

/// The trees of epochs that have rows.
fn trees(peer: &Peer, id: &GroupId) -> BTreeSet<Vec<u8>> {
    let rows = peer.db[&group_scope(id.as_bytes())].keys();
    rows.filter_map(|key| key.strip_prefix(b"ms/")).map(|key| key[..8].to_vec()).collect()
}

#[test]
fn secrets_of_an_epoch_that_is_not_kept_leave_the_rows() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let mut names = BTreeSet::new();
    for _ in 0..6 {
        for speaker in 0..3 {
            let message = peers[speaker].encrypt(&id, b"text");
            for listener in (0..3).filter(|listener| *listener != speaker) {
                peers[listener].reads(&id, &message, b"text");
            }
        }
        let now = trees(&peers[0], &id);
        assert!(now.len() <= 1 + peers[0].load(&id).past_epochs(), "{} trees", now.len());
        names.extend(now);
        let staged =
            peers[1].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
        deliver(&mut peers, &id, 1, &staged);
    }
    assert_eq!(names.len(), 7, "each epoch has a tree of its own");
    peers[0].with(&id, |group, _| group.keep_past_epochs(0)).unwrap();
    assert_eq!(trees(&peers[0], &id).len(), 1);
}

#[test]
fn secrets_that_were_written_in_one_row_still_read() {
    let mut room = Room::of(10, Suite::Native);
    let scope = group_scope(room.id.as_bytes());
    let rows = room.speaker.db.get_mut(&scope).unwrap();
    let store = MlsStore::new();
    store.load_scope(scope.clone(), rows.clone());
    let plain = store.joined(&scope).unwrap().unwrap().to_vec();
    let long = plain.len();
    rows.retain(|key, _| !key.starts_with(b"ms/"));
    rows.insert(b"message_secrets".to_vec(), plain);
    let message = room.speaker.encrypt(&room.id, b"text");
    room.listener.reads(&room.id, &message, b"text");
    let rows = &room.speaker.db[&scope];
    assert!(rows[b"message_secrets".as_slice()].len() < long / 4, "written in the new way");
    assert!(rows.keys().any(|key| key.starts_with(b"ms/")));
}

#[test]
fn a_row_that_is_missing_is_told() {
    let mut room = Room::of(10, Suite::Envelope);
    room.speaker.encrypt(&room.id, b"text");
    let rows = room.speaker.db[&group_scope(room.id.as_bytes())].clone();
    let pieces: Vec<_> = rows.keys().filter(|key| key.starts_with(b"ms/")).collect();
    assert!(pieces.len() > 4);
    for key in pieces {
        let mut rows = rows.clone();
        rows.remove(key);
        let error = Group::load(&room.id, rows).unwrap_err();
        assert!(matches!(error, LoadError::Store(StoreError::Corrupt(_))), "{error}");
    }
}

#[test]
fn what_was_not_flushed_is_undone_and_what_was_is_kept() {
    let room = Room::of(2, Suite::Native);
    let mut from = room.speaker.load(&room.id);
    let mut to = room.listener.load(&room.id);
    let first = from.encrypt(&room.speaker.identity, b"first").unwrap();
    assert!(from.dirty(), "the ratchet is to be written");
    from.flush().unwrap();
    from.encrypt(&room.speaker.identity, b"never leaves").unwrap();
    from.undo();
    let mut speaker = room.speaker;
    speaker.apply(from.take_writes().unwrap());
    let second = speaker.encrypt(&room.id, b"second");
    for message in [first, second] {
        assert!(matches!(to.process(&message), Ok(Processed::Application { .. })), "a key is new");
    }
}

#[test]
fn a_handshake_that_fails_leaves_the_ratchets_of_messages_before_it() {
    let (mut peers, id) = group_of(3, Suite::Envelope, Profile::Standard);
    let staged = peers[0].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
    let message = peers[1].encrypt(&id, b"text");
    let mut damaged = staged.commit.clone();
    *damaged.last_mut().unwrap() ^= 1;
    peers[2].with(&id, |group, _| {
        group.process(&message).unwrap();
        group.process(&damaged).unwrap_err();
        let again = group.process(&message);
        assert_eq!(again, Err(ProcessError::Undecryptable(Undecryptable::Replayed)));
    });
    let again = peers[2].process(&id, &message);
    assert_eq!(again, Err(ProcessError::Undecryptable(Undecryptable::Replayed)));
}
