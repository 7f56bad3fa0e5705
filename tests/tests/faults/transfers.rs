//! SIGKILL of the node while a client sends it a blob and reads it back: both transfers go on.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::time::Duration;

use quicproquo_client::{Client, ClientConfig, NodeAddress, Session, Trust};
use quicproquo_tests::rpc::Target;
use quicproquo_tests::seed::{part, seed};
use quicproquo_tests::{LONG, Launch, SOON, wait_for, within};
use tempfile::TempDir;
use tokio::time::sleep;

/// Bytes of the blob; a node takes them in 32 pieces.
const SIZE: usize = 32 * 1024 * 1024;
/// Kills on the way up, and on the way back.
const KILLS: u64 = 3;

/// Bytes that the node has on disk for its directory, in which blobs are.
fn stored(data: &Path) -> u64 {
    let len = |name: &str| fs::metadata(data.join(name)).map_or(0, |file| file.len());
    len("node.db") + len("node.db-wal")
}

async fn session(dir: &Path, target: Target) -> (Client, Session) {
    let node = NodeAddress {
        addr: target.address,
        server_name: "localhost".into(),
        trust: Trust::Fingerprint(target.fingerprint),
    };
    let config = ClientConfig { key_package_stock: 2, ..ClientConfig::new(dir.to_owned(), node) };
    let client = Client::open(config).await.expect("a client");
    let session = client.create(None).await.expect("an identity");
    (client, session)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_goes_up_and_comes_back_while_the_node_is_killed() {
    let mut rng = part(seed("transfers"), 0);
    let dir = TempDir::new().expect("a folder");
    let data = dir.path().join("node");
    let mut node = Launch::node(&data).log("warn").start().await;
    let (client, alice) = session(&dir.path().join("client"), Target::of(&node)).await;
    let mut bytes = vec![0; SIZE];
    rng.fill(&mut bytes);

    let arrived = Cell::new(false);
    let upload = async {
        let name = alice.put_blob(&bytes).await;
        arrived.set(true);
        name
    };
    let kills = async {
        for _ in 0..KILLS {
            let more = stored(&data) + 4 * 1024 * 1024;
            let come = || async { (stored(&data) > more || arrived.get()).then_some(()) };
            wait_for("some pieces to arrive", SOON, come).await;
            assert!(!arrived.get(), "killed in the middle");
            node = node.kill().await.start().await;
        }
        node
    };
    let (uploaded, node) = tokio::join!(within("the upload", LONG, upload), kills);
    let name = uploaded.expect("the upload goes on");
    assert_eq!(alice.blob_size(name).await, Ok(Some(SIZE as u64)));

    let kills = async {
        let mut node = node;
        for _ in 0..KILLS {
            sleep(Duration::from_millis(rng.u64(5..100))).await;
            node = node.kill().await.start().await;
        }
        node
    };
    let download = within("the download", LONG, alice.get_blob(name));
    let (downloaded, node) = tokio::join!(download, kills);
    assert!(downloaded.expect("the download goes on") == bytes);
    client.shutdown().await;
    node.stop().await;
}
