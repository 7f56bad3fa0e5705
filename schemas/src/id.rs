//! Opaque ids as they travel: parsed once, passed as types.

use std::fmt;
use std::str::FromStr;

/// An id had the wrong form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Wrong number of bytes.
    #[error("{what} has {got} bytes, not {want}")]
    Length {
        /// Which id.
        what: &'static str,
        /// Bytes it must have.
        want: usize,
        /// Bytes it had.
        got: usize,
    },
    /// Not hexadecimal.
    #[error("{what} is not hexadecimal")]
    Hex {
        /// Which id.
        what: &'static str,
    },
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Size in bytes.
            pub const LEN: usize = $len;

            /// The id made of these bytes.
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| IdError::Length {
                    what: $what,
                    want: $len,
                    got: bytes.len(),
                })
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let bytes = hex::decode(text).map_err(|_| IdError::Hex { what: $what })?;
                Self::try_from(bytes.as_slice())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(self.0))
            }
        }
    };
}

byte_id! {
    /// The Ed25519 public key that is an identity.
    IdentityKey, 32, "identity key"
}
byte_id! {
    /// A label inside a recipient's queue.
    ChannelId, 16, "channel id"
}
byte_id! {
    /// One start of one client process.
    Instance, 16, "instance"
}

/// Names one `send`: unique per identity, counted up within an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SendId {
    /// Raised by every restore of the sender's state.
    pub incarnation: u64,
    /// Counts up within the incarnation.
    pub counter: u64,
}

/// Whether `name` may be claimed: 1..=63 of `a-z0-9._-`.
pub fn is_name(name: &str) -> bool {
    (1..=crate::limits::MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_key_parses_only_at_its_length() {
        let key = IdentityKey::new([7; 32]);
        assert_eq!(key.to_string().parse::<IdentityKey>(), Ok(key));
        assert!("07".parse::<IdentityKey>().is_err());
        assert!("zz".repeat(32).parse::<IdentityKey>().is_err());
    }

    #[test]
    fn names_are_lower_case_and_shorter_than_identities() {
        assert!(is_name("echo-bot.1"));
        assert!(!is_name(""));
        assert!(!is_name("Echo"));
        assert!(!is_name(&"a".repeat(64)));
    }
}
