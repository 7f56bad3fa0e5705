//! What must not be found where it does not belong, looked for byte by byte.

use std::path::Path;

use quicproquo_tests::files::{contains, contents};
use quicproquo_tests::{Bot, Launch, Running, pair};
use tempfile::TempDir;

const PLAINTEXT: &str = "canary-7c1d-the-message";
const GROUP: &str = "canary-93ab-the-group-name";

/// Panics when a secret is in a log or in a file of the data directory, apart from the files
/// that exist to hold it.
fn search(data: &Path, log: &[u8], secrets: &[(&str, String)]) {
    for (what, secret) in secrets {
        assert!(!contains(log, secret.as_bytes()), "the log contains {what}");
    }
    for (path, bytes) in contents(data) {
        let name = path.file_name().unwrap_or_default();
        if name == "admin-token" {
            continue;
        }
        for (what, secret) in secrets {
            assert!(!contains(&bytes, secret.as_bytes()), "{} contains {what}", path.display());
        }
    }
}

fn secrets(gateway: &Running, bots: [&Bot; 2]) -> Vec<(&'static str, String)> {
    vec![
        ("the plaintext", PLAINTEXT.to_owned()),
        ("the group's name", GROUP.to_owned()),
        ("the admin token", gateway.admin().token().to_owned()),
        ("a bot token", bots[0].api.token().to_owned()),
        ("a bot token", bots[1].api.token().to_owned()),
    ]
}

#[tokio::test]
async fn neither_plaintext_nor_tokens_are_in_databases_or_logs() {
    let dir = TempDir::new().unwrap();
    let (node_dir, gateway_dir) = (dir.path().join("node"), dir.path().join("gateway"));
    let node = Launch::node(&node_dir).log("trace").start().await;
    let gateway = Launch::gateway(&gateway_dir, &node).log("trace").start().await;
    let (alice, bob, _) = pair(&gateway).await;
    let group = alice.create_group(GROUP, &[&bob]).await;
    bob.accept(&group).await;
    let tail = bob.tail().await;
    alice.say(&group, PLAINTEXT).await;
    bob.hears(&tail, &group, &[PLAINTEXT.to_owned()]).await;
    let secrets = secrets(&gateway, [&alice, &bob]);

    // The search finds what is there: names are public to the node, and logs do say something.
    let files = contents(&node_dir);
    assert!(files.iter().any(|(_, bytes)| contains(bytes, b"alice")), "the control is found");
    assert!(contains(&gateway.log(), b"TRACE"), "the log is at TRACE");

    // While running, with the WAL as it is, and after a clean end.
    search(&node_dir, &node.log(), &secrets);
    search(&gateway_dir, &gateway.log(), &secrets);
    let log = gateway_dir.with_extension("log");
    gateway.stop().await;
    search(&gateway_dir, &std::fs::read(log).unwrap(), &secrets);
    let log = node_dir.with_extension("log");
    node.stop().await;
    search(&node_dir, &std::fs::read(log).unwrap(), &secrets);
}

#[cfg(unix)]
#[tokio::test]
async fn files_with_secrets_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let dir = TempDir::new().unwrap();
    let data = dir.path().join("up");
    let up = Launch::up(&data).start().await;
    pair(&up).await;
    let mut checked = 0;
    for (path, bytes) in contents(&data) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let secret =
            name == "admin-token" || name == "master.key" || contains(&bytes, b"PRIVATE KEY");
        if secret {
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            checked += 1;
        }
    }
    assert_eq!(checked, 3, "token, master key and TLS key were looked at");
    // Databases are behind directories that nobody else may enter.
    let mode = data.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "the data directory has mode {mode:o}");
}
