//! Swagger UI in a real browser: authorise, try an operation, look.

use quicproquo_tests::cdp::Browser;
use quicproquo_tests::{Bot, LONG, Launch, files, wait_for};
use tempfile::TempDir;

#[tokio::test]
async fn an_operation_is_executed_in_swagger_ui() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let alice = Bot::create(&up, "alice").await;
    execute(up.field("docs"), &alice).await;
}

/// Opens Swagger UI, authorises as a bot and executes `GET /v1/me`.
pub(crate) async fn execute(page: &str, alice: &Bot) {
    let mut browser = Browser::open(page).await;

    // The dialog has one form for each kind of token; the bot's is told by its name.
    browser.click("button.authorize").await;
    browser.appears(".auth-container input").await;
    let mark = "(() => { for (const form of document.querySelectorAll('.auth-container')) \
                { if (/bot_token/.test(form.innerText)) { form.id = 'bot-form'; } } })()";
    browser.evaluate(mark).await;
    browser.type_into("#bot-form input", alice.api.token()).await;
    browser.click("#bot-form button.authorize").await;
    browser.click(".auth-btn-wrapper button.btn-done").await;

    let operation = operation_id(alice).await;
    let block = format!("[id$='-{operation}']");
    browser.click(&format!("{block} .opblock-summary-control")).await;
    // The page may come with the form open.
    browser.appears(&format!("{block} button.try-out__btn")).await;
    let open = format!("document.querySelector(\"{block} button.execute\") !== null");
    if browser.evaluate(&open).await != true {
        browser.click(&format!("{block} button.try-out__btn")).await;
    }
    browser.click(&format!("{block} button.execute")).await;
    browser.appears(&format!("{block} .live-responses-table tbody .response-col_status")).await;
    let row = browser.text(&format!("{block} .live-responses-table tbody tr")).await;
    browser.screenshot(&files::artifact("swagger-ui.png")).await;
    assert_eq!(browser.refused().await, [] as [String; 0], "the page keeps to its policy");
    assert!(row.contains("200"), "the answer is shown: {row}");
    assert!(row.contains(&alice.identity), "and it is the bot's own: {row}");
}

/// How Swagger UI names `GET /v1/me`.
async fn operation_id(bot: &Bot) -> String {
    wait_for("the description", LONG, || async {
        let api = bot.api.get("/openapi.json").await.expect(200);
        api["paths"]["/v1/me"]["get"]["operationId"].as_str().map(str::to_owned)
    })
    .await
}
