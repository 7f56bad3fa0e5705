//! What the fuzzers drive (`core/fuzz`), and the tests that replay their corpus. Not part of what
//! the library offers.

mod room;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use openmls::prelude::MlsMessageIn;
use openmls::prelude::tls_codec::Deserialize as _;

use crate::content::{Content, Version};
use crate::envelope::{self, PayloadKind};
use crate::group::{RepairRequest, welcome_key_package_refs};
use crate::id::MessageId;
use crate::kem::HybridSecret;
use crate::message::{MessageKind, message_info};

pub use room::Room;

/// The key that the envelopes of the corpus are sealed for, and another one: those of the frozen
/// vectors.
fn secrets() -> &'static [HybridSecret; 2] {
    static SECRETS: OnceLock<[HybridSecret; 2]> = OnceLock::new();
    SECRETS.get_or_init(|| {
        [
            include_str!("../tests/vectors/envelope-v1.json"),
            include_str!("../tests/vectors/envelope-v2.json"),
        ]
        .map(|json| {
            let json: serde_json::Value = serde_json::from_str(json).expect("JSON");
            let secret = json["secret"].as_str().and_then(|text| hex::decode(text).ok());
            HybridSecret::from_bytes(&secret.expect("hexadecimal")).expect("a key")
        })
    })
}

/// A payload from a queue: what opens opens under its own key alone, and only word for word.
pub fn envelope(payload: &[u8]) {
    let [own, other] = secrets();
    let sealed =
        matches!(envelope::kind(payload), PayloadKind::EnvelopeV1 | PayloadKind::EnvelopeV2);
    if let Ok(mls) = envelope::open(std::slice::from_ref(own), payload) {
        assert!(sealed, "only an envelope opens");
        assert!(envelope::open(std::slice::from_ref(other), payload).is_err());
        let mut changed = payload.to_vec();
        if let Some(last) = changed.last_mut() {
            *last ^= 1;
        }
        assert!(envelope::open(std::slice::from_ref(own), &changed).is_err());
        message(&mls);
    }
    message(payload);
}

/// Bytes that claim to be an MLS message or a request: our reader of the outside agrees with openmls.
pub fn message(bytes: &[u8]) {
    if let Ok(request) = RepairRequest::parse(bytes) {
        assert_eq!(request.as_bytes(), bytes);
    }
    let info = message_info(bytes);
    let welcome = welcome_key_package_refs(bytes);
    let Ok(read) = MlsMessageIn::tls_deserialize_exact(bytes) else {
        assert!(welcome.is_err(), "openmls does not read this Welcome");
        return;
    };
    let Ok(info) = info else {
        // Group ids that are shorter or longer than ours.
        let group = read.try_into_protocol_message().expect("all other kinds are known");
        assert!(!(16..=64).contains(&group.group_id().as_slice().len()));
        return;
    };
    assert_eq!(info.kind == MessageKind::Welcome, welcome.is_ok());
    if let Ok(message) = read.try_into_protocol_message() {
        let group = info.group_id.as_ref().map(crate::id::GroupId::as_bytes);
        assert_eq!(group, Some(message.group_id().as_slice()));
        assert_eq!(info.epoch, Some(message.epoch().as_u64()));
        assert_eq!(
            info.is_commit(),
            message.content_type() == openmls::framing::ContentType::Commit
        );
    }
}

/// The plaintext of an application message: what reads can be written and read again.
pub fn content(plaintext: &[u8]) {
    let unnamed = MessageId::new([7; 16]);
    let Ok(read) = Content::decode(plaintext, unnamed) else { return };
    if let Ok(bytes) = read.encode(Version::V2) {
        let again = Content::decode(&bytes, unnamed).expect("what we write reads");
        assert_eq!(
            (again.id, &again.kind, &again.relates_to),
            (read.id, &read.kind, &read.relates_to)
        );
    }
    if plaintext.first() == Some(&1)
        && let Ok(bytes) = read.encode(Version::V1)
    {
        assert_eq!(Content::decode(&bytes, unnamed), Ok(read), "a published content changes");
    }
}
