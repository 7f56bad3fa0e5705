//! Safety numbers: what two people compare to know that each has the other's key.

use std::fmt;

use sha2::{Digest as _, Sha512};

use super::IdentityKey;

/// Domain of the hash, so that it is of use for nothing else.
const DOMAIN: &[u8] = b"quicproquo-safety-number-v1";
/// Hashes per key: slows down the search for a key with the same digits by 12 bits.
const ROUNDS: usize = 5_200;
/// Digits of one key.
const HALF: usize = 30;
/// Digits that are shown together.
const BLOCK: usize = 5;

/// The safety number of two identities: 60 decimal digits, the same whoever computes it.
///
/// As in Signal ("numeric fingerprint"), each key gives 30 digits: SHA-512, iterated 5,200 times
/// with the key appended each time, read as six numbers of 5 bytes each modulo 100,000. The
/// smaller half comes first. About 100 bits of each key are compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SafetyNumber([u8; 2 * HALF]);

impl SafetyNumber {
    /// The number of two identities, in either order.
    pub fn new(one: &IdentityKey, other: &IdentityKey) -> Self {
        let (one, other) = (half(one), half(other));
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        let mut digits = [0; 2 * HALF];
        digits[..HALF].copy_from_slice(&first);
        digits[HALF..].copy_from_slice(&second);
        Self(digits)
    }

    /// Whether a text shows this number; spaces in it do not count.
    pub fn matches(&self, text: &str) -> bool {
        text.bytes().filter(|byte| !byte.is_ascii_whitespace()).eq(self.0)
    }
}

/// Twelve blocks of five digits.
impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, block) in self.0.chunks(BLOCK).enumerate() {
            let space = if n == 0 { "" } else { " " };
            write!(f, "{space}{}", str::from_utf8(block).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafetyNumber({self})")
    }
}

/// The fingerprint of one identity: its half of every safety number, six blocks of five digits.
pub fn fingerprint(key: &IdentityKey) -> String {
    let digits = half(key);
    let blocks = digits.chunks(BLOCK).map(|block| str::from_utf8(block).unwrap_or_default());
    blocks.collect::<Vec<_>>().join(" ")
}

/// The digits of one key, in ASCII.
fn half(key: &IdentityKey) -> [u8; HALF] {
    let mut hash = Sha512::new().chain_update(DOMAIN).chain_update(key.as_bytes()).finalize();
    for _ in 0..ROUNDS {
        hash = Sha512::new().chain_update(hash).chain_update(key.as_bytes()).finalize();
    }
    let mut digits = [0; HALF];
    for (block, bytes) in digits.chunks_mut(BLOCK).zip(hash.chunks(5)) {
        let mut number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        for digit in block.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frozen; computed by another implementation of the description above.
    const VECTORS: [(u8, u8, &str); 3] = [
        (1, 2, "80902 61658 48758 65857 47835 63207 92590 32221 07406 81600 82900 73515"),
        (0, 255, "42915 10012 36006 73072 20865 08260 97242 67739 51800 87255 12960 08690"),
        (7, 7, "05182 60773 44544 37342 40906 02640 05182 60773 44544 37342 40906 02640"),
    ];

    #[test]
    fn numbers_are_frozen() {
        for (one, other, digits) in VECTORS {
            let (one, other) = (IdentityKey::new([one; 32]), IdentityKey::new([other; 32]));
            assert_eq!(SafetyNumber::new(&one, &other).to_string(), digits);
            assert_eq!(SafetyNumber::new(&other, &one).to_string(), digits);
        }
    }

    #[test]
    fn a_safety_number_is_two_fingerprints() {
        let (one, other) = (IdentityKey::new([1; 32]), IdentityKey::new([2; 32]));
        let number = SafetyNumber::new(&one, &other).to_string();
        assert_eq!(format!("{} {}", fingerprint(&one), fingerprint(&other)), number);
    }

    #[test]
    fn another_key_gives_another_number() {
        let own = IdentityKey::new([1; 32]);
        let number = SafetyNumber::new(&own, &IdentityKey::new([2; 32]));
        let mut near = [2; 32];
        near[31] ^= 1;
        assert_ne!(number, SafetyNumber::new(&own, &IdentityKey::new(near)));
    }

    #[test]
    fn only_the_digits_count() {
        let number = SafetyNumber::new(&IdentityKey::new([1; 32]), &IdentityKey::new([2; 32]));
        let shown = number.to_string();
        assert!(number.matches(&shown));
        assert!(number.matches(&shown.replace(' ', "")));
        assert!(!number.matches(&shown[1..]));
        assert!(!number.matches(&format!("{shown}0")));
        assert!(!number.matches(""));
    }
}
