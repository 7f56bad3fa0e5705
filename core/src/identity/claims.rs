//! The byte strings an identity signs towards the node.

use super::IdentityKey;

/// Domain of a name claim.
const NAME_DOMAIN: &[u8] = b"quicproquo-name-v1";
/// Domain of an authentication.
const AUTH_DOMAIN: &[u8] = b"quicproquo-auth-v1";
/// Longest name, in bytes.
const MAX_NAME_LEN: usize = 63;

/// Why text is not a name that can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Names have 1 to 63 characters.
    #[error("a name has 1 to 63 characters")]
    Length,
    /// Names are made of `a-z`, `0-9`, `.`, `_` and `-`.
    #[error("a name is made of a-z, 0-9, '.', '_' and '-'")]
    Character,
}

/// What is signed to claim `name`:
/// `"quicproquo-name-v1" || length (one byte) || name || identity`.
///
/// A name is at most 63 characters, so that it never looks like an identity in
/// hexadecimal text.
pub fn name_claim_bytes(name: &str, identity: &IdentityKey) -> Result<Vec<u8>, NameError> {
    let length = u8::try_from(name.len()).map_err(|_| NameError::Length)?;
    if name.is_empty() || name.len() > MAX_NAME_LEN {
        return Err(NameError::Length);
    }
    let allowed = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    if !name.bytes().all(allowed) {
        return Err(NameError::Character);
    }
    Ok([NAME_DOMAIN, &[length], name.as_bytes(), identity.as_bytes()].concat())
}

/// What is signed to authenticate a connection:
/// `"quicproquo-auth-v1" || identity || incarnation || instance || attempt ||
/// exporter`, integers as 8 bytes big-endian.
///
/// `exporter` is 32 bytes of TLS exporter of this very connection (RFC 8446,
/// section 7.5), so a signature is of no use on another one.
pub fn auth_bytes(
    identity: &IdentityKey,
    incarnation: u64,
    instance: &[u8; 16],
    attempt: u64,
    exporter: &[u8; 32],
) -> Vec<u8> {
    [
        AUTH_DOMAIN,
        identity.as_bytes(),
        &incarnation.to_be_bytes(),
        instance,
        &attempt.to_be_bytes(),
        exporter,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_claim_layout() {
        let identity = IdentityKey::new([0xEE; 32]);
        let bytes = name_claim_bytes("alice", &identity).unwrap();
        assert_eq!(bytes, [b"quicproquo-name-v1\x05alice".as_slice(), &[0xEE; 32]].concat());
        assert_eq!(name_claim_bytes("", &identity), Err(NameError::Length));
        assert_eq!(name_claim_bytes(&"a".repeat(64), &identity), Err(NameError::Length));
        assert_eq!(name_claim_bytes(&"a".repeat(300), &identity), Err(NameError::Length));
        assert_eq!(name_claim_bytes("Alice", &identity), Err(NameError::Character));
        assert!(name_claim_bytes(&"a".repeat(63), &identity).is_ok());
    }

    #[test]
    fn auth_layout() {
        let bytes = auth_bytes(&IdentityKey::new([1; 32]), 2, &[3; 16], 4, &[5; 32]);
        let expected = [
            b"quicproquo-auth-v1".as_slice(),
            &[1; 32],
            &[0, 0, 0, 0, 0, 0, 0, 2],
            &[3; 16],
            &[0, 0, 0, 0, 0, 0, 0, 4],
            &[5; 32],
        ]
        .concat();
        assert_eq!(bytes, expected);
    }
}
