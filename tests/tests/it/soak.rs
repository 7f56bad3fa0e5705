//! Node and gateway hold no more after a long time than after a short one (T28).
//!
//! What a process holds goes up and down: tables that are written out when they are full, caches
//! and an allocator that take their share once. So a part at the beginning does not count, and the
//! rest is judged by the slope through the medians of blocks, with its interval of confidence. How
//! steep a slope a run can tell from none, its own interval says: it gets narrower with the length
//! of the run to the power of 1.5, so that minutes see what each message leaves behind when many
//! are sent, and only hours prove that there is less than 1 MiB an hour.

use std::time::Duration;

use quicproquo_tests::crowd::{Crowd, Spec};
use quicproquo_tests::seed::{pick, say, seed, setting};
use quicproquo_tests::slope::{Slope, blocks, slope};
use quicproquo_tests::{Launch, Running};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Looks at what a process holds, in one run.
const LOOKS: u32 = 300;
/// Of these so many are a warm-up.
const WARM_UP: usize = 100;
/// The rest is judged by the medians of so many blocks.
const BLOCKS: usize = 20;
/// A run this long proves its bound: less than [`BOUND`] for certain. A shorter one fails when it
/// has seen more than that for certain.
const PROVES: Duration = Duration::from_hours(3);
/// MiB an hour.
const BOUND: f64 = 1.0;
/// How much the last of the blocks may hold above the first of them in a run that proves nothing,
/// in MiB: what caches and allocators still take after a short warm-up.
const SETTLING: f64 = 16.0;

/// MiB in memory at each look.
type Held = Vec<f64>;

async fn watch(processes: [&Running; 2], time: Duration) -> [Held; 2] {
    let mut held = [Held::new(), Held::new()];
    let begun = Instant::now();
    while begun.elapsed() < time {
        sleep(time / LOOKS).await;
        for (held, process) in held.iter_mut().zip(processes) {
            #[expect(clippy::cast_precision_loss, reason = "MiB with fractions")]
            held.push(process.resident() as f64 / 1024.0 / 1024.0);
        }
    }
    held
}

/// MiB an hour.
fn growth(held: &[f64], time: Duration) -> Slope {
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let hours = time.as_secs_f64() / 3600.0 / held.len() as f64;
    let warm = &held[held.len() * WARM_UP / LOOKS as usize..];
    let points: Vec<_> =
        blocks(warm, BLOCKS).into_iter().map(|(look, mib)| (look * hours, mib)).collect();
    slope(&points)
}

/// What is wrong with what a process held.
fn judge(held: &[f64], time: Duration) -> Result<Slope, String> {
    let growth = growth(held, time);
    if time >= PROVES {
        return if growth.high < BOUND { Ok(growth) } else { Err(format!("{growth} MiB an hour")) };
    }
    let settling = growth.low * time.as_secs_f64() / 3600.0;
    if growth.low > BOUND && settling > SETTLING {
        return Err(format!("{growth} MiB an hour, {settling:.1} MiB in this run for certain"));
    }
    Ok(growth)
}

/// `QPQ_SOAK_SECONDS` makes it as long as somebody has time, `QPQ_SOAK_PAUSE_MS` more or less busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_talks_and_changes_leaves_nothing_in_memory() {
    let seed = seed("soak");
    let time = Duration::from_secs(setting("QPQ_SOAK_SECONDS", 20, 600));
    let pause = Duration::from_millis(setting("QPQ_SOAK_PAUSE_MS", 200, 200));
    let small = Spec { pause, ..Spec::small(seed) };
    let large = Spec { bots: 50, rooms: 12, members: 4, guests: 2, ..small.clone() };
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).log("warn").start().await;
    let crowd = Crowd::gather(&gateway, pick(small, large)).await;
    let done = crowd.through(watch([&node, &gateway], time)).await;
    let (report, held) = done.unwrap_or_else(|wrong| panic!("{wrong}"));
    say(&format!("{} s: {report}", time.as_secs()));
    for (name, held) in ["node", "gateway"].into_iter().zip(&held) {
        let medians = blocks(held, 15).into_iter().map(|(_, mib)| format!("{mib:.1}"));
        say(&format!("{name}: MiB, by fifteenths: {}", medians.collect::<Vec<_>>().join(" ")));
        match judge(held, time) {
            Ok(growth) => say(&format!("{name}: {growth} MiB an hour after the warm-up")),
            Err(wrong) => panic!("{name}: {wrong}; {held:?}"),
        }
    }
    gateway.stop().await;
    node.stop().await;
}

/// The control: what every message leaves behind is seen.
#[test]
fn what_grows_is_seen_and_what_goes_up_and_down_is_not() {
    let mut rng = fastrand::Rng::with_seed(9420);
    // A table of 8 MiB that is written out again and again, and some noise.
    let mut run = |per_hour: f64, hours: f64| -> Held {
        let look = |look: u32| {
            let part = f64::from(look) / f64::from(LOOKS);
            100.0 + per_hour * hours * part + 8.0 * (part * 97.0).fract() + rng.f64()
        };
        (0..LOOKS).map(look).collect()
    };
    let hours = |hours| Duration::from_secs_f64(3600.0 * hours);
    assert!(judge(&run(0.0, 3.0), hours(3.0)).is_ok());
    assert!(judge(&run(3.0, 3.0), hours(3.0)).is_err());
    assert!(judge(&run(0.0, 0.2), hours(0.2)).is_ok());
    // 1 KiB of each of 200 messages a second.
    assert!(judge(&run(703.0, 0.2), hours(0.2)).is_err());
}
