//! A group of four, whose state is in the corpus.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::content;
#[cfg(test)]
use crate::group::GroupParams;
use crate::group::{Forgery, Group, JoinError, ProcessError, Processed, welcome_key_package_refs};
use crate::id::GroupId;
use crate::identity::{Identity, IdentityKey};
use crate::kem::HybridSecret;
use crate::key_package::KeyPackages;
use crate::message::{ContentKind, message_info};
use crate::provider::{MlsStore, Row, RowWrite, ScopedRow, group_scope, key_package_scope};
#[cfg(test)]
use crate::suite::Profile;
use crate::suite::Suite;

/// Members of the group; the first is its admin.
const MEMBERS: usize = 4;
/// Who could be added.
const FRIENDS: usize = 2;

/// Somebody with its state, as rows.
#[derive(Serialize, Deserialize)]
pub(super) struct Guest {
    seed: [u8; 32],
    #[serde(with = "serde_rows")]
    pub(super) rows: Vec<ScopedRow>,
}

/// Everything that the corpus is about.
#[derive(Serialize, Deserialize)]
struct State {
    group: Vec<u8>,
    guests: Vec<Guest>,
}

/// The group, its members, and friends with fresh key packages.
pub struct Room {
    pub(super) id: GroupId,
    pub(super) guests: Vec<Guest>,
    friends: Vec<(Guest, Vec<u8>)>,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("id", &self.id).finish_non_exhaustive()
    }
}

/// openmls compares lifetimes with the system's clock.
#[expect(clippy::disallowed_methods, reason = "openmls reads the system clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Guest {
    fn new() -> Self {
        Self { seed: *Identity::generate().seed(), rows: Vec::new() }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity::from_seed(Zeroizing::new(self.seed))
    }

    fn key(&self) -> IdentityKey {
        self.identity().key()
    }

    pub(super) fn load(&self, id: &GroupId) -> Group {
        let scope = group_scope(id.as_bytes());
        let rows = self.rows.iter().filter(|(of, _, _)| *of == scope);
        let rows: Vec<Row> = rows.map(|(_, key, value)| (key.clone(), value.clone())).collect();
        Group::load(id, rows).expect("the state of the corpus loads")
    }

    fn apply(&mut self, writes: Vec<RowWrite>) {
        for RowWrite { scope, key, value } in writes {
            self.rows.retain(|(of, name, _)| (of, name) != (&scope, &key));
            self.rows.extend(value.map(|value| (scope, key, value.to_vec())));
        }
    }

    /// A key package whose private half is kept.
    pub(super) fn package(&mut self, suite: Suite) -> Vec<u8> {
        let (store, hybrid) = (MlsStore::new(), HybridSecret::generate().expect("a key"));
        let made = KeyPackages::generate(
            &self.identity(),
            suite,
            1,
            false,
            hybrid.public(),
            now(),
            &store,
        );
        self.apply(store.take_writes());
        made.expect("a package").remove(0).bytes
    }

    /// Creates a group and adds the owners of these packages.
    #[cfg(test)]
    fn invite(&mut self, suite: Suite, packages: &[Vec<u8>]) -> (GroupId, Vec<u8>) {
        let (identity, hybrid) = (self.identity(), HybridSecret::generate().unwrap());
        let params = GroupParams {
            group_id: GroupId::random(),
            suite,
            profile: Profile::Standard,
            name: "room",
            topic: "",
            hybrid: hybrid.public(),
            now: now(),
        };
        let mut group = Group::create(&identity, params).unwrap();
        let staged = group.add(&identity, packages, now()).unwrap();
        group.merge_pending().unwrap();
        self.apply(group.take_writes().unwrap());
        (group.id().clone(), staged.welcome.unwrap())
    }

    fn named_by(&self, welcome: &[u8]) -> Vec<ScopedRow> {
        let references = welcome_key_package_refs(welcome).unwrap_or_default();
        let scopes: BTreeSet<_> = references.iter().map(|it| key_package_scope(it)).collect();
        self.rows.iter().filter(|(scope, _, _)| scopes.contains(scope)).cloned().collect()
    }

    pub(super) fn join(&self, welcome: &[u8]) -> Result<Group, JoinError> {
        let joined = Group::join(&self.identity(), welcome, self.named_by(welcome));
        joined.map(|joined| joined.group)
    }
}

