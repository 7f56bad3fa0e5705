//! An address for Matrix alone.

use std::process::Stdio;

use quicproquo_tests::{Api, LONG, Launch, Running, SOON, bots, pair, tool, wait_for, within};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::crowd::waiting;
use super::doors::refused;
use super::{client, next, put_event, sync, texts};

async fn apart(dir: &TempDir) -> Running {
    let launch = Launch::up(&dir.path().join("up")).arg("--matrix-listen", "127.0.0.1:0");
    launch.start().await
}

#[tokio::test]
async fn an_address_of_its_own_has_the_matrix_routes_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let up = apart(&dir).await;
    let (alice, bob, group) = pair(&up).await;
    let url = up.field("matrix").to_owned();
    assert_ne!(url, up.url());
    let there = Api::new(&url, bob.api.token());
    let since = next(&sync(&there, "", 0).await);
    alice.say(&group, "to the other address").await;
    let heard = within("a message", SOON, async {
        let mut since = since;
        loop {
            let answer = sync(&there, &since, 5_000).await;
            since = next(&answer);
            let heard = texts(&answer, &group);
            if !heard.is_empty() {
                return heard;
            }
        }
    })
    .await;
    assert_eq!(heard, ["to the other address"]);
    let said = json!({ "msgtype": "m.text", "body": "back" });
    let tail = alice.tail().await;
    put_event(&there, &group, "m.room.message", "1", &said).await;
    alice.hears(&tail, &group, &["back".to_owned()]).await;
    // Clients that ask where it is are told this address.
    let found = there.get("/.well-known/matrix/client").await.expect(200);
    assert_eq!(found["m.homeserver"]["base_url"], url);

    // The one has nothing of the native API, the other nothing of Matrix.
    let admin = Api::new(&url, up.admin().token());
    for path in ["/v1/bots", "/v1/me", "/metrics", "/docs", "/openapi.json", "/health/live", "/"] {
        admin.get(path).await.expect_problem(404, "route-not-found");
    }
    refused(&there.get("/_matrix/nothing").await, 404, "M_UNRECOGNIZED");
    for path in [client("/sync"), client("/login"), "/_matrix/client/versions".to_owned()] {
        refused(&bob.api.get(&path).await, 404, "M_UNRECOGNIZED");
    }
    bob.api.get("/v1/me").await.expect(200);
    // The requests of both are counted.
    let metrics = up.admin().get("/metrics").await.text;
    assert!(metrics.contains("route=\"/_matrix/client/v3/sync\""), "{metrics}");
}

#[tokio::test]
async fn each_address_answers_to_its_own_names() {
    let dir = TempDir::new().unwrap();
    let up = apart(&dir).await;
    let [bot] = bots(&up, ["echo"]).await;
    let url = up.field("matrix").to_owned();
    let (here, there) = (bot.api.clone(), Api::new(&url, bot.api.token()));
    let host_of = |url: &str| url.trim_start_matches("http://").to_owned();
    let whoami = client("/account/whoami");
    let with_host =
        |api: &Api, path: &str, host: &str| api.request(Method::GET, path).header("host", host);
    let port = url.rsplit(':').next().unwrap();
    for host in [host_of(&url), format!("localhost:{port}")] {
        there.send(with_host(&there, &whoami, &host)).await.expect(200);
    }
    // The name of the other address is none of this one, nor is that of a page that rebinds.
    for host in [host_of(&up.url()), "evil.example".to_owned(), format!("evil.example:{port}")] {
        let answer = there.send(with_host(&there, &whoami, &host)).await;
        refused(&answer, 403, "M_FORBIDDEN");
    }
    let crossed = here.send(with_host(&here, "/v1/me", &host_of(&url))).await;
    crossed.expect_problem(403, "host-refused");
    let page = there.request(Method::GET, &whoami).header("origin", "https://evil.example");
    refused(&there.send(page).await, 403, "M_FORBIDDEN");
}

