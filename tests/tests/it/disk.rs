//! A node whose disk is almost full takes nothing new, loses nothing, and comes back by itself.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use quicproquo_tests::{Api, Bot, LONG, Launch, Running, pair, wait_for};
use tempfile::TempDir;

const MIB: usize = 1024 * 1024;
const TEXT: &str = "it waits for room";
/// How long the node may take to notice that there is room again.
const BACK: Duration = Duration::from_secs(5);

fn ops(node: &Running) -> Api {
    Api::new(node.field("node_ops"), "")
}

async fn not_ready_for_its_disk(node: &Running) {
    wait_for("the node to see its disk", LONG, async || {
        let answer = ops(node).get("/health/ready").await;
        (answer.status == 503 && answer.text.contains("\"check\":\"disk\"")).then_some(())
    })
    .await;
}

/// A message that the node does not take now: the gateway keeps it.
async fn say_in_vain(node: &Running, alice: &Bot, group: &str) {
    alice.say(group, TEXT).await;
    let refused = "qpq_node_calls_total{method=\"send\",code=\"STORAGE_FULL\"} ";
    wait_for("the node to refuse the message", LONG, async || {
        ops(node).get("/metrics").await.text.contains(refused).then_some(())
    })
    .await;
}

#[tokio::test]
async fn messages_wait_while_the_node_refuses_them() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).arg("--node-ops-listen", "127.0.0.1:0");
    let node = node.start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let tail = bob.tail().await;

    let node = node.stop().await.arg("--node-min-free-disk", "1000000 TiB").start().await;
    not_ready_for_its_disk(&node).await;
    say_in_vain(&node, &alice, &group).await;
    // Nobody is to restart a node whose disk is full.
    ops(&node).get("/health/live").await.expect(200);
    assert!(bob.heard(&tail, &group).await.is_empty());

    let node = node.stop().await.arg("--node-min-free-disk", "0").start().await;
    ops(&node).get("/health/ready").await.expect(200);
    bob.hears(&tail, &group, &[TEXT.to_owned()]).await;
}

/// A small file system of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None without the right to mount.
    fn mount(dir: &Path) -> Option<Self> {
        let run = |program: &str, args: &[&Path]| {
            let path = "/usr/sbin:/usr/bin:/sbin:/bin";
            let done = Command::new(program).args(args).env("PATH", path).output();
            done.unwrap_or_else(|error| panic!("{program}: {error}"))
        };
        let root = run("id", &[Path::new("-u")]).stdout == b"0\n";
        if !root {
            return None;
        }
        let (image, at) = (dir.join("disk.img"), dir.join("disk"));
        File::create(&image)
            .expect("a file of the disk image")
            .set_len(96 * MIB as u64)
            .expect("a file of the disk image");
        fs::create_dir(&at).expect("a file of the disk image");
        let made = run("mkfs.ext4", &[Path::new("-q"), Path::new("-F"), &image]);
        assert!(made.status.success(), "{made:?}");
        let mounted = run("mount", &[Path::new("-o"), Path::new("loop"), &image, &at]);
        assert!(mounted.status.success(), "{mounted:?}");
        Some(Self(at))
    }

    /// Fills it up to some MiB; returns what to remove.
    fn fill(&self, leave: usize) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).expect("a file of the disk image");
        let zeros = vec![0; MIB];
        let mut written = 0;
        while file.write_all(&zeros).is_ok() {
            written += MIB;
        }
        file.set_len(written.saturating_sub(leave * MIB) as u64).expect("a file of the disk image");
        file.sync_all().expect("a file of the disk image");
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the node may still be on its way out.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn room_on_the_disk_is_noticed_within_five_seconds() {
    let dir = TempDir::new().unwrap();
    let Some(disk) = SmallDisk::mount(dir.path()) else {
        // Only root may mount; the test above does not need it.
        return;
    };
    let node = Launch::node(&disk.0.join("node"))
        .log_file(&dir.path().join("node.log"))
        .arg("--node-ops-listen", "127.0.0.1:0")
        .arg("--node-min-free-disk", "12 MiB")
        .start()
        .await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let tail = bob.tail().await;
    ops(&node).get("/health/ready").await.expect(200);

    let filler = disk.fill(8);
    not_ready_for_its_disk(&node).await;
    say_in_vain(&node, &alice, &group).await;
    fs::remove_file(filler).unwrap();
    wait_for("the node to see the room", BACK, async || {
        (ops(&node).get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    bob.hears(&tail, &group, &[TEXT.to_owned()]).await;
    let log = fs::read_to_string(dir.path().join("node.log")).unwrap();
    assert!(log.contains("almost full") && log.contains("room again"), "{log}");
    gateway.stop().await;
    node.stop().await;
}
