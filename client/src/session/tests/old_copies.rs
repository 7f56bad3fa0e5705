//! An old copy of the state finds key packages at the node whose private halves it lacks.

use std::path::Path;
use std::time::Duration;

use quicproquo_core::identity::IdentityKey;
use quicproquo_core::suite::Suite;

use super::stranger::Stranger;
use super::world::{World, bot, heard, meet, patient, text};
use crate::client::Client;
use crate::config::ClientConfig;

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// Waits until the node hands out another package than before.
async fn another(stranger: &Stranger, of: IdentityKey, before: &[u8]) -> Vec<u8> {
    let changed = async {
        loop {
            let package = stranger.package(of, Suite::Native).await;
            if package != before {
                return package;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), changed).await.expect("another package")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_replaces_the_key_packages_of_the_newer_one() {
    let world = World::new().await;
    // Last-resort packages alone.
    let config = || ClientConfig { key_package_stock: 0, ..world.config("a") };
    let (first, second) = (Client::open(config()).await.unwrap(), world.client("b").await);
    let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
    let key = alice.identity();
    let stranger = Stranger::connect(&world).await;
    let package = stranger.package(key, Suite::Native).await;
    first.shutdown().await;
    let (state, monday) = (world.path().join("a"), world.path().join("monday"));
    copy(&state, &monday);

    // The newer copy replaces its package after use.
    let first = Client::open(config()).await.unwrap();
    let alice = first.session(&key).unwrap();
    meet(Suite::Native, &bob, &[&alice]).await;
    let package = another(&stranger, key, &package).await;
    first.shutdown().await;
    copy(&monday, &state);

    let first = Client::open(config()).await.unwrap();
    let alice = first.session(&key).unwrap();
    another(&stranger, key, &package).await;
    let group = meet(Suite::Native, &bob, &[&alice]).await;
    bob.send(group, text("you can be reached"), patient()).await.unwrap();
    heard(&alice, "you can be reached").await;
    first.shutdown().await;
    second.shutdown().await;
}
