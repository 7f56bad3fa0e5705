//! Peers that keep their rows in a map and load the group anew for each step.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::group::{CommitSummary, Group, GroupParams, Joined, ProcessError, Processed, Staged};
use crate::id::GroupId;
use crate::identity::{Identity, IdentityKey};
use crate::kem::HybridSecret;
use crate::key_package::KeyPackages;
use crate::provider::{MlsStore, RowWrite, ScopedRow, group_scope, key_package_scope};
use crate::suite::{Profile, Suite};

/// openmls compares lifetimes with the system clock, so tests must as well.
#[expect(clippy::disallowed_methods, reason = "openmls reads the system clock")]
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(super) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) struct Peer {
    pub(super) identity: Identity,
    pub(super) hybrid: HybridSecret,
    pub(super) db: HashMap<Vec<u8>, Rows>,
}

impl Peer {
    pub(super) fn new() -> Self {
        Self {
            identity: Identity::generate(),
            hybrid: HybridSecret::generate().unwrap(),
            db: HashMap::new(),
        }
    }

    pub(super) fn key(&self) -> IdentityKey {
        self.identity.key()
    }

    pub(super) fn apply(&mut self, writes: Vec<RowWrite>) {
        for RowWrite { scope, key, value } in writes {
            let rows = self.db.entry(scope).or_default();
            match value {
                Some(value) => rows.insert(key, value.to_vec()),
                None => rows.remove(&key),
            };
        }
    }

    pub(super) fn load(&self, id: &GroupId) -> Group {
        Group::load(id, self.db[&group_scope(id.as_bytes())].clone()).unwrap()
    }

    /// Loads, works, writes: the way of the session engine.
    pub(super) fn with<T>(
        &mut self,
        id: &GroupId,
        work: impl FnOnce(&mut Group, &Identity) -> T,
    ) -> T {
        let mut group = self.load(id);
        let result = work(&mut group, &self.identity);
        self.apply(group.take_writes().unwrap());
        result
    }

    pub(super) fn packages(
        &mut self,
        suite: Suite,
        count: usize,
        last_resort: bool,
    ) -> Vec<Vec<u8>> {
        let store = MlsStore::new();
        let made = KeyPackages::generate(
            &self.identity,
            suite,
            count,
            last_resort,
            self.hybrid.public(),
            now(),
            &store,
        )
        .unwrap();
        self.apply(store.take_writes());
        made.into_iter().map(|package| package.bytes).collect()
    }

    pub(super) fn package(&mut self, suite: Suite) -> Vec<u8> {
        self.packages(suite, 1, false).remove(0)
    }

    pub(super) fn package_rows(&self, welcome: &[u8]) -> Vec<ScopedRow> {
        let references = crate::group::welcome_key_package_refs(welcome).unwrap();
        references
            .iter()
            .map(|reference| key_package_scope(reference))
            .filter_map(|scope| self.db.get(&scope).map(|rows| (scope, rows)))
            .flat_map(|(scope, rows)| {
                rows.iter().map(move |(key, value)| (scope.clone(), key.clone(), value.clone()))
            })
            .collect()
    }

    pub(super) fn join(&mut self, welcome: &[u8]) -> Joined {
        let joined = Group::join(&self.identity, welcome, self.package_rows(welcome)).unwrap();
        self.apply(joined.writes.clone());
        joined
    }

    pub(super) fn create(&mut self, suite: Suite, profile: Profile) -> GroupId {
        let standard = profile == Profile::Standard;
        let params = GroupParams {
            group_id: GroupId::random(),
            suite,
            profile,
            name: if standard { "name" } else { "" },
            topic: if standard { "topic" } else { "" },
            hybrid: self.hybrid.public(),
            now: now(),
        };
        let mut group = Group::create(&self.identity, params).unwrap();
        self.apply(group.take_writes().unwrap());
        group.id().clone()
    }

    pub(super) fn encrypt(&mut self, id: &GroupId, text: &[u8]) -> Vec<u8> {
        self.with(id, |group, identity| group.encrypt(identity, text)).unwrap()
    }

    pub(super) fn process(
        &mut self,
        id: &GroupId,
        message: &[u8],
    ) -> Result<Processed, ProcessError> {
        self.with(id, |group, _| group.process(message))
    }

    pub(super) fn merge(&mut self, id: &GroupId) -> CommitSummary {
        self.with(id, |group, _| group.merge_pending()).unwrap()
    }

    pub(super) fn authenticator(&self, id: &GroupId) -> Vec<u8> {
        self.load(id).authenticator().to_vec()
    }

    #[track_caller]
    pub(super) fn reads(&mut self, id: &GroupId, message: &[u8], text: &[u8]) {
        match self.process(id, message) {
            Ok(Processed::Application { plaintext, .. }) => assert_eq!(plaintext.as_slice(), text),
            other => panic!("not an application message: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn applies(&mut self, id: &GroupId, commit: &[u8]) -> CommitSummary {
        match self.process(id, commit) {
            Ok(Processed::Commit(summary)) => summary,
            other => panic!("not a commit: {other:?}"),
        }
    }
}

/// Peer 0 creates a group and adds the others in one commit.
pub(super) fn group_of(count: usize, suite: Suite, profile: Profile) -> (Vec<Peer>, GroupId) {
    let mut peers: Vec<Peer> = (0..count).map(|_| Peer::new()).collect();
    let id = peers[0].create(suite, profile);
    let packages: Vec<_> = peers[1..].iter_mut().map(|peer| peer.package(suite)).collect();
    if !packages.is_empty() {
        let staged =
            peers[0].with(&id, |group, identity| group.add(identity, &packages, now())).unwrap();
        peers[0].merge(&id);
        for peer in &mut peers[1..] {
            peer.join(staged.welcome.as_ref().unwrap());
        }
    }
    assert_agreed(&peers, &id);
    (peers, id)
}

/// The committer merges its staged commit, the others process it.
#[track_caller]
pub(super) fn deliver(
    peers: &mut [Peer],
    id: &GroupId,
    committer: usize,
    staged: &Staged,
) -> CommitSummary {
    let own = peers[committer].merge(id);
    assert_eq!(own, staged.summary);
    for (index, peer) in peers.iter_mut().enumerate() {
        if index != committer {
            let summary = peer.applies(id, &staged.commit);
            let self_removed = own.removed.contains(&peer.key());
            assert_eq!(summary, CommitSummary { self_removed, ..own.clone() });
        }
    }
    own
}

#[track_caller]
pub(super) fn assert_agreed(peers: &[Peer], id: &GroupId) {
    let first = peers[0].load(id);
    for peer in &peers[1..] {
        let group = peer.load(id);
        assert_eq!(group.epoch(), first.epoch());
        assert_eq!(group.authenticator(), first.authenticator());
        assert_eq!(group.members(), first.members());
        assert_eq!(group.name(), first.name());
    }
}
