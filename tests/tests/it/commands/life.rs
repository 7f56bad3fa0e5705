//! The whole life of two bots.

use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use quicproquo_tests::{LONG, Launch, Shell, wait_for};
use tempfile::TempDir;

use super::{bot, pair};

#[tokio::test]
async fn two_bots_live_by_commands_alone() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let admin = Shell::at(&up);
    assert!(admin.ok(&["bot", "list"]).await.contains("There are no bots"));
    let (alice, bob, group) = pair(&dir, &up).await;
    let mode = std::fs::metadata(dir.path().join("alice.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let list = admin.ok(&["bot", "list"]).await;
    assert!(
        list.starts_with("NAME") && list.contains("alice") && list.contains("running"),
        "{list}"
    );
    assert!(!list.contains('\x1b'), "colours are for terminals: {list:?}");
    let shown = admin.ok(&["bot", "show", "bob"]).await;
    assert!(shown.contains("Key packages"), "{shown}");
    let bots = admin.json(&["bot", "list"]).await;
    assert_eq!(bots.len(), 2);

    // A message, its answer, a file, and what the other sees of them.
    let mut ear = bob.start(&["listen", "--json", "--consumer", "ear", "--after", "c1_0"]);
    let id = alice.ok(&["send", "--group", "tea", "--wait", "is there any left?"]).await;
    let heard = loop {
        let event = ear.event().await;
        if event["type"] == "message.received" {
            break event;
        }
    };
    assert_eq!(heard["data"]["content"]["body"], "is there any left?");
    assert_eq!(heard["data"]["message_id"], id.trim());
    let answer = bob.json(&["send", "--group", &group, "--reply-to", id.trim(), "a pot"]).await;
    assert_eq!(answer[0]["relates_to"]["message_id"], id.trim());
    let note = dir.path().join("note.txt");
    std::fs::write(&note, "half a pot, in fact").unwrap();
    let note = note.to_str().unwrap();
    let sent = bob.json(&["send", "-g", "tea", "--file", note, "to be exact"]).await;
    assert_eq!(sent[0]["content"]["caption"], "to be exact");
    assert_eq!(sent[0]["content"]["mime"], "text/plain");
    ear.signal("INT").await;
    let ended = ear.end().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));

    // People read the same.
    wait_for("both messages", LONG, || async {
        let count = ["listen", "--after", "c1_0", "--types", "message.received", "-n", "2"];
        let read = alice.ok(&count).await;
        (read.contains("tea bob: a pot")
            && read.contains("[file note.txt, 19 bytes: qpq download "))
        .then_some(())
    })
    .await;

    let (carol, _) = bot(&dir, &up, "carol").await;
    assert!(alice.ok(&["group", "add", "tea", "carol"]).await.starts_with("Done, epoch"));
    carol.ok(&["invitation", "decline", "tea", "--wait", "60s"]).await;
    assert!(carol.ok(&["invitation", "list"]).await.contains("no invitations"));
    alice.ok(&["group", "rename", "tea", "coffee"]).await;
    let shown = alice.ok(&["group", "show", "coffee"]).await;
    assert!(shown.contains("bob") && shown.contains("admin"), "{shown}");
    alice.ok(&["group", "remove", "coffee", "bob"]).await;
    wait_for("bob to be out", LONG, || async {
        bob.ok(&["group", "list"]).await.contains("It is in no group").then_some(())
    })
    .await;
    let all = bob.json(&["group", "list", "--all"]).await;
    assert_eq!(all[0]["state"], "removed");

    assert!(bob.ok(&["identity", "show", "alice"]).await.contains("Safety number"));
    admin.ok(&["bot", "delete", "carol", "--yes"]).await;
    assert_eq!(admin.json(&["bot", "list"]).await.len(), 2);
}

#[tokio::test]
async fn files_are_fetched_and_nothing_is_written_over() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, _) = pair(&dir, &up).await;
    let big = dir.path().join("..big file.bin");
    std::fs::write(&big, (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>())
        .unwrap();
    let sent = alice.json(&["send", "-g", "tea", "--wait", "--file", big.to_str().unwrap()]).await;
    let id = sent[0]["content"]["attachment_id"].as_str().unwrap();
    let heard = ["listen", "--after", "c1_0", "--types", "message.received", "-n", "1"];
    bob.ok(&heard).await;

    let place = dir.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let to = ["--output", place.to_str().unwrap()];
    let fetched = bob.json(&[&["download", id], to.as_slice()].concat()).await;
    assert_eq!(fetched[0]["size"], 12_000_000);
    assert_eq!(fetched[0]["name"], "..big file.bin");
    let file = place.join("big file.bin");
    assert_eq!(fetched[0]["path"].as_str(), file.to_str());
    let same = || std::fs::read(&file).unwrap() == std::fs::read(&big).unwrap();
    assert!(same());
    let again = bob.run(&[&["download", id], to.as_slice()].concat()).await;
    assert!(again.code == 2 && again.stderr.contains("exists"), "{}", again.stderr);
    assert!(same());

    let none = bob.run(&["download", &"0".repeat(32), "-o", "-"]).await;
    assert_eq!((none.code, none.stdout.as_str()), (9, ""), "{}", none.stderr);
    assert_eq!(bob.run(&["download", "../v1/me"]).await.code, 2);
    // Whoever is in no group of it gets nothing.
    let (carol, _) = bot(&dir, &up, "carol").await;
    assert_eq!(carol.run(&["download", id, "-o", "-"]).await.code, 9);
}

