//! The console in a real browser: the admin's page, a bot's page, by keyboard, in both colours.

use quicproquo_tests::cdp::Browser;
use quicproquo_tests::target::status;
use quicproquo_tests::{Bot, LONG, Launch, Socket, Target, files, pair, wait_for};
use serde_json::json;
use tempfile::TempDir;

/// Answers whether the page says this anywhere, within a time.
pub(crate) async fn says(browser: &mut Browser, selector: &str, text: &str) {
    let expression = format!(
        "[...document.querySelectorAll({})].some((e) => e.innerText.includes({}))",
        json!(selector),
        json!(text)
    );
    let browser = tokio::sync::Mutex::new(browser);
    wait_for(text, LONG, || async {
        (browser.lock().await.evaluate(&expression).await == true).then_some(())
    })
    .await;
}

pub(crate) async fn sign_in(browser: &mut Browser, token: &str) {
    browser.type_into("#token", token).await;
    browser.press("Enter").await;
}

#[tokio::test]
async fn the_admin_sees_bots_and_creates_one() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (_, _, _) = pair(&up).await;
    let mut browser = Browser::open(&format!("{}/console", up.url())).await;

    sign_in(&mut browser, up.admin().token()).await;
    says(&mut browser, "tbody tr", "alice").await;
    says(&mut browser, "tbody tr", "running").await;
    says(&mut browser, "tbody tr", "envelope").await;
    browser.type_into("#new-name", "carol").await;
    browser.press("Enter").await;
    says(&mut browser, ".secret code", "qpq_").await;
    says(&mut browser, "tbody tr", "carol").await;
    // A refusal is told, and what was typed stays.
    browser.type_into("#new-name", "alice").await;
    browser.press("Enter").await;
    says(&mut browser, "#notice.bad", "").await;
    assert_eq!(browser.evaluate("document.getElementById('new-name').value").await, "alice");

    browser.click("tbody tr button").await;
    says(&mut browser, "section h3", "Tokens").await;
    browser.screenshot(&files::artifact("console-admin.png")).await;
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.call("Emulation.setEmulatedMedia", dark).await;
    browser.screenshot(&files::artifact("console-admin-dark.png")).await;

    // Nothing stays in the browser unless that was asked for.
    let kept = "JSON.stringify([sessionStorage.length, localStorage.length, document.cookie])";
    assert_eq!(browser.evaluate(kept).await, "[0,0,\"\"]");
    browser.click("#leave").await;
    browser.appears("#token").await;
}

#[tokio::test]
async fn the_admin_sees_who_is_behind_and_which_webhooks_fail() {
    let dir = TempDir::new().unwrap();
    let target = Target::start(Box::new(|_| status(500))).await;
    let up = Launch::up(&dir.path().join("up"))
        .arg("--webhook-target", &target.origin)
        .arg("--webhook-retries", "1s,1s")
        .start()
        .await;
    let (alice, bob, group) = pair(&up).await;
    let hook = json!({ "url": format!("{}/hook", target.origin), "types": ["message.received"] });
    bob.api.post("/v1/webhooks", &hook).await.expect(201);
    let mut socket = Socket::open(&bob.api, "consumer=slow").await;
    socket.ping().await;
    for text in ["one", "two", "three"] {
        alice.say(&group, text).await;
    }
    let bot = format!("/v1/bots/{}", bob.id);
    let health = wait_for("the failure", LONG, || async {
        let bot = up.admin().get(&bot).await.expect(200);
        let health = bot["health"].clone();
        let lag = health["consumers"][0]["lag"].as_u64().unwrap_or_default();
        (lag >= 3 && health["webhooks"][0]["last_error"].is_string()).then_some(health)
    })
    .await;
    assert_eq!(health["groups"], 1, "{health}");
    assert_eq!(health["consumers"][0]["name"], "slow", "{health}");
    assert_eq!(health["consumers"].as_array().map(Vec::len), Some(1), "{health}");
    assert_eq!(health["webhooks"][0]["enabled"], true, "{health}");

    let mut browser = Browser::open(&format!("{}/console", up.url())).await;
    sign_in(&mut browser, up.admin().token()).await;
    says(&mut browser, "tbody tr", "bob").await;
    choose(&mut browser, "bob").await;
    says(&mut browser, "section h3", "Consumers").await;
    says(&mut browser, "section td", "slow").await;
    says(&mut browser, "section td", &format!("{}/hook", target.origin)).await;
    let error = health["webhooks"][0]["last_error"].as_str().unwrap_or_default();
    says(&mut browser, "section td", error).await;
    browser.screenshot(&files::artifact("console-bot-health.png")).await;
}

