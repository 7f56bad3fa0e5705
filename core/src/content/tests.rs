//! Both versions of contents, and what version 1 cannot carry.

use serde_json::json;

use super::*;

const VECTORS: &str = include_str!("../../tests/vectors/content.json");

fn id(byte: u8) -> MessageId {
    MessageId::new([byte; 16])
}

fn read(hex_bytes: &str) -> Result<Content, ContentError> {
    Content::decode(&hex::decode(hex_bytes).unwrap(), id(0xFF))
}

#[test]
fn frozen_vectors() {
    let vectors: Vec<serde_json::Value> = serde_json::from_str(VECTORS).unwrap();
    for vector in vectors {
        let content = read(vector["bytes"].as_str().unwrap()).unwrap();
        assert_eq!(json!(content.id), vector["id"], "{vector}");
        assert_eq!(json!(content.kind), vector["type"], "{vector}");
        assert_eq!(content.body, vector["content"], "{vector}");
        assert_eq!(json!(content.relates_to), vector["relates_to"], "{vector}");
        assert_eq!(json!(content.sent_at_ms), vector["sent_at"], "{vector}");
        if let Some(version) = vector["writes"].as_u64() {
            let version = if version == 1 { Version::V1 } else { Version::V2 };
            assert_eq!(hex::encode(content.encode(version).unwrap()), vector["bytes"], "{vector}");
        }
    }
}

#[test]
fn version_2_carries_everything() {
    let content = Content {
        id: id(1),
        kind: "org.example.poll".into(),
        body: json!({ "question": "?", "nested": [1, { "a": null }] }),
        relates_to: Some(RelatesTo { rel: "org.example.answers".into(), id: id(2) }),
        sent_at_ms: Some(1_700_000_000_123),
    };
    let bytes = content.encode(Version::V2).unwrap();
    assert_eq!(Content::decode(&bytes, id(9)).unwrap(), content);
    let refused = content.encode(Version::V1);
    assert_eq!(refused, Err(ContentError::NotInV1("this type")));
}

#[test]
fn version_1_says_what_it_cannot_carry() {
    let file = Content::new(id(1), "file", json!({ "name": "n" }));
    assert_eq!(file.encode(Version::V1), Err(ContentError::NotInV1("a file key")));
    let related = Content::text(id(1), "x").relating("thread", id(2));
    assert_eq!(related.encode(Version::V1), Err(ContentError::NotInV1("this relation")));
    let reaction = Content::new(id(1), "reaction", json!({ "key": "+" }));
    assert_eq!(reaction.encode(Version::V1), Err(ContentError::NotInV1("this relation")));
    let taken_back = Content::new(id(1), "reaction", json!({ "key": "+", "active": false }))
        .relating("reaction", id(2));
    let refused = taken_back.encode(Version::V1);
    assert_eq!(refused, Err(ContentError::NotInV1("the removal of a reaction")));
    let shapeless = Content::new(id(1), "text", json!({}));
    assert_eq!(shapeless.encode(Version::V1), Err(ContentError::NotInV1("a body without text")));
    let long = Content::text(id(1), &"x".repeat(65_536));
    assert_eq!(long.encode(Version::V1), Err(ContentError::TextTooLong));
    assert!(long.encode(Version::V2).is_ok());
}

#[test]
fn a_text_without_text_is_no_text() {
    for body in [json!({}), json!({ "body": 7 }), json!("hi")] {
        let shapeless = Content::new(id(1), "text", body).encode(Version::V2).unwrap();
        assert_eq!(Content::decode(&shapeless, id(1)), Err(ContentError::Malformed));
    }
    let own = Content::new(id(1), "org.example.text", json!({})).encode(Version::V2).unwrap();
    assert!(Content::decode(&own, id(1)).is_ok());
}

#[test]
fn limits() {
    let long = Content::text(id(1), &"x".repeat(MAX_TEXT_LEN + 1));
    assert_eq!(long.encode(Version::V2), Err(ContentError::TextTooLong));
    let huge = Content::new(id(1), "t", json!({ "x": "y".repeat(MAX_CONTENT_LEN) }));
    assert_eq!(huge.encode(Version::V2), Err(ContentError::TooLong));
    assert_eq!(Content::decode(&vec![2; MAX_CONTENT_LEN + 1], id(1)), Err(ContentError::TooLong));
    assert_eq!(Content::new(id(1), "", json!({})).encode(Version::V2), Err(ContentError::Kind));
}

#[test]
fn malformed_contents_are_errors() {
    let cases = ["", "01", "0101", "010100", "0105", "01090", "02", "027b7d", "0101ff"];
    for case in cases.iter().filter(|case| case.len() % 2 == 0) {
        assert_eq!(read(case), Err(ContentError::Malformed), "{case}");
    }
    // Bytes after the end, and text that is not UTF-8.
    assert_eq!(read("010900"), Err(ContentError::Malformed));
    let not_text = format!("0101{}0001ff", "11".repeat(16));
    assert_eq!(read(&not_text), Err(ContentError::Malformed));
    assert_eq!(read("0400"), Err(ContentError::UnknownVersion(4)));
}

#[test]
fn unknown_binary_types_arrive_as_they_are() {
    let content = read("0177abcd").unwrap();
    assert_eq!(content.kind, "unknown.v1");
    assert_eq!(content.body, json!({ "type": 0x77, "data": "abcd" }));
}
