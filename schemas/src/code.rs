//! The error codes of the wire: Cap'n Proto exceptions carry `E0NN NAME: text`.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal,)*) => {
        /// What went wrong in an RPC, stable across versions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
        }

        impl ErrorCode {
            /// Every code, by number.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The number after the `E`.
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number,)* }
            }

            /// The name after the number.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

codes! {
    /// The access token is absent, unknown, expired or belongs to a closed Session.
    Unauthenticated = 1 "UNAUTHENTICATED",
    /// The access token is valid but bound to another identity, or opens fewer methods.
    Forbidden = 2 "FORBIDDEN",
    /// An identity key, recipient key, channel id or other id has the wrong length.
    BadId = 3 "BAD_ID",
    /// The version is not 1.
    BadVersion = 4 "BAD_VERSION",
    /// A payload, package or list is empty where it must not be.
    Empty = 5 "EMPTY",
    /// A payload, package, list or frame is larger than the limit.
    TooLarge = 6 "TOO_LARGE",
    /// The recipient's queue is full.
    QueueFull = 7 "QUEUE_FULL",
    /// The node's disk or database cannot take more; reading and acknowledging go on.
    StorageFull = 8 "STORAGE_FULL",
    /// Over a rate or in-flight limit; try again later.
    RateLimited = 9 "RATE_LIMITED",
    /// The signature does not prove the key on this connection.
    BadSignature = 10 "BAD_SIGNATURE",
    /// The incarnation, or the attempt of this instance, is lower than one seen before.
    Fenced = 11 "FENCED",
    /// Another Session of this identity is the live one; the text ends with its instance.
    Displaced = 12 "DISPLACED",
    /// The registration policy does not admit this identity.
    RegistrationRefused = 13 "REGISTRATION_REFUSED",
    /// The `KeyPackage` does not parse or fails validation.
    BadKeyPackage = 14 "BAD_KEY_PACKAGE",
    /// The name is malformed.
    BadName = 15 "BAD_NAME",
    /// The name belongs to another identity.
    NameTaken = 16 "NAME_TAKEN",
    /// The identity holds as many names as it may.
    TooManyNames = 17 "TOO_MANY_NAMES",
    /// The send id is not of this Session's incarnation, or was used for another send.
    BadSendId = 18 "BAD_SEND_ID",
    /// `fetch` while the identity is subscribed.
    Subscribed = 19 "SUBSCRIBED",
    /// The hybrid public key has the wrong length.
    BadHybridKey = 20 "BAD_HYBRID_KEY",
    /// The identity is banned by the operator.
    Banned = 21 "BANNED",
    /// A list repeats an entry that must be unique, or a field is out of its range.
    BadRequest = 22 "BAD_REQUEST",
    /// The node has no complete blob of this hash.
    NoSuchBlob = 23 "NO_SUCH_BLOB",
    /// The bytes do not have the hash or the size that was given.
    BadBlob = 24 "BAD_BLOB",
    /// The piece does not begin where the upload ends; the text ends with that offset.
    BadOffset = 25 "BAD_OFFSET",
    /// The identity keeps as much at the node as it may.
    QuotaExceeded = 26 "QUOTA_EXCEEDED",
    /// The node failed; nothing was done. The operator's log says more.
    Internal = 50 "INTERNAL",
    /// The node is shutting down; nothing was done.
    ShuttingDown = 51 "SHUTTING_DOWN",
}

impl ErrorCode {
    /// Finds the code in the text of an exception, whatever was put in front of it.
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| text.contains(&format!("{code}:")))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{:03} {}", self.number(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_in_the_text_of_a_remote_exception() {
        let text = format!("remote exception: {}: the name is taken", ErrorCode::NameTaken);
        assert_eq!(ErrorCode::find(&text), Some(ErrorCode::NameTaken));
        assert_eq!(ErrorCode::find("connection lost"), None);
    }

    #[test]
    fn numbers_are_unique() {
        let mut numbers: Vec<_> = ErrorCode::ALL.iter().map(|code| code.number()).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), ErrorCode::ALL.len());
    }
}
