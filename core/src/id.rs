//! Opaque identifiers that parse.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why bytes or text are not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is not hexadecimal.
    #[error("not hexadecimal")]
    NotHex,
    /// The number of bytes is not one this identifier can have.
    #[error("wrong length: {0} bytes")]
    Length(usize),
    /// The bytes are no valid value of the identifier.
    #[error("not a valid value")]
    Invalid,
}

/// An MLS group id: 16 to 64 opaque bytes; new ones are 32 random bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(Vec<u8>);

impl GroupId {
    /// Fewest bytes a group id may have.
    pub const MIN_LEN: usize = 16;
    /// Most bytes a group id may have.
    pub const MAX_LEN: usize = 64;

    /// A new id of 32 random bytes.
    ///
    /// # Panics
    /// When the operating system cannot give random bytes.
    pub fn random() -> Self {
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        Self(bytes)
    }

    /// Takes 16 to 64 bytes as an id.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
        if (Self::MIN_LEN..=Self::MAX_LEN).contains(&bytes.len()) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(IdError::Length(bytes.len()))
        }
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The id that a sender gave a message: 16 bytes, unique only together with
/// the group and the sender.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// A new id: a version 7 UUID (RFC 9562, section 5.7) of this time, unix milliseconds, with 74
    /// random bits. Ids of the same time lie together in an index.
    ///
    /// # Panics
    /// When the operating system cannot give random bytes.
    pub fn at(unix_ms: u64) -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes[6..]).expect("the operating system gives random bytes");
        bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
        bytes[6] = 0x70 | bytes[6] & 0x0f;
        bytes[8] = 0x80 | bytes[8] & 0x3f;
        Self(bytes)
    }

    /// An id of these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Takes exactly 16 bytes as an id.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
        bytes.try_into().map(Self).map_err(|_| IdError::Length(bytes.len()))
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Display, Debug, `FromStr` and serde of an id as lower-case hexadecimal text.
macro_rules! hex_text {
    ($id:ident) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.as_bytes()))
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($id), "({})"), self)
            }
        }

        impl FromStr for $id {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::from_slice(&hex::decode(text).map_err(|_| IdError::NotHex)?)
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

pub(crate) use hex_text;

hex_text!(GroupId);
hex_text!(MessageId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_parse_what_they_print() {
        let group = GroupId::random();
        assert_eq!(group.to_string().parse::<GroupId>().unwrap(), group);
        assert_eq!(group.as_bytes().len(), 32);
        let message = MessageId::at(1_700_000_000_000);
        let json = serde_json::to_string(&message).unwrap();
        assert_eq!(json, format!("\"{message}\""));
        assert_eq!(serde_json::from_str::<MessageId>(&json).unwrap(), message);
    }

    /// The example of RFC 9562, appendix A.6, but for its random bits.
    #[test]
    fn ids_of_messages_begin_with_their_time() {
        let id = MessageId::at(0x017F_22E2_79B0);
        assert_eq!(id.to_string()[..13], *"017f22e279b07");
        assert_eq!(id.as_bytes()[8] >> 6, 0b10);
        let others: std::collections::BTreeSet<_> = (0..100).map(|_| MessageId::at(7)).collect();
        assert_eq!(others.len(), 100);
        assert!(MessageId::at(6) < others.first().copied().unwrap());
        assert!(MessageId::at(8) > others.last().copied().unwrap());
    }

    #[test]
    fn lengths_are_checked() {
        assert_eq!(GroupId::from_slice(&[0; 15]), Err(IdError::Length(15)));
        assert_eq!(GroupId::from_slice(&[0; 65]), Err(IdError::Length(65)));
        assert!(GroupId::from_slice(&[0; 64]).is_ok());
        assert_eq!("zz".parse::<MessageId>(), Err(IdError::NotHex));
        assert_eq!("00".parse::<MessageId>(), Err(IdError::Length(1)));
    }
}