/// Clicks on a bot's name.
async fn choose(browser: &mut Browser, name: &str) {
    let button = "[...document.querySelectorAll('tbody tr button')]";
    let click = format!("{button}.find((b) => b.innerText === {}).click()", json!(name));
    browser.evaluate(&click).await;
}

#[tokio::test]
async fn an_open_bot_is_live_and_the_focus_stays() {
    let dir = TempDir::new().unwrap();
    let target = Target::start(Box::new(|_| status(500))).await;
    let up = Launch::up(&dir.path().join("up"))
        .arg("--webhook-target", &target.origin)
        .arg("--webhook-retries", "1s")
        .start()
        .await;
    let (alice, bob, group) = pair(&up).await;
    let mut browser = Browser::open(&format!("{}/console", up.url())).await;
    sign_in(&mut browser, up.admin().token()).await;
    says(&mut browser, "tbody tr", "bob").await;
    browser.type_into("#new-name", "half a na").await;
    choose(&mut browser, "bob").await;
    says(&mut browser, "section h3", "Tokens").await;
    let held = "(window.held = document.activeElement).innerText";
    assert_eq!(browser.evaluate(held).await, "bob", "the detail has the focus");
    let stays = "document.activeElement === window.held && window.held.isConnected";
    let none = "[...document.querySelectorAll('h3')].map((e) => e.innerText).join()";
    assert_eq!(browser.evaluate(none).await, "Tokens", "nothing is behind, nothing fails");

    // Nobody clicks from here on.
    let url = format!("{}/hook", target.origin);
    let hook = json!({ "url": url, "types": ["message.received"] });
    bob.api.post("/v1/webhooks", &hook).await.expect(201);
    let mut socket = Socket::open(&bob.api, "consumer=slow").await;
    socket.ping().await;
    alice.say(&group, "one").await;
    says(&mut browser, "section tr", "slow\t1").await;
    says(&mut browser, "section tr", &format!("{url}\ton\tstatus")).await;
    assert_eq!(browser.evaluate(stays).await, true);
    let held = "(window.held = document.querySelector('section button.danger')).focus()";
    browser.evaluate(held).await;
    alice.say(&group, "two").await;
    says(&mut browser, "section tr", "slow\t2").await;
    assert_eq!(browser.evaluate(stays).await, true, "in a table of the bot");
    let held = "(window.held = document.querySelector('tbody tr button')).focus()";
    browser.evaluate(held).await;
    alice.say(&group, "three").await;
    says(&mut browser, "section tr", "slow\t3").await;
    assert_eq!(browser.evaluate(stays).await, true, "in the table of all");
    let typed = "document.getElementById('new-name').value";
    assert_eq!(browser.evaluate(typed).await, "half a na");
}

