//! Rows that were changed in the file do not count, and what must not be read is not there.

use sqlx::AssertSqlSafe;

use super::*;
use crate::webhooks::{Settings, WebhookState};

const CANARY: &str = "a-canary-that-nobody-says";

async fn run(store: &Store, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&store.pool).await.unwrap();
}

/// A bot at work with a token, a consumer, a webhook, an answer and account data.
async fn filled(folder: &Path) -> Store {
    let store = Store::open(folder, Sync::Full, seals()).await.unwrap();
    let row = bot(1);
    store.reserve_bot(&row).await.unwrap();
    let mut record = record("k", 1);
    record.answer = json!({ "url": CANARY });
    record.fingerprint = CANARY.repeat(2).as_bytes()[..32].try_into().unwrap();
    store.activate_bot(&row.bot_id, &grant(&row), Some(&record)).await.unwrap();
    let row = CursorRow {
        bot_id: row.bot_id,
        name: "main".to_owned(),
        groups: Some([format!("{:032}", 7).parse().unwrap()].into()),
        cursor: "c1_1f".parse().unwrap(),
    };
    let change = ConsumerChange { row, deliveries: Vec::new(), gone: false };
    store.put_consumers(&[change]).await.unwrap();
    let settings = Settings {
        url: format!("https://hooks.example.org/{CANARY}"),
        description: String::new(),
        types: None,
        groups: None,
        replies: false,
        state: WebhookState::Enabled,
        reason: None,
    };
    let (webhook_id, bot_id) = ("wh_1".to_owned(), "bot_1".to_owned());
    let webhook = WebhookRow { webhook_id, bot_id, settings, secrets: vec![1], created_at_ms: 1 };
    store.put_webhook(&webhook, None).await.unwrap();
    assert!(store.put_account_data("bot_1", "", "m.note", &json!(CANARY)).await.unwrap());
    store
}

/// How many bots, tokens, consumers of limited tokens, and webhooks count.
async fn counted(store: &Store) -> [usize; 4] {
    let consumers = store.consumers().await.unwrap();
    let limited = |stored: &&StoredConsumer| {
        stored.row.groups.as_ref().is_some_and(|groups| !groups.is_empty())
    };
    [
        store.bots().await.unwrap().len(),
        store.tokens().await.unwrap().len(),
        consumers.iter().filter(limited).count(),
        store.webhooks().await.unwrap().len(),
    ]
}

#[tokio::test]
async fn rows_that_were_changed_in_the_file_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    let all = [1, 1, 1, 1];
    assert_eq!(counted(&store).await, all);
    let other = "INSERT INTO bots SELECT 'bot_2', 'two', identity || '0', state, 1, seal FROM bots";
    for (table, sql, left) in [
        ("bots", "UPDATE bots SET identity = replace(identity, '01', '02')", [0, 1, 1, 1]),
        ("bots", "UPDATE bots SET name = 'other'", [0, 1, 1, 1]),
        ("bots", "UPDATE bots SET seal = NULL", [0, 1, 1, 1]),
        ("bots", other, all),
        ("tokens", "UPDATE tokens SET hash = zeroblob(32)", [1, 0, 1, 1]),
        ("tokens", "UPDATE tokens SET token_id = 'tok_2'", [1, 0, 1, 1]),
        ("tokens", "UPDATE tokens SET label = 'other'", [1, 0, 1, 1]),
        ("tokens", "UPDATE tokens SET scopes = '[\"messages:read\"]'", [1, 0, 1, 1]),
        ("tokens", "UPDATE tokens SET scopes = 'damaged'", [1, 0, 1, 1]),
        ("tokens", "UPDATE tokens SET groups = NULL", [1, 0, 1, 1]),
        ("tokens", "UPDATE tokens SET created_at_ms = 6", [1, 0, 1, 1]),
        ("tokens", "UPDATE tokens SET expires_at_ms = NULL", [1, 0, 1, 1]),
        ("tokens", "UPDATE tokens SET expires_at_ms = 1009", [1, 0, 1, 1]),
        ("tokens", "UPDATE tokens SET device_id = 'D', parent = token_id", [1, 0, 1, 1]),
        ("tokens", "UPDATE tokens SET seal = NULL", [1, 0, 1, 1]),
        (
            "tokens",
            "INSERT INTO tokens SELECT 'tok_2', bot_id, zeroblob(32), label, scopes, groups, \
             created_at_ms, expires_at_ms, parent, device_id, seal FROM tokens",
            all,
        ),
        ("consumers", "UPDATE consumers SET groups = NULL", [1, 1, 0, 1]),
        ("consumers", "UPDATE consumers SET groups = replace(groups, '7', '8')", [1, 1, 0, 1]),
        ("consumers", "UPDATE consumers SET seal = NULL", [1, 1, 0, 1]),
        ("webhooks", "UPDATE webhooks SET sealed = zeroblob(80)", [1, 1, 1, 0]),
        ("webhooks", "UPDATE webhooks SET sealed = NULL, settings = '{}'", [1, 1, 1, 0]),
        ("webhooks", "UPDATE webhooks SET webhook_id = 'wh_2'", [1, 1, 1, 0]),
    ] {
        run(&store, "PRAGMA foreign_keys = OFF").await;
        run(&store, &format!("CREATE TABLE kept AS SELECT * FROM {table}")).await;
        run(&store, sql).await;
        assert_eq!(counted(&store).await, left, "{sql}");
        run(&store, &format!("DELETE FROM {table}")).await;
        run(&store, &format!("INSERT INTO {table} SELECT * FROM kept")).await;
        run(&store, "DROP TABLE kept").await;
        assert_eq!(counted(&store).await, all, "what was there before counts again after {sql}");
    }
    // Limits of a consumer that were changed are no groups, which no token has.
    run(&store, "UPDATE consumers SET groups = NULL").await;
    assert_eq!(store.consumers().await.unwrap()[0].row.groups, Some([].into()));
}

