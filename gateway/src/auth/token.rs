//! The form of a token: `qpq_`, 43 random characters (256 bits), 6 characters of checksum.
//!
//! The checksum finds typing errors and lets scanners recognise leaked tokens without asking the
//! gateway; it is no secret and proves nothing.

use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::random;

const PREFIX: &str = "qpq_";
const SECRET_LEN: usize = 43;
const CHECKSUM_LEN: usize = 6;

/// A token in clear; it is shown once and only its hash is kept.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// A new random token.
    pub(crate) fn random() -> Self {
        let secret = random::base62(SECRET_LEN);
        let checksum = checksum(&secret);
        Self(format!("{PREFIX}{secret}{checksum}"))
    }

    /// Takes a text as a token when its form and checksum are right.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        if rest.len() != SECRET_LEN + CHECKSUM_LEN
            || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return None;
        }
        let (secret, given) = rest.split_at(SECRET_LEN);
        (checksum(secret) == given).then(|| Self(text.to_owned()))
    }

    /// The token in clear.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// SHA-256 of a token. The token has 256 random bits, so no slow hash is needed.
#[derive(Clone, Copy)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    /// Takes 32 bytes as a hash.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().map(Self).ok()
    }

    /// The raw bytes.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In constant time.
impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

fn checksum(secret: &str) -> String {
    let hash = Sha256::new().chain_update(PREFIX).chain_update(secret).finalize();
    let head = u64::from_be_bytes([0, 0, 0, hash[0], hash[1], hash[2], hash[3], hash[4]]);
    random::to_base62(head, CHECKSUM_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_parses() {
        let token = Token::random();
        assert_eq!(token.reveal().len(), 4 + 43 + 6);
        let again = Token::parse(token.reveal()).unwrap();
        assert_eq!(again.hash(), token.hash());
        assert_ne!(Token::random().hash(), token.hash());
    }

    #[test]
    fn a_changed_token_does_not_parse() {
        let token = Token::random();
        let text = token.reveal();
        for index in 4..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[index] = if bytes[index] == b'a' { b'b' } else { b'a' };
            assert!(Token::parse(&String::from_utf8(bytes).unwrap()).is_none(), "{index}");
        }
        for bad in ["", "qpq_", &text[1..], &text[..text.len() - 1], "qpq_ä"] {
            assert!(Token::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let token = Token::random();
        assert_eq!(format!("{token:?} {:?}", token.hash()), "Token(..) TokenHash(..)");
    }
}
