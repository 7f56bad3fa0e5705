//! Scopes, limits and revocation of bot tokens.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use quicproquo_tests::bot::{find_token, messages, text_message};
use quicproquo_tests::{Api, Launch, Running, SOON, Socket, bots, pair, wait_for};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

#[tokio::test]
async fn scopes_decide_and_revoking_is_immediate() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, _bob, group) = pair(&up).await;
    let admin = up.admin();
    let tokens = format!("/v1/bots/{}/tokens", alice.id);
    let reader = json!({ "scopes": ["messages:read", "groups:read"] });
    let issued = admin.post(&tokens, &reader).await.expect(201);
    let secret = find_token(&issued).unwrap().to_owned();
    let reader = Api::new(&up.url(), &secret);

    reader.get("/v1/groups").await.expect(200);
    let refused = reader.post(&messages(&group), &text_message("no")).await;
    refused.expect_problem(403, "scope-missing");
    let me = reader.get("/v1/me").await.expect(200);
    assert_eq!(me["identity"], alice.identity.as_str());

    let list = admin.get(&tokens).await;
    assert_eq!(list.expect(200)["items"].as_array().unwrap().len(), 2);
    assert!(!list.text.contains(&secret), "a list never shows a secret");

    let mut ear = Socket::open(&reader, "").await;
    let id = issued["token_id"].as_str().expect("a token has an id");
    let revoked = admin.delete(&format!("{tokens}/{id}")).await;
    assert!((200..=204).contains(&revoked.status), "the answer was: {}", revoked.text);
    assert_eq!(ear.closed().await.code, 4401);
    reader.get("/v1/groups").await.expect_problem(401, "token-invalid");
    alice.api.get("/v1/groups").await.expect(200);
}

#[tokio::test]
async fn names_are_taken_once_and_deleted_bots_are_gone() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, _) = pair(&up).await;
    let admin = up.admin();
    let again = admin.post("/v1/bots", &json!({ "name": "alice" })).await;
    again.expect_problem(409, "name-taken");
    assert_eq!(admin.get("/v1/bots").await.expect(200)["items"].as_array().unwrap().len(), 2);

    // A member can be named by its name.
    let body = json!({ "name": "by name", "members": ["bob"] });
    let group = alice.api.post("/v1/groups", &body).await.expect(201);
    assert!(group["members"].to_string().contains(&bob.identity));

    let gone = admin.delete(&format!("/v1/bots/{}", bob.id)).await;
    assert!((200..=204).contains(&gone.status), "the answer was: {}", gone.text);
    bob.api.get("/v1/me").await.expect_problem(401, "token-invalid");
    admin.get(&format!("/v1/bots/{}", bob.id)).await.expect_problem(404, "bot-not-found");
}

#[tokio::test]
async fn no_route_opens_without_its_token() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice] = bots(&up, ["alice"]).await;
    let nobody = Api::new(&up.url(), "");
    let document = nobody.get("/openapi.json").await.expect(200);
    let mut checked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        for (method, operation) in operations.as_object().unwrap() {
            let Some(security) = operation["security"].as_array() else { continue };
            let (is_admin, is_bot) = (
                security.iter().any(|kind| kind.get("admin_token").is_some()),
                security.iter().any(|kind| kind.get("bot_token").is_some()),
            );
            if !is_admin && !is_bot {
                continue;
            }
            assert!(is_admin != is_bot, "{method} {path}");
            let method: Method = method.to_uppercase().parse().unwrap();
            let call = async |api: &Api| {
                let request = api.request(method.clone(), &path);
                let body = method != Method::GET;
                api.send(if body { request.json(&json!({})) } else { request }).await
            };
            let unknown = Api::new(&up.url(), "qpq_unknown");
            assert_eq!(call(&nobody).await.status, 401, "{method} {path}");
            assert_eq!(call(&unknown).await.status, 401, "{method} {path}");
            let (other, slug) = if is_admin {
                (alice.api.clone(), "bot-token-refused")
            } else {
                (up.admin(), "admin-token-refused")
            };
            call(&other).await.expect_problem(403, slug);
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked} operations");
    let state = up.admin().get(&format!("/v1/bots/{}", alice.id)).await.expect(200);
    assert_eq!(state["state"], "running");
}

/// Writes a request and hangs up after less than a millisecond or a few, which tokio's timers are too
/// coarse for.
fn hang_up(up: &Running, method: &str, path: &str, key: &str, after: Duration) {
    let address = up.url().trim_start_matches("http://").to_owned();
    let token = up.admin().token().to_owned();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Idempotency-Key: {key}\r\nContent-Length: 0\r\n\r\n"
    );
    let mut stream = TcpStream::connect(&address).expect("a connection");
    stream.write_all(request.as_bytes()).expect("the request is written");
    std::thread::sleep(after);
}

#[tokio::test]
async fn a_revocation_whose_caller_hangs_up_is_whole() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice] = bots(&up, ["alice"]).await;
    let tokens = format!("/v1/bots/{}/tokens", alice.id);
    for number in 0..80_u64 {
        let issued = up.admin().post(&tokens, &json!({ "scopes": ["groups:read"] })).await;
        let issued = issued.expect(201);
        let token = Api::new(&up.url(), find_token(&issued).unwrap());
        let path = format!("{tokens}/{}", issued["token_id"].as_str().unwrap());
        let key = format!("revoke-{number}");
        hang_up(&up, "DELETE", &path, &key, Duration::from_micros(number * 40));
        // The same again under its key: while the first is under way it is 409.
        wait_for("the revocation", SOON, || async {
            let request = up.admin().request(Method::DELETE, &path);
            let answer = up.admin().send(request.header("idempotency-key", &key)).await;
            assert!([204, 409].contains(&answer.status), "{}", answer.text);
            (answer.status == 204).then_some(())
        })
        .await;
        token.get("/v1/groups").await.expect_problem(401, "token-invalid");
    }
    let left = up.admin().get(&tokens).await.expect(200);
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1), "{left}");
}

#[tokio::test]
async fn a_bot_is_renamed_and_nobody_gets_its_former_name() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (admin, [alice, bob]) = (up.admin(), bots(&up, ["alice", "bob"]).await);
    let path = format!("/v1/bots/{}", alice.id);
    let rename = async |name: &str| admin.patch(&path, &json!({ "name": name })).await;
    rename("bob").await.expect_problem(409, "name-taken");
    rename("Alice").await.expect_problem(400, "request-invalid");
    assert_eq!(rename("alice").await.expect(200)["name"], "alice");
    assert_eq!(rename("weather").await.expect(200)["name"], "weather");
    assert_eq!(alice.api.get("/v1/me").await.expect(200)["name"], "weather");
    for name in ["weather", "alice"] {
        let found = bob.api.get(&format!("/v1/identities/{name}")).await.expect(200);
        assert_eq!(found["identity"], alice.identity);
    }
    let former = json!({ "name": "alice" });
    admin.post("/v1/bots", &former).await.expect_problem(409, "name-taken");
    // An identity has four names at the node, and takes any of them again.
    for name in ["third", "fourth"] {
        rename(name).await.expect(200);
    }
    rename("fifth").await.expect_problem(409, "too-many-names");
    rename("weather").await.expect(200);

    let up = up.stop().await.start().await;
    assert_eq!(up.admin().get(&path).await.expect(200)["name"], "weather");
    up.stop().await;
}
