//! A row of the queue, as far as it can be told without its group.

use sha2::{Digest as _, Sha256};

use super::unit::Opened;

/// How an `MLSMessage` of version 1.0 with a `PrivateMessage` begins (RFC 9420, section 6).
const PRIVATE_MESSAGE: [u8; 4] = [0, 1, 0, 2];

/// A row of the queue.
pub(super) enum Arrived {
    Opened(Opened),
    /// What cannot be opened, as it came.
    Foul {
        hash: [u8; 32],
        payload: Vec<u8>,
        reason: &'static str,
    },
    Gap(u32),
}

impl Arrived {
    /// What the inbox may know a payload by; the last one is what it goes by from now on.
    ///
    /// A `PrivateMessage` in an envelope goes by what is in it: all its receivers have the same
    /// row then, in one page of the database. It is not what the same bytes without an envelope go
    /// by, which another member could send ahead; and the inbox may know its envelope, which came
    /// before this was so.
    pub(super) fn names(&self) -> Vec<[u8; 32]> {
        match self {
            Self::Opened(opened) if opened.sealed && opened.is_private() => {
                let mut content = digest(&opened.mls);
                content[31] ^= 1;
                vec![opened.hash, content]
            }
            Self::Opened(Opened { hash, .. }) | Self::Foul { hash, .. } => vec![*hash],
            Self::Gap(_) => Vec::new(),
        }
    }
}

impl Opened {
    /// Whether it begins like a `PrivateMessage`.
    pub(super) fn is_private(&self) -> bool {
        self.mls.starts_with(&PRIVATE_MESSAGE)
    }
}

/// SHA-256.
pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn opened(mls: &[u8], sealed: bool, payload: &[u8]) -> Arrived {
        let mls = Zeroizing::new(mls.to_vec());
        Arrived::Opened(Opened { mls, sealed, hash: digest(payload), unasked: Vec::new() })
    }

    #[test]
    fn a_message_is_the_same_in_every_envelope_but_not_without() {
        let message = [&PRIVATE_MESSAGE[..], b"rest"].concat();
        let (first, second) = (opened(&message, true, b"1"), opened(&message, true, b"2"));
        assert_eq!(first.names()[0], digest(b"1"), "as the inbox may know it");
        assert_eq!(first.names().last(), second.names().last());
        assert_eq!(first.names().len(), 2);
        let bare = opened(&message, false, &message);
        assert_eq!(bare.names(), [digest(&message)]);
        assert!(!first.names().contains(&digest(&message)), "whoever sends it bare blocks nothing");
    }

    #[test]
    fn all_else_goes_by_its_payload() {
        // A Welcome, a public message, a request: these may say the same again on purpose.
        for content in [&[0, 1, 0, 3, 9][..], &[0, 1, 0, 1, 9], b"request"] {
            assert_eq!(opened(content, true, b"payload").names(), [digest(b"payload")]);
        }
        let foul = Arrived::Foul { hash: [4; 32], payload: vec![1], reason: "malformed" };
        assert_eq!(foul.names(), [[4; 32]]);
        assert!(Arrived::Gap(1).names().is_empty());
    }
}
