//! What a page of another site can do to a gateway on the visitor's machine: nothing (T23).
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::TcpListener;

use quicproquo_tests::cdp::Browser;
use quicproquo_tests::{Bot, Launch, Running, pair};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The attacker's web site: one empty page for every path, until the process ends.
fn site() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let _ = std::io::Read::read(&mut socket, &mut request);
                let page = "<!doctype html><title>evil</title>";
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{page}",
                    page.len()
                );
                let _ = std::io::Write::write_all(&mut socket, answer.as_bytes());
            });
        }
    });
    port
}

/// In the page: tries everything a page can, also with a token that it has got hold of, and tells
/// what was let in. `api` is the gateway's URL as the page would write it.
const ATTACK: &str = include_str!("browser/attack.js");

/// What the page at `page` has won, asking the gateway under these URLs.
async fn attack(page: &str, urls: &[String], bot: &Bot, group: &str) -> (u64, Vec<String>) {
    // Names of the attacker lead to this machine, as with a rebinding name server.
    let rules = "--host-resolver-rules=MAP *.example 127.0.0.1";
    // The browser's own defence must not be what helps: older ones have none.
    let off = "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,\
               PrivateNetworkAccessSendPreflights,PrivateNetworkAccessRespectPreflightResults";
    let mut browser = Browser::open_with(page, &[rules, off]).await;
    browser.appears("body").await;
    let call = format!(
        "({})({}, {}, {})",
        ATTACK.trim().trim_end_matches(';'),
        json!(urls),
        json!(bot.api.token()),
        json!(group)
    );
    // It takes longer than one call of the protocol may.
    browser.evaluate(&format!("window.done = null; {call}.then((d) => window.done = d); 0")).await;
    let mut done = Value::Null;
    for _ in 0..600 {
        done = browser.evaluate("window.done").await;
        if !done.is_null() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let won = done["won"].as_array().unwrap_or_else(|| panic!("the page ended: {done}"));
    let won = won.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    (done["tried"].as_u64().unwrap(), won)
}

async fn texts(bot: &Bot, group: &str) -> String {
    bot.api.get(&format!("/v1/groups/{group}/messages")).await.text
}

fn port(gateway: &Running) -> u16 {
    gateway.url().rsplit(':').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_page_of_another_site_gets_nothing() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let (evil, port) = (site(), port(&up));
    let urls = [format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}")];
    let mut tried = 0;
    for page in [format!("http://evil.example:{evil}/"), format!("http://127.0.0.1:{evil}/")] {
        let (count, won) = attack(&page, &urls, &alice, &group).await;
        assert!(won.is_empty(), "{page} has won {won:?}");
        tried += count;
    }
    assert!(tried >= 60, "{tried} attacks");
    assert!(!texts(&bob, &group).await.contains("from a page"));
    alice.say(&group, "all is well").await;
}

#[tokio::test]
async fn a_name_that_is_bound_to_this_machine_gets_nothing() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let port = port(&up);
    // The page is the gateway's own answer to the attacker's name: same origin for the browser.
    let rebound = format!("http://rebound.example:{port}");
    let (tried, won) = attack(&format!("{rebound}/"), &[rebound.clone()], &alice, &group).await;
    assert!(tried >= 15 && won.is_empty(), "{rebound} has won {won:?}");
    assert!(!texts(&bob, &group).await.contains("from a page"));
}

/// The control: to a page that the configuration names, the same attempts open.
#[tokio::test]
async fn a_page_that_is_configured_is_let_in() {
    let dir = TempDir::new().unwrap();
    let evil = site();
    let panel = format!("http://panel.example:{evil}");
    let launch = Launch::up(&dir.path().join("up")).arg("--http-allowed-origin", &panel);
    let up = launch.start().await;
    let (alice, _bob, group) = pair(&up).await;
    let urls = [format!("http://127.0.0.1:{}", port(&up))];
    let (_, won) = attack(&format!("{panel}/"), &urls, &alice, &group).await;
    assert!(won.iter().any(|name| name.starts_with("WebSocket")), "{won:?}");
}
