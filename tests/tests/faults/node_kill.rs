//! SIGKILL of the node under load, again and again.

use std::fs;
use std::time::Duration;

use quicproquo_tests::load::{Load, Spec};
use quicproquo_tests::rpc::Target;
use quicproquo_tests::seed::{part, say, seed, setting};
use quicproquo_tests::{LONG, Launch, files, wait_for};
use tempfile::TempDir;
use tokio::time::sleep;

/// Milliseconds that a node lives.
const LIFE: std::ops::RangeInclusive<u64> = 5..=300;

/// Waits for more answers than there are now.
async fn gets_on(load: &Load, rows: u64) {
    let before = load.answered();
    wait_for("the load to get on", LONG, || async {
        (load.answered() > before + rows).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_loses_doubles_and_reorders_nothing() {
    let seed = seed("node_kill");
    let kills = setting("QPQ_KILLS", 30, 500);
    let rows = setting("QPQ_ROWS", 2_000, 200_000);
    let mut rng = part(seed, u64::MAX);
    let dir = TempDir::new().unwrap();
    let mut node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let load = Load::start(Spec::new(seed), Target::of(&node));
    let mut killed = 0;
    while killed < kills {
        // The last one lives until nearly all rows are there.
        if killed + 1 == kills {
            say(&format!("{killed} kills, {} rows answered", load.answered()));
            while load.answered() < rows {
                gets_on(&load, 0).await;
            }
        }
        // Every second life counts from its first answer, so that the load gets on; the others
        // count from the start, so that kills also fall into reconnecting.
        if rng.bool() {
            gets_on(&load, 0).await;
        }
        sleep(Duration::from_millis(rng.u64(LIFE))).await;
        node = node.kill().await.start().await;
        killed += 1;
    }
    let report = load.settle().await;
    say(&format!("{killed} kills: {report}"));
    report.assert_clean();
    assert!(report.answered >= rows, "{report}");
}

/// The control: the same load sees it when a killed node comes back with an older state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_forgotten_is_seen_by_the_load() {
    let seed = seed("node_kill control");
    let dir = TempDir::new().unwrap();
    let (data, old) = (dir.path().join("node"), dir.path().join("old"));
    let launch = Launch::node(&data).log("warn").start().await.stop().await;
    files::copy_tree(&data, &old);
    let node = launch.start().await;
    let spec = Spec { patience: Duration::from_secs(3), ..Spec::new(seed) };
    let load = Load::start(spec, Target::of(&node));
    gets_on(&load, 200).await;
    let launch = node.kill().await;
    fs::remove_dir_all(&data).expect("remove the data");
    files::copy_tree(&old, &data);
    let _node = launch.start().await;
    let report = load.settle().await;
    assert!(report.lost > 0 && report.faults > 0, "a loss that nobody sees: {report}");
}
