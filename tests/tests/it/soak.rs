//! Node and gateway hold no more after a long time than after a short one (T28).

use std::time::Duration;

use quicproquo_tests::crowd::{Crowd, Spec};
use quicproquo_tests::seed::{pick, say, seed, setting};
use quicproquo_tests::{Launch, Running};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Looks at what a process holds, in one run.
const LOOKS: u32 = 40;
/// How much more the last quarter may hold than the third, in bytes: what caches and allocators
/// still take, and not what every message would leave behind.
const GROWTH: u64 = 16 * 1024 * 1024;

/// Bytes in memory at each look.
type Held = Vec<u64>;

async fn watch(processes: [&Running; 2], time: Duration) -> [Held; 2] {
    let mut held = [Held::new(), Held::new()];
    let begun = Instant::now();
    while begun.elapsed() < time {
        sleep(time / LOOKS).await;
        for (held, process) in held.iter_mut().zip(processes) {
            held.push(process.resident());
        }
    }
    held
}

/// The median of a quarter of a run; the first ones are what warms up.
fn quarter(held: &[u64], number: usize) -> u64 {
    let length = held.len() / 4;
    let mut part = held[number * length..(number + 1) * length].to_vec();
    part.sort_unstable();
    part[length / 2]
}

/// `QPQ_SOAK_SECONDS` makes it as long as somebody has time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_talks_and_changes_leaves_nothing_in_memory() {
    let seed = seed("soak");
    let time = Duration::from_secs(setting("QPQ_SOAK_SECONDS", 20, 600));
    let small = Spec { pause: Duration::from_millis(200), ..Spec::small(seed) };
    let large = Spec { bots: 50, rooms: 12, members: 4, guests: 2, ..small.clone() };
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).log("warn").start().await;
    let crowd = Crowd::gather(&gateway, pick(small, large)).await;
    let done = crowd.through(watch([&node, &gateway], time)).await;
    let (report, held) = done.unwrap_or_else(|wrong| panic!("{wrong}"));
    say(&format!("{} s: {report}", time.as_secs()));
    for (name, held) in ["node", "gateway"].into_iter().zip(&held) {
        let quarters = [0, 1, 2, 3].map(|number| quarter(held, number));
        say(&format!("{name}: {:?} KiB in the quarters", quarters.map(|bytes| bytes / 1024)));
        let grown = quarters[3].saturating_sub(quarters[2]);
        assert!(grown < GROWTH, "{name}: {grown} bytes more, {held:?}");
    }
    gateway.stop().await;
    node.stop().await;
}