impl Room {
    fn path() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/room.cbor")
    }

    /// # Panics
    /// When `core/fuzz/room.cbor` is not there; `write_the_seeds` makes it.
    #[expect(clippy::new_without_default, reason = "it reads a file")]
    pub fn new() -> Self {
        let bytes = std::fs::read(Self::path()).expect("core/fuzz/room.cbor");
        let state: State = ciborium::from_reader(bytes.as_slice()).expect("our own format");
        Self::with(state)
    }

    fn with(State { group, guests }: State) -> Self {
        let friends = (0..FRIENDS).map(|_| {
            let mut friend = Guest::new();
            let package = friend.package(Suite::Envelope);
            (friend, package)
        });
        let id = GroupId::from_slice(&group).expect("a group id");
        Self { id, guests, friends: friends.collect() }
    }

    /// Makes another group and writes it down; with Welcomes of either suite for its last member.
    #[cfg(test)]
    pub(super) fn make() -> (Self, Vec<Vec<u8>>) {
        let mut guests: Vec<Guest> = (0..MEMBERS).map(|_| Guest::new()).collect();
        let packages: Vec<_> =
            guests[1..].iter_mut().map(|guest| guest.package(Suite::Envelope)).collect();
        let (group, welcome) = guests[0].invite(Suite::Envelope, &packages);
        for guest in &mut guests[1..] {
            let rows = guest.named_by(&welcome);
            let joined = Group::join(&guest.identity(), &welcome, rows).unwrap();
            guest.apply(joined.writes);
        }
        let welcomes = Suite::ALL.map(|suite| {
            let package = guests[3].package(suite);
            Guest::new().invite(suite, &[package]).1
        });
        let state = State { group: group.as_bytes().to_vec(), guests };
        let mut bytes = Vec::new();
        ciborium::into_writer(&state, &mut bytes).unwrap();
        std::fs::write(Self::path(), bytes).unwrap();
        (Self::with(state), welcomes.to_vec())
    }

    /// A message for the group: whatever is refused leaves no trace, unless it is an application
    /// message, whose key may be used up.
    pub fn process(&self, message: &[u8]) {
        let guest = &self.guests[2];
        let mut group = guest.load(&self.id);
        let before = (group.epoch(), group.authenticator().to_vec());
        match group.process(message) {
            Ok(Processed::Application { plaintext, .. }) => content(&plaintext),
            Ok(Processed::Commit(summary)) => {
                assert_eq!(summary.epoch, before.0 + 1);
                assert_ne!(group.authenticator(), before.1);
            }
            Ok(Processed::LeaveProposed { .. } | Processed::OwnMessage) => {}
            Err(error) => {
                assert!(
                    !matches!(error, ProcessError::Storage(_)),
                    "a message is at fault: {error}"
                );
                assert_eq!((group.epoch(), group.authenticator().to_vec()), before);
                let content = message_info(message).ok().and_then(|info| info.content);
                if content != Some(ContentKind::Application) {
                    assert!(
                        group.take_writes().expect("rows").is_empty(),
                        "{error} leaves a trace"
                    );
                }
            }
        }
    }

    /// A Welcome: what is seen from outside is what is joined, and its fault is never the storage's.
    pub fn welcome(&self, welcome: &[u8]) {
        let guest = &self.guests[3];
        let rows = guest.named_by(welcome);
        let seen = Group::peek_welcome(welcome, rows.clone());
        let joined = Group::join(&guest.identity(), welcome, rows);
        for error in [seen.as_ref().err(), joined.as_ref().err()].into_iter().flatten() {
            assert!(!matches!(error, JoinError::Store(_)), "a Welcome is at fault: {error}");
        }
        if let Ok(joined) = joined {
            let seen = seen.expect("what can be joined can be seen");
            assert_eq!((&seen.group_id, seen.epoch), (joined.group.id(), joined.group.epoch()));
            assert_eq!(joined.group.own_identity(), Some(guest.key()));
        }
    }

    /// A commit that a member makes by no rules: byte 0 says who, the others of what. All members
    /// judge it alike; only an admin changes the roster or the context; an admin is left; who was
    /// added can join.
    pub fn commit(&self, script: &[u8]) {
        let Some((committer, mut script)) = script.split_first() else { return };
        let committer = usize::from(*committer) % MEMBERS;
        let mut parts = Vec::new();
        while let Some(part) = self.part(&mut script).filter(|_| parts.len() < 6) {
            parts.push(part);
        }
        let guest = &self.guests[committer];
        let forged = guest.load(&self.id).forge(&guest.identity(), &parts);
        let Some((commit, welcome)) = forged else { return };
        let mut verdicts = Vec::new();
        for (_, other) in self.guests.iter().enumerate().filter(|(at, _)| *at != committer) {
            let mut group = other.load(&self.id);
            let verdict = group.process(&commit);
            if let Err(error) = &verdict {
                assert!(matches!(error, ProcessError::Unauthorized(_)), "{error}: {parts:?}");
                assert!(group.take_writes().expect("rows").is_empty(), "a trace of {parts:?}");
            }
            verdicts.push((group, verdict));
        }
        let accepted = verdicts.iter().filter(|(_, verdict)| verdict.is_ok()).count();
        assert!([0, verdicts.len()].contains(&accepted), "members do not agree on {parts:?}");
        if accepted == 0 {
            let first = verdicts[0].1.as_ref().err();
            assert!(verdicts.iter().all(|(_, verdict)| verdict.as_ref().err() == first));
            return;
        }
        let own_keys = |part: &Forgery| matches!(part, Forgery::Hybrid(_));
        assert!(committer == 0 || parts.iter().all(own_keys), "a member has its way: {parts:?}");
        let staying: Vec<&Group> =
            verdicts.iter().map(|(group, _)| group).filter(|group| group.is_active()).collect();
        for pair in staying.windows(2) {
            assert_eq!(pair[0].authenticator(), pair[1].authenticator(), "a fork by {parts:?}");
        }
        let Some(group) = staying.first() else { return };
        assert!(!group.admins().is_empty(), "no admin is left after {parts:?}");
        for (friend, _) in &self.friends {
            if group.role_of(&friend.key()).is_some() {
                let welcome = welcome.as_ref().expect("who is added is welcomed");
                let joined = friend.join(welcome).expect("who is added can join");
                assert_eq!(joined.authenticator(), group.authenticator());
            }
        }
    }

    fn part(&self, script: &mut &[u8]) -> Option<Forgery> {
        let next = |script: &mut &[u8]| script.split_off_first().copied();
        let kind = next(script)?;
        let choice = next(script).unwrap_or_default();
        Some(match kind % 6 {
            0 => Forgery::Add(self.friends[usize::from(choice) % FRIENDS].1.clone(), now()),
            1 => Forgery::Remove(self.guests[usize::from(choice) % MEMBERS].key()),
            2 => {
                let all = self.guests.iter().chain(self.friends.iter().map(|(friend, _)| friend));
                let chosen = all.enumerate().filter(|(at, _)| choice >> at & 1 == 1);
                Forgery::Admins(chosen.map(|(_, guest)| guest.key()).collect())
            }
            3 => Forgery::Plain,
            4 if choice == 0 => Forgery::Hybrid(None),
            4 => {
                let taken = script.len().min(usize::from(choice));
                let bytes = script.split_off(..taken).unwrap_or_default();
                Forgery::Hybrid(Some(bytes.to_vec()))
            }
            _ => Forgery::Custom(u16::from(choice) | 0xF000, script.to_vec()),
        })
    }
}

/// Rows with their bytes as CBOR byte strings.
mod serde_rows {
    use ciborium::Value;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de};

    use super::ScopedRow;

    pub(super) fn serialize<S: Serializer>(rows: &[ScopedRow], to: S) -> Result<S::Ok, S::Error> {
        let row = |(scope, key, value): &ScopedRow| {
            [scope, key, value].map(|bytes| Value::Bytes(bytes.clone()))
        };
        rows.iter().map(row).collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<ScopedRow>, D::Error> {
        let rows = Vec::<[Value; 3]>::deserialize(from)?;
        let bytes = |value: Value| value.into_bytes().map_err(|_| de::Error::custom("no bytes"));
        let row = |[scope, key, value]: [Value; 3]| Ok((bytes(scope)?, bytes(key)?, bytes(value)?));
        rows.into_iter().map(row).collect()
    }
}
