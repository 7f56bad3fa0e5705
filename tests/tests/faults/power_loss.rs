//! The power goes while the node is under load: what it had answered for is on the disk.

use std::path::Path;
use std::time::Duration;

use quicproquo_tests::disk::{self, PowerDisk, Remains};
use quicproquo_tests::load::{self, Load, MessageId, Spec};
use quicproquo_tests::rpc::{Dialer, Pushed, Target};
use quicproquo_tests::seed::{part, say, seed, setting};
use quicproquo_tests::{LONG, Launch, SOON, wait_for};
use tempfile::TempDir;
use tokio::task::LocalSet;
use tokio::time::sleep;

/// Milliseconds between two cuts.
const PAUSE: std::ops::RangeInclusive<u64> = 5..=300;

/// Rows that each recipient leaves unacknowledged, so that they must be in the image.
const KEPT: usize = 120;

/// Images of one disk.
const ROUND: u64 = 6;

/// Images of the control, of which one must show a loss.
const CONTROLS: u64 = 10;

fn node(folder: &Path, log: &Path) -> Launch {
    Launch::node(&folder.join("node")).log("warn").log_file(log)
}

/// Rows by recipient: the number of the message, its position.
type Rows = Vec<Vec<(MessageId, u64)>>;

/// What the node has answered for, and no recipient may have acknowledged.
fn promised(load: &Load) -> Rows {
    let ledger = load.ledger();
    let rows = ledger.queues().iter().map(|queue| {
        let rows = queue.answered.iter().map(|(id, seq)| (*id, *seq));
        rows.filter(|(_, seq)| *seq > queue.acknowledging).collect()
    });
    rows.collect()
}

/// Starts a node on what is left and reads every queue.
async fn left(remains: &Remains, log: &Path, recipients: u16) -> Rows {
    let node = node(remains.path(), log).start().await;
    let dialer = Dialer::new(Target::of(&node), SOON);
    let read = async {
        let mut all = Vec::new();
        for number in 0..recipients {
            let link = dialer.dial().await.expect("the node is there");
            let mut who = load::recipient(number);
            let session = link.authenticate(&mut who).await.expect("a Session");
            let rows = session.peek_all().await.expect("rows").into_iter().map(|row| match row {
                Pushed::Row(seq, payload) => {
                    (MessageId::read(&payload, number).expect("a good row"), seq)
                }
                Pushed::Gap(..) => panic!("{number} has a gap: {row:?}"),
            });
            all.push(rows.collect());
        }
        all
    };
    let rows = LocalSet::new().run_until(read).await;
    node.kill().await;
    rows
}

/// Cuts the power of a loaded node so many times, or until rows are lost; answers how many images
/// lost how many rows.
async fn cut(
    launch: impl Fn(Launch) -> Launch,
    seed: u64,
    images: u64,
    control: bool,
) -> (u64, u64) {
    let logs = TempDir::new().expect("a folder");
    let mut rng = part(seed, u64::MAX);
    let mut disk = PowerDisk::new(160);
    let log = logs.path().join("node.log");
    // The database is there and whole before anything goes wrong.
    let new = node(disk.path(), &log).start().await;
    let node = launch(new.stop().await).start().await;
    let spec = Spec { keep: KEPT, bytes: 400, ..Spec::new(seed) };
    let recipients = spec.recipients;
    let load = Load::start(spec, Target::of(&node));
    let (mut losing, mut lost, mut checked) = (0, 0, 0);
    for image in 0..images {
        let before = load.answered();
        wait_for("the load to get on", LONG, || async {
            (load.answered() > before + 20).then_some(())
        })
        .await;
        sleep(Duration::from_millis(rng.u64(PAUSE))).await;
        // A fast node would have all of them acknowledged before the disk is copied.
        load.hold(true);
        let promised = promised(&load);
        let remains = disk.cut();
        let acknowledged: Vec<u64> =
            load.ledger().queues().iter().map(|queue| queue.acknowledging).collect();
        load.hold(false);
        let left = left(&remains, &logs.path().join("image.log"), recipients).await;
        let mut missing = 0;
        for ((promised, left), acknowledged) in promised.iter().zip(&left).zip(&acknowledged) {
            for row in promised.iter().filter(|(_, seq)| seq > acknowledged) {
                checked += 1;
                missing += u64::from(!left.contains(row));
            }
        }
        if missing > 0 {
            say(&format!("image {image} lost {missing} rows"));
            losing += 1;
            lost += missing;
            if control {
                break;
            }
        }
    }
    let report = load.settle().await;
    report.assert_clean();
    say(&format!("{images} images: {losing} lost {lost} of {checked} rows; the load: {report}"));
    assert!(checked > images, "rows were there to be lost: {checked}");
    node.stop().await;
    (losing, lost)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_nothing_that_was_answered() {
    if !disk::usable("power_loss") {
        return;
    }
    let seed = seed("power_loss");
    let mut images = setting("QPQ_IMAGES", 6, 50);
    // A new disk for each few, since nothing is freed while journals are young.
    for round in 0.. {
        let here = images.min(ROUND);
        let lost = cut(|launch| launch, seed + round, here, false).await;
        assert_eq!(lost, (0, 0), "images that lost rows, and rows");
        images -= here;
        if images == 0 {
            break;
        }
    }
}

/// A node that had promised nothing yet must not be left with half a database that it refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_in_the_first_start_leaves_a_node_that_starts() {
    if !disk::usable("power_loss first start") {
        return;
    }
    let mut rng = part(seed("power_loss first start"), 0);
    let logs = TempDir::new().expect("a folder");
    for cut in 0..setting("QPQ_IMAGES", 16, 50) {
        let mut disk = PowerDisk::new(96);
        let log = logs.path().join("first.log");
        let moment = Duration::from_millis(rng.u64(0..=150));
        let launch = node(disk.path(), &log);
        let (first, remains) = tokio::join!(launch.start(), async {
            sleep(moment).await;
            disk.cut()
        });
        let again = node(remains.path(), &logs.path().join("again.log")).try_start().await;
        let again = again.unwrap_or_else(|ended| panic!("cut {cut} after {moment:?}: {ended:?}"));
        again.stop().await;
        first.stop().await;
    }
}

/// The control: with commits that are not synced the same test sees the loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_synced_commits_a_power_cut_loses_rows() {
    if !disk::usable("power_loss control") {
        return;
    }
    let unsynced = |launch: Launch| launch.env("QPQ_TEST_SYNC", "none");
    let (losing, lost) = cut(unsynced, seed("power_loss control"), CONTROLS, true).await;
    assert!(losing > 0 && lost > 0, "the test sees no loss where there is one");
}
