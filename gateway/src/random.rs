//! Random identifiers and secrets, from the operating system.

use std::fmt::Write;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Fills an array with random bytes.
///
/// # Panics
/// When the operating system has no randomness: nothing here is safe without it.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// `prefix` and 16 random hexadecimal digits.
pub(crate) fn id(prefix: &str) -> String {
    format!("{prefix}{}", hex::encode(bytes::<8>()))
}

/// A version 4 UUID (RFC 9562 section 5.4).
pub(crate) fn uuid() -> String {
    let mut bytes = bytes::<16>();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `length` characters of 0-9, A-Z, a-z, each equally likely: 5.95 bits per character.
pub(crate) fn base62(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in bytes::<64>() {
            // 248 is the largest multiple of 62 in a byte: the rest would favour some characters.
            if byte < 248 && text.len() < length {
                text.push(char::from(BASE62[usize::from(byte % 62)]));
            }
        }
    }
    text
}

/// A number as `length` base62 digits, the most significant first; higher digits are cut.
pub(crate) fn to_base62(mut number: u64, length: usize) -> String {
    let mut digits = vec![b'0'; length];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[usize::try_from(number % 62).unwrap_or_default()];
        number /= 62;
    }
    String::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_version_four() {
        let text = uuid();
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "4");
        assert!("89ab".contains(&text[19..20]));
        assert_ne!(text, uuid());
    }

    #[test]
    fn base62_has_the_length_asked_for() {
        assert_eq!(base62(43).len(), 43);
        assert!(base62(200).bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(to_base62(0, 3), "000");
        assert_eq!(to_base62(62, 3), "010");
        assert_eq!(to_base62(61, 1), "z");
    }
}
