//! The fuzzers' corpus, replayed, and mutated at random for a bounded number of rounds.

#[path = "../../../node/fuzz/replay.rs"]
mod replay;

use super::{cursor, rest_json, takes, token, ws_frame};
use crate::auth::Token;
use crate::events::{DeliveryId, Incoming};
use crate::extract::parse_json;
use quicproquo_client::Cursor;
use replay::{corpus, replay_and_mutate, write};

#[test]
fn bodies() {
    replay_and_mutate("rest_json", 5_000, rest_json);
}

#[test]
fn frames() {
    replay_and_mutate("ws_frame", 5_000, ws_frame);
}

#[test]
fn cursors() {
    replay_and_mutate("cursor", 5_000, cursor);
}

#[test]
fn tokens() {
    replay_and_mutate("token", 2_000, token);
}

/// How many of a corpus are taken.
fn taken(target: &str, takes: impl Fn(&[u8]) -> bool) -> usize {
    corpus(target).iter().filter(|seed| takes(seed)).count()
}

#[test]
fn the_seeds_get_past_the_door() {
    let text = |seed: &[u8]| String::from_utf8(seed.to_vec()).unwrap();
    assert_eq!(taken("rest_json", takes), corpus("rest_json").len());
    assert!(taken("ws_frame", |it| parse_json::<Incoming>(it).is_ok()) >= 5);
    assert!(taken("cursor", |it| text(it).parse::<Cursor>().is_ok()) > 0);
    assert!(taken("cursor", |it| text(it).parse::<DeliveryId>().is_ok()) > 2);
    assert!(taken("token", |it| Token::parse(&text(it)).is_some()) > 0);
}

/// `cargo nextest run -p quicproquo-gateway --run-ignored only write_the_seeds`, after a change of
/// what is taken.
#[test]
#[ignore = "writes into the checkout"]
fn write_the_seeds() {
    let id = "018f3a9be2d07c00a1b2c3d4e5f60718";
    let reply = format!(r#"{{"type":"text","content":{{"body":"hi"}},"reply_to":"{id}"}}"#);
    let bodies = [
        (0, r#"{"type":"text","content":{"body":"hi"}}"#),
        (0, reply.as_str()),
        (0, r#"{"type":"com.example.move","content":{"from":[1,2],"to":null}}"#),
        (5, r#"{"name":"ops","members":["bob"],"post_quantum":"native"}"#),
        (7, r#"{"members":["bob","carol"]}"#),
        (11, r#"{"label":"ci","scopes":["messages:read"],"expires_at":"2030-01-01T00:00:00Z"}"#),
        (13, r#"{"url":"https://localhost/hook","types":["message.received"]}"#),
    ];
    let bodies = bodies.map(|(which, text)| [&[which], text.as_bytes()].concat());
    write("rest_json", &bodies);
    let send = format!(r#"{{"type":"send","id":1,"group_id":"g","message":{reply},"wait":5}}"#);
    let frames = [
        r#"{"type":"ack","up_to":"d"}"#,
        r#"{"type":"extend","ids":["d"],"lease_ms":1000}"#,
        r#"{"type":"auth","token":"t"}"#,
        r#"{"type":"ping","id":{"n":[1]}}"#,
        send.as_str(),
    ];
    write("ws_frame", &frames.map(|text| text.as_bytes().to_vec()));
    let cursors = ["c1_0", "c1_1f", "c1_ffffffffffffff", "c1_01", "c1_+1", "c2_1"];
    // Deliveries begin with one.
    let deliveries = [
        "c1_1f.9a0be1f3.2",
        "c1_0.00000000.0",
        "c1_fffffffffffffff.ffffffff.ffffffffffffffff",
        "c1_1f.9A0BE1F3.2",
        "c1_1f.+9a0be1f.02",
        "c1_1f.9a0be1f3.2.0",
    ];
    let places = [cursors, deliveries].concat();
    write("cursor", &places.into_iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>());
    let good = Token::random().reveal().to_owned();
    let tokens = [good.clone(), format!("{good}0"), good.replace("qpq_", "qpq-")];
    write("token", &tokens.map(String::into_bytes));
}
