//! How members go and invitations end, and who is said to have done it.

use quicproquo_tests::{Api, LONG, Launch, bots, pair, wait_for, within};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{client, log_in, next, room, sync};

/// The first answer from a place on that says something of a room, in this part; and the place
/// behind it.
async fn told(api: &Api, since: &mut String, part: &str, room: &str) -> Value {
    within(&format!("{room} in {part}"), LONG, async {
        loop {
            let answer = sync(api, since, 1_000).await;
            *since = next(&answer);
            let Some(found) = answer["rooms"][part].get(room) else { continue };
            for other in ["join", "invite", "leave"].into_iter().filter(|other| *other != part) {
                assert!(answer["rooms"][other].get(room).is_none(), "also in {other}: {answer}");
            }
            return found.clone();
        }
    })
    .await
}

/// The first answer that says of a room that somebody else has left it.
async fn others_leave(api: &Api, since: &mut String, room: &str) -> Value {
    loop {
        let found = told(api, since, "join", room).await;
        if found.to_string().contains("\"leave\"") {
            return found;
        }
    }
}

/// Who is said to have left, by whose doing, for what reason.
fn departure(room: &Value) -> (String, String, Option<String>) {
    let events = room["timeline"]["events"].as_array().expect("events");
    let left = |event: &&Value| {
        event["type"] == "m.room.member" && event["content"]["membership"] == "leave"
    };
    let event = events.iter().find(left).unwrap_or_else(|| panic!("nobody has left: {room}"));
    assert!(event["event_id"].as_str().is_some_and(|id| id.starts_with('$')), "{event}");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (who, by) = (text(&event["state_key"]), text(&event["sender"]));
    (who.expect("somebody"), by.expect("a sender"), text(&event["content"]["reason"]))
}

fn user(name: &str) -> String {
    format!("@{name}:localhost")
}

async fn leave(api: &Api, room: &str) {
    api.post(&client(&format!("/rooms/{room}/leave")), &json!({})).await.expect(200);
}

/// Past the own invitations and whatever else is news at once.
async fn begin(api: &Api) -> String {
    let first = next(&sync(api, "", 0).await);
    next(&sync(api, &first, 0).await)
}

#[tokio::test]
async fn an_invitation_that_is_withdrawn_is_a_leave_by_who_withdrew_it() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let mut since = begin(&bob.api).await;
    let group = alice.create_group("talk", &[&bob]).await;
    let room = room(&group);
    told(&bob.api, &mut since, "invite", &room).await;
    let before = since.clone();
    let tail = bob.tail().await;
    let kick = client(&format!("/rooms/{room}/kick"));
    alice.api.post(&kick, &json!({ "user_id": user("bob") })).await.expect(200);
    let gone = told(&bob.api, &mut since, "leave", &room).await;
    let withdrawn = Some("withdrawn".to_owned());
    assert_eq!(departure(&gone), (user("bob"), user("alice"), withdrawn));
    assert!(gone["state"]["events"].is_array(), "{gone}");
    // The same place says the same again, and the next one says it no more.
    let again = sync(&bob.api, &before, 0).await;
    assert!(again["rooms"]["leave"].get(&room).is_some(), "{again}");
    let later = sync(&bob.api, &since, 0).await;
    assert!(later["rooms"]["leave"].as_object().unwrap().is_empty(), "{later}");
    // Nobody is invited who starts now.
    let fresh = sync(&bob.api, "", 0).await;
    assert!(fresh["rooms"]["invite"].as_object().unwrap().is_empty(), "{fresh}");
    let join = bob.api.post(&client(&format!("/join/{room}")), &json!({})).await;
    assert_eq!(join.expect(403)["errcode"], "M_FORBIDDEN");
    // The native API has it in the same log.
    let event = bob.event(&tail, "invitation.ended").await;
    assert_eq!(event["group_id"], group.as_str());
    assert_eq!(event["data"], json!({ "reason": "withdrawn", "by": alice.identity }));

    // Invited again, it is an invitation like any other.
    alice.add(&group, &[&bob]).await;
    told(&bob.api, &mut since, "invite", &room).await;
    // To who has heard neither, the one is told before the other.
    let mut late = before;
    told(&bob.api, &mut late, "leave", &room).await;
    told(&bob.api, &mut late, "invite", &room).await;
    bob.api.post(&client(&format!("/join/{room}")), &json!({})).await.expect(200);
    told(&bob.api, &mut since, "join", &room).await;
}

#[tokio::test]
async fn an_invitation_that_another_device_declines_is_a_leave_of_ones_own() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let (phone, desk) = (log_in(&up, &bob, "PHONE").await, log_in(&up, &bob, "DESK").await);
    let (mut since, mut there) = (begin(&phone).await, begin(&alice.api).await);
    let group = alice.create_group("talk", &[&bob]).await;
    let room = room(&group);
    told(&phone, &mut since, "invite", &room).await;
    told(&alice.api, &mut there, "join", &room).await;
    leave(&desk, &room).await;
    let gone = told(&phone, &mut since, "leave", &room).await;
    assert_eq!(departure(&gone), (user("bob"), user("bob"), Some("declined".to_owned())));
    // To the others, bob was a member and has gone by himself.
    let left = others_leave(&alice.api, &mut there, &room).await;
    assert_eq!(departure(&left), (user("bob"), user("bob"), None));
    // Declining is told once.
    let later = sync(&phone, &since, 0).await;
    assert!(later["rooms"]["leave"].as_object().unwrap().is_empty(), "{later}");
}

#[tokio::test]
async fn who_leaves_does_so_by_itself_and_who_is_kicked_is_kicked_by_somebody() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let [carol] = bots(&up, ["carol"]).await;
    alice.add(&group, &[&carol]).await;
    carol.accept(&group).await;
    let room = room(&group);
    let mut places = Vec::new();
    for bot in [&alice, &bob, &carol] {
        wait_for("three members", LONG, async || {
            let members = bot.group(&group).await["members"].clone();
            (members.as_array()?.len() == 3).then_some(())
        })
        .await;
        places.push(begin(&bot.api).await);
    }
    let [mut to_alice, mut to_bob, mut to_carol] = [0, 1, 2].map(|n| places[n].clone());
    // Alice, the admin, commits it; it is not her doing.
    leave(&bob.api, &room).await;
    let own = told(&bob.api, &mut to_bob, "leave", &room).await;
    assert_eq!(departure(&own), (user("bob"), user("bob"), Some("left".to_owned())));
    for (bot, since) in [(&alice, &mut to_alice), (&carol, &mut to_carol)] {
        let seen = others_leave(&bot.api, since, &room).await;
        assert_eq!(departure(&seen), (user("bob"), user("bob"), None), "to {}", bot.name);
    }
    let changed = alice.api.get("/v1/events?types=group.members_changed&after=c1_0").await;
    let changed = changed.expect(200)["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(changed["data"]["left"], json!([bob.identity]), "{changed}");

    // The control: the same commit without a wish to leave.
    let kick = client(&format!("/rooms/{room}/kick"));
    alice.api.post(&kick, &json!({ "user_id": user("carol") })).await.expect(200);
    let own = told(&carol.api, &mut to_carol, "leave", &room).await;
    assert_eq!(departure(&own), (user("carol"), user("alice"), Some("removed".to_owned())));
    let seen = others_leave(&alice.api, &mut to_alice, &room).await;
    assert_eq!(departure(&seen), (user("carol"), user("alice"), None));
}
