//! Why a node closes a connection: application error codes of QUIC's `CONNECTION_CLOSE`
//! (RFC 9000 section 19.19). The reason phrase says it in words.

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal,)*) => {
        /// Why a connection was closed, stable across versions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum CloseCode {
            $($(#[$doc])* $variant = $number,)*
        }

        impl CloseCode {
            /// Every code, by number.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }
    };
}

codes! {
    /// Nothing is left to say.
    Done = 0,
    /// The node is shutting down.
    ShuttingDown = 1,
    /// The client has opened no stream.
    NoStream = 2,
    /// Another connection's Session is the live one; the reason ends with its instance.
    Displaced = 3,
    /// The client has not read what waits for it.
    Stalled = 4,
    /// A frame is over a limit or not a message.
    BadFrame = 5,
    /// The client goes on calling though it is refused again and again.
    TooManyCalls = 6,
    /// The address has as many connections as it may.
    TooManyConnections = 7,
    /// The node has no memory left for large first calls; try again.
    Busy = 8,
}

impl CloseCode {
    /// The number on the wire.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The code with this number.
    pub fn find(number: u64) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| u64::from(code.number()) == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_number() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::find(code.number().into()), Some(*code));
        }
        assert_eq!(CloseCode::find(99), None);
    }
}