#[tokio::test]
async fn answers_and_account_data_that_were_changed_are_not_given() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    assert_eq!(store.request("k").await.unwrap().unwrap().answer, json!({ "url": CANARY }));
    let datum = store.account_datum("bot_1", "", "m.note").await.unwrap();
    assert_eq!(datum, Some(json!(CANARY)));
    run(&store, "UPDATE admin_requests SET status = 200").await;
    assert!(matches!(store.request("k").await, Err(StoreError::Damaged("admin_requests"))));
    run(&store, "UPDATE matrix_account_data SET type = 'm.other'").await;
    let damaged = store.account_datum("bot_1", "", "m.other").await;
    assert!(matches!(damaged, Err(StoreError::Damaged("matrix_account_data"))));
}

fn contains(folder: &Path, what: &str) -> bool {
    ["gateway.db", "gateway.db-wal"].iter().any(|file| {
        let bytes = std::fs::read(folder.join(file)).unwrap_or_default();
        bytes.windows(what.len()).any(|window| window == what.as_bytes())
    })
}

/// Puts the rows back to what version 3 of the schema wrote.
async fn set_back(store: &Store) {
    let settings = serde_json::to_string(&store.webhooks().await.unwrap()[0].settings).unwrap();
    let record = store.request("k").await.unwrap().unwrap();
    for sql in [
        "UPDATE bots SET seal = NULL",
        "UPDATE tokens SET seal = NULL",
        "UPDATE consumers SET seal = NULL",
    ] {
        run(store, sql).await;
    }
    sqlx::query("UPDATE webhooks SET sealed = NULL, settings = ?")
        .bind(settings)
        .execute(&store.pool)
        .await
        .unwrap();
    sqlx::query("UPDATE admin_requests SET sealed = NULL, fingerprint = ?, answer = ?")
        .bind(record.fingerprint.as_slice())
        .bind(record.answer.to_string())
        .execute(&store.pool)
        .await
        .unwrap();
    sqlx::query("UPDATE matrix_account_data SET sealed = NULL, content = ?")
        .bind(json!(CANARY).to_string())
        .execute(&store.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn rows_of_the_former_version_are_sealed_and_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    assert!(!contains(folder.path(), CANARY));
    set_back(&store).await;
    for sql in [
        "ALTER TABLE bots DROP COLUMN seal",
        "ALTER TABLE tokens DROP COLUMN seal",
        "ALTER TABLE consumers DROP COLUMN seal",
        "ALTER TABLE webhooks DROP COLUMN sealed",
        "ALTER TABLE admin_requests DROP COLUMN sealed",
        "ALTER TABLE matrix_account_data DROP COLUMN sealed",
        "DELETE FROM _sqlx_migrations WHERE version = 4",
    ] {
        run(&store, sql).await;
    }
    assert!(contains(folder.path(), CANARY), "the former version wrote it in the open");
    // The control: where nothing is bound yet it is not noticed.
    run(&store, "UPDATE tokens SET label = 'other'").await;
    store.close().await;

    let store = Store::open(folder.path(), Sync::Full, seals()).await.unwrap();
    assert_eq!(counted(&store).await, [0, 0, 0, 0]);
    for _ in 0..2 {
        // A second time after a kill before it was noted.
        store.seal_former().await.unwrap();
        assert_eq!(counted(&store).await, [1, 1, 1, 1]);
    }
    assert!(!contains(folder.path(), CANARY));
    let webhook = store.webhooks().await.unwrap().remove(0);
    assert_eq!(webhook.settings.url, format!("https://hooks.example.org/{CANARY}"));
    let record = store.request("k").await.unwrap().unwrap();
    assert_eq!(record.answer, json!({ "url": CANARY }));
    assert_eq!(record.fingerprint, CANARY.repeat(2).as_bytes()[..32]);
    let data = store.account_data("bot_1").await.unwrap();
    assert_eq!(data, [(String::new(), "m.note".to_owned(), json!(CANARY))]);
}
