//! What clients send, and what comes back of it.

use serde_json::{Value, json};

use super::super::content;
use super::*;

const FILE: &str = "1c0ffee01c0ffee01c0ffee01c0ffee0";

fn sent(kind: &str, body: Value) -> Outgoing {
    outgoing(&Ids::example(), kind, body).unwrap()
}

fn message(body: Value) -> Outgoing {
    sent("m.room.message", body)
}

/// As other Matrix clients read it.
fn read(message: &Outgoing) -> Value {
    content::plain(&Ids::example(), &message.kind, &message.body).1.into()
}

fn target() -> (MessageId, String) {
    let id = MessageId::new([9; 16]);
    (id, Ids::event(&id))
}

#[test]
fn a_text_reads_as_it_was_written() {
    let plain = message(json!({ "msgtype": "m.text", "body": "hi" }));
    assert_eq!((plain.kind.as_str(), &plain.body), ("text", &json!({ "body": "hi" })));
    for body in [
        json!({ "msgtype": "m.text", "body": "hi" }),
        json!({ "msgtype": "m.emote", "body": "waves", "org.example.more": [1] }),
        json!({
            "msgtype": "m.notice", "body": "hi", "format": "org.matrix.custom.html",
            "formatted_body": "<b>hi</b>",
        }),
        json!({ "msgtype": "org.example.kind", "body": "hi" }),
    ] {
        assert_eq!(read(&message(body.clone())), body);
    }
}

#[test]
fn a_reply_loses_what_it_quotes() {
    let (id, event) = target();
    let reply = message(json!({
        "msgtype": "m.text",
        "body": "> <@a:b> one\n> two\n\nthree",
        "formatted_body": "<mx-reply><blockquote>one</blockquote></mx-reply>three",
        "m.relates_to": { "m.in_reply_to": { "event_id": event } },
    }));
    assert_eq!(reply.body, json!({ "body": "three", "formatted_body": "three" }));
    assert_eq!(reply.relates_to, Some(RelatesTo { rel: "reply".to_owned(), id }));
    // What only looks like it stays.
    let own = json!({ "msgtype": "m.text", "body": "> quoted by hand\n\nyes" });
    assert_eq!(message(own).body["body"], "> quoted by hand\n\nyes");
}

#[test]
fn a_file_has_a_name_and_perhaps_a_caption() {
    let url = format!("mxc://bots.example/{FILE}");
    let image = json!({ "msgtype": "m.image", "body": "cat.png", "url": url, "info": { "w": 3 } });
    let file = message(image);
    let native = json!({
        "attachment_id": FILE, "name": "cat.png", "msgtype": "m.image", "info": { "w": 3 },
    });
    assert_eq!((file.kind.as_str(), &file.body), ("file", &native));
    let back = read(&file);
    assert_eq!((&back["url"], &back["body"]), (&json!(url), &json!("cat.png")));
    let captioned = json!({ "msgtype": "m.file", "body": "see", "filename": "a.pdf", "url": url });
    let captioned = message(captioned);
    assert_eq!(captioned.body["name"], "a.pdf");
    assert_eq!(
        (&read(&captioned)["body"], &read(&captioned)["filename"]),
        (&json!("see"), &json!("a.pdf"))
    );
    // Encrypted by the client once more.
    let sealed = json!({ "msgtype": "m.file", "body": "x", "file": { "url": url, "iv": "i" } });
    assert_eq!(read(&message(sealed))["file"], json!({ "url": url, "iv": "i" }));
}

#[test]
fn edits_and_reactions_name_their_message() {
    let (id, event) = target();
    let edit = message(json!({
        "msgtype": "m.text", "body": "* b",
        "m.new_content": { "msgtype": "m.text", "body": "b" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": event },
    }));
    assert_eq!(edit, about("edit", json!({ "body": "b" }), id));
    let relation = json!({ "rel_type": "m.annotation", "event_id": event, "key": "x" });
    let reaction = sent("m.reaction", json!({ "m.relates_to": relation }));
    assert_eq!(reaction, about("reaction", json!({ "key": "x" }), id));
    let relation = json!({ "rel_type": "m.thread", "event_id": event, "is_falling_back": true });
    let threaded = message(json!({ "msgtype": "m.text", "body": "b", "m.relates_to": relation }));
    assert_eq!(threaded.relates_to, Some(RelatesTo { rel: "m.thread".to_owned(), id }));
    assert_eq!(threaded.body["m.relates_to"], json!({ "is_falling_back": true }));
}

#[test]
fn types_of_ones_own_pass() {
    let move_ = sent("com.example.move", json!({ "from": "e2" }));
    assert_eq!((move_.kind.as_str(), &move_.body), ("com.example.move", &json!({ "from": "e2" })));
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let (_, event) = target();
    for (kind, body) in [
        ("m.room.message", json!([])),
        ("m.room.message", json!({ "msgtype": "m.text" })),
        ("m.room.message", json!({ "msgtype": "m.image", "body": "x" })),
        ("m.room.message", json!({ "msgtype": "m.image", "body": "x", "url": "mxc://other/a" })),
        ("m.room.message", json!({ "body": "x", "m.relates_to": { "rel_type": "m.replace" } })),
        ("m.room.message", json!({ "body": "x", "m.relates_to": 1 })),
        ("m.reaction", json!({ "m.relates_to": { "event_id": event, "key": "x" } })),
        ("m.room.encrypted", json!({ "ciphertext": "x" })),
        ("m.room.member", json!({})),
        ("nodots", json!({})),
        ("a..b", json!({})),
    ] {
        assert!(outgoing(&Ids::example(), kind, body.clone()).is_err(), "{kind} {body}");
    }
}
