//! Who gets in: tokens, hosts, origins, and the switch.

use std::time::Duration;

use quicproquo_tests::{Answer, Api, Bot, LONG, Launch, bots, pair, wait_for, within};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{client, log_in, next, room, sync, texts};

pub(super) fn refused(answer: &Answer, status: u16, code: &str) -> Value {
    let body = answer.expect(status);
    assert_eq!(body["errcode"], code, "{}", answer.text);
    assert!(body["error"].is_string(), "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json", "{}", answer.text);
    body
}

#[tokio::test]
async fn errors_have_the_form_of_matrix() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let bot = Bot::create(&up, "echo").await;
    let nobody = Api::new(&up.url(), "");
    let whoami = client("/account/whoami");
    refused(&nobody.get(&whoami).await, 401, "M_MISSING_TOKEN");
    let unknown = Api::new(&up.url(), "qpq_no");
    refused(&unknown.get(&whoami).await, 401, "M_UNKNOWN_TOKEN");
    refused(&up.admin().get(&whoami).await, 403, "M_FORBIDDEN");
    refused(&bot.api.get("/_matrix/client/v3/nothing").await, 404, "M_UNRECOGNIZED");
    refused(&bot.api.delete(&whoami).await, 405, "M_UNRECOGNIZED");
    let nowhere = room(&"0".repeat(64));
    let path = client(&format!("/rooms/{nowhere}/state"));
    refused(&bot.api.get(&path).await, 404, "M_NOT_FOUND");
    refused(
        &bot.api.post(&client(&format!("/join/{nowhere}")), &json!({})).await,
        403,
        "M_FORBIDDEN",
    );
    let filter = client("/user/@echo:localhost/filter");
    let broken = bot.api.request(Method::POST, &filter).body("{");
    refused(&bot.api.send(broken).await, 400, "M_BAD_JSON");
    let large = bot.api.request(Method::POST, &filter).body("x".repeat(2_000_000));
    refused(&bot.api.send(large).await, 413, "M_TOO_LARGE");
    let other = client("/user/@other:localhost/filter");
    refused(&bot.api.post(&other, &json!({})).await, 403, "M_FORBIDDEN");
    let foreign = bot.api.request(Method::GET, &whoami).header("host", "evil.example");
    refused(&bot.api.send(foreign).await, 403, "M_FORBIDDEN");
    // r0 is the same, whatever else the query says.
    let me = bot.api.get("/_matrix/client/r0/account/whoami?lang=eo").await.expect(200);
    assert_eq!(me["user_id"], "@echo:localhost");
}

#[tokio::test]
async fn requests_in_a_rush_are_told_when_to_come_again() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up"))
        .arg("--http-token-per-sec", "1")
        .arg("--http-token-burst", "3")
        .start()
        .await;
    let bot = Bot::create(&up, "echo").await;
    let mut last = bot.api.get(&client("/account/whoami")).await;
    for _ in 0..5 {
        last = bot.api.get(&client("/account/whoami")).await;
    }
    let body = refused(&last, 429, "M_LIMIT_EXCEEDED");
    assert_eq!(body["retry_after_ms"], 1000);
    assert_eq!(last.header("retry-after"), "1");
}

#[tokio::test]
async fn a_token_in_the_query_is_good_and_in_no_log() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).log("trace").start().await;
    let bot = Bot::create(&up, "echo").await;
    let token = bot.api.token().to_owned();
    let old = Api::new(&up.url(), "");
    let path = client(&format!("/account/whoami?access_token={token}"));
    old.get(&path).await.expect(200);
    old.get(&format!("/v1/me?access_token={token}")).await.expect_problem(401, "token-missing");
    let path = client("/account/whoami?access_token=qpq_no");
    refused(&old.get(&path).await, 401, "M_UNKNOWN_TOKEN");
    let metrics = up.admin().get("/metrics").await;
    let log = up.log();
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("/_matrix/client/v3/account/whoami"), "requests are logged");
    assert!(!log.contains(&token), "without the token");
    assert!(!metrics.text.contains(&token) && metrics.text.contains("account/whoami"));
}