#[tokio::test]
async fn invitations_follow_the_policy_of_the_admin() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let admin = Shell::at(&up);
    let (alice, _) = bot(&dir, &up, "alice").await;
    let (carol, _) = bot(&dir, &up, "carol").await;
    let (bob, _) = bot(&dir, &up, "bob").await;
    assert_eq!(admin.ok(&["bot", "invitations", "bob"]).await, "ask\n");
    let wrong = admin.run(&["bot", "invitations", "bob", "allow"]).await;
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    let unknown = ["bot", "invitations", "bob", "allow", "--from", "dave"];
    assert_eq!(admin.run(&unknown).await.code, 9);
    let said = admin.ok(&["bot", "invitations", "bob", "allow", "--from", "alice"]).await;
    let identity = admin.json(&["bot", "show", "alice"]).await[0]["identity"].clone();
    assert_eq!(said, format!("allow\n{}\n", identity.as_str().unwrap()));
    carol.ok(&["group", "create", "coffee", "--member", "bob"]).await;
    alice.ok(&["group", "create", "tea", "--member", "bob"]).await;
    wait_for("alice's invitation to be accepted", LONG, || async {
        bob.ok(&["group", "list"]).await.contains("tea").then_some(())
    })
    .await;
    wait_for("carol's to wait", LONG, || async {
        bob.ok(&["invitation", "list"]).await.contains("coffee").then_some(())
    })
    .await;
    let policy = admin.json(&["bot", "invitations", "bob", "all"]).await;
    assert_eq!(policy[0], serde_json::json!({ "policy": "all" }));
}

#[tokio::test]
async fn tokens_are_issued_and_taken_back() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, _) = pair(&dir, &up).await;
    let admin = Shell::at(&up);
    let scope = ["--scope", "messages:read,groups:read", "--ttl", "1h", "--label", "reader"];
    let issued =
        admin.json(&[&["bot", "token", "issue", "alice"], scope.as_slice()].concat()).await;
    let reader = admin.with("QPQ_TOKEN", issued[0]["token"].as_str().unwrap());
    assert_eq!(reader.json(&["group", "list"]).await.len(), 1);
    let refused = reader.run(&["send", "-g", "tea", "no"]).await;
    assert_eq!(refused.code, 8, "{}", refused.stderr);
    let list = admin.ok(&["bot", "token", "list", "alice"]).await;
    assert!(list.contains("reader") && list.contains("never"), "{list}");

    let ear = reader.start(&["listen", "--json"]);
    admin.ok(&["bot", "token", "revoke", "alice", "reader"]).await;
    let ended = ear.end().await;
    assert_eq!(ended.code, 8, "{}", ended.stderr);
    alice.ok(&["group", "list"]).await;
    bob.ok(&["group", "list"]).await;
}

#[tokio::test]
async fn a_bot_moves_in_an_archive() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let node = up.field("node").to_owned();
    let other = Launch::gateway_to(&dir.path().join("other"), &node)
        .arg("--node-fingerprint", up.field("node_fingerprint"))
        .start()
        .await;
    let (alice, bob, _) = pair(&dir, &up).await;
    let secret = dir.path().join("secret.txt");
    std::fs::write(&secret, "a dozen words or so\n").unwrap();
    let archive = dir.path().join("bob.bot");
    let path = archive.to_str().unwrap();
    let phrase = ["--passphrase-file", secret.to_str().unwrap()];
    let here = Shell::at(&up);
    here.ok(&[&["bot", "export", "bob", path], phrase.as_slice()].concat()).await;
    let twice = here.run(&[&["bot", "export", "bob", path], phrase.as_slice()].concat()).await;
    assert_eq!(twice.code, 2, "nothing is written over: {}", twice.stderr);

    // The move is called off, and begun again.
    let resumed = here.ok(&["bot", "resume", "bob"]).await;
    assert!(resumed.starts_with("bob goes on here"), "{resumed}");
    wait_for("bob to run", LONG, || async {
        here.ok(&["bot", "show", "bob"]).await.contains("running").then_some(())
    })
    .await;
    std::fs::remove_file(&archive).unwrap();
    here.ok(&[&["bot", "export", "bob", path], phrase.as_slice()].concat()).await;

    // As the route gives it, which `import` takes as well.
    let there = Shell::at(&other);
    let base64 = BASE64_STANDARD.encode(std::fs::read(&archive).unwrap());
    let answer = serde_json::json!({ "name": "bob", "archive": base64 });
    std::fs::write(&archive, answer.to_string()).unwrap();
    let token = dir.path().join("bob-there.token");
    let save = ["--save-token", token.to_str().unwrap()];
    let none = dir.path().join("secret.txt");
    let odd = [&["bot", "import", none.to_str().unwrap()], phrase.as_slice(), &save].concat();
    let refused = there.run(&odd).await;
    assert!(refused.code == 2 && refused.stderr.contains("no archive"), "{}", refused.stderr);
    assert!(!token.exists());
    there.ok(&[&["bot", "import", path], phrase.as_slice(), &save].concat()).await;
    assert_eq!(here.json(&["bot", "list"]).await[1]["state"], "exported");
    let bob_there = there.with_token_file(&token);
    let mut ear =
        bob_there.start(&["listen", "--json", "--after", "c1_0", "--types", "message.received"]);
    alice.ok(&["send", "-g", "tea", "are you settled in?"]).await;
    assert_eq!(ear.event().await["data"]["content"]["body"], "are you settled in?");
    bob.run(&["send", "-g", "tea", "no"]).await;
}
