//! Bots of which the gateway knows, and whose identity is not in its other database.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};

use quicproquo_tests::{Api, Launch, Running, bots};
use serde_json::json;
use tempfile::TempDir;

/// The files of the database with the identities.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let client = entries.filter(|one| one.file_name().to_string_lossy().starts_with("client.db"));
    client.map(|entry| entry.path()).collect()
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

fn again(up: &Running, api: &Api) -> Api {
    Api::new(&up.url(), api.token())
}

#[tokio::test]
async fn a_bot_that_an_older_database_does_not_have_is_told_as_stopped() {
    let dir = TempDir::new().unwrap();
    let (data, older) = (dir.path().join("up"), dir.path().join("older"));
    let up = Launch::up(&data).start().await;
    let [alice] = bots(&up, ["alice"]).await;
    let launch = up.stop().await;
    let folder = data.join("gateway");
    fs::create_dir(&older).unwrap();
    copy(&folder, &older);

    let up = launch.start().await;
    let [bob] = bots(&up, ["bob"]).await;
    bob.api.get("/v1/me").await.expect(200);
    let launch = up.stop().await;
    // Somebody puts back one of the two databases from before.
    for path in files(&folder) {
        fs::remove_file(path).unwrap();
    }
    copy(&older, &folder);

    let up = launch.start().await;
    let (alice, of_bob) = (again(&up, &alice.api), again(&up, &bob.api));
    alice.get("/v1/me").await.expect(200);
    for path in ["/v1/me", "/v1/groups", "/v1/events?timeout=0"] {
        let problem = of_bob.get(path).await.expect_problem(503, "bot-stopped");
        assert_eq!(problem["retryable"], true, "{problem}");
    }
    // The operator sees it, and can do away with it; nothing else can be done to it.
    let (admin, path) = (up.admin(), format!("/v1/bots/{}", bob.id));
    let shown = admin.get(&path).await.expect(200);
    assert_eq!(shown["state"], "stopped", "{shown}");
    let policy = json!({ "invite_policy": { "policy": "none" } });
    admin.patch(&path, &policy).await.expect_problem(503, "bot-stopped");
    admin.delete(&path).await.expect(204);
    of_bob.get("/v1/me").await.expect_problem(401, "token-invalid");
    up.stop().await;
}