/// A poll that waits there is answered at the end, and the address is free again.
#[tokio::test]
async fn its_polls_end_with_the_gateway() {
    let dir = TempDir::new().unwrap();
    let up = apart(&dir).await;
    let (_alice, bob, _group) = pair(&up).await;
    let there = Api::new(up.field("matrix"), bob.api.token());
    let since = next(&sync(&there, "", 0).await);
    let since = next(&sync(&there, &since, 0).await);
    let path = client(&format!("/sync?since={since}&timeout=60000"));
    let admin = up.admin();
    let address = up.field("matrix").trim_start_matches("http://").to_owned();
    let stop = async {
        wait_for("the poll", SOON, async || {
            (waiting(&admin.get("/metrics").await.text) == 1).then_some(())
        })
        .await;
        up.stop().await
    };
    let (answer, launch) =
        within("an answer", LONG, futures::future::join(there.get(&path), stop)).await;
    assert_eq!(next(&answer.expect(200)), since);
    let up = launch.arg("--matrix-listen", &address).start().await;
    sync(&Api::new(up.field("matrix"), there.token()), &since, 0).await;
}

#[tokio::test]
async fn it_speaks_tls_when_the_main_address_does() {
    let dir = TempDir::new().unwrap();
    let launch = Launch::up(&dir.path().join("up"))
        .arg("--matrix-listen", "127.0.0.1:0")
        .arg("--http-tls", "true");
    let up = launch.start().await;
    let url = up.field("matrix");
    assert!(url.starts_with("https://"), "{url}");
    let authority = dir.path().join("up/gateway/certificate.pem");
    let fetch = async |url: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "20", "--noproxy", "*"]);
        curl.arg("--cacert").arg(&authority).arg(url).stdin(Stdio::null()).kill_on_drop(true);
        let output = within("curl", SOON, curl.output()).await.unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    let versions = fetch(&format!("{url}/_matrix/client/versions")).await.expect("an answer");
    assert!(versions.contains("v1.11"), "{versions}");
    let found = fetch(&format!("{url}/.well-known/matrix/client")).await.expect("an answer");
    assert!(found.contains(&format!("\"base_url\":\"{url}\"")), "{found}");
    // Plain HTTP gets no answer of ours.
    let clear = url.replace("https://", "http://");
    assert_eq!(fetch(&format!("{clear}/_matrix/client/versions")).await, None);
}

#[tokio::test]
async fn its_configuration_is_checked() {
    let dir = TempDir::new().unwrap();
    let check = async |args: &[&str]| {
        let args = [&["config", "check"], args].concat();
        tool(dir.path(), &args).await
    };
    let fine = check(&["--matrix-listen", "127.0.0.1:8008"]).await;
    assert_eq!(fine.code, 0, "{}", fine.stderr);
    assert!(fine.stdout.contains("listen = \"127.0.0.1:8008\""), "{}", fine.stdout);
    for (args, why) in [
        (["--matrix-listen", "0.0.0.0:8008"], "http.matrix.listen 0.0.0.0:8008 is not loopback"),
        (["--matrix-listen", "127.0.0.1:8080"], "as http.listen"),
    ] {
        let bad = check(&args).await;
        assert_eq!(bad.code, 2, "{}", bad.stderr);
        assert!(bad.stderr.contains(why), "{}", bad.stderr);
    }
    // Another program's address is not taken away.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_addr = taken.local_addr().unwrap().to_string();
    let launch = Launch::up(&dir.path().join("up")).arg("--matrix-listen", &taken_addr);
    let failed = launch.fail().await;
    assert!(failed.stderr.contains("is taken by another program"), "{}", failed.stderr);
    // The control: with the address free, it starts.
    drop(taken);
    let up = launch.start().await;
    let [bot] = bots(&up, ["echo"]).await;
    let login = json!({ "type": "m.login.token", "token": bot.api.token() });
    Api::new(up.field("matrix"), "").post(&client("/login"), &login).await.expect(200);
    let nowhere = Api::new(&up.url(), "").post(&client("/login"), &login).await;
    refused(&nowhere, 404, "M_UNRECOGNIZED");
}
