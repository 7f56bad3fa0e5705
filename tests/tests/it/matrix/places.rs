//! Places in the log that are too old, and answers with all state.

use quicproquo_tests::{Api, LONG, Launch, pair, wait_for, within};
use serde_json::Value;
use tempfile::TempDir;

use super::doors::refused;
use super::{client, next, room, sync, texts};

fn state_of(room: &Value) -> Vec<&str> {
    let state = room["state"]["events"].as_array().expect("events");
    state.iter().filter_map(|event| event["type"].as_str()).collect()
}

#[tokio::test]
async fn a_place_older_than_the_log_brings_all_rooms_anew_and_says_so() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).arg("--retention", "1s").start().await;
    let (alice, bob, group) = pair(&up).await;
    let old = next(&sync(&bob.api, "", 0).await);
    let tail = bob.tail().await;
    alice.say(&group, "long ago").await;
    bob.hears(&tail, &group, &["long ago".to_owned()]).await;
    // The control: as long as the log has it, nothing is limited.
    let kept = sync(&bob.api, &old, 0).await;
    assert_eq!(texts(&kept, &group), ["long ago"]);
    assert_eq!(kept["rooms"]["join"][room(&group)]["timeline"]["limited"], false);
    // What is old is deleted at the next start.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let up = up.stop().await.start().await;
    let (alice, bob) =
        (Api::new(&up.url(), alice.api.token()), Api::new(&up.url(), bob.api.token()));
    let answer = wait_for("the log to begin later", LONG, async || {
        let answer = sync(&bob, &old, 0).await;
        let limited = answer["rooms"]["join"][room(&group)]["timeline"]["limited"] == true;
        limited.then_some(answer)
    })
    .await;
    let it = &answer["rooms"]["join"][room(&group)];
    for kind in ["m.room.create", "m.room.member", "m.room.name", "m.room.power_levels"] {
        assert!(state_of(it).contains(&kind), "{kind}: {it}");
    }
    assert!(texts(&answer, &group).is_empty(), "{answer}");
    assert_ne!(next(&answer), old);
    // From there it goes on, and nothing is limited any more.
    let path = format!("/v1/groups/{group}/messages");
    let text = serde_json::json!({ "type": "text", "content": { "body": "now" } });
    alice.post(&path, &text).await.expect(201);
    let mut since = next(&answer);
    let answer = within("what is new", LONG, async {
        loop {
            let answer = sync(&bob, &since, 1_000).await;
            since = next(&answer);
            if texts(&answer, &group) == ["now"] {
                return answer;
            }
        }
    })
    .await;
    assert_eq!(answer["rooms"]["join"][room(&group)]["timeline"]["limited"], false);
}

#[tokio::test]
async fn places_of_other_servers_are_refused() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (_alice, bob, _group) = pair(&up).await;
    for since in ["s72594_4483_1934", "s_", "s_c1_01", "i_", "x_c1_1", "%20"] {
        let answer = bob.api.get(&client(&format!("/sync?since={since}"))).await;
        refused(&answer, 400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn with_full_state_rooms_have_all_of_it_and_nothing_is_told_twice() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let since = next(&sync(&bob.api, "", 0).await);
    let since = next(&sync(&bob.api, &since, 0).await);
    let path = |since: &str, full: &str| client(&format!("/sync?since={since}&timeout=0{full}"));
    // The control: without it, a room of which there is no news is not told.
    let none = bob.api.get(&path(&since, "&full_state=false")).await.expect(200);
    assert!(none["rooms"]["join"].as_object().unwrap().is_empty(), "{none}");
    let full = bob.api.get(&path(&since, "&full_state=true")).await.expect(200);
    let it = &full["rooms"]["join"][room(&group)];
    for kind in ["m.room.create", "m.room.member", "m.room.name", "m.room.join_rules"] {
        assert!(state_of(it).contains(&kind), "{kind}: {it}");
    }
    assert!(texts(&full, &group).is_empty(), "{full}");
    assert_eq!(it["timeline"]["limited"], false);

    // With news, they are in the timeline, once, beside the state.
    let tail = bob.tail().await;
    alice.say(&group, "one").await;
    alice.say(&group, "two").await;
    bob.hears(&tail, &group, &["one", "two"].map(str::to_owned)).await;
    let full = bob.api.get(&path(&since, "&full_state=true")).await.expect(200);
    assert_eq!(texts(&full, &group), ["one", "two"]);
    assert!(state_of(&full["rooms"]["join"][room(&group)]).contains(&"m.room.name"), "{full}");
    let later = sync(&bob.api, &next(&full), 0).await;
    assert!(later["rooms"]["join"].as_object().unwrap().is_empty(), "{later}");
    // A wait with all state does not wait: there is something to say.
    let first = bob.api.get(&client("/sync?full_state=true&timeout=60000")).await.expect(200);
    assert!(first["rooms"]["join"].get(room(&group)).is_some(), "{first}");
}
