//! Who is let in, who is shut out, and what goes with an identity.

use super::*;
use crate::store::write::{
    Admit, ClaimName, Deletion, DirectoryWrite, DirectoryWritten, Package, Publish, PutHybridKey,
    Terms,
};
use crate::store::{IdentityInfo, NameInfo, NewInvite, Operate};

on_each_directory_backend!(
    invites_count_down_and_only_for_new_identities,
    one_use_admits_one_of_many_in_a_batch,
    banned_identities_are_refused_and_known_to_readers,
    a_deleted_identity_leaves_only_its_names,
    a_deletion_needs_its_mark_and_can_be_taken_back,
    names_of_the_deleted_go_to_their_heirs,
    identities_are_listed_by_key_in_pages,
);

const DONE: Result<DirectoryWritten, Refusal> = Ok(DirectoryWritten::Done);

fn invite(hash: u8, uses: u32, expires_at: Option<u64>) -> NewInvite {
    let label = format!("invite {hash}");
    NewInvite { hash: [hash; 32], label, uses, expires_at, now: 1_000_000 }
}

fn admit(identity: u8, terms: Terms) -> DirectoryWrite {
    DirectoryWrite::Admit(Admit { identity: key(identity), terms, now: 1_000_000 })
}

fn come(identity: u8, invite: Option<u8>) -> DirectoryWrite {
    admit(identity, Terms::Invite(invite.map(|hash| [hash; 32])))
}

fn is_refused(answer: &Result<DirectoryWritten, Refusal>) -> bool {
    matches!(answer, Err(Refusal::RegistrationRefused(_)))
}

async fn invites_count_down_and_only_for_new_identities(
    mut rig: DirectoryRig<impl DirectoryBackend + Operate>,
) {
    let first = rig.half.backend.create_invite(&invite(1, 2, None)).await.unwrap();
    let second = rig.half.backend.create_invite(&invite(2, 5, Some(rig.now))).await.unwrap();
    assert!(first < second);
    assert!(is_refused(&rig.one(come(10, None)).await));
    assert!(is_refused(&rig.one(come(10, Some(9))).await));
    // Expired at this very second.
    assert!(is_refused(&rig.one(come(10, Some(2))).await));
    assert!(is_refused(&rig.one(admit(10, Terms::Closed)).await));
    assert!(!rig.reads.is_registered(key(10)).await.unwrap());
    assert_eq!(rig.one(come(10, Some(1))).await, DONE);
    assert!(rig.reads.is_registered(key(10)).await.unwrap());
    // Who is here needs none any more, whatever the policy is by now.
    for again in [come(10, Some(1)), come(10, None), admit(10, Terms::Closed)] {
        assert_eq!(rig.one(again).await, DONE);
    }
    assert_eq!(rig.half.backend.invites().await.unwrap()[0].uses_left, 1);
    assert_eq!(rig.one(admit(20, Terms::Open)).await, DONE);
    assert_eq!(rig.one(come(11, Some(1))).await, DONE);
    assert!(is_refused(&rig.one(come(12, Some(1))).await));
    let left: Vec<_> = rig.half.backend.invites().await.unwrap();
    assert_eq!(left.iter().map(|invite| invite.uses_left).collect::<Vec<_>>(), [0, 5]);
    assert_eq!((left[0].label.as_str(), left[0].uses), ("invite 1", 2));
    assert_eq!((left[1].id, left[1].expires_at), (second, Some(rig.now)));

    rig.half.backend.create_invite(&invite(3, 5, Some(rig.now + 1))).await.unwrap();
    assert!(rig.half.backend.revoke_invite(first).await.unwrap());
    assert!(!rig.half.backend.revoke_invite(first).await.unwrap());
    assert_eq!(rig.one(come(12, Some(3))).await, DONE);
}

