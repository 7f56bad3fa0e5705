//! A person at `qpq chat` in a terminal, and a bot.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use quicproquo_tests::{Bot, LONG, Launch, Running, Terminal, tool, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

const F1: &str = "\x1bOP";
const CTRL_C: &str = "\x03";

fn chat(up: &Running, home: &Path, rows: u16, cols: u16) -> Terminal {
    std::fs::create_dir_all(home).expect("a home");
    Terminal::start(home, &["chat", "--node", up.field("node")], rows, cols)
}

#[tokio::test]
async fn a_person_and_a_bot_share_a_group() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let bot = Bot::create(&up, "bot").await;
    let tail = bot.tail().await;
    let home = dir.path().join("ada");
    let mut ada = chat(&up, &home, 24, 100);
    ada.shows("What do you want to be called?").await;
    assert!(ada.is_full_screen() && ada.is_raw());

    // Names are taken once.
    ada.enter("bot");
    ada.shows("the name is taken").await;
    ada.enter("ada");
    ada.shows("You are ada").await;
    ada.shows("connected").await;
    let key = home.join("chat/master.key");
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);

    // A group, and both ways.
    ada.enter("/new tea bot");
    ada.shows("tea  2 members").await;
    let invitation = bot.event(&tail, "invitation.received").await;
    let group = invitation["group_id"].as_str().unwrap().to_owned();
    bot.accept(&group).await;
    ada.enter("is there any left?");
    ada.shows("ada: is there any left?").await;
    let heard = bot.event(&tail, "message.received").await;
    assert_eq!(heard["data"]["content"]["body"], "is there any left?");
    let id = heard["data"]["message_id"].as_str().unwrap();
    let messages = format!("/v1/groups/{group}/messages");
    let answer = json!({ "type": "text", "content": { "body": "half a pot" }, "reply_to": id });
    let answered = bot.api.post(&messages, &answer).await.expect(201);
    ada.shows("bot: half a pot").await;
    // Each sees that the other writes and has read.
    let heard = async |fits: &dyn Fn(&Value) -> bool| {
        wait_for("what ada is known to do", LONG, || async {
            bot.events(&tail).await.into_iter().find(fits)
        })
        .await
    };
    heard(&|event| event["type"] == "member.typing" && event["data"]["active"] == true).await;
    let read = heard(&|event| event["data"]["type"] == "read").await;
    assert_eq!(read["data"]["relates_to"]["message_id"], answered["message_id"]);
    let typing = format!("/v1/groups/{group}/typing");
    bot.api.put(&typing, &json!({ "active": true })).await.expect(204);
    ada.shows("bot is writing..").await;
    bot.api.put(&typing, &json!({ "active": false })).await.expect(204);
    wait_for("the bot to have stopped", LONG, || async {
        (!ada.shown().contains("is writing")).then_some(())
    })
    .await;
    let marker = json!({ "message_id": id });
    bot.api.put(&format!("/v1/groups/{group}/read"), &marker).await.expect(200);
    ada.shows("read by bot").await;
    ada.shows("| ada: is there any left?").await;
    bot.api.put(&format!("{messages}/{id}/reactions/+1"), &json!({})).await.expect(200);
    ada.shows("[+1 1]").await;

    // Reply, edit, and what a message must not do to a terminal.
    ada.enter("/reply thanks");
    ada.shows("| bot: half a pot").await;
    ada.enter("/edit thank you");
    ada.shows("thank you (edited)").await;
    bot.say(&group, "\x1b[2J\x1b]0;owned\x07red").await;
    ada.shows("[2J").await;
    ada.shows("half a pot").await;

    // Pasted text keeps its lines.
    ada.type_keys("\x1b[200~first\rsecond\x1b[201~");
    ada.type_keys("\x1b\rthird");
    ada.shows("  second").await;
    ada.enter("");
    let lines = heard(&|event| event["data"]["content"]["body"] == "first\nsecond\nthird").await;
    assert_eq!(lines["type"], "message.received");

    // Files both ways.
    std::fs::write(home.join("note.txt"), "from ada").unwrap();
    ada.enter("/file note.txt for you");
    ada.shows("note.txt is sent").await;
    let file = wait_for("the file", LONG, || async {
        let events = bot.events(&tail).await;
        events.into_iter().find(|event| event["data"]["type"] == "file")
    })
    .await;
    let attachment = file["data"]["content"]["attachment_id"].as_str().unwrap();
    assert_eq!(bot.api.get(&format!("/v1/attachments/{attachment}")).await.text, "from ada");
    ada.shows("[file note.txt").await;
    ada.enter("/save copy.txt");
    ada.shows("saved as copy.txt").await;
    assert_eq!(std::fs::read_to_string(home.join("copy.txt")).unwrap(), "from ada");

    // Safety numbers are the same on both sides.
    ada.enter("/verify bot");
    ada.shows("Both sides show the same digits").await;
    let known = bot.api.get("/v1/identities/ada").await.expect(200);
    let number = known["safety_number"].as_str().unwrap();
    ada.shows(&number.split(' ').take(4).collect::<Vec<_>>().join("  ")).await;
    ada.type_keys("q");
    ada.enter(&format!("/verify bot {number}"));
    ada.shows("bot is verified").await;

    // Any size, and the help.
    ada.type_keys(F1);
    ada.shows("Keys and commands").await;
    ada.resize(10, 40);
    ada.shows("Keys and commands").await;
    ada.type_keys("q");
    ada.resize(40, 120);
    ada.shows("tea  2 members").await;

    ada.type_keys(CTRL_C);
    assert_eq!(ada.end().await, 0);
    assert!(!ada.is_full_screen(), "{}", ada.shown());
    assert!(!ada.shown().contains("panicked"));
    let log = std::fs::read_to_string(home.join("chat/chat.log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn who_comes_back_finds_what_was_unread() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let bot = Bot::create(&up, "bot").await;
    let home = dir.path().join("ada");
    let mut ada = chat(&up, &home, 24, 100);
    ada.shows("What do you want").await;
    ada.enter("ada");
    ada.shows("You are ada").await;
    let tea = wait_for("the name to be known", LONG, || async {
        let body = json!({ "name": "tea", "members": ["ada"] });
        let made = bot.api.post("/v1/groups", &body).await;
        (made.status == 201).then(|| made.json())
    })
    .await;
    ada.shows("invites you into").await;
    ada.enter("/accept");
    ada.shows("tea  2 members").await;
    // The list is in order, so this one is open when ada comes back.
    ada.enter("/new aaa");
    ada.shows("aaa  1 member").await;
    // A second one would speak for the same person.
    let args = ["chat", "--node", up.field("node")];
    let mut second = Terminal::start(&home, &args, 24, 100);
    assert_eq!(second.end().await, 3);
    second.shows("in use by process").await;

    ada.signal("TERM");
    assert_eq!(ada.end().await, 0);
    assert!(!ada.is_full_screen());
    let group = tea["group_id"].as_str().unwrap();
    bot.say(group, "while you were away").await;
    let work = bot.create_group("alpha", &[]).await;
    bot.api
        .post(&format!("/v1/groups/{work}/members"), &json!({ "members": ["ada"] }))
        .await
        .expect(200);

    let mut ada = chat(&up, &home, 24, 100);
    ada.shows("? alpha").await;
    ada.shows("* tea (1)").await;
    ada.shows_after("\t", "bot: while you were away").await;
    wait_for("the mark to go", LONG, || async { (!ada.shown().contains("tea (1)")).then_some(()) })
        .await;
    ada.enter("/quit");
    let code = ada.end().await;
    assert!(!ada.is_full_screen(), "{}", ada.shown());
    assert_eq!(code, 0, "{}", ada.shown());
}

#[tokio::test]
async fn without_a_terminal_or_a_node_that_is_said() {
    let dir = TempDir::new().unwrap();
    let ended = tool(&dir.path().join("a"), &["chat"]).await;
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("needs a terminal"), "{}", ended.stderr);
    let home = dir.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let mut alone = Terminal::start(&home, &["chat", "--node", "127.0.0.1:1"], 24, 100);
    alone.shows("connecting").await;
    alone.enter("ada");
    alone.shows("the node cannot be reached").await;
    alone.type_keys(CTRL_C);
    assert_eq!(alone.end().await, 0);
}
