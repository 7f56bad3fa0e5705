//! Logging in: many at once, with wrong passwords, and while the password is revoked.

use futures::future::join_all;
use quicproquo_tests::{Answer, Api, Bot, LONG, Launch, Running, bots, seed, wait_for};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use super::doors::refused;
use super::{client, log_in};

/// A login with a password, as anybody can try it.
async fn attempt(up: &Running, user: &str, password: &str, device: &str) -> Answer {
    let body = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": user },
        "password": password,
        "device_id": device,
    });
    Api::new(&up.url(), "").post(&client("/login"), &body).await
}

/// Asks until that is too often; answers the refusal, and how often it was not.
async fn until_too_many(ask: impl AsyncFn() -> Answer) -> (Answer, usize) {
    for often in 0..200 {
        let answer = ask().await;
        if answer.status == 429 {
            return (answer, often);
        }
    }
    panic!("200 requests in a row");
}

#[tokio::test]
async fn wrong_passwords_lock_nobody_out() {
    let dir = TempDir::new().unwrap();
    let launch = Launch::up(&dir.path().join("up"))
        .arg("--http-address-per-sec", "1")
        .arg("--http-address-burst", "3");
    let up = launch.start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    // All that follow come from one address, as behind a proxy.
    let (over, _) = until_too_many(async || attempt(&up, "alice", "qpq_wrong", "D").await).await;
    let body = refused(&over, 429, "M_LIMIT_EXCEEDED");
    assert_eq!(body["retry_after_ms"], 1000);
    assert_eq!(over.header("retry-after"), "1");
    // Who has the password comes in, under any name that is right.
    for user in ["alice", "@alice:localhost", &alice.identity] {
        attempt(&up, user, alice.api.token(), "PHONE").await.expect(200);
    }
    // Another bot's passwords have a rate of their own, whatever its name is written like.
    refused(&attempt(&up, "@bob:localhost", "qpq_wrong", "D").await, 403, "M_FORBIDDEN");
    log_in(&up, &bob, "PHONE").await;
    // And those who have no token yet may still ask what there is.
    Api::new(&up.url(), "").get("/_matrix/client/versions").await.expect(200);
    // It is forgiven.
    wait_for("another try", LONG, async || {
        let answer = attempt(&up, "alice", "qpq_wrong", "D").await;
        (answer.status == 403).then_some(())
    })
    .await;

    // Passwords of nobody count against their address, as everything without a token.
    let nobody = Api::new(&up.url(), "");
    until_too_many(async || attempt(&up, "nobody", "qpq_wrong", "D").await).await;
    until_too_many(async || nobody.get("/_matrix/client/versions").await).await;
    let broken = || nobody.request(Method::POST, &client("/login")).body("{");
    let (over, _) = until_too_many(async || nobody.send(broken()).await).await;
    refused(&over, 429, "M_LIMIT_EXCEEDED");
    attempt(&up, "bob", bob.api.token(), "DESK").await.expect(200);
}

/// The control: without a rate of addresses there is none of passwords.
#[tokio::test]
async fn wrong_passwords_are_not_counted_where_nothing_is() {
    let dir = TempDir::new().unwrap();
    let launch = Launch::up(&dir.path().join("up")).arg("--http-address-per-sec", "0");
    let up = launch.start().await;
    Bot::create(&up, "alice").await;
    for _ in 0..40 {
        refused(&attempt(&up, "alice", "qpq_wrong", "D").await, 403, "M_FORBIDDEN");
    }
}

/// A right password counts as a request of that token.
#[tokio::test]
async fn logins_in_a_rush_are_told_when_to_come_again() {
    let dir = TempDir::new().unwrap();
    let launch = Launch::up(&dir.path().join("up"))
        .arg("--http-token-per-sec", "1")
        .arg("--http-token-burst", "3");
    let up = launch.start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let ask = async || attempt(&up, "alice", alice.api.token(), "D").await;
    let (over, often) = until_too_many(ask).await;
    refused(&over, 429, "M_LIMIT_EXCEEDED");
    assert!(often >= 3, "{often}");
    log_in(&up, &bob, "D").await;
}

#[tokio::test]
async fn many_devices_log_in_at_once_and_one_device_has_one_token() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let bot = Bot::create(&up, "echo").await;
    let whoami = client("/account/whoami");
    let apart = join_all((0..20).map(|n| {
        let (up, bot) = (&up, &bot);
        async move { log_in(up, bot, &format!("D{n}")).await }
    }))
    .await;
    for api in &apart {
        api.get(&whoami).await.expect(200);
    }
    // Of those of one device at once, one lasts.
    let same = join_all((0..20).map(|_| log_in(&up, &bot, "SAME"))).await;
    let mut valid = 0;
    for api in &same {
        let answer = api.get(&whoami).await;
        match answer.status {
            200 => valid += 1,
            _ => drop(refused(&answer, 401, "M_UNKNOWN_TOKEN")),
        }
    }
    assert_eq!(valid, 1);
    let listed = up.admin().get(&format!("/v1/bots/{}/tokens", bot.id)).await.expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1 + 20 + 1), "{listed}");
    for api in &apart {
        api.get(&whoami).await.expect(200);
    }
}

/// Whatever comes first: no token outlives its password.
#[tokio::test]
async fn a_login_beside_the_revocation_of_its_password_leaves_nothing_valid() {
    let dir = TempDir::new().unwrap();
    // Logins that come after the revocation are wrong ones; here they may be as many as they like.
    let launch = Launch::up(&dir.path().join("up")).arg("--http-address-per-sec", "0");
    let up = launch.start().await;
    let bot = Bot::create(&up, "echo").await;
    let (admin, tokens) = (up.admin(), format!("/v1/bots/{}/tokens", bot.id));
    let (mut in_time, mut late) = (0, 0);
    for round in 0..seed::pick(15, 200) {
        let made = admin.post(&tokens, &json!({})).await.expect(201);
        let secret = made["token"].as_str().expect("a token");
        let revoked = format!("{tokens}/{}", made["token_id"].as_str().expect("an id"));
        let logins = join_all((0..4).map(|n| {
            let (up, device) = (&up, format!("D{n}"));
            async move { attempt(up, "echo", secret, &device).await }
        }));
        let revoke = async {
            for _ in 0..round % 5 {
                tokio::task::yield_now().await;
            }
            admin.delete(&revoked).await.expect(204);
        };
        let (answers, ()) = tokio::join!(logins, revoke);
        for answer in answers {
            if answer.status != 200 {
                refused(&answer, 403, "M_FORBIDDEN");
                late += 1;
                continue;
            }
            in_time += 1;
            let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
            let api = Api::new(&up.url(), &token);
            refused(&api.get(&client("/account/whoami")).await, 401, "M_UNKNOWN_TOKEN");
        }
    }
    seed::say(&format!("{in_time} logins before the revocation, {late} after it"));
    let listed = admin.get(&tokens).await.expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    // The control: what is not revoked goes on.
    log_in(&up, &bot, "D").await.get(&client("/account/whoami")).await.expect(200);
    // Nothing comes back with a restart.
    let up = up.stop().await.start().await;
    let listed = up.admin().get(&tokens).await.expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "{listed}");
}