#[tokio::test]
async fn a_login_is_listed_and_ends_with_its_password() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let bot = Bot::create(&up, "echo").await;
    let admin = up.admin();
    let tokens = format!("/v1/bots/{}/tokens", bot.id);
    let password = admin.post(&tokens, &json!({ "scopes": ["messages:read"] })).await.expect(201);
    let secret = password["token"].as_str().expect("a token");
    let bot = Bot { api: Api::new(&up.url(), secret), ..bot };
    let login = log_in(&up, &bot, "PHONE").await;
    // No more than the password may do.
    let create = login.post(&client("/createRoom"), &json!({})).await;
    refused(&create, 403, "M_FORBIDDEN");
    let listed = admin.get(&tokens).await.expect(200);
    let labels: Vec<_> = listed["items"].as_array().unwrap().iter().map(|t| &t["label"]).collect();
    assert!(labels.contains(&&json!("Matrix login: PHONE")), "{labels:?}");
    // The same device again: what it had before is over.
    let again = log_in(&up, &bot, "PHONE").await;
    refused(&login.get(&client("/account/whoami")).await, 401, "M_UNKNOWN_TOKEN");
    let other = log_in(&up, &bot, "DESK").await;
    other.post(&client("/logout"), &json!({})).await.expect(200);
    refused(&other.get(&client("/account/whoami")).await, 401, "M_UNKNOWN_TOKEN");
    refused(&bot.api.post(&client("/logout"), &json!({})).await, 403, "M_FORBIDDEN");
    // A login is no password.
    let body = json!({ "type": "m.login.token", "token": again.token() });
    refused(&again.post(&client("/login"), &body).await, 403, "M_FORBIDDEN");
    let since = next(&sync(&again, "", 0).await);
    let path = client(&format!("/sync?timeout=60000&since={since}"));
    let revoke = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let path = format!("{tokens}/{}", password["token_id"].as_str().unwrap());
        admin.delete(&path).await.expect(204);
    };
    let (waiting, ()) = tokio::join!(within("a wait to end", LONG, again.get(&path)), revoke);
    refused(&waiting, 401, "M_UNKNOWN_TOKEN");
    refused(&again.get(&client("/account/whoami")).await, 401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn a_limited_token_sees_its_rooms_only() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let other = bob.create_group("other", &[&alice]).await;
    alice.accept(&other).await;
    let path = format!("/v1/bots/{}/tokens", bob.id);
    let made = up.admin().post(&path, &json!({ "groups": [group] })).await.expect(201);
    let limited = Api::new(&up.url(), made["token"].as_str().expect("a token"));
    let first = sync(&limited, "", 0).await;
    let rooms: Vec<_> = first["rooms"]["join"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(rooms, [room(&group)]);
    alice.say(&other, "not for all").await;
    alice.say(&group, "for all").await;
    let answer = sync(&limited, &next(&first), 30_000).await;
    assert_eq!(texts(&answer, &group), ["for all"]);
    assert!(answer["rooms"]["join"].get(room(&other)).is_none(), "{answer}");
    let path = client(&format!("/rooms/{}/state", room(&other)));
    refused(&limited.get(&path).await, 403, "M_FORBIDDEN");
}

#[tokio::test]
async fn it_can_be_switched_off_and_pages_are_let_in_by_name() {
    let dir = TempDir::new().unwrap();
    let off = Launch::up(&dir.path().join("off")).arg("--matrix", "false").start().await;
    let path = "/_matrix/client/versions";
    Api::new(&off.url(), "").get(path).await.expect_problem(404, "route-not-found");
    let up = Launch::up(&dir.path().join("up"))
        .arg("--matrix-allowed-origin", "https://bots.example")
        .start()
        .await;
    let api = Api::new(&up.url(), "");
    let asked = |path: &str, origin: &str| {
        api.request(Method::OPTIONS, path)
            .header("origin", origin)
            .header("access-control-request-method", "PUT")
            .header("access-control-request-headers", "authorization")
    };
    let allowed = api.send(asked(&client("/sync"), "https://bots.example")).await;
    allowed.expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://bots.example");
    assert!(allowed.header("access-control-allow-headers").contains("authorization"));
    refused(&api.send(asked(&client("/sync"), "https://evil.example")).await, 403, "M_FORBIDDEN");
    let native = api.send(asked("/v1/me", "https://bots.example")).await;
    native.expect_problem(403, "origin-refused");
    let versions = api.request(Method::GET, path).header("origin", "https://bots.example");
    let versions = api.send(versions).await;
    assert_eq!(versions.header("access-control-allow-origin"), "https://bots.example");
    // A page reads what it did wrong, too.
    let nothing = api.request(Method::GET, &client("/nothing"));
    let nothing = api.send(nothing.header("origin", "https://bots.example")).await;
    refused(&nothing, 404, "M_UNRECOGNIZED");
    assert_eq!(nothing.header("access-control-allow-origin"), "https://bots.example");
    let versions = versions.expect(200);
    assert!(versions["versions"].as_array().unwrap().contains(&json!("v1.11")));
    let found = api.get("/.well-known/matrix/client").await.expect(200);
    assert_eq!(found["m.homeserver"]["base_url"], up.url());
}

/// With `open_media`, what is below `/_matrix/media` needs no token, and all else is as before.
#[tokio::test]
async fn open_media_is_for_who_knows_the_id_and_for_reading_alone() {
    let dir = TempDir::new().unwrap();
    let launch = Launch::up(&dir.path().join("up")).arg("--matrix-open-media", "true");
    let up = launch.start().await;
    let [bot, other] = bots(&up, ["echo", "other"]).await;
    let nobody = Api::new(&up.url(), "");
    let page = "<script>alert(1)</script>";
    let upload = |api: &Api| {
        let path = "/_matrix/media/v3/upload?filename=a.html";
        api.request(Method::POST, path).header("content-type", "text/html").body(page)
    };
    let uri = bot.api.send(upload(&bot.api)).await.expect(200)["content_uri"].clone();
    let path = uri.as_str().and_then(|uri| uri.strip_prefix("mxc://")).expect("an address");
    let id = path.split('/').nth(1).expect("an id");
    for prefix in ["media/v3", "media/r0", "media/v1"] {
        for what in ["download", "thumbnail"] {
            let file = nobody.get(&format!("/_matrix/{prefix}/{what}/{path}")).await;
            file.expect(200);
            assert_eq!(file.text, page);
            inert(&file, &format!("{prefix}/{what}"));
        }
    }
    let named = nobody.get(&format!("/_matrix/media/v3/download/{path}/b.html")).await;
    named.expect(200);
    inert(&named, "with a name");
    assert!(named.header("content-disposition").contains("a.html"), "its own name");
    // A token that is there is looked at: one that is not valid, or another bot's, opens nothing.
    let download = format!("/_matrix/media/v3/download/{path}");
    refused(&Api::new(&up.url(), "qpq_no").get(&download).await, 401, "M_UNKNOWN_TOKEN");
    refused(&other.api.get(&download).await, 404, "M_NOT_FOUND");
    // Who does not know the id gets nothing, and all else needs a token as ever.
    let guessed = download.replace(id, &"0".repeat(id.len()));
    refused(&nobody.get(&guessed).await, 404, "M_NOT_FOUND");
    let elsewhere = download.replace("localhost", "other.example");
    refused(&nobody.get(&elsewhere).await, 404, "M_NOT_FOUND");
    let newer = format!("/_matrix/client/v1/media/download/{path}");
    refused(&nobody.get(&newer).await, 401, "M_MISSING_TOKEN");
    refused(&nobody.send(upload(&nobody)).await, 401, "M_MISSING_TOKEN");
    refused(&nobody.get("/_matrix/media/v3/config").await, 401, "M_MISSING_TOKEN");
    nobody.get(&format!("/v1/attachments/{id}")).await.expect_problem(401, "token-missing");
    // The control: switched off, the same address needs a token.
    let up = up.stop().await.arg("--matrix-open-media", "false").start().await;
    let nobody = Api::new(&up.url(), "");
    refused(&nobody.get(&download).await, 401, "M_MISSING_TOKEN");
    Api::new(&up.url(), bot.api.token()).get(&download).await.expect(200);
}

/// No browser runs it, guesses its type or shows it in a page.
fn inert(file: &Answer, what: &str) {
    assert!(file.header("content-disposition").starts_with("attachment"), "{what}");
    let policy = file.header("content-security-policy");
    assert!(
        policy.contains("sandbox") && policy.contains("default-src 'none'"),
        "{what}: {policy}"
    );
    assert!(!policy.contains("allow-"), "{what}: {policy}");
    assert_eq!(file.header("x-content-type-options"), "nosniff", "{what}");
}

#[tokio::test]
async fn hosts_and_pages_that_are_not_known_get_nothing_from_any_route() {
    let dir = TempDir::new().unwrap();
    let up =
        Launch::up(&dir.path().join("up")).arg("--http-allowed-host", "bots.example").start().await;
    let bot = Bot::create(&up, "echo").await;
    let paths = [
        client("/sync"),
        client("/login"),
        "/_matrix/client/versions".to_owned(),
        "/_matrix/media/v3/config".to_owned(),
        "/.well-known/matrix/client".to_owned(),
        client("/nothing"),
    ];
    for path in &paths {
        for (name, value) in [
            ("host", "evil.example"),
            ("host", "localhost"),
            ("host", "bots.example:8080"),
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let request = bot.api.request(Method::GET, path).header(name, value);
            let answer = bot.api.send(request).await;
            refused(&answer, 403, "M_FORBIDDEN");
            assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        }
        // The control: under a name that is allowed, and without a page, it is answered.
        let request = bot.api.request(Method::GET, path).header("host", "bots.example");
        let answer = bot.api.send(request).await;
        assert_ne!(answer.status, 403, "{path}: {}", answer.text);
    }
}

/// Without a token it is the address that is in a rush; each token has a rate of its own.
#[tokio::test]
async fn rates_of_addresses_and_of_tokens_do_not_mix() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up"))
        .arg("--http-address-per-sec", "1")
        .arg("--http-address-burst", "3")
        .start()
        .await;
    let [bot] = bots(&up, ["echo"]).await;
    let stranger = Api::new(&up.url(), "qpq_no");
    let whoami = client("/account/whoami");
    let mut over = stranger.get(&whoami).await;
    refused(&over, 401, "M_UNKNOWN_TOKEN");
    for _ in 0..200 {
        over = stranger.get(&whoami).await;
        if over.status == 429 {
            break;
        }
    }
    let body = refused(&over, 429, "M_LIMIT_EXCEEDED");
    assert_eq!(body["retry_after_ms"], 1000);
    assert_eq!(over.header("ratelimit-policy"), "\"address\";q=3;w=3");
    for _ in 0..20 {
        bot.api.get(&whoami).await.expect(200);
    }
    wait_for("the address to be forgiven", LONG, async || {
        (stranger.get(&whoami).await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn files_are_inert_and_need_a_token() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [bot, other] = bots(&up, ["echo", "other"]).await;
    let page = bot
        .api
        .request(Method::POST, "/_matrix/media/v3/upload?filename=a.html")
        .header("content-type", "text/html")
        .body("<script>alert(1)</script>");
    let uri = bot.api.send(page).await.expect(200)["content_uri"].as_str().unwrap().to_owned();
    let path = uri.strip_prefix("mxc://").expect("the address of a file");
    for prefix in ["client/v1/media", "media/v3", "media/r0"] {
        for what in ["download", "thumbnail"] {
            let path = format!("/_matrix/{prefix}/{what}/{path}");
            let file = bot.api.get(&path).await;
            file.expect(200);
            assert_eq!(file.text, "<script>alert(1)</script>");
            inert(&file, &path);
            refused(&Api::new(&up.url(), "").get(&path).await, 401, "M_MISSING_TOKEN");
            refused(&other.api.get(&path).await, 404, "M_NOT_FOUND");
        }
    }
    let elsewhere = path.replace("localhost", "other");
    let path = format!("/_matrix/client/v1/media/download/{elsewhere}");
    refused(&bot.api.get(&path).await, 404, "M_NOT_FOUND");
}
