//! What is kept apart: devices of two tokens, tokens that may do little, spellings of a room.

use quicproquo_tests::{Api, Launch, bots};
use serde_json::json;
use tempfile::TempDir;

use super::doors::refused;
use super::{client, put_event, room};

#[tokio::test]
async fn devices_of_two_tokens_share_no_transactions() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [bot] = bots(&up, ["echo"]).await;
    let group = bot.create_group("alone", &[]).await;
    let tokens = format!("/v1/bots/{}/tokens", bot.id);
    let made = up.admin().post(&tokens, &json!({})).await.expect(201);
    let mut events = Vec::new();
    for password in [bot.api.token(), made["token"].as_str().unwrap()] {
        let body = json!({ "type": "m.login.token", "token": password, "device_id": "DEV" });
        let login = Api::new(&up.url(), "").post(&client("/login"), &body).await.expect(200);
        let api = Api::new(&up.url(), login["access_token"].as_str().unwrap());
        // Without a msgtype it is a text.
        let content = json!({ "body": format!("said by {}", events.len()) });
        let event = put_event(&api, &group, "m.room.message", "1", &content).await;
        assert_eq!(event, put_event(&api, &group, "m.room.message", "1", &content).await);
        events.push(event);
    }
    assert_ne!(events[0], events[1]);
    let history = bot.api.get(&format!("/v1/groups/{group}/messages")).await.expect(200);
    assert_eq!(history["items"].as_array().map(Vec::len), Some(2), "{history}");
}

#[tokio::test]
async fn account_data_needs_a_scope_and_a_room_and_is_bounded() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [bot] = bots(&up, ["echo"]).await;
    let group = bot.create_group("alone", &[]).await;
    let tokens = format!("/v1/bots/{}/tokens", bot.id);
    let little = json!({ "scopes": ["webhooks:manage"] });
    let little = up.admin().post(&tokens, &little).await.expect(201);
    let little = Api::new(&up.url(), little["token"].as_str().unwrap());
    let own = client("/user/@echo:localhost/account_data/com.example.config");
    let config = json!({ "admins": ["@me:localhost"] });
    refused(&little.put(&own, &config).await, 403, "M_FORBIDDEN");
    bot.api.put(&own, &config).await.expect(200);
    refused(&little.get(&own).await, 403, "M_FORBIDDEN");
    assert_eq!(bot.api.get(&own).await.expect(200), config);

    let of = |group: &str| {
        client(&format!("/user/@echo:localhost/rooms/{}/account_data/m.tag", room(group)))
    };
    bot.api.put(&of(&group), &json!({})).await.expect(200);
    refused(&bot.api.put(&of(&"0".repeat(64)), &json!({})).await, 404, "M_NOT_FOUND");
    // A room has one id.
    let upper = group.to_uppercase();
    refused(&bot.api.put(&of(&upper), &json!({})).await, 404, "M_NOT_FOUND");

    let large = json!({ "filler": "x".repeat(60_000) });
    let mut kept = 0;
    for number in 0..20 {
        let answer = bot.api.put(&format!("{own}.{number}"), &large).await;
        if answer.status != 200 {
            refused(&answer, 403, "M_FORBIDDEN");
            break;
        }
        kept += 1;
    }
    assert_eq!(kept, 17, "1 MiB in all");
}

#[tokio::test]
async fn what_the_gateway_tells_cannot_be_said_by_members() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [bot] = bots(&up, ["echo"]).await;
    let group = bot.create_group("alone", &[]).await;
    let send = |kind: &str| client(&format!("/rooms/{}/send/{kind}/1", room(&group)));
    let forged = bot.api.put(&send("org.quicproquo.message.failed"), &json!({})).await;
    refused(&forged, 403, "M_FORBIDDEN");
    let number = bot.api.put(&send("m.room.message"), &json!({ "msgtype": 5, "body": "x" })).await;
    refused(&number, 400, "M_BAD_JSON");
}
