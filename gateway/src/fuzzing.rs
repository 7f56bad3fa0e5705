//! What the fuzzers drive (`gateway/fuzz`), and the tests that replay their corpus. Not part of what
//! the library offers.

#[cfg(test)]
mod tests;

use quicproquo_client::Cursor;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::auth::Token;
use crate::events::{DeliveryId, Incoming, Outgoing};
use crate::extract::parse_json;
use crate::model::{
    Ack, BotChange, Extend, GroupChange, MemberChange, MessageEdit, NewBot, NewExport, NewGroupDto,
    NewMembers, NewMessage, NewReaction, NewToken, NewWebhook, ReadMarker, Replay, Typing,
    Verification, WebhookChange,
};
use crate::problem::Problem;

/// A body of a request: the first byte chooses its type, the rest is its text.
pub fn rest_json(bytes: &[u8]) {
    takes(bytes);
}

/// Whether the body is taken.
fn takes(bytes: &[u8]) -> bool {
    let Some((which, text)) = bytes.split_first() else { return false };
    match which % 19 {
        0 => match body::<NewMessage>(text).map(NewMessage::parse) {
            Some(Ok(message)) => {
                assert!(!message.kind.is_empty(), "a message has a type");
                true
            }
            Some(Err(problem)) => {
                refused(&problem);
                false
            }
            None => false,
        },
        1 => body::<MessageEdit>(text).is_some(),
        2 => body::<NewReaction>(text).is_some(),
        3 => body::<ReadMarker>(text).is_some(),
        4 => body::<Typing>(text).is_some(),
        5 => body::<NewGroupDto>(text).is_some(),
        6 => body::<GroupChange>(text).is_some(),
        7 => body::<NewMembers>(text).is_some(),
        8 => body::<MemberChange>(text).is_some(),
        9 => body::<NewBot>(text).is_some(),
        10 => body::<BotChange>(text).is_some(),
        11 => body::<NewToken>(text).is_some(),
        12 => body::<NewExport>(text).is_some(),
        13 => body::<NewWebhook>(text).is_some(),
        14 => body::<WebhookChange>(text).is_some(),
        15 => body::<Replay>(text).is_some(),
        16 => body::<Verification>(text).is_some(),
        17 => body::<Ack>(text).is_some(),
        _ => body::<Extend>(text).is_some(),
    }
}

/// What is taken is an object of JSON, and the rest is the caller's fault.
fn body<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    match parse_json(text) {
        Ok(value) => {
            assert!(serde_json::from_slice::<Value>(text).is_ok_and(|value| value.is_object()));
            Some(value)
        }
        Err(problem) => {
            refused(&problem);
            None
        }
    }
}

fn refused(problem: &Problem) {
    assert!(problem.kind().status().is_client_error(), "{problem:?}");
}

/// A frame of a bot: a refusal can be told, and so can what a ping brings.
pub fn ws_frame(text: &[u8]) {
    let answer = match parse_json(text) {
        Ok(Incoming::Ping { id }) => Outgoing::Pong { id },
        Ok(Incoming::Send(send)) => match serde_json::from_value::<NewMessage>(send.message) {
            Ok(message) => match message.parse() {
                Ok(_) => return,
                Err(problem) => {
                    refused(&problem);
                    Outgoing::refused(send.id, problem, String::new())
                }
            },
            Err(_) => return,
        },
        Ok(Incoming::Ack { .. } | Incoming::Extend { .. } | Incoming::Auth { .. }) => return,
        Err(problem) => {
            refused(&problem);
            Outgoing::error(problem, None)
        }
    };
    let told: Value = serde_json::from_str(&answer.text()).expect("a frame is JSON");
    assert!(told["type"].is_string());
}

/// A cursor, or a delivery, which begins with one: what is taken has one spelling, and is not both.
pub fn cursor(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let cursor = text.parse::<Cursor>();
    if let Ok(cursor) = cursor {
        assert_eq!(cursor.to_string(), text);
    }
    if let Ok(delivery) = text.parse::<DeliveryId>() {
        assert_eq!(delivery.to_string(), text);
        assert!(cursor.is_err(), "{text} is a cursor as well");
    }
}

/// A token: what is taken stays as it is, shows itself nowhere, and no character of it is left to
/// chance.
pub fn token(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Some(token) = Token::parse(text) else { return };
    assert_eq!(token.reveal(), text);
    assert!(!format!("{token:?}").contains(text));
    for at in 0..text.len() {
        let other = if text.as_bytes()[at] == b'a' { "b" } else { "a" };
        let mut changed = text.to_owned();
        changed.replace_range(at..=at, other);
        assert!(Token::parse(&changed).is_none(), "character {at} does not count");
    }
}
