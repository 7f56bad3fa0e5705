//! The power of the gateway goes while a crowd of bots talks: what it had answered for comes to
//! everybody, once.

use std::cell::Cell;
use std::time::Duration;

use quicproquo_tests::crowd::{Crowd, Spec};
use quicproquo_tests::disk::{self, PowerDisk};
use quicproquo_tests::seed::{part, say, seed, setting};
use quicproquo_tests::{Launch, Running};
use tempfile::TempDir;
use tokio::time::sleep;

/// Milliseconds from an answer to a cut.
const LIFE: std::ops::RangeInclusive<u64> = 5..=300;

/// Images of the control, of which one must show a loss.
const CONTROLS: u64 = 3;

/// Cuts the power of the gateway so many times, or until something is lost; answers the one that
/// runs in the end, and what is lost.
async fn cut(
    crowd: &Crowd,
    mut gateway: Running,
    disk: &mut PowerDisk,
    images: u64,
    seed: u64,
) -> (Running, Option<String>) {
    let mut rng = part(seed, u64::MAX);
    for image in 0..images {
        crowd.gets_on(3).await;
        sleep(Duration::from_millis(rng.u64(LIFE))).await;
        let dark = disk.lose_power(|| gateway.strike());
        let launch = gateway.kill().await;
        let promised = crowd.sent();
        dark.power_returns();
        gateway = launch.start().await;
        // What was answered is in the sender's history at once.
        for sent in promised.iter().rev().take(12) {
            let group = &crowd.rooms[sent.room].group;
            let path = format!("/v1/groups/{group}/messages/{}", sent.message);
            let answer = crowd.bots[sent.bot].api.get(&path).await;
            if answer.status != 200 {
                return (gateway, Some(format!("image {image}: {sent:?}: {}", answer.text)));
            }
        }
    }
    (gateway, None)
}

async fn run(launch: impl Fn(Launch) -> Launch, spec: Spec, images: u64) -> Result<String, String> {
    let dir = TempDir::new().expect("a folder");
    let mut disk = PowerDisk::new(96);
    let node = Launch::node(&dir.path().join("node")).log("warn").start().await;
    let gateway = Launch::gateway(&disk.path().join("gateway"), &node).log("warn");
    let gateway = gateway.log_file(&dir.path().join("gateway.log")).start().await;
    let seed = spec.seed;
    let crowd = Crowd::gather(&gateway, spec).await;
    // The database is there and whole before anything goes wrong.
    let gateway = launch(gateway.stop().await).start().await;
    let lost = Cell::new(None);
    let work = async {
        let (gateway, missing) = cut(&crowd, gateway, &mut disk, images, seed).await;
        lost.set(missing);
        gateway
    };
    let done = crowd.through(work).await;
    if let Some(lost) = lost.take() {
        return Err(lost);
    }
    let (report, gateway) = done?;
    gateway.stop().await;
    node.stop().await;
    Ok(report.to_string())
}

fn spec(seed: u64) -> Spec {
    Spec { bots: 4, rooms: 2, members: 3, guests: 0, ..Spec::small(seed) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_of_the_gateway_loses_nothing_that_was_answered() {
    if !disk::usable("gateway_power") {
        return;
    }
    let images = setting("QPQ_IMAGES", 4, 50);
    let report = run(|launch| launch, spec(seed("gateway_power")), images).await;
    say(&format!("{images} images: {}", report.unwrap_or_else(|wrong| panic!("{wrong}"))));
}

/// The control: with commits that are synced later the same test sees the loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_synced_commits_a_power_cut_of_the_gateway_loses_messages() {
    if !disk::usable("gateway_power control") {
        return;
    }
    let unsynced = |launch: Launch| launch.env("QPQ_TEST_SYNC", "none");
    let spec = Spec { patience: Duration::from_secs(1), ..spec(seed("gateway_power control")) };
    let lost = run(unsynced, spec, CONTROLS).await;
    say(&format!("{lost:?}"));
    lost.expect_err("the test sees no loss where there is one");
}
