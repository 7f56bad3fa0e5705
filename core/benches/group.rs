//! What a group costs by the number of its members, beside bare openmls with its own in-memory
//! storage and defaults. `cargo bench -p quicproquo-core`
//!
//! Ours includes collecting what is to be written. "in 100" collects it once for a hundred
//! messages, as a session does that has many to send.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails has no result")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion};
use quicproquo_core::floor::BarePair;
use quicproquo_core::provider::{RowWrite, group_scope};
use quicproquo_core::{
    Group, GroupId, GroupParams, HybridSecret, Identity, KeyPackages, MlsStore, Profile, Row,
    ScopedRow, Suite,
};

const MEMBERS: [usize; 4] = [2, 10, 100, 1000];
const TEXT: [u8; 1024] = [0x5a; 1024];

#[expect(clippy::disallowed_methods, reason = "openmls reads the system clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The time of some work.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

/// A speaker and a listener in a group.
struct Room {
    speaker: Identity,
    listener: Identity,
    from: Group,
    to: Group,
    welcome: Vec<u8>,
    package: Vec<ScopedRow>,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Room {
    fn of(suite: Suite, members: usize) -> Self {
        let hybrid = HybridSecret::generate().unwrap();
        let (store, others) = (MlsStore::new(), MlsStore::new());
        let package = |member: &Identity, store: &MlsStore| {
            let made =
                KeyPackages::generate(member, suite, 1, false, hybrid.public(), now(), store);
            made.unwrap().remove(0).bytes
        };
        let (speaker, listener) = (Identity::generate(), Identity::generate());
        let mut packages = vec![package(&listener, &store)];
        packages.extend((2..members).map(|_| package(&Identity::generate(), &others)));
        let params = GroupParams {
            group_id: GroupId::random(),
            suite,
            profile: Profile::Standard,
            name: "bench",
            topic: "",
            hybrid: hybrid.public(),
            now: now(),
        };
        let mut from = Group::create(&speaker, params).unwrap();
        let staged = from.add(&speaker, &packages, now()).unwrap();
        from.merge_pending().unwrap();
        let scoped = |write: RowWrite| Some((write.scope, write.key, write.value?.to_vec()));
        let package: Vec<_> = store.take_writes().into_iter().filter_map(scoped).collect();
        let welcome = staged.welcome.unwrap();
        let to = Group::join(&listener, &welcome, package.clone()).unwrap().group;
        let mut room =
            Self { speaker, listener, from, to, welcome, package, rows: BTreeMap::new() };
        // A past epoch with all members, as a group has that lives.
        room.renew();
        room
    }

    /// The next epoch, so that no generation is far ahead of the other's.
    fn renew(&mut self) {
        let staged = self.from.update_keys(&self.speaker, None).unwrap();
        self.from.merge_pending().unwrap();
        self.to.process(&staged.commit).unwrap();
        self.to.take_writes().unwrap();
        for write in self.from.take_writes().unwrap() {
            if write.scope != group_scope(self.from.id().as_bytes()) {
                continue;
            }
            match write.value {
                Some(value) => self.rows.insert(write.key, value.to_vec()),
                None => self.rows.remove(&write.key),
            };
        }
    }

    fn encrypt(&mut self, iterations: u64, batch: u64) -> Duration {
        self.renew();
        let all = || {
            for n in 1..=iterations {
                self.from.encrypt(&self.speaker, &TEXT).unwrap();
                if n % batch == 0 {
                    self.from.take_writes().unwrap();
                }
            }
        };
        timed(all).0
    }

    fn decrypt(&mut self, iterations: u64, batch: u64) -> Duration {
        self.renew();
        let mut time = Duration::ZERO;
        let mut left = iterations;
        while left > 0 {
            let count = left.min(batch);
            left -= count;
            // Another text each time: the same one in the same epoch has the same signature, which
            // the process knows then.
            let encrypt = |n: u64| {
                let mut text = TEXT;
                text[..8].copy_from_slice(&(left + n).to_be_bytes());
                self.from.encrypt(&self.speaker, &text).unwrap()
            };
            let messages: Vec<_> = (0..count).map(encrypt).collect();
            let work = || {
                for message in &messages {
                    self.to.process(message).unwrap();
                }
                self.to.take_writes().unwrap()
            };
            time += timed(work).0;
        }
        time
    }

    /// Commits of the speaker, and of them the part of the listener.
    fn commit(&mut self, iterations: u64) -> (Duration, Duration) {
        let (mut sent, mut received) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..iterations {
            let (time, commit) = timed(|| {
                let staged = self.from.update_keys(&self.speaker, None).unwrap();
                self.from.take_writes().unwrap();
                self.from.merge_pending().unwrap();
                self.from.take_writes().unwrap();
                staged.commit
            });
            sent += time;
            let apply = || {
                self.to.process(&commit).unwrap();
                self.to.take_writes().unwrap()
            };
            received += timed(apply).0;
        }
        self.rows.clear();
        (sent, received)
    }

    fn rows(&self) -> Vec<Row> {
        self.rows.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

fn bare_encrypt(pair: &mut BarePair, iterations: u64) -> Duration {
    let commit = pair.commit().unwrap();
    pair.apply(&commit).unwrap();
    let all = || {
        for _ in 0..iterations {
            pair.encrypt(&TEXT).unwrap();
        }
    };
    timed(all).0
}

fn bare_decrypt(pair: &mut BarePair, iterations: u64) -> Duration {
    let commit = pair.commit().unwrap();
    pair.apply(&commit).unwrap();
    let one = |_| {
        let message = pair.encrypt(&TEXT).unwrap();
        timed(|| pair.decrypt(&message).unwrap()).0
    };
    (0..iterations).map(one).sum()
}

fn bare_commit(pair: &mut BarePair, iterations: u64) -> (Duration, Duration) {
    let (mut sent, mut received) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..iterations {
        let (time, commit) = timed(|| pair.commit().unwrap());
        sent += time;
        received += timed(|| pair.apply(&commit).unwrap()).0;
    }
    (sent, received)
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    who: &str,
    mut work: impl FnMut(u64) -> Duration,
) {
    group.bench_function(BenchmarkId::new(name, who), |bencher| bencher.iter_custom(&mut work));
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for suite in Suite::ALL {
        for members in MEMBERS {
            let mut room = Room::of(suite, members);
            let mut pair = BarePair::among(suite, members).unwrap();
            let mut group =
                criterion.benchmark_group(format!("{suite:?} {members}").to_lowercase());
            let group = &mut group;
            measure(group, "encrypt", "bare", |n| bare_encrypt(&mut pair, n));
            measure(group, "encrypt", "ours", |n| room.encrypt(n, 1));
            measure(group, "encrypt", "ours in 100", |n| room.encrypt(n, 100));
            measure(group, "decrypt", "bare", |n| bare_decrypt(&mut pair, n));
            measure(group, "decrypt", "ours", |n| room.decrypt(n, 1));
            measure(group, "decrypt", "ours in 100", |n| room.decrypt(n, 100));
            let load = BenchmarkId::new("load", "ours");
            group.bench_function(load, |bencher| {
                let id = room.from.id().clone();
                let load = |rows| Group::load(&id, rows).unwrap();
                bencher.iter_batched(|| room.rows(), load, BatchSize::PerIteration);
            });
            measure(group, "commit", "bare", |n| bare_commit(&mut pair, n).0);
            measure(group, "commit", "ours", |n| room.commit(n).0);
            measure(group, "apply", "bare", |n| bare_commit(&mut pair, n).1);
            measure(group, "apply", "ours", |n| room.commit(n).1);
            measure(group, "join", "bare", |n| {
                timed(|| (0..n).for_each(|_| pair.join().unwrap())).0
            });
            group.bench_function(BenchmarkId::new("join", "ours"), |bencher| {
                let join = |package| Group::join(&room.listener, &room.welcome, package).unwrap();
                bencher.iter_batched(|| room.package.clone(), join, BatchSize::PerIteration);
            });
        }
    }
    criterion.final_summary();
}
