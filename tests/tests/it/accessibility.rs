//! The console for people who use a keyboard or a screen reader: a foreign checker (axe-core) finds
//! nothing in any page, in light and in dark, and Tab leads to every control, where it is seen.

use quicproquo_tests::cdp::Browser;
use quicproquo_tests::{Bot, Launch, files, pair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::console::{says, sign_in};

/// Every control that can be used now.
const CONTROLS: &str = "const controls = [...document.querySelectorAll('a[href], button, input, \
    textarea, select, summary')].filter((e) => !e.disabled && e.checkVisibility())";

/// What the checker finds: the rules and where they are broken.
async fn findings(browser: &mut Browser) -> Vec<Value> {
    let checker = files::node_modules().join("axe-core/axe.min.js");
    let checker = std::fs::read_to_string(checker).expect("read axe-core");
    browser.evaluate(&format!("{checker}; true")).await;
    let run = "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', \
        'wcag22aa', 'best-practice'] }).then((found) => ({ passes: found.passes.length, \
        broken: found.violations.map((rule) => [rule.id, rule.nodes.map((n) => [n.html, \
        n.failureSummary])]) }))";
    let found = browser.evaluate(run).await;
    assert!(found["passes"].as_u64().is_some_and(|passes| passes >= 15), "{found}");
    found["broken"].as_array().expect("a list").clone()
}

/// Nothing is found, whichever colours the reader likes.
async fn is_accessible(browser: &mut Browser, page: &str) {
    for scheme in ["light", "dark"] {
        let colours = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.call("Emulation.setEmulatedMedia", colours).await;
        assert_eq!(findings(browser).await, [] as [Value; 0], "{page}, {scheme}");
    }
}

/// Tab leads from the beginning of the page to each control once, and shows where it is.
async fn tab_leads_everywhere(browser: &mut Browser, page: &str) {
    let number = format!(
        "(() => {{ {CONTROLS}; controls.forEach((e, n) => {{ e.dataset.tab = n; }}); \
         document.activeElement.blur(); getSelection().removeAllRanges(); \
         return controls.length; }})()"
    );
    let count = browser.evaluate(&number).await.as_u64().expect("a number");
    assert!(count > 3, "{page}: {count} controls");
    // Focus begins where it was; it comes round past the end of the page.
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..count * 2 + 2 {
        browser.press("Tab").await;
        let at = "(() => { const e = document.activeElement; if (e === document.body) return null; \
                  const s = getComputedStyle(e); return { tab: e.dataset.tab ?? null, \
                  seen: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2, \
                  what: e.outerHTML.slice(0, 120) }; })()";
        let at = browser.evaluate(at).await;
        if at.is_null() {
            continue;
        }
        assert_eq!(at["seen"], true, "{page}: the focus is not seen at {at}");
        if let Some(tab) = at["tab"].as_str() {
            reached.insert(tab.parse::<u64>().expect("a number"));
        }
    }
    let missed = format!(
        "[...document.querySelectorAll('[data-tab]')].filter((e) => !{}.includes(+e.dataset.tab))\
         .map((e) => e.outerHTML.slice(0, 120))",
        json!(reached)
    );
    assert_eq!(browser.evaluate(&missed).await, json!([]), "{page}: not reached");
}

#[tokio::test]
async fn every_page_of_the_console_can_be_read_and_used_by_everybody() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let other = bob.create_group("an invitation", &[&alice]).await;
    alice.say(&group, "said by the bot itself").await;
    let tail = alice.tail().await;
    bob.say(&group, "said by another").await;
    alice.hears(&tail, &group, &["said by another".to_owned()]).await;
    let url = format!("{}/console", up.url());

    let mut browser = Browser::open(&url).await;
    browser.appears("#token").await;
    is_accessible(&mut browser, "signing in").await;
    tab_leads_everywhere(&mut browser, "signing in").await;
    sign_in(&mut browser, up.admin().token()).await;
    says(&mut browser, "tbody tr", "alice").await;
    is_accessible(&mut browser, "the admin's page").await;
    tab_leads_everywhere(&mut browser, "the admin's page").await;
    browser.click("tbody tr button").await;
    says(&mut browser, "section h3", "Tokens").await;
    is_accessible(&mut browser, "a bot").await;
    tab_leads_everywhere(&mut browser, "a bot").await;
    assert_eq!(browser.refused().await, [] as [String; 0], "the page keeps to its policy");

    let mut browser = Browser::open(&format!("{url}#{group}")).await;
    sign_in(&mut browser, alice.api.token()).await;
    says(&mut browser, "[role=log] .body", "said by another").await;
    says(&mut browser, "nav li", "an invitation").await;
    is_accessible(&mut browser, "a conversation").await;
    tab_leads_everywhere(&mut browser, "a conversation").await;
    assert_eq!(browser.refused().await, [] as [String; 0], "the page keeps to its policy");
    assert_eq!(alice.api.get("/v1/invitations").await.json()["items"][0]["group_id"], other);

    // The control: what is wrong is found.
    let harm = "(() => { const main = document.querySelector('main'); \
                const pale = document.createElement('p'); pale.append('too dark on dark'); \
                pale.style.color = '#333333'; \
                main.append(document.createElement('button'), pale); return true; })()";
    browser.evaluate(harm).await;
    let found = Value::from(findings(&mut browser).await).to_string();
    assert!(found.contains("button-name") && found.contains("color-contrast"), "{found}");
}

#[tokio::test]
async fn the_documentation_has_a_strict_policy() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let alice = Bot::create(&up, "alice").await;
    for path in ["/docs/", "/docs/swagger-ui-bundle.js", "/console", "/problems", "/v1/me"] {
        let answer = alice.api.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").to_owned();
        let mut parts = policy.split(';').map(str::trim);
        assert_eq!(parts.next(), Some("default-src 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
}
