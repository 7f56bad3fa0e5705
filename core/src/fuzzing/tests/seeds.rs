//! Makes the seeds that are checked in under `core/fuzz`.

use super::super::room::Guest;
use super::super::{Room, secrets};
use super::replay::{corpus, write};
use crate::content::{Content, Version};
use crate::envelope::{PayloadKind, kind, open, seal_v1, seal_v2};
use crate::group::{Group, Processed, RepairRequest};
use crate::id::MessageId;

fn contents() -> Vec<Vec<u8>> {
    let id = MessageId::new([1; 16]);
    let text = Content::text(id, "hello");
    let body = serde_json::json!({ "x": [1, 2.5, null, { "y": "z" }] });
    let own = Content::new(id, "org.example.thing", body).relating("org.example.of", id);
    let reply = Content::text(id, "yes").relating("reply", id);
    let mut all: Vec<Vec<u8>> = [&text, &own, &reply]
        .into_iter()
        .map(|content| content.encode(Version::V2).unwrap())
        .collect();
    all.extend([text, reply].map(|content| content.encode(Version::V1).unwrap()));
    // The other types of version 1, and one that is unknown.
    let id = [2; 16];
    for (kind, rest) in [
        (3, [&id[..], &[4], "👍".as_bytes()].concat()),
        (4, id.to_vec()),
        (5, vec![1]),
        (6, [&id[..], &[0, 2], b"no"].concat()),
        (7, id.to_vec()),
        (8, [&[9; 32][..], &[0, 1], b"f", &[0; 8], &[0, 1], b"m"].concat()),
        (9, Vec::new()),
        (77, b"unknown".to_vec()),
    ] {
        all.push([&[1, kind], rest.as_slice()].concat());
    }
    all
}

/// Of all kinds, to the third member.
fn messages(room: &Room) -> Vec<Vec<u8>> {
    let with = |at: usize, work: &dyn Fn(&mut Group, &Guest) -> Vec<u8>| {
        let guest = &room.guests[at];
        work(&mut guest.load(&room.id), guest)
    };
    let victim = room.guests[3].identity().key();
    let text = Content::text(MessageId::new([1; 16]), "hello").encode(Version::V2).unwrap();
    vec![
        with(0, &|group, guest| group.encrypt(&guest.identity(), &text).unwrap()),
        with(1, &|group, guest| group.update_keys(&guest.identity(), None).unwrap().commit),
        with(0, &|group, guest| group.remove(&guest.identity(), &[victim]).unwrap().commit),
        with(1, &|group, guest| group.propose_leave(&guest.identity()).unwrap()),
        with(1, &|group, guest| group.forge_removal(&guest.identity(), &victim).unwrap()),
        with(0, &|group, guest| group.forge_in_the_clear(&guest.identity()).unwrap()),
    ]
}

fn envelopes(room: &Room) -> Vec<Vec<u8>> {
    let [own, other] = secrets();
    let message = messages(room).remove(0);
    let request = RepairRequest::sign(&room.guests[1].identity(), &room.id, 1, Some([1; 8]));
    let sealed = seal_v2(&[other.public(), own.public()], &message).unwrap();
    vec![
        seal_v1(own.public(), &message).unwrap(),
        [sealed.prefixes[1].as_slice(), &sealed.body].concat(),
        [sealed.prefixes[0].as_slice(), &sealed.body].concat(),
        message,
        request.as_bytes().to_vec(),
    ]
}

/// Scripts of [`Room::commit`].
fn commits() -> Vec<Vec<u8>> {
    let scripts: [&[u8]; 15] = [
        &[0],
        &[1],
        &[0, 0, 0, 0, 1],
        &[1, 0, 0],
        &[0, 1, 3],
        &[1, 1, 3],
        &[0, 1, 1, 2, 0b0101],
        &[0, 2, 0b0010],
        &[0, 2, 0b10_0000],
        &[1, 2, 0b0011],
        &[0, 3, 0],
        &[1, 4, 0],
        &[1, 4, 3, 1, 2, 3],
        &[0, 5, 1, 2],
        &[0, 0, 1, 2, 0b1_0001, 1, 2],
    ];
    scripts.map(<[u8]>::to_vec).to_vec()
}

/// `cargo nextest run -p quicproquo-core --run-ignored only write_the_seeds`, after a change of a
/// format.
#[test]
#[ignore = "writes into the checkout"]
fn write_the_seeds() {
    let (room, welcomes) = Room::make();
    write("welcome", &welcomes);
    write("content", &contents());
    write("envelope", &envelopes(&room));
    write("process", &messages(&room));
    write("commit", &commits());
}

/// What the seeds are for.
#[test]
fn the_seeds_get_past_the_door() {
    let room = Room::new();
    let own = &secrets()[..1];
    let opened = corpus("envelope").iter().filter(|it| open(own, it).is_ok()).count();
    assert!(opened >= 2, "{opened} envelopes open");
    assert!(corpus("envelope").iter().any(|it| kind(it) == PayloadKind::RepairRequest));
    let mut seen = [0; 3];
    for message in corpus("process") {
        match room.guests[2].load(&room.id).process(&message) {
            Ok(Processed::Application { .. }) => seen[0] += 1,
            Ok(Processed::Commit(_)) => seen[1] += 1,
            Ok(Processed::LeaveProposed { .. }) => seen[2] += 1,
            _ => {}
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    let joined = corpus("welcome").iter().filter(|it| room.guests[3].join(it).is_ok()).count();
    assert!(joined >= 2, "{joined} Welcomes are joined");
}
