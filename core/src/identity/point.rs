//! Which encodings of points of edwards25519 a signature may use (RFC 8032, section 5.1.2: the `y`
//! coordinate, little-endian, and the sign of `x` in the highest bit).
//!
//! The eight points of small order sign anything under a check that does not look for them. A `y` that
//! is not below the prime some implementations take and others do not, and members must agree on
//! what is valid.

/// `2^255 - 19`, the prime of the field.
const P: [u8; 32] = {
    let mut p = [0xFF; 32];
    (p[0], p[31]) = (0xED, 0x7F);
    p
};
/// `y` of the points of order 8; the other one is its negative.
const ORDER_8: [u8; 32] = [
    0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98, 0xF0,
    0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53, 0xFC, 0x05,
];

/// Whether this is neither a point of small order nor encoded in another way than it should be.
/// Whether it is a point at all shows when it is used.
pub(super) fn is_strict(encoded: &[u8; 32]) -> bool {
    let mut y = *encoded;
    y[31] &= 0x7F;
    // From the highest byte down, as numbers are compared.
    let below = y.iter().rev().lt(P.iter().rev());
    // Orders 4 and 1, then 2, then 8.
    let small = [0, 1].map(number).contains(&y)
        || y == minus(&number(1))
        || y == ORDER_8
        || y == minus(&ORDER_8);
    below && !small
}

const fn number(n: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = n;
    bytes
}

/// `P - y` for a `y` below it.
fn minus(y: &[u8; 32]) -> [u8; 32] {
    let mut borrowed = false;
    std::array::from_fn(|place| {
        let (part, first) = P[place].overflowing_sub(y[place]);
        let (part, second) = part.overflowing_sub(borrowed.into());
        borrowed = first || second;
        part
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ed25519_dalek::VerifyingKey;

    use super::*;

    /// Another implementation knows the order of a point by computing with it.
    #[test]
    fn points_of_small_order_are_those_that_vanish_when_multiplied_by_eight() {
        let mut weak = HashSet::new();
        let ours = [number(0), number(1), minus(&number(1)), ORDER_8, minus(&ORDER_8)];
        for y in ours {
            for sign in [0, 0x80] {
                let mut encoded = y;
                encoded[31] |= sign;
                assert!(!is_strict(&encoded), "{encoded:02x?}");
                if let Ok(key) = VerifyingKey::from_bytes(&encoded) {
                    assert!(key.is_weak(), "{encoded:02x?}");
                    weak.insert(y);
                }
            }
        }
        assert_eq!(weak.len(), 5, "five y coordinates of eight points");
    }

    #[test]
    fn honest_keys_are_strict_and_numbers_from_the_prime_on_are_not() {
        for _ in 0..1000 {
            let seed: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
            let key = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
            assert!(is_strict(key.as_bytes()));
        }
        // 19 numbers have a second encoding.
        for more in 0..19 {
            let mut encoded = P;
            encoded[0] += more;
            assert!(!is_strict(&encoded), "{more}");
        }
        let mut last = P;
        last[0] -= 2;
        assert!(is_strict(&last));
    }
}