async fn one_use_admits_one_of_many_in_a_batch(
    mut rig: DirectoryRig<impl DirectoryBackend + Operate>,
) {
    rig.half.backend.create_invite(&invite(1, 1, None)).await.unwrap();
    let batch: Vec<_> = (100..164).map(|identity| come(identity, Some(1))).collect();
    let answers = rig.batch(&batch).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| is_refused(answer)).count(), 63);
}

async fn banned_identities_are_refused_and_known_to_readers(
    mut rig: DirectoryRig<impl DirectoryBackend + Operate>,
) {
    rig.half.backend.create_invite(&invite(1, 1, None)).await.unwrap();
    assert_eq!(rig.one(admit(1, Terms::Open)).await, DONE);
    let before = rig.reads.bans(None).await.unwrap().unwrap();
    assert!(before.identities.is_empty());
    assert_eq!(rig.reads.bans(Some(before.version)).await.unwrap(), None);
    let backend = &mut rig.half.backend;
    assert!(backend.ban(key(1), 1_000_000).await.unwrap());
    assert!(!backend.ban(key(1), 1_000_000).await.unwrap());
    assert!(backend.ban(key(7), 1_000_000).await.unwrap());
    let bans = rig.reads.bans(Some(before.version)).await.unwrap().unwrap();
    assert!(bans.version > before.version);
    assert_eq!(bans.identities, [key(1), key(7)]);
    assert_eq!(rig.one(admit(1, Terms::Open)).await, Err(Refusal::Banned));
    // Its invite is not used up.
    assert_eq!(rig.one(come(7, Some(1))).await, Err(Refusal::Banned));
    assert_eq!(rig.half.backend.invites().await.unwrap()[0].uses_left, 1);
    assert!(!rig.reads.is_registered(key(7)).await.unwrap());
    assert!(rig.half.backend.unban(key(1)).await.unwrap());
    assert!(!rig.half.backend.unban(key(1)).await.unwrap());
    assert_eq!(rig.one(admit(1, Terms::Closed)).await, DONE);
    let after = rig.reads.bans(Some(bans.version)).await.unwrap().unwrap();
    assert_eq!(after.identities, [key(7)]);
}

fn named(name: &str, of: u8) -> DirectoryWrite {
    let (name, identity) = (name.to_owned(), key(of));
    DirectoryWrite::ClaimName(ClaimName { name, identity, signature: vec![of], limit: 4 })
}

fn deletion(identity: u8, heir: Option<u8>) -> [DirectoryWrite; 2] {
    let (identity, heir) = (key(identity), heir.map(key));
    [Deletion::Mark { identity, heir }, Deletion::Finish { identity }].map(DirectoryWrite::Deletion)
}

async fn a_deleted_identity_leaves_only_its_names(
    mut rig: DirectoryRig<impl DirectoryBackend + Operate>,
) {
    let packages = |of: u8| Publish {
        identity: key(of),
        one_time: vec![Package {
            ciphersuite: 1,
            not_after: 1_000_000 + 70 * DAY,
            fingerprint: [of; 32],
            data: Arc::from([of].as_slice()),
        }],
        last_resort: None,
        replace: false,
        limit: 5,
        now: 1_000_000,
    };
    for of in [1, 2] {
        let hybrid = PutHybridKey { identity: key(of), key: vec![of] };
        rig.batch(&[
            admit(of, Terms::Open),
            DirectoryWrite::Publish(packages(of)),
            DirectoryWrite::PutHybridKey(hybrid),
            named(&format!("name{of}"), of),
        ])
        .await;
    }
    rig.batch(&deletion(1, None)).await;
    for (of, is_here) in [(1, false), (2, true)] {
        assert_eq!(rig.reads.is_registered(key(of)).await.unwrap(), is_here);
        assert_eq!(rig.reads.stock(key(of), rig.now).await.unwrap().len(), usize::from(is_here));
        assert_eq!(rig.reads.hybrid_key(key(of)).await.unwrap().is_some(), is_here);
        assert_eq!(rig.reads.name(format!("name{of}")).await.unwrap().is_some(), is_here);
    }
    assert!(rig.reads.deletions().await.unwrap().is_empty());
    assert!(is_refused(&rig.one(admit(1, Terms::Closed)).await));
}