#[tokio::test]
async fn a_conversation_is_live_and_answered_by_keyboard() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let markup = "<img src=x onerror=\"document.title='owned'\"><b>bold</b>";
    bob.say(&group, markup).await;
    let mut browser = Browser::open(&format!("{}/console", up.url())).await;
    sign_in(&mut browser, alice.api.token()).await;

    browser.appears("nav[aria-label=Groups] a").await;
    browser.evaluate("document.querySelector('nav[aria-label=Groups] a').focus()").await;
    browser.press("Enter").await;
    says(&mut browser, "[role=log] .body", "<b>bold</b>").await;
    assert_eq!(browser.evaluate("document.querySelector('.body b, .body img')").await, json!(null));

    let bobs = bob.tail().await;
    bob.say(&group, "said while somebody looks").await;
    says(&mut browser, "[role=log] .body", "said while somebody looks").await;
    browser.type_into("#text", "typed in the console").await;
    browser.press("Enter").await;
    bob.hears(&bobs, &group, &["typed in the console".into()]).await;
    says(&mut browser, "[role=log] .mine .body", "typed in the console").await;
    assert_eq!(browser.evaluate("document.getElementById('text').value").await, "");
    says(&mut browser, "aside li", "tofu").await;

    // An invitation appears by itself and is accepted here.
    let other = bob.create_group("second room", &[&alice]).await;
    says(&mut browser, "nav li", "second room").await;
    browser.click("nav .row button").await;
    says(&mut browser, "nav[aria-label=Groups] a", "second room").await;
    assert_eq!(alice.group(&other).await["state"], "active");
    browser.screenshot(&files::artifact("console-bot.png")).await;
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.call("Emulation.setEmulatedMedia", dark).await;
    browser.screenshot(&files::artifact("console-bot-dark.png")).await;
    assert_ne!(browser.evaluate("document.title").await, "owned");
}

#[tokio::test]
async fn nothing_is_missing_after_a_browser_was_away() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    bob.say(&group, "before").await;
    let mut browser = Browser::open(&format!("{}/console#{group}", up.url())).await;
    sign_in(&mut browser, alice.api.token()).await;
    says(&mut browser, "[role=log] .body", "before").await;

    browser.call("Network.enable", json!({})).await;
    let network = |offline: bool| json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    browser.call("Network.emulateNetworkConditions", network(true)).await;
    // More than a page of history.
    for number in 0..60 {
        bob.say(&group, &format!("away {number}.")).await;
    }
    browser.call("Network.emulateNetworkConditions", network(false)).await;
    says(&mut browser, "[role=log] .body", "away 59.").await;
    let shown = "[...document.querySelectorAll('[role=log] .body')].map((e) => e.innerText)";
    let page = browser.evaluate(shown).await;
    assert_eq!(page.as_array().map(Vec::len), Some(50), "{page}");
    browser.click("section.talk > button").await;
    says(&mut browser, "[role=log] .body", "before").await;
    let mut expected = vec!["before".to_owned()];
    expected.extend((0..60).map(|number| format!("away {number}.")));
    assert_eq!(browser.evaluate(shown).await, json!(expected));
}

#[tokio::test]
async fn every_control_has_a_name() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let alice = Bot::create(&up, "alice").await;
    let group = alice.create_group("alone", &[]).await;
    alice.say(&group, "hello").await;
    for (token, ready) in
        [(up.admin().token().to_owned(), "tbody tr"), (alice.api.token().to_owned(), "nav a")]
    {
        let url = format!("{}/console#{group}", up.url());
        let mut browser = Browser::open(&url).await;
        sign_in(&mut browser, &token).await;
        browser.appears(ready).await;
        browser.call("Accessibility.enable", json!({})).await;
        let tree = browser.call("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        let controls: Vec<_> = nodes
            .iter()
            .filter(|node| node["ignored"] != true)
            .filter(|node| {
                let role = node["role"]["value"].as_str().unwrap_or_default();
                ["button", "link", "textbox", "checkbox", "navigation", "log"].contains(&role)
            })
            .collect();
        assert!(controls.len() > 3, "{controls:?}");
        for control in controls {
            let name = control["name"]["value"].as_str().unwrap_or_default();
            assert!(!name.is_empty(), "{control}");
        }
    }
}