async fn a_deletion_needs_its_mark_and_can_be_taken_back(
    mut rig: DirectoryRig<impl DirectoryBackend + Operate>,
) {
    let [mark, finish] = deletion(1, Some(2));
    rig.batch(&[admit(1, Terms::Open), named("a", 1), finish.clone()]).await;
    assert!(rig.reads.is_registered(key(1)).await.unwrap());
    let unmark = DirectoryWrite::Deletion(Deletion::Unmark { identity: key(1) });
    rig.one(mark.clone()).await.unwrap();
    assert_eq!(rig.reads.deletions().await.unwrap(), [key(1)]);
    rig.batch(&[unmark, finish.clone()]).await;
    assert!(rig.reads.is_registered(key(1)).await.unwrap());
    rig.batch(&[mark.clone(), mark, finish.clone(), finish]).await;
    assert!(!rig.reads.is_registered(key(1)).await.unwrap());
    assert_eq!(rig.one(named("a", 2)).await, DONE);
}

async fn names_of_the_deleted_go_to_their_heirs(
    mut rig: DirectoryRig<impl DirectoryBackend + Operate>,
) {
    rig.batch(&[named("a", 1), named("b", 2), named("c", 2)]).await;
    rig.batch(&deletion(1, Some(5))).await;
    rig.batch(&deletion(2, None)).await;
    let retired = Err(Refusal::NameRetired);
    for (name, of) in [("a", 1), ("a", 6), ("b", 2), ("c", 5)] {
        assert_eq!(rig.one(named(name, of)).await, retired, "{name} {of}");
    }
    assert_eq!(rig.one(named("a", 5)).await, DONE);
    assert_eq!(rig.one(named("a", 6)).await, Err(Refusal::NameTaken));
    assert_eq!(rig.reads.name("a".into()).await.unwrap(), Some((key(5), vec![5])));

    let backend = &mut rig.half.backend;
    assert!(!backend.release_name("a", Some(key(6))).await.unwrap());
    assert!(!backend.release_name("nobody", None).await.unwrap());
    assert!(backend.release_name("b", Some(key(6))).await.unwrap());
    assert!(backend.release_name("c", None).await.unwrap());
    let info = |name: &str, owner: Option<u8>, heir: Option<u8>| NameInfo {
        name: name.into(),
        owner: owner.map(key),
        heir: heir.map(key),
    };
    let names = backend.names().await.unwrap();
    assert_eq!(names, [info("a", Some(5), None), info("b", None, Some(6))]);
    assert_eq!(rig.one(named("b", 7)).await, retired);
    assert_eq!(rig.one(named("b", 6)).await, DONE);
    assert_eq!(rig.one(named("c", 7)).await, DONE);
}

async fn identities_are_listed_by_key_in_pages(
    mut rig: DirectoryRig<impl DirectoryBackend + Operate>,
) {
    for identity in [3, 1, 2] {
        rig.one(admit(identity, Terms::Open)).await.unwrap();
    }
    rig.half.backend.ban(key(4), rig.now).await.unwrap();
    rig.batch(&[named("two", 2), named("deux", 2)]).await;
    let first = rig.half.backend.identities(None, 2).await.unwrap();
    let two = IdentityInfo {
        identity: key(2),
        registered: true,
        banned: false,
        names: vec!["two".into(), "deux".into()],
    };
    assert_eq!((first[0].identity, first.len()), (key(1), 2));
    assert_eq!(first[1], two);
    let rest = rig.half.backend.identities(Some(key(2)), 10).await.unwrap();
    let facts: Vec<_> =
        rest.iter().map(|info| (info.identity, info.registered, info.banned)).collect();
    assert_eq!(facts, [(key(3), true, false), (key(4), false, true)]);
}
